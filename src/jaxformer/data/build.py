"""Builds a data set from a corpus recipe: `jaxformer data build`.

plan → read and filter → exact duplicates → near duplicates → tokenizer → encode → pack → accounts.
Every stage is tasks that leave whole files in the folder `work`; what is there is not done again,
so the same command resumes a build however it ended.
"""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from jaxformer import tokenizer as tokenizers
from jaxformer.checkpoints import hub
from jaxformer.data import encode, ledger, sources, stages, workfiles
from jaxformer.data.atomic import alone, room, save_json, whole
from jaxformer.data.contamination import read_benchmarks
from jaxformer.data.job import Job, open_job, piece_path
from jaxformer.data.manifest import FILE, Manifest, digest, read_manifest
from jaxformer.data.recipe import CorpusRecipe, source_name
from jaxformer.data.shards import shard_path
from jaxformer.data.tasks import Alone, Crew, Task
from jaxformer.errors import UserError

MOST_UNITS = 256
"""About so many units at most; in larger corpora a unit has several pieces."""
RANGE_BYTES = 1 << 24
"""Of hashes, in which one task seeks duplicates."""
SHARDS = 8
"""So many at least, if they reach the smaller size."""
SHARD_BYTES = 1 << 24, 1 << 26
"""Of tokens: smallest and largest size of a shard."""
LEARN_BYTES = 50_000_000
"""Of text, from which a tokenizer is learnt."""


def build(
    recipe: CorpusRecipe,
    folder: Path,
    console: Console,
    hired: Crew | None = None,
) -> Manifest:
    """Build or resume a data set.

    Args:
        recipe: What it is made of.
        folder: Where it goes.
        console: Where progress goes.
        hired: Who does the work (`tasks.crew`); this process if not given.

    Raises:
        UserError: If a source or tokenizer is missing, the folder holds another recipe's data, or
            nothing is left of the corpus.
    """
    folder = folder.absolute()  # other processes may be elsewhere
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder, "build"), room(folder):
        if (folder / FILE).exists():
            manifest = read_manifest(folder)
            _same_recipe(manifest.recipe, recipe, folder)
            console.print(f"{folder} is built already; remove it to build it anew.", style="dim")
        else:
            manifest = _build(recipe, folder, console, hired or Alone())
        shutil.rmtree(folder / "work", ignore_errors=True)
    return manifest


def _build(recipe: CorpusRecipe, folder: Path, console: Console, hired: Crew) -> Manifest:
    workfiles.remove_parts(folder)
    with _progress(console) as progress:
        job = _plan(recipe, folder, console)
        _run_stages(job, hired, progress, console)
        manifest = _account(job)
    if ";" in manifest.encoder:
        _warn(console, f"gigatoken differed from the reference: encoded by {manifest.encoder}.")
    return manifest


def _same_recipe(written: dict[str, Any], recipe: CorpusRecipe, folder: Path) -> None:
    if written != recipe.model_dump(mode="json"):
        raise UserError(
            f"{folder} holds the data of another recipe; choose another --out or remove it."
        )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<17}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _plan(recipe: CorpusRecipe, folder: Path, console: Console) -> Job:
    """Divide the corpus into units, once and for all."""
    work = folder / "work"
    path = work / "plan.json"
    if path.exists():
        plan = json.loads(path.read_text("utf-8"))
        _same_recipe(plan["recipe"], recipe, folder)
        if plan["software"] != _versions():
            _warn(console, "Other versions of the software began this build; see the manifest.")
    else:
        for name in ("pieces", "units", "exact", "near"):
            (work / name).mkdir(parents=True, exist_ok=True)
        if not recipe.vocab_size:  # found missing now rather than after hours
            tokenizer = tokenizers.load(hub.find(recipe.tokenizer, weights=False))
            (tokenizer.with_infilling() if recipe.infilling else tokenizer).save(
                folder / "tokenizer"
            )
        settings = recipe.contamination
        benchmarks = read_benchmarks(settings.benchmarks, settings.ngram)
        save_json(work / "benchmarks.json", asdict(benchmarks))
        pieces: list[tuple[int, int]] = []
        commits: dict[str, list[str]] = {}
        for number, source in enumerate(recipe.sources):
            for piece in sources.plan(source):
                save_json(piece_path(work, len(pieces)), piece)
                pieces.append((number, piece["size"]))
                known = commits.setdefault(source_name(source), [])
                if "commit" in piece and piece["commit"] not in known:
                    known.append(piece["commit"])
        plan = {
            "recipe": recipe.model_dump(mode="json"),
            "software": _versions(),
            "units": _units(pieces),
            "commits": {name: found for name, found in commits.items() if found},
        }
        save_json(path, plan)
    return open_job(folder)


def _units(pieces: list[tuple[int, int]]) -> list[dict[str, int]]:
    """Say which pieces in a row (each the number of its source and its bytes) are a unit each."""
    most = -(-len(pieces) // MOST_UNITS)
    units: list[dict[str, int]] = []
    for place, (source, size) in enumerate(pieces):
        last = units[-1] if units else None
        if last and last["source"] == source and place - last["first"] < most:
            last["end"], last["size"] = place + 1, last["size"] + size
        else:
            units.append({"source": source, "first": place, "end": place + 1, "size": size})
    return units


def _run_stages(job: Job, hired: Crew, progress: Progress, console: Console) -> None:
    units = range(len(job.units))

    def run(title: str, task: Task, sizes: Sequence[int], path: Callable[[int], Path]) -> None:
        left = [number for number in range(len(sizes)) if not path(number).exists()]
        total = sum(sizes)
        bar = progress.add_task(title, total=total or None)
        progress.update(bar, completed=total - sum(sizes[number] for number in left))
        for number in hired.do(task, job.folder, left):
            progress.advance(bar, sizes[number])
        progress.update(bar, total=total or 1, completed=total or 1)

    run("read and filter", stages.read_unit, [unit["size"] for unit in job.units], job.unit)
    kinds = ("*.digests.npy", "*.bands.npy")
    hashes = [path for kind in kinds for path in (job.work / "units").glob(kind)]
    size = sum(path.stat().st_size for path in hashes)
    save_json(job.work / "ranges.json", max(1, -(-size // RANGE_BYTES)))
    rows = [workfiles.count_rows(job.unit(unit)) for unit in units]
    np.save(job.work / "ledger.npy", np.cumsum([0, *rows])[:-1])
    for kind, task, suffix in (
        ("exact", stages.find_exact, ".digests.npy"),
        ("near", stages.find_near, ".bands.npy"),
    ):
        if getattr(job.recipe.duplicates, kind):
            size = sum(job.unit(unit).with_suffix(suffix).stat().st_size for unit in units)
            folder = job.duplicates(kind)
            run(
                f"{kind} duplicates",
                task,
                [size // job.ranges] * job.ranges,
                lambda number, folder=folder: folder / f"{number:06d}.npy",
            )
    _tokenizer(job, console)
    sizes = [job.unit(unit).stat().st_size for unit in units]
    run("encode", stages.encode_unit, sizes, lambda n: job.unit(n).with_suffix(".index.npy"))
    total = sum(job.unit(unit).with_suffix(".tokens").stat().st_size for unit in units)
    if not total:
        ledger.write_ledger(job)
        raise UserError(
            f"No document of {job.recipe.name} is left; see in {job.folder / ledger.FILE} what "
            "dropped them, correct the recipe, and remove the folder."
        )
    if not (job.work / "shards.json").exists():
        smallest, largest = SHARD_BYTES
        size = min(max(total // SHARDS, smallest), largest)
        save_json(job.work / "shards.json", -(-total // size))
    run(
        "shuffle and pack",
        stages.pack_shard,
        [total // job.shards] * job.shards,
        lambda number: shard_path(job.folder, number, "npz"),
    )


def _tokenizer(job: Job, console: Console) -> None:
    """Learn the tokenizer, if that is wanted, and choose what encodes."""
    folder, recipe = job.folder / "tokenizer", job.recipe
    if (job.work / "encoder.json").exists():
        return
    if recipe.vocab_size:
        console.print("Learning the tokenizer …")
        tokenizer = tokenizers.train(_share(job, LEARN_BYTES), recipe.vocab_size)
        (tokenizer.with_infilling() if recipe.infilling else tokenizer).save(folder)
    chosen = encode.FAST
    try:
        encode.load_encoder(folder, chosen)
    except UserError as error:
        chosen = encode.REFERENCE
        _warn(console, f"{error} Encoding takes many times longer without it.")
    save_json(job.work / "encoder.json", {"encoder": chosen})


def _warn(console: Console, sentence: str) -> None:
    console.print("[yellow]Warning:[/]", escape(sentence), highlight=False)


def _share(job: Job, size: int) -> Iterator[str]:
    """Yield about so many bytes of text, drawn from the whole corpus."""
    total = sum(job.unit(unit).stat().st_size for unit in range(len(job.units)))
    for unit in range(len(job.units)):
        for row, _, text, _ in stages.kept(job, unit):
            [key] = stages.shuffle_keys(job.recipe.seed, unit, np.array([row]))
            if float(key) * total <= 2.0**64 * size:
                yield text


def _encoder(job: Job) -> str:
    """Return what encoded the documents, and its version."""
    chosen = json.loads((job.work / "encoder.json").read_text("utf-8"))["encoder"]
    name = f"{chosen} {version(chosen)}"
    distrusted = len(list((job.work / "units").glob("*.distrusted")))
    if distrusted:
        name += f"; {encode.REFERENCE} {version(encode.REFERENCE)}"
        name += f" for {distrusted} of {len(job.units)} units"
    return name


def _account(job: Job) -> Manifest:
    """Write the ledger and, last of all, the manifest."""
    plan = json.loads((job.work / "plan.json").read_text("utf-8"))
    accounts = ledger.write_ledger(job)
    rows, documents, tokens = [], 0, 0
    for number in range(job.shards):
        with np.load(shard_path(job.folder, number, "npz")) as index:
            rows.append(len(index["rows"]))
            documents += len(index["ledger"])
            tokens += int(index["documents"][-1])
    files = sorted(
        path
        for path in job.folder.rglob("*")
        if path.is_file() and not path.is_relative_to(job.work)
    )
    manifest = Manifest(
        name=job.recipe.name,
        recipe=job.recipe.model_dump(mode="json"),
        software=plan["software"],
        commits=plan["commits"],
        encoder=_encoder(job),
        dtype="uint16" if job.encoder.dtype.itemsize == 2 else "uint32",
        context=job.recipe.context,
        documents=documents,
        tokens=tokens,
        rows=rows,
        conversations=job.prompts_marked,
        accounts=accounts,
        benchmarks=job.benchmarks.files,
        files={path.relative_to(job.folder).as_posix(): digest(path) for path in files},
    )
    with whole(job.folder / FILE) as part:
        part.write_text(manifest.model_dump_json(indent=1) + "\n", "utf-8")
    return manifest


def _versions() -> dict[str, str]:
    versions = {}
    for package in ("jaxformer", "pyarrow", "numpy", "tokenizers", "gigatoken"):
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions
