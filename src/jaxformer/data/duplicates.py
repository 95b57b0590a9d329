"""Duplicates over a whole corpus, without a set of all hashes anywhere.

Every unit of the corpus leaves its hashes sorted. A task takes one range of hash values, reads
that slice of every unit, and finds the duplicates in it: equal hashes are in the same range. Of
equal documents the first stays, in the order of sources, units and rows.
"""

from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxformer.data import minhash, workfiles
from jaxformer.data.ngrams import code_ngrams

DIGEST = np.dtype([("hash", "<u8"), ("rest", "<u8"), ("row", "<u4")])
"""The first 128 bits of a text's SHA-256."""
BAND = np.dtype([("hash", "<u8"), ("row", "<u4")])
"""A band of a text's MinHash signature."""
FOUND = np.dtype([("unit", "<u4"), ("row", "<u4"), ("of_unit", "<u4"), ("of_row", "<u4")])
"""A duplicate, and the earlier document that it duplicates."""

MOST_ESTIMATED, MOST_COMPARED = 20_000, 200
"""Of the earlier documents with the same band, how many (the latest) a document's similarity is
estimated to, and with how many (the likest) it is compared exactly."""
MARGIN, LEAST = 0.2, 100
"""An estimate this far below the threshold spares the exact comparison: four times its standard
error for signatures of as many distinct values. Of fewer, every candidate is compared."""
CACHED = 10_000_000
"""Hashes of n-grams that are held for further comparisons."""


def slices(
    files: list[Path], number: int, ranges: int, key: str = "hash"
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each file's number and its entries in one of the equal ranges of uint64 values."""
    low, high = (number << 64) // ranges, ((number + 1) << 64) // ranges
    for unit, path in enumerate(files):
        entries = np.load(path, mmap_mode="r")
        first, last = (bisect_left(entries[key], bound) for bound in (low, high))
        if last > first:
            yield unit, np.array(entries[first:last])


def exact(files: list[Path], number: int, ranges: int) -> np.ndarray:
    """Return the exact duplicates in a range of digests, as sorted `FOUND`."""
    parts = [(part, np.full(len(part), u, "<u4")) for u, part in slices(files, number, ranges)]
    if not parts:
        return np.zeros(0, FOUND)
    entries = np.concatenate([part for part, _ in parts])
    units = np.concatenate([unit for _, unit in parts])
    order = np.lexsort((entries["row"], units, entries["rest"], entries["hash"]))
    entries, units = entries[order], units[order]
    same = np.zeros(len(entries), bool)
    same[1:] = (entries["hash"][1:] == entries["hash"][:-1]) & (
        entries["rest"][1:] == entries["rest"][:-1]
    )
    first = np.maximum.accumulate(np.where(same, 0, np.arange(len(same))))
    found = np.zeros(int(same.sum()), FOUND)
    found["unit"], found["row"] = units[same], entries["row"][same]
    found["of_unit"], found["of_row"] = units[first[same]], entries["row"][first[same]]
    return np.sort(found)


def near(units: list[Path], gone: Path, number: int, ranges: int, threshold: float) -> np.ndarray:
    """Return near duplicates whose first common band is in a range, as sorted `FOUND`.

    Documents that share a band are candidates; of these, the Jaccard similarity of their sets of
    code-token 5-grams is computed exactly.

    Args:
        units: The units' Arrow files, beside which their bands and signatures are.
        gone: The folder of exact duplicates, which do not count.
        number: Which range of band hashes.
        ranges: How many ranges there are.
        threshold: The similarity from which a later document is a duplicate of an earlier one.
    """
    parts = []
    for unit, part in slices([path.with_suffix(".bands.npy") for path in units], number, ranges):
        kept = part[~np.isin(part["row"], rows_found(gone, unit)["row"])]
        parts.append((kept, np.full(len(kept), unit, "<u4")))
    if not parts:
        return np.zeros(0, FOUND)
    entries = np.concatenate([part for part, _ in parts])
    members = np.concatenate([unit for _, unit in parts])
    order = np.lexsort((entries["row"], members, entries["hash"]))
    entries, members = entries[order], members[order]
    starts = np.flatnonzero(np.append(True, entries["hash"][1:] != entries["hash"][:-1]))
    ends = np.append(starts[1:], len(entries))

    ngrams = _Ngrams(units)
    signed = [path.with_suffix(".minhash.npy") for path in units]
    found = []
    for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
        places = list(
            zip(members[start:end].tolist(), entries["row"][start:end].tolist(), strict=True)
        )
        signatures = np.stack([_signatures(signed[unit])[row] for unit, row in places])
        for later, earlier in _candidates(signatures, int(entries["hash"][start]), threshold):
            pair = places[earlier], places[later]
            if found and found[-1][:2] == pair[1]:
                continue  # it goes already
            if minhash.jaccard(*map(ngrams.of, pair)) >= threshold:
                found.append((*pair[1], *pair[0]))
    return np.sort(np.array(found, FOUND))


class _Ngrams:
    """The n-grams of documents, some of which are held for further comparisons."""

    def __init__(self, units: list[Path]):
        self.units = units
        self.held: dict[tuple[int, int], np.ndarray] = {}
        self.size = 0

    def of(self, place: tuple[int, int]) -> np.ndarray:
        if place not in self.held:
            if self.size > CACHED:
                self.held, self.size = {}, 0
            unit, row = place
            hashes = code_ngrams(workfiles.read_value(self.units[unit], "text", row))
            self.held[place] = hashes
            self.size += len(hashes)
        return self.held[place]


def _candidates(signatures: np.ndarray, band: int, threshold: float) -> Iterator[tuple[int, int]]:
    """Yield pairs of documents with one band in common, a later and an earlier one, likest first.

    A pair that shares several bands is yielded for the first of them only.
    """
    bands = minhash.bands(signatures)
    ordered = np.sort(signatures, axis=1)
    sparse = (ordered[:, 1:] != ordered[:, :-1]).sum(1) < LEAST
    for later in range(1, len(signatures)):
        seen = slice(max(0, later - MOST_ESTIMATED), later)
        here = bands[later][(bands[seen] == bands[later]).argmax(1)] == np.uint64(band)
        alike = (signatures[seen] == signatures[later]).mean(1)
        near = (alike >= threshold - MARGIN) | sparse[seen] | sparse[later]
        chosen = np.flatnonzero(here & near)
        order = np.argsort(-alike[chosen], kind="stable")[:MOST_COMPARED]
        for earlier in chosen[order] + seen.start:
            yield later, int(earlier)


@workfiles.remembered(64)
def _signatures(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r")


def rows_found(folder: Path, unit: int) -> np.ndarray:
    """Return the duplicates of one unit, one `FOUND` a row, sorted."""
    parts = []
    for path in sorted(folder.glob("*.npy")):
        found = np.load(path, mmap_mode="r")
        first, last = (bisect_left(found["unit"], bound) for bound in (unit, unit + 1))
        parts.append(np.array(found[first:last]))
    found = np.sort(np.concatenate(parts)) if parts else np.zeros(0, FOUND)
    _, first = np.unique(found["row"], return_index=True)
    return found[first]
