"""Duplicates over a whole corpus, without a set of all hashes anywhere.

Every unit of the corpus leaves its hashes sorted. A task takes one range of hash values, reads
that slice of every unit, and finds the duplicates in it: equal hashes are in the same range. Of
equal documents the first stays, in the order of sources, units and rows.
"""

import functools
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

MOST_COMPARED = 1000
"""Of a band's documents, how many a later one is compared with."""
MARGIN = 0.2
"""An estimate this far below the threshold spares the exact comparison: four times its standard
error for documents of a hundred n-grams."""


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

    @functools.lru_cache(1024)
    def ngrams(unit: int, row: int) -> np.ndarray:
        return code_ngrams(workfiles.read_value(units[unit], "text", row))

    found = []
    for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
        places = list(
            zip(members[start:end].tolist(), entries["row"][start:end].tolist(), strict=True)
        )
        signatures = np.stack([_signatures(units[unit])[row] for unit, row in places])
        bands = minhash.bands(signatures)
        for later in range(1, len(places)):
            seen = slice(0, min(later, MOST_COMPARED))
            shared = bands[seen] == bands[later]
            # A pair that shares several bands is compared in the first of them only.
            here = bands[later][shared.argmax(1)] == entries["hash"][start]
            alike = (signatures[seen] == signatures[later]).mean(1) >= threshold - MARGIN
            for earlier in np.flatnonzero(here & alike):
                pair = places[earlier], places[later]
                if minhash.jaccard(*(ngrams(*place) for place in pair)) >= threshold:
                    found.append((*places[later], *places[earlier]))
                    break
    return np.sort(np.array(found, FOUND))


@functools.lru_cache(256)
def _signatures(unit: Path) -> np.ndarray:
    return np.load(unit.with_suffix(".minhash.npy"), mmap_mode="r")


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
