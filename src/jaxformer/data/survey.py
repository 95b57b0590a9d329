"""What is in a data set: figures from its ledger and its shards, and samples to read.

Ledger and shards are read a piece at a time, so memory does not grow with the data set.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jaxformer import tokenizer as tokenizers
from jaxformer.data import ledger
from jaxformer.data.filters import RULES
from jaxformer.data.loader import Loader
from jaxformer.data.manifest import Manifest, read_manifest
from jaxformer.data.shards import open_tokens, read_shard
from jaxformer.errors import UserError
from jaxformer.tokenizer import Tokenizer

KEPT = "kept"
ORDER = (
    *("unreadable", "damaged", "not JSON", "no text", "encoding", "empty", "language"),
    *RULES,
    *("benchmark", *ledger.VERDICTS.values()),
)
"""The verdicts against a document, in the order in which a build reaches them."""
LONGEST = 4096
"""Tokens of a sample document that are decoded."""
EXAMPLES = 5
"""Dropped documents that are named for each rule."""
ROWS = 4
"""Rows of the batch that is decoded."""
BATCH = 1 << 16
"""Rows of the ledger that are held at a time."""

_AXES = ("source", "language", "license", "verdict")
_Cube = Mapping[tuple[str, ...], np.ndarray]
"""Documents, bytes and tokens by the values of `_AXES`."""


@dataclass(frozen=True)
class Group:
    """Kept documents that have a language, source or licence in common."""

    name: str
    """Empty if unknown."""
    documents: int
    bytes: int
    tokens: int


@dataclass(frozen=True)
class Loss:
    """What one rule dropped, and what then was left."""

    rule: str
    documents: int
    bytes: int
    documents_left: int
    bytes_left: int


@dataclass(frozen=True)
class Lengths:
    """Kept documents of `low` to `high` tokens."""

    low: int
    high: int
    documents: int
    tokens: int


@dataclass(frozen=True)
class Sample:
    """A document as it can be read back from its tokens."""

    source: str
    path: str
    language: str
    license: str
    tokens: int
    """The end of text included."""
    text: str
    whole: bool
    """Whether `text` is all of it."""


@dataclass(frozen=True)
class Segment:
    """A document, or a part of it, within a row."""

    tokens: int
    text: str


@dataclass(frozen=True)
class DecodedRow:
    """A row as training reads it."""

    segments: list[Segment]
    padding: int
    """Positions that are not used."""


@dataclass(frozen=True)
class Dropped:
    """A document that stayed out."""

    source: str
    path: str
    bytes: int
    detail: str


@dataclass(frozen=True)
class Survey:
    """What is in a data set; `dataclasses.asdict` gives JSON."""

    name: str
    documents_in: int
    """Documents that came in."""
    bytes_in: int
    documents: int
    """Documents that were kept."""
    bytes: int
    tokens: int
    rows: int
    context: int
    fill: float
    """Mean share of a row's positions that are used."""
    prompts: float | None
    """Share of the tokens that are words of prompts; None if there are no conversations."""
    languages: list[Group]
    sources: list[Group]
    licenses: list[Group]
    losses: list[Loss]
    """By rule, in the order of the build."""
    losses_by_source: dict[str, list[Loss]]
    lengths: list[Lengths]
    samples: list[Sample]
    batch: list[DecodedRow]
    """The first rows of step 0, for the seed of the survey."""
    dropped: dict[str, list[Dropped]]
    """Some documents by the rule that dropped them."""
    benchmarks: list[str]
    """Those of which nothing is in the data."""
    software: dict[str, str]
    recipe: dict[str, Any]


def survey(folder: Path, samples: int = 8, seed: int = 0) -> Survey:
    """Look through a finished data set.

    Args:
        folder: The data set's folder.
        samples: How many documents to decode.
        seed: What the choice of documents and rows follows from.

    Raises:
        UserError: If it is not finished or damaged, or its files are not of one build.
    """
    manifest = read_manifest(folder)
    tokenizer = tokenizers.load(folder / "tokenizer")
    rng = np.random.default_rng(seed)
    chosen = rng.choice(manifest.documents, min(samples, manifest.documents), replace=False)
    tokens = _read_tokens(folder, manifest, chosen.tolist(), tokenizer)
    records = _read_ledger(folder, [row for row, _, _ in tokens.samples], rng)

    whole = _sum(records.cube.values())
    kept = {key: count for key, count in records.cube.items() if key[-1] == KEPT}
    documents, size, length = _sum(kept.values())
    counted = (tokens.documents, documents, length)
    if counted != (manifest.documents, manifest.documents, manifest.tokens) or any(
        row not in records.described for row, _, _ in tokens.samples
    ):
        raise UserError(f"The files of {folder} do not fit together; build the data set again.")

    sources = dict.fromkeys(manifest.accounts, (0, 0, 0)) | _by(kept, "source")
    return Survey(
        name=manifest.name,
        documents_in=whole[0],
        bytes_in=whole[1],
        documents=documents,
        bytes=size,
        tokens=length,
        rows=sum(manifest.rows),
        context=manifest.context,
        fill=tokens.used / (sum(manifest.rows) * manifest.context),
        prompts=tokens.prompts / manifest.tokens if manifest.conversations else None,
        languages=_groups(_by(kept, "language")),
        sources=_groups(sources),
        licenses=_groups(_by(kept, "license")),
        losses=_losses(records.cube),
        losses_by_source={
            source: _losses({key: n for key, n in records.cube.items() if key[0] == source})
            for source in manifest.accounts
        },
        lengths=_lengths(records.lengths),
        samples=[
            Sample(**records.described[row], tokens=count, text=text, whole=count <= LONGEST + 1)
            for row, count, text in tokens.samples
        ],
        batch=_decode_batch(folder, manifest, tokenizer, seed),
        dropped={rule: records.dropped[rule] for rule in sorted(records.dropped, key=_place)},
        benchmarks=list(manifest.benchmarks),
        software=manifest.software,
        recipe=manifest.recipe,
    )


def _place(rule: str) -> tuple[int, str]:
    """Return where in a build a rule stands; unknown ones stand first."""
    return ORDER.index(rule) if rule in ORDER else -1, rule


# The shards


@dataclass(frozen=True)
class _Tokens:
    documents: int
    used: int
    """Positions of all rows that hold a token."""
    prompts: int
    samples: list[tuple[int, int, str]]
    """Row in the ledger, tokens and text of each."""


def _read_tokens(
    folder: Path, manifest: Manifest, chosen: list[int], tokenizer: Tokenizer
) -> _Tokens:
    """Go through the shards, and decode the chosen documents."""
    documents = used = prompts = 0
    dtype = np.dtype(manifest.dtype).newbyteorder("<")
    samples: dict[int, tuple[int, int, str]] = {}
    for number in range(len(manifest.rows)):
        shard = read_shard(folder, number, dtype, manifest.conversations)
        used += int(np.diff(shard.rows).sum()) - len(shard.rows)
        if shard.prompts is not None:
            prompts += int(np.count_nonzero(shard.prompts))
        for document in chosen:
            if 0 <= (place := document - documents) < len(shard.ledger):
                start, end = shard.documents[place : place + 2].tolist()
                ids = shard.tokens[start : min(end - 1, start + LONGEST)]
                text = tokenizer.decode(ids.tolist())
                samples[document] = int(shard.ledger[place]), end - start, text
        documents += len(shard.ledger)
    found = [samples[document] for document in chosen if document in samples]
    return _Tokens(documents, used, prompts, found)


def _decode_batch(
    folder: Path, manifest: Manifest, tokenizer: Tokenizer, seed: int
) -> list[DecodedRow]:
    """Return rows of the first batch as text."""
    tokens = open_tokens(folder)
    batch = Loader([(tokens, 1.0)], min(ROWS, len(tokens)), manifest.context, seed).batch(0)
    rows = []
    for ids, positions, segments in zip(batch.tokens, batch.positions, batch.segments, strict=True):
        used = positions >= 0
        ids = np.split(ids[used], np.flatnonzero(np.diff(segments[used])) + 1)
        decoded = [Segment(len(part), tokenizer.decode(part.tolist())) for part in ids]
        rows.append(DecodedRow(decoded, int(np.sum(~used))))
    return rows


# The ledger


@dataclass(frozen=True)
class _Records:
    cube: _Cube
    lengths: np.ndarray
    """Documents and tokens by the logarithm of the length to base 2: int64 `[32, 2]`."""
    dropped: dict[str, list[Dropped]]
    described: dict[int, dict[str, str]]
    """What the ledger says of the wanted rows."""


def _read_ledger(folder: Path, wanted: Sequence[int], rng: np.random.Generator) -> _Records:
    """Go through the ledger once."""
    cube = defaultdict(lambda: np.zeros(3, np.int64))
    lengths = np.zeros((32, 2), np.int64)
    drawn: dict[str, list[tuple[float, Dropped]]] = {}
    described = {}
    first = 0
    for batch in _batches(folder / ledger.FILE):
        _count(cube, batch)
        _measure(lengths, batch)
        _draw(drawn, batch, rng)
        for row in wanted:
            if first <= row < first + len(batch):
                columns = batch.select(["source", "path", "language", "license"])
                [described[row]] = columns.slice(row - first, 1).to_pylist()
        first += len(batch)
    dropped = {rule: [example for _, example in examples] for rule, examples in drawn.items()}
    return _Records(cube, lengths, dropped, described)


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow.names != ledger.SCHEMA.names:
                raise UserError(f"{path} has other columns than a ledger; build it again.")
            yield from file.iter_batches(BATCH)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; build the data set again.") from error
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} is damaged; build the data set again.") from error


def _count(cube: dict[tuple[str, ...], np.ndarray], batch: pa.RecordBatch) -> None:
    """Add the documents, bytes and tokens of a batch to the cube."""
    grouped = pa.Table.from_batches([batch]).group_by(_AXES)
    sums = grouped.aggregate([([], "count_all"), ("bytes", "sum"), ("tokens", "sum")])
    for row in sums.to_pylist():
        count = row["count_all"], row["bytes_sum"] or 0, row["tokens_sum"] or 0
        cube[tuple(row[axis] or "" for axis in _AXES)] += count


def _measure(lengths: np.ndarray, batch: pa.RecordBatch) -> None:
    """Add the kept documents of a batch to the histogram."""
    tokens = batch["tokens"].to_numpy(zero_copy_only=False)
    tokens = tokens[tokens > 0].astype(np.int64)
    power = np.frexp(tokens)[1] - 1
    np.add.at(lengths, power, np.stack([np.ones_like(tokens), tokens], axis=1))


def _draw(
    drawn: dict[str, list[tuple[float, Dropped]]], batch: pa.RecordBatch, rng: np.random.Generator
) -> None:
    """Let the dropped documents of a batch stand for their rules, a few drawn from all."""
    keys = rng.random(len(batch))
    verdicts = batch["verdict"].dictionary_encode()
    for number, rule in enumerate(verdicts.dictionary.to_pylist()):
        if rule == KEPT:
            continue
        places = np.flatnonzero(verdicts.indices.to_numpy() == number)
        places = places[np.argsort(keys[places])[:EXAMPLES]]
        rows = batch.select(["source", "path", "bytes", "detail"]).take(places).to_pylist()
        found = zip(keys[places].tolist(), (Dropped(**row) for row in rows), strict=True)
        drawn[rule] = sorted([*drawn.get(rule, []), *found], key=lambda pair: pair[0])[:EXAMPLES]


# What the figures add up to


def _sum(counts: Iterable[np.ndarray]) -> tuple[int, int, int]:
    documents, size, tokens = sum(counts, np.zeros(3, np.int64)).tolist()
    return documents, size, tokens


def _by(cube: _Cube, axis: str) -> dict[str, tuple[int, int, int]]:
    """Sum along all axes but one."""
    place = _AXES.index(axis)
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    for key, count in cube.items():
        parts[key[place]].append(count)
    return {name: _sum(counts) for name, counts in parts.items()}


def _groups(counts: Mapping[str, tuple[int, int, int]]) -> list[Group]:
    """Return the largest first."""
    groups = [Group(name, *count) for name, count in counts.items()]
    return sorted(groups, key=lambda group: (-group.tokens, group.name))


def _losses(cube: _Cube) -> list[Loss]:
    """Return what is lost on the way from everything to what is kept."""
    verdicts = _by(cube, "verdict")
    documents, size, _ = _sum(cube.values())
    losses = []
    for rule in sorted(verdicts.keys() - {KEPT}, key=_place):
        lost, lost_bytes, _ = verdicts[rule]
        documents -= lost
        size -= lost_bytes
        losses.append(Loss(rule, lost, lost_bytes, documents, size))
    return losses


def _lengths(counts: np.ndarray) -> list[Lengths]:
    """Return the histogram from the shortest to the longest document."""
    powers = np.flatnonzero(counts[:, 0]).tolist()
    return [
        Lengths(1 << power, (2 << power) - 1, *counts[power].tolist())
        for power in (range(powers[0], powers[-1] + 1) if powers else ())
    ]
