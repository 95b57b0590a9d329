"""Token shards: a memory map of ids, and an index of documents and rows."""

import functools
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from jaxformer.data.atomic import whole
from jaxformer.data.manifest import read_manifest
from jaxformer.data.rows import Stretch
from jaxformer.errors import UserError


def shard_path(folder: Path, number: int, suffix: str) -> Path:
    """Return the path of a shard's file; suffixes are `tokens`, `prompts` and `npz`."""
    return folder / f"shard-{number:05d}.{suffix}"


@dataclass(frozen=True)
class Shard:
    """One shard, mapped from the disk."""

    tokens: np.ndarray
    """Ids of all documents, one after the other, each with its end of text."""
    prompts: np.ndarray | None
    """uint8: 1 for the words of prompts; None where there are no conversations."""
    documents: np.ndarray
    """Where each document begins, and the end of the last: int64 `[documents + 1]`."""
    rows: np.ndarray
    """Start and end of each row: int64 `[rows, 2]`."""
    ledger: np.ndarray
    """The row of the ledger that describes each document: int64 `[documents]`."""


def write_shard(folder: Path, number: int, shard: Shard) -> None:
    """Write a shard; its index appears last."""
    with whole(shard_path(folder, number, "tokens")) as part:
        shard.tokens.astype(shard.tokens.dtype.newbyteorder("<"), copy=False).tofile(part)
    if shard.prompts is not None:
        with whole(shard_path(folder, number, "prompts")) as part:
            shard.prompts.tofile(part)
    with whole(shard_path(folder, number, "npz")) as part, part.open("wb") as file:
        np.savez(file, documents=shard.documents, rows=shard.rows, ledger=shard.ledger)


def read_shard(folder: Path, number: int, dtype: np.dtype, prompts: bool) -> Shard:
    """Open a shard.

    Raises:
        UserError: If a file is missing, or shorter than the index says.
    """
    path = shard_path(folder, number, "tokens")
    try:
        with np.load(shard_path(folder, number, "npz")) as index:
            arrays = {name: index[name] for name in ("documents", "rows", "ledger")}
        tokens = _map(path, dtype)
        marks = _map(shard_path(folder, number, "prompts"), np.dtype(np.uint8)) if prompts else None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(f"{path} or its index cannot be read ({error}); build it again.") from error
    if len(tokens) != arrays["documents"][-1] or (marks is not None and len(marks) != len(tokens)):
        raise UserError(f"{path} is not as long as its index says; build the data set again.")
    return Shard(tokens, marks, **arrays)


def _map(path: Path, dtype: np.dtype) -> np.ndarray:
    """Map a file; an empty one cannot be mapped."""
    return np.memmap(path, dtype, "r") if path.stat().st_size else np.zeros(0, dtype)


@dataclass(frozen=True)
class TokenSet:
    """The rows of all shards of a data set, opened as they are needed."""

    shards: Sequence[Callable[[], Shard]]
    counts: Sequence[int]
    """Rows of each shard."""

    def __len__(self) -> int:
        return sum(self.counts)

    @cached_property
    def _firsts(self) -> list[int]:
        """The number of each shard's first row."""
        return np.cumsum([0, *self.counts])[:-1].tolist()

    def _find(self, row: int) -> tuple[Shard, int, int]:
        number = bisect_right(self._firsts, row) - 1
        shard = self.shards[number]()
        start, end = shard.rows[row - self._firsts[number]]
        return shard, start, end

    def origins(self, row: int) -> np.ndarray:
        """Return the row of the ledger that each token of a row comes from, int64 `[tokens]`."""
        shard, start, end = self._find(row)
        documents = np.searchsorted(shard.documents, np.arange(start, end), "right") - 1
        return shard.ledger[documents]

    def stretch(self, row: int) -> Stretch:
        """Return the tokens of a row, `context + 1` at most."""
        shard, start, end = self._find(row)
        inside = np.searchsorted(shard.documents, [start, end])
        return Stretch(
            np.array(shard.tokens[start:end], np.int32),
            shard.documents[inside[0] : inside[1]] - start,
            None if shard.prompts is None else np.array(shard.prompts[start:end]),
        )


def open_tokens(folder: Path | str) -> TokenSet:
    """Open a finished data set.

    Raises:
        UserError: If it is not finished; a damaged shard raises when it is read.
    """
    manifest = read_manifest(Path(folder))
    dtype = np.dtype(manifest.dtype).newbyteorder("<")
    shards = [
        functools.cache(partial(read_shard, Path(folder), number, dtype, manifest.conversations))
        for number in range(len(manifest.rows))
    ]
    return TokenSet(shards, manifest.rows)
