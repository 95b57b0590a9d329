"""The stages of a build, each many independent tasks that leave files in the work folder.

A task is a function of files that earlier stages left, so it may run anywhere and any number of
times, and gives the same bytes each time.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from jaxformer.data import duplicates, languages, ledger, minhash, packing, sources, workfiles
from jaxformer.data.atomic import whole
from jaxformer.data.documents import Document, Dropped, drop, prompt_spans
from jaxformer.data.encode import Encoder, mark_prompts, trusted
from jaxformer.data.filters import apply
from jaxformer.data.job import Job, open_job, piece_path
from jaxformer.data.ngrams import code_ngrams, mix
from jaxformer.data.shards import Shard, write_shard

INDEX = np.dtype([("key", "<u8"), ("start", "<u8"), ("length", "<u4"), ("row", "<u4")])
"""A document's place in the shuffle, and in its unit's tokens."""

CHECKED_BYTES = 100_000
"""Text that is compared with benchmarks at once: the arrays stay in the processor's cache."""


def read_unit(folder: Path, number: int) -> None:
    """Read the documents of a unit, filter them, and note what finds their duplicates."""
    job = open_job(folder)
    path = job.unit(number)
    digests: list[tuple[int, int, int]] = []
    signatures: dict[int, np.ndarray] = {}
    rows = 0

    def described() -> Iterator[workfiles.Row]:
        nonlocal rows
        for item in _documents(job, number):
            if isinstance(item, Document):
                data = item.text.encode()
                head = np.frombuffer(hashlib.sha256(data).digest(), "<u8", 2)
                digests.append((int(head[0]), int(head[1]), rows))
                if job.recipe.duplicates.near:
                    ngrams = code_ngrams(item.text)
                    if len(ngrams):
                        signatures[rows] = minhash.signature(ngrams)
                spans = json.dumps(prompt_spans(item.turns)) if item.turns else None
                yield _about(item, len(data), "kept", "", item.text, spans)
            else:
                yield _about(item, item.size, item.rule, item.detail, None, None)
            rows += 1

    if path.exists():
        return
    with whole(path) as part:
        workfiles.write_rows(part, described())
        workfiles.save(
            path.with_suffix(".digests.npy"), np.sort(np.array(digests, duplicates.DIGEST))
        )
        if job.recipe.duplicates.near:
            _save_signatures(path, rows, signatures)


def _documents(job: Job, number: int) -> Iterator[Document | Dropped]:
    unit, filters = job.units[number], job.recipe.filters
    source = job.recipe.sources[unit["source"]]
    pieces = (
        json.loads(piece_path(job.work, piece).read_text("utf-8"))
        for piece in range(unit["first"], unit["end"])
    )
    filtered = (
        apply(item, filters, job.recipe.languages) if isinstance(item, Document) else item
        for piece in pieces
        for item in sources.read(source, piece, filters.encoding)
    )
    for items in _together(filtered, CHECKED_BYTES):
        texts = [_searched(item) for item in items if isinstance(item, Document)]
        problems = iter(job.benchmarks.find(texts))
        for item in items:
            if isinstance(item, Document) and (problem := next(problems)):
                yield drop(item, "benchmark", problem)
            else:
                yield item


def _searched(document: Document) -> str:
    """Return where benchmarks are looked for: in a conversation's prompts by themselves, too."""
    return "\n".join([document.text, *(turn.prompt for turn in document.turns)])


def _together(items: Iterator[Document | Dropped], size: int) -> Iterator[list[Document | Dropped]]:
    """Yield the items in groups of about so many characters of text."""
    group, length = [], 0
    for item in items:
        group.append(item)
        length += len(item.text) if isinstance(item, Document) else 0
        if length >= size or len(group) >= 1000:
            yield group
            group, length = [], 0
    yield group


def _about(item: Document | Dropped, *rest: Any) -> workfiles.Row:
    return (item.path, item.language, item.license, *rest)


def _save_signatures(path: Path, rows: int, signatures: dict[int, np.ndarray]) -> None:
    dense = np.zeros((rows, minhash.BINS), np.uint32)
    signed = np.array(sorted(signatures), np.uint32)
    for row, signature in signatures.items():
        dense[row] = signature
    entries = np.zeros((len(signed), minhash.BANDS), duplicates.BAND)
    entries["hash"] = minhash.bands(dense[signed])
    entries["row"] = signed[:, None]
    workfiles.save(path.with_suffix(".bands.npy"), np.sort(entries.ravel()))
    workfiles.save(path.with_suffix(".minhash.npy"), dense)


def find_exact(folder: Path, number: int) -> None:
    """Find the exact duplicates in one range of digests."""
    job = open_job(folder)
    files = [job.unit(unit).with_suffix(".digests.npy") for unit in range(len(job.units))]
    found = duplicates.exact(files, number, job.ranges)
    workfiles.save(job.duplicates("exact") / f"{number:06d}.npy", found)


def find_near(folder: Path, number: int) -> None:
    """Find the near duplicates in one range of band hashes."""
    job = open_job(folder)
    units = [job.unit(unit) for unit in range(len(job.units))]
    threshold = float(job.recipe.duplicates.near)
    found = duplicates.near(units, job.duplicates("exact"), number, job.ranges, threshold)
    workfiles.save(job.duplicates("near") / f"{number:06d}.npy", found)


Kept: TypeAlias = tuple[int, str, str, list[int] | None]
"""Row, language, text and prompt spans of a document."""


def kept(job: Job, number: int) -> Iterator[Kept]:
    """Yield what is left of a unit after all stages."""
    for batch in kept_batches(job, number):
        yield from batch


def kept_batches(job: Job, number: int) -> Iterator[list[Kept]]:
    """Yield the same as `kept`, a few megabytes at a time."""
    gone = [duplicates.rows_found(job.duplicates(kind), number) for kind in ("exact", "near")]
    gone = np.concatenate([found["row"] for found in gone])
    first = 0
    for batch in workfiles.read_batches(job.unit(number)):
        rows = np.arange(first, first + batch.num_rows)
        first += batch.num_rows
        stays = ~np.isin(rows, gone)
        columns = (batch[name].to_pylist() for name in ("language", "text", "prompts"))
        yield [
            (row, language, text, json.loads(spans) if spans else None)
            for row, stay, language, text, spans in zip(rows.tolist(), stays, *columns, strict=True)
            if stay and text is not None
        ]


def shuffle_keys(seed: int, unit: int, rows: np.ndarray) -> np.ndarray:
    """Return where documents stand in the shuffled corpus: distinct uint64 values."""
    [start] = mix(np.array([seed], np.uint64))
    return mix((np.uint64(unit << 32) | rows.astype(np.uint64)) ^ start)


def encode_unit(folder: Path, number: int) -> None:
    """Encode what is left of a unit, and write down what became of the rest."""
    job = open_job(folder)
    path = job.unit(number)
    entries: list[tuple[int, int, int]] = []
    prompts: list[np.ndarray] = []  # of conversations, none otherwise
    length = 0
    end = np.array([job.encoder.end_of_text], job.encoder.dtype)
    encoder = None
    with whole(path.with_suffix(".tokens")) as part, part.open("wb") as file:
        for batch in kept_batches(job, number):
            if not batch:
                continue
            texts = _texts(job, batch)
            encoder = encoder or trusted(job.encoder, texts)
            encoded = _encode(encoder, texts, batch)
            for (row, _, _, _), (ids, marks) in zip(batch, encoded, strict=True):
                file.write(ids.astype(job.encoder.dtype).tobytes())
                file.write(end.tobytes())
                entries.append((row, length, len(ids) + 1))
                length += len(ids) + 1
                if marks is not None and not prompts:
                    prompts.append(np.zeros(length - len(ids) - 1, np.uint8))
                if prompts:
                    prompts.append(np.zeros(len(ids) + 1, np.uint8))
                    if marks is not None:
                        prompts[-1][:-1] = marks
    if prompts:
        with whole(path.with_suffix(".prompts")) as part:
            np.concatenate(prompts).tofile(part)
    if encoder is not None and encoder.fast is not job.encoder.fast:
        path.with_suffix(".distrusted").touch()
    index = np.zeros(len(entries), INDEX)
    if entries:
        index["row"], index["start"], index["length"] = np.array(entries).T
    index["key"] = shuffle_keys(job.recipe.seed, number, index["row"])
    ledger.write_part(job, number, index)
    workfiles.save(path.with_suffix(".index.npy"), np.sort(index))


def _texts(job: Job, batch: list[Kept]) -> list[str]:
    prefix = languages.prefix if job.recipe.language_prefix else lambda _: ""
    return [text if spans else prefix(language) + text for _, language, text, spans in batch]


def _encode(
    encoder: Encoder, texts: list[str], batch: list[Kept]
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Return ids, and for conversations which of them belong to prompts."""
    ids = encoder.encode(texts)
    marks = [
        mark_prompts(encoder.offsets(text), spans) if spans else None
        for text, (_, _, _, spans) in zip(texts, batch, strict=True)
    ]
    return list(zip(ids, marks, strict=True))


def pack_shard(folder: Path, number: int) -> None:
    """Gather the documents whose keys are in one range, in the order of their keys."""
    job = open_job(folder)
    firsts = np.load(job.work / "ledger.npy")
    files = [job.unit(unit).with_suffix(".index.npy") for unit in range(len(job.units))]
    parts, units = [], []
    for unit, part in duplicates.slices(files, number, job.shards, key="key"):
        parts.append(part)
        units.append(np.full(len(part), unit))
    entries = np.concatenate(parts) if parts else np.zeros(0, INDEX)
    owners = np.concatenate(units) if units else np.zeros(0, int)
    order = np.argsort(entries["key"])
    context = job.recipe.context
    if job.recipe.packing == "fit":
        fitted, rows = packing.fit(entries["length"][order].tolist(), context)
        order = order[fitted]
    else:
        rows = packing.cut(int(entries["length"].sum()), context)
    entries, owners = entries[order], owners[order]
    bounds = np.concatenate([[0], np.cumsum(entries["length"], dtype=np.int64)])
    tokens = np.empty(bounds[-1], job.encoder.dtype)
    prompts = np.zeros(bounds[-1], np.uint8) if job.prompts_marked else None
    for unit in np.unique(owners):
        path = job.unit(int(unit))
        ids = np.memmap(path.with_suffix(".tokens"), job.encoder.dtype, "r")
        marks = path.with_suffix(".prompts")
        marked = np.fromfile(marks, np.uint8) if marks.exists() else None
        for place in np.flatnonzero(owners == unit):
            start, length = int(entries["start"][place]), int(entries["length"][place])
            span = slice(bounds[place], bounds[place + 1])
            tokens[span] = ids[start : start + length]
            if prompts is not None and marked is not None:
                prompts[span] = marked[start : start + length]
    ledger = firsts[owners] + entries["row"].astype(np.int64)
    write_shard(folder, number, Shard(tokens, prompts, bounds, rows, ledger))
