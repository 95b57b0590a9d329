"""Documents packed into rows of equal length."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")
"""A NumPy array on the host, a JAX array within a compiled step."""


@dataclass(frozen=True)
class Document:
    """Token ids, and how much each counts in the loss (0 to 1)."""

    ids: Sequence[int]
    weights: Sequence[float]


class Rows(NamedTuple, Generic[T]):
    """Packed documents; every array is `[rows, context]`."""

    tokens: T
    """int32 ids."""
    positions: T
    """int32 position in the document; -1 for padding."""
    segments: T
    """int32 number of the document within its row."""
    targets: T
    """int32 next ids."""
    weights: T
    """float32 weight of each target; 0 at padding and at a document's end."""


OPEN_ROWS = 64
"""Rows that wait for a document of the right size; enough to fill nearly all of every row."""


def pack(documents: Iterable[Document], context: int) -> Rows[np.ndarray]:
    """Put each document into the fullest open row where it fits, one longer than a row in pieces.

    Neighbouring pieces of a document share one token: a piece of n tokens predicts n - 1.
    """
    rows: list[list[Document]] = []
    rooms: dict[int, int] = {}  # room left in each open row
    for document in documents:
        for start in range(0, len(document.ids) - 1, context):
            span = slice(start, start + context + 1)
            piece = Document(document.ids[span], document.weights[span])
            length = len(piece.ids) - 1
            fitting = [row for row, room in rooms.items() if room >= length]
            if fitting:
                row = min(fitting, key=rooms.__getitem__)
            else:
                row = len(rows)
                rows.append([])
                rooms[row] = context
                if len(rooms) > OPEN_ROWS:
                    del rooms[min(rooms, key=rooms.__getitem__)]
            rows[row].append(piece)
            rooms[row] -= length

    shape = (len(rows), context)
    packed = Rows(
        tokens=np.zeros(shape, np.int32),
        positions=np.full(shape, -1, np.int32),
        segments=np.zeros(shape, np.int32),
        targets=np.zeros(shape, np.int32),
        weights=np.zeros(shape, np.float32),
    )
    for row, pieces in enumerate(rows):
        column = 0
        for number, piece in enumerate(pieces):
            length = len(piece.ids) - 1
            span = slice(column, column + length)
            packed.tokens[row, span] = piece.ids[:-1]
            packed.targets[row, span] = piece.ids[1:]
            packed.weights[row, span] = piece.weights[1:]
            packed.positions[row, span] = np.arange(length)
            packed.segments[row, span] = number
            column += length
    return packed


def batch(rows: Rows[np.ndarray], size: int, seed: int, step: int) -> Rows[np.ndarray]:
    """Return the batch of a step: a function of seed and step alone, so that resuming is exact.

    Every epoch visits all rows once in an order of its own.
    """
    count = len(rows.tokens)
    chosen = []
    for index in range(step * size, (step + 1) * size):
        epoch, offset = divmod(index, count)
        chosen.append((epoch, offset))
    orders = {epoch: np.random.default_rng((seed, epoch)).permutation(count) for epoch, _ in chosen}
    picks = np.array([orders[epoch][offset] for epoch, offset in chosen])
    return Rows(*(array[picks] for array in rows))
