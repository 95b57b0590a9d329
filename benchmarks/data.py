"""Megabytes a second of building a data set, side by side with datatrove and Ray Data.

    python -m venv peers
    peers/bin/pip install 'datatrove[io,processing]==0.10.1' 'ray[data]==2.60.0' tokenizers pydantic
    python benchmarks/data.py --peers peers/bin/python   # compare: a few minutes
    python benchmarks/data.py --scaling                  # ours alone, up to 2 GB

The work: JSONL to the paper's three rules, exact duplicates out, tokens, rows of 2,048. The input
is Python of this machine, a tenth of it planted copies. Every way has two workers and is a process
of its own, so that starting it counts; "work" leaves out the start of interpreter, imports and Ray
(for ours: the time of `data build --help`). First all ways must keep the same documents with the
same tokens; then they take turns, in another order each round. The memory is the sum of the process
tree's shares (PSS), looked at each 100 ms of that first, untimed turn.

The peers as they are fastest here, both with `TOKENIZERS_PARALLELISM=false`:

- datatrove: two forked workers, a task for each file. Its three stages of exact deduplication
  (xxhash of 64 bits), then the rules, which thus see each text once, then `DocumentTokenizer` in
  batches of 1,000 without shuffling. Its files stay apart: its loader cuts rows from each.
- Ray Data: `num_cpus=2`; rules, digests and `encode_batch_fast` in one fused stage of tasks. One
  actor remembers whose each SHA-256 is; a `groupby` of digests took 1.6 times as long. The driver
  joins the tokens into one file of rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import itertools
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

if TYPE_CHECKING or sys.argv[1:2] != ["peer"]:  # a peer starts with what it needs alone
    import tokenizers
    import typer
    from rich.console import Console
    from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
CONTEXT, WORKERS, SHARD_BYTES, BOUND_MB = 2048, 2, 6_250_000, 1000
END_OF_TEXT = "<|endoftext|>"
LIMITS = {"mean_line_length": 100, "longest_line": 1000, "digits": 0.9}
WAYS: tuple[str, ...] = ("ours", "datatrove", "ray")
OURS = [str(Path(sys.executable).with_name("jaxformer")), "data", "build"]
ODD = ("\r", "\ufeff", END_OF_TEXT)  # of files left out: ours rewrites these, or reads them as text
SIZES = (50, 200, 500, 1000, 2000)
BASE_CHARACTERS = 200_000_000  # distinct source in memory; a larger input varies it
VERSIONS = """from importlib.metadata import version
print(*(f"{name} {version(name)}," for name in ("datatrove", "ray", "tokenizers")))"""


def kept(text: str) -> bool:
    """The paper's three rules, literally ours."""
    from jaxformer.data.documents import Document
    from jaxformer.data.filters import RULES

    document = Document(text, "")
    return all(RULES[name](document, limit) is None for name, limit in LIMITS.items())


def bring(path: str) -> Any:
    """Imports a name of a package that only the peers' environment has."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def datatrove(source: Path, out: Path, tokenizer: Path) -> float:
    """Signatures, their duplicates, and what is left as tokens; returns when work began."""
    from loguru import logger  # pyright: ignore[reportMissingImports]

    logger.remove()
    dedup = importlib.import_module("datatrove.pipeline.dedup.exact_dedup")
    executor = bring("datatrove.executor.local.LocalPipelineExecutor")
    reader = bring("datatrove.pipeline.readers.JsonlReader")(str(source))
    rules = bring("datatrove.pipeline.filters.LambdaFilter")(lambda doc: kept(doc.text))
    options = {"eos_token": END_OF_TEXT, "batch_size": 1000, "shuffle_documents": False}
    tokens = bring("datatrove.pipeline.tokens.DocumentTokenizer")
    hashing = bring("datatrove.utils.hashing.HashConfig")(hash_fc="xxhash", precision=64)
    config = dedup.ExactDedupConfig(content_getter=lambda doc: doc.text, hash_config=hashing)
    signatures, same = str(out / "signatures"), str(out / "same")
    only = dedup.ExactDedupFilter(same, config)
    files = len(list(source.iterdir()))
    began = time.perf_counter()
    for number, (tasks, *stage) in enumerate((
        (files, reader, dedup.ExactDedupSignature(signatures, config)),
        (1, dedup.ExactFindDedups(signatures, same, config)),
        (files, reader, only, rules, tokens(str(out), str(tokenizer), **options)),
    )):  # fmt: skip
        logs = str(out / f"logs-{number}")
        executor(stage, tasks, min(tasks, WORKERS), logs, start_method="fork").run()
    return began


class Owners(dict[bytes, str]):
    """Whose a digest is: the first document that asked; the same again if a task is repeated."""

    def first(self, digests: Sequence[bytes], paths: Sequence[str]) -> list[bool]:
        """Whether each document is the one to keep."""
        return [self.setdefault(d, p) == p for d, p in zip(digests, paths, strict=True)]


def ray(source: Path, out: Path, tokenizer: Path) -> float:
    """One stage of tasks whose tokens the driver joins; returns when work began."""
    pa, ray, data = map(importlib.import_module, ("pyarrow", "ray", "ray.data"))
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    began = time.perf_counter()
    data.DataContext.get_current().enable_progress_bars = False
    owners = ray.remote(num_cpus=0)(Owners).remote()
    loaded: dict[str, Any] = {}  # a worker's own

    def by_rules(batch: Any) -> Any:
        return batch.filter(pa.array([kept(text) for text in batch["text"].to_pylist()]))

    def by_digest(batch: Any) -> Any:
        digests = [hashlib.sha256(t.encode()).digest() for t in batch["text"].to_pylist()]
        first = owners.first.remote(digests, batch["path"].to_pylist())
        return batch.filter(pa.array(ray.get(first), pa.bool_()))

    def tokenise(batch: Any) -> Any:
        if not loaded:
            loaded["it"] = bring("tokenizers.Tokenizer").from_file(str(tokenizer))
        end, size = loaded["it"].token_to_id(END_OF_TEXT), loaded["it"].get_vocab_size()
        kind = np.uint16 if size <= 1 << 16 else np.uint32
        texts = batch["text"].to_pylist()
        encoded = loaded["it"].encode_batch_fast(texts, add_special_tokens=False)
        ids = [np.array([*one.ids, end], kind) for one in encoded]
        ends = np.cumsum([0, *map(len, ids)], dtype=np.int64)
        values = pa.array(np.concatenate([np.zeros(0, kind), *ids]))
        return pa.table({"ids": pa.LargeListArray.from_arrays(pa.array(ends), values)})

    arrow: dict[str, Any] = {"batch_format": "pyarrow", "batch_size": None}
    rows = data.read_json(str(source), lines=True)
    for function in (by_rules, by_digest, tokenise):
        rows = rows.map_batches(function, **arrow)
    offsets, kind = [np.zeros(1, np.int64)], ""
    with (out / "shard-00000.tokens").open("wb") as file:
        for batch in rows.iter_batches(**arrow):
            for chunk in batch["ids"].chunks:
                ends, kind = chunk.offsets.to_numpy(), str(chunk.values.type)
                file.write(chunk.values.to_numpy()[ends[0] : ends[-1]].tobytes())
                offsets.append(ends[1:] - ends[0] + offsets[-1][-1])
    np.savez(out / "shard-00000.npz", documents=np.concatenate(offsets))
    (out / "manifest.json").write_text(json.dumps({"dtype": kind}))
    return began


def peer(name: str, *folders: str) -> None:
    """Runs a peer on INPUT OUT TOKENIZER and prints the seconds of its work."""
    began = {"datatrove": datatrove, "ray": ray}[name](*map(Path, folders))
    print(json.dumps({"work": time.perf_counter() - began}), flush=True)


def sources() -> Iterator[tuple[str, str]]:
    """Distinct Python files of this interpreter with their paths, in a seeded order."""
    roots = {Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")}
    paths = sorted({path for root in roots for path in root.rglob("*.py")})
    random.Random(0).shuffle(paths)
    seen, left = set(), BASE_CHARACTERS
    for path in paths:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            text = path.read_bytes().decode()
            if text.strip() and text not in seen and left > 0 and not any(o in text for o in ODD):
                seen.add(text)
                left -= len(text)
                yield str(path), text


def vary(text: str, number: int, copy: int) -> str:
    """Another document: the names before punctuation have a suffix of their own."""
    suffix = f"_{random.Random(f'{number}/{copy}').randrange(16**4):x}"
    return f"# {suffix}\n" + re.sub(r"(?<=[a-z]{3})(?=[.(,)=\[])", suffix, text)


def documents() -> Iterator[tuple[str, str]]:
    """Paths and texts without end; one in ten is an exact copy of a text before it."""
    rng, base = random.Random(1), []
    for copy in itertools.count():
        for number, source in enumerate(base if copy else sources()):
            base += [] if copy else [source]
            planted = [rng.randrange(number + 1)] if rng.random() < 1 / 9 else []
            for again, index in enumerate([number, *planted]):
                text = base[index][1]
                yield f"{copy}/{again}{source[0]}", vary(text, index, copy) if copy else text


def write_input(folder: Path, megabytes: float) -> list[tuple[Path, int]]:
    """JSONL shards, each with the bytes of its texts."""
    folder.mkdir()
    texts, left = documents(), int(megabytes * 1e6)
    shards: list[tuple[Path, int]] = []
    while left > 0:
        path, size = folder / f"part-{len(shards):05d}.jsonl", 0
        with path.open("w", encoding="utf-8") as file:
            while size < min(left, SHARD_BYTES):
                name, text = next(texts)
                file.write(json.dumps({"text": text, "path": name}, ensure_ascii=False) + "\n")
                size += len(text.encode())
        shards.append((path, size))
        left -= size
    return shards


def memory(pid: int) -> float:
    """Megabytes that a process and its descendants hold, what they share counted once."""
    total = 0.0
    with contextlib.suppress(OSError, IndexError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(rollup.partition("\nPss:")[2].split()[0]) * 1024 / 1e6
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            total += sum(map(memory, map(int, children.read_text().split())))
    return total


def run(command: Sequence[str], look: bool = False) -> tuple[float, float, float]:
    """Seconds, seconds of work, and MB if looked at; ends the benchmark if the command fails."""
    settings = {"TOKENIZERS_PARALLELISM": "false", "RAY_USAGE_STATS_ENABLED": "0"}
    environment = os.environ | settings | {"PYTHONPATH": str(ROOT / "src")}
    peak, started = 0.0, time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors, env=environment)
        while look and process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(0.1)
        failed = process.wait()
        seconds = time.perf_counter() - started
        for file in (out, errors):
            file.seek(0)
        if failed:
            sys.exit(f"{' '.join(command)}\n{out.read()}{errors.read()}")
        last = out.read().rpartition('{"work": ')[2].strip(" }\n")
    return seconds, float(last) if command[2:3] == ["peer"] else seconds, peak


def command(way: str, source: Path, out: Path, tokenizer: Path, peers: str) -> list[str]:
    """What runs a way from `source` to `out`; ours as `near` too, near duplicates out."""
    if way not in ("ours", "near"):
        out.mkdir()
        folders = map(str, (source, out, tokenizer / "tokenizer.json"))
        return [peers, str(Path(__file__).resolve()), "peer", way, *folders]
    (recipe := out.with_suffix(".toml")).write_text(f"""
name = "{out.name}"
tokenizer = {json.dumps(str(tokenizer))}
context = {CONTEXT}
sources = [{{kind = "jsonl", language = "python", path = {json.dumps(f"{source}/*.jsonl")}}}]
filters = {{size = false, generated = false, parses = false, secrets = false, emails = false}}
duplicates = {{near = {0.8 if way == "near" else "false"}}}
""")
    return [*OURS, str(recipe), "--out", str(out.parent), "--workers", str(WORKERS)]


def read_output(way: str, out: Path) -> Iterator[np.ndarray]:
    """The tokens of each document."""
    if way == "datatrove":
        for index in sorted(out.glob("*.ds.index")):
            file = index.with_suffix("")
            size = int(Path(f"{file}.metadata").read_text().splitlines()[0].rpartition("|")[2])
            ids, ends = np.fromfile(file, f"<u{size}"), np.fromfile(index, "<u8").astype(np.int64)
            yield from np.split(ids, ends[:-1])
        return
    kind = np.dtype(json.loads((out / "manifest.json").read_text())["dtype"]).newbyteorder("<")
    for file in sorted(out.glob("*.tokens")):
        ends = np.load(file.with_suffix(".npz"))["documents"]
        yield from np.split(np.fromfile(file, kind)[: ends[-1]], ends[1:-1])


def agree(outputs: dict[str, Path], tokenizer: Path) -> bool:
    """Whether the ways kept the same documents with the same tokens; says where not."""
    held: dict[str, Counter[bytes]] = {way: Counter() for way in outputs}
    starts: dict[bytes, list[int]] = {}
    for way, out in outputs.items():
        tokens = 0
        for ids in read_output(way, out):
            key = hashlib.blake2b(ids.astype("<u4").tobytes(), digest_size=16).digest()
            held[way][key] += 1
            starts.setdefault(key, ids[:40].tolist())
            tokens += len(ids)
        print(f"{way} kept {held[way].total():,} documents, {tokens:,} tokens", flush=True)
    backend = tokenizers.Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    truth = list(held)[-1]  # a peer, where there is one
    for way in held:
        for verb, keys in ("adds", held[way] - held[truth]), ("lacks", held[truth] - held[way]):
            for key in list(keys)[:5]:
                text = backend.decode(starts[key], skip_special_tokens=False)[:90]
                print(f"{way} {verb} {keys.total()} of {truth}'s, one of them {text!r}")
    return all(one == held[truth] for one in held.values())


def compare(
    folder: Path, ways: Sequence[str], tokenizer: Path, peers: str, megabytes: float, rounds: int
) -> list[dict[str, Any]]:
    """Holds the ways to one output, then times them in turn."""
    shards = write_input(source := folder / "input", megabytes)
    size = sum(size for _, size in shards) / 1e6
    outs, peaks = {way: folder / f"{way}-checked" for way in ways}, {}
    for way, out in outs.items():
        peaks[way] = run(command(way, source, out, tokenizer, peers), look=True)[2]
    print(f"{size:.1f} MB in {len(shards)} files", flush=True)
    if not agree(outs, tokenizer):
        sys.exit("The ways differ.")
    start = [run([*OURS, "--help"])[0] for _ in range(3)] if "ours" in ways else [0.0]
    turns: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for index in range(rounds):
        for way in (*ways[index % len(ways) :], *ways[: index % len(ways)]):
            with tempfile.TemporaryDirectory(dir=folder) as out:
                seconds, work, _ = run(command(way, source, Path(out) / "out", tokenizer, peers))
            work -= statistics.median(start) if way == "ours" else 0
            turns[way].append((seconds, work))
            print(f"round {index + 1}: {way} {size / seconds:.2f} MB/s", file=sys.stderr)
    rows = []
    for way, taken in turns.items():
        seconds, work = map(list, zip(*taken, strict=True))
        row = {"way": way, "MB/s": [size / s for s in seconds], "seconds": seconds}
        row |= {"work MB/s": [size / w for w in work], "peak MB": [peaks[way]]}
        pairs = zip(seconds, turns.get("ours", []), strict=False)
        rows.append(row | {"ours to it": [s / ours for s, (ours, _) in pairs]})
    return rows


def scale(folder: Path, sizes: Sequence[int], tokenizer: Path, way: str) -> list[dict[str, Any]]:
    """Ours alone on beginnings of one input."""
    shards, rows = write_input(folder / "all", max(sizes)), []
    for megabytes in sizes:
        source, size = folder / f"{megabytes}", 0.0
        source.mkdir()
        for path, more in shards:
            if size < megabytes:
                (source / path.name).hardlink_to(path)
                size += more / 1e6
        with tempfile.TemporaryDirectory(dir=folder) as name:
            out = Path(name) / "out"
            seconds, _, peak = run(command(way, source, out, tokenizer, ""), look=True)
            manifest = json.loads((out / "manifest.json").read_text())
        row = {"MB": size, "seconds": seconds, "MB/s": size / seconds, "peak MB": peak}
        row |= {name: manifest[name] for name in ("documents", "tokens")}
        rows.append({column: [value] for column, value in row.items()})
        print(f"{megabytes} MB: {seconds:.1f} s", file=sys.stderr, flush=True)
    return rows


def shown(values: Any) -> str:
    """A median, and a range where there are several."""
    if isinstance(values, str) or not values:
        return values or ""
    median, low, high = (
        f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
        for value in (statistics.median(values), min(values), max(values))
    )
    return median if len(values) == 1 else f"{median} ({low}–{high})"


def main(
    peers: Annotated[str, typer.Option(help="The interpreter with the peers.")] = sys.executable,
    megabytes: Annotated[float, typer.Option(min=1)] = 50,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    way: Annotated[list[str] | None, typer.Option(help="Only these.")] = None,
    tokenizer: Annotated[Path, typer.Option()] = ROOT / "src/jaxformer/embedded/nano",
    scaling: Annotated[bool, typer.Option("--scaling", help="Ours on growing input.")] = False,
    size: Annotated[list[int] | None, typer.Option(help="MB of --scaling.")] = None,
    near: Annotated[bool, typer.Option("--near", help="Near duplicates, in --scaling.")] = False,
) -> None:
    """Measure the data pipeline; the exit status is 1 if the ways differ or memory is not bound."""
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{cores} cores, {WORKERS} workers, load {load:.1f}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        folder, tokenizer = Path(name), tokenizer.resolve()
        if scaling:
            rows = scale(folder, size or SIZES, tokenizer, "near" if near else "ours")
        else:
            subprocess.run([peers, "-c", VERSIONS], check=True)
            rows = compare(folder, way or WAYS, tokenizer, peers, megabytes, rounds)
    table = Table(*rows[0], box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*map(shown, row.values()))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    sys.exit(scaling and any(row["peak MB"][0] > BOUND_MB for row in rows))


if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        peer(*sys.argv[2:])
    else:
        typer.run(main)
