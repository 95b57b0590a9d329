"""Tokens a second of inference, side by side with transformers, CTranslate2 and llama.cpp.

    python benchmarks/decode.py                       # the 350M shape, random weights
    python benchmarks/decode.py --only ours-int8,llama-q8_0 --rounds 5
    python benchmarks/decode.py --only ours-float32,ours-plain-float32,transformers-compiled-float32

The work: greedy decoding of one sequence and of 16, behind prompts of 64 tokens, and reading a
prompt of 512 tokens. All engines hold the same weights (rounded to bfloat16), each in a process of
its own that stays; first their logits are compared with transformers' in float32, then they take
turns, in another order each round. The peers need `pip install ctranslate2 llama-cpp-python gguf`
beside the extra `peers`; one that is missing is left out, and said so.

All together take 16 GB of memory, compiling another 6.

The bandwidth column is what one sequence reads a second (weights but the embedding) as a share of
what the machine's memory gives to as many threads, measured in every round by a sum over an array.
"""

import datetime
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import typer

from jaxformer import tokenizer
from jaxformer.checkpoints import save_pretrained
from jaxformer.model import RELEASED, CodeGenConfig, count, init

ENGINES = (
    "ours-float32", "ours-bfloat16", "ours-int8", "ours-int4", "transformers-float32",
    "transformers-bfloat16", "transformers-compiled-bfloat16", "ctranslate2-float32",
    "ctranslate2-int8", "llama-bf16", "llama-q8_0", "llama-q4_0",
)  # fmt: skip
BITS = {"float32": 32, "bfloat16": 16, "bf16": 16, "int8": 8, "q8_0": 8.5, "int4": 4.5, "q4_0": 4.5}
PACKAGES = {"transformers": "torch", "ctranslate2": "ctranslate2", "llama": "llama-cpp-python"}
# The largest root of the mean squared difference of logits, as a share of their own spread.
TOLERANCES = {"float32": 1e-3, "bfloat16": 3e-2, "bf16": 3e-2, "int8": 6e-2, "q8_0": 6e-2}
TOLERANCE = 0.3  # of four bits
NANO = Path(__file__).resolve().parents[1] / "src/jaxformer/embedded/nano"  # a tokenizer for all


class Worker:
    """An engine's process."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        family, _, self.kind = name.partition("-")
        script = Path(__file__).with_name("engines.py")
        self._process = subprocess.Popen(
            [sys.executable, script, family, self.kind, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / f"{name}.log").open("w"),
            text=True,
        )
        self._wait("ready")

    def ask(self, question: str, *arguments: Any) -> Any:
        """Return the engine's answer."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps([question, arguments]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._wait("answer"))

    def _wait(self, word: str) -> str:
        assert self._process.stdout
        for line in self._process.stdout:  # a library may print, too
            if line.startswith(word):
                return line.removeprefix(word)
        raise RuntimeError(f"{self.name} ended; see its log.")

    def end(self) -> None:
        """Stop the process."""
        self._process.kill()


def make_folder(folder: Path, shape: str) -> CodeGenConfig:
    """Write random weights, rounded to bfloat16, with the vocabulary of `nano`."""
    words = tokenizer.load(NANO)
    config = RELEASED[shape].model_copy(
        update={"bos_token_id": words.eos_token_id, "eos_token_id": words.eos_token_id}
    )
    params = init(config, jax.random.key(0), jax.numpy.bfloat16)
    save_pretrained(folder, config, params, words, dtype="float32")
    return config


def bandwidth() -> float:
    """Return the bytes a second that all threads together read."""
    code = """
import mmap, os, threading, time, numpy as np
count = len(os.sched_getaffinity(0))
def part():
    memory = mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    array = np.frombuffer(memory)
    array[:] = 1
    return array
parts = [part() for _ in range(count)]
best = 0
for _ in range(3):
    threads = [threading.Thread(target=part.max) for part in parts]
    start = time.perf_counter()
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    best = max(best, sum(part.nbytes for part in parts) / (time.perf_counter() - start))
print(best)"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(out.stdout)


def agreement(worker: Worker, tokens: list[int], truth: np.ndarray) -> float:
    """Return the mean difference of logits as a share of their spread; refuse too large a one."""
    found = np.load(worker.ask("logits", tokens))
    size = min(found.shape[-1], truth.shape[-1])
    difference = float(np.sqrt(np.square(found[:, :size] - truth[:, :size]).mean()) / truth.std())
    dtype = worker.kind.rpartition("-")[2]
    if difference > TOLERANCES.get(dtype, TOLERANCE):
        raise RuntimeError(f"{worker.name} computes something else: {difference:.3f} off.")
    return difference


def main(
    shape: Annotated[str, typer.Option(help="A released shape.")] = "350M",
    only: Annotated[str, typer.Option(help="Engines, with commas between.")] = ",".join(ENGINES),
    rounds: Annotated[int, typer.Option(help="How often each takes its turn.")] = 3,
    new: Annotated[int, typer.Option(help="Tokens that are decoded.")] = 64,
    out: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Compare the engines and print a table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = make_folder(folder, shape)
        rng = np.random.default_rng(0)
        words = tokenizer.load(NANO)
        # Texts that encode to themselves, for engines that are given texts.
        text = (Path(__file__).read_text("utf-8") + Path(tokenizer.__file__).read_text("utf-8")) * 4
        ids = words.encode(text)
        starts = rng.integers(0, 200, 16)
        prompts = [words.encode(words.decode(ids[s : s + 64]))[:64] for s in starts]
        long = ids[:512]
        reference = Worker("transformers-float32", folder)
        truth = np.load(reference.ask("logits", prompts[0]))
        reference.end()

        workers: list[Worker] = []
        for name in only.split(","):
            try:
                worker = Worker(name, folder)
                off = agreement(worker, prompts[0], truth)
                for warm in (prompts[:1], prompts):
                    worker.ask("decode", warm, new)
                for _ in range(2):  # a compiler may want to see it twice
                    worker.ask("prefill", long)
            except RuntimeError as error:
                last = (folder / f"{name}.log").read_text("utf-8").splitlines()[-1:]
                print(f"left out: {error} {last}", flush=True)
                continue
            workers.append(worker)
            print(f"{name}: logits {off:.1e} off transformers' float32", flush=True)

        figures: dict[str, dict[str, list[float]]] = {
            w.name: {"one": [], "sixteen": [], "prefill": [], "share": []} for w in workers
        }
        size = count(config) - config.vocab_size * config.n_embd
        limits = []
        for turn in range(rounds):
            limits.append(bandwidth())
            order = random.Random(turn).sample(workers, len(workers))
            for worker in order:
                row = figures[worker.name]
                rate = new / worker.ask("decode", prompts[:1], new)
                row["one"].append(rate)
                bits = BITS[worker.kind.rpartition("-")[2]]
                row["share"].append(rate * size * bits / 8 / limits[-1])
                row["sixteen"].append(16 * new / worker.ask("decode", prompts, new))
                row["prefill"].append(worker.ask("prefill", long))
            print(f"round {turn + 1} of {rounds}", flush=True)
        for worker in workers:
            worker.end()
    show(figures, limits, shape)
    if out:
        out.write_text(json.dumps({"figures": figures, "bandwidth": limits}, indent=1) + "\n")


def show(figures: dict[str, dict[str, list[float]]], limits: list[float], shape: str) -> None:
    """Print medians and ranges."""

    def cell(values: list[float], digits: int, scale: float = 1) -> str:
        low, middle, high = (
            f"{scale * f(values):.{digits}f}" for f in (min, statistics.median, max)
        )
        return f"{middle} ({low}–{high})"

    print(f"\n{shape}, random weights; {len(os.sched_getaffinity(0))} threads, {platform.system()} "
          f"{platform.machine()}, {datetime.date.today()}; memory reads "
          f"{cell(limits, 1, 1e-9)} GB/s; "
          + ", ".join(f"{p} {_version(p)}" for p in ("jax", *PACKAGES.values())))  # fmt: skip
    print("| engine | one sequence, tokens/s | of the bandwidth | batch 16, tokens/s "
          "| prefill of 512, s |\n|---|---|---|---|---|")  # fmt: skip
    for name, row in figures.items():
        print(f"| {name} | {cell(row['one'], 1)} | {cell(row['share'], 0, 100)} % "
              f"| {cell(row['sixteen'], 0)} | {cell(row['prefill'], 2)} |")  # fmt: skip


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    typer.run(main)
