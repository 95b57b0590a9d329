"""How documents fill rows of equal length.

A row is a stretch of the stream of tokens, at most `context + 1` of them: each token but the last
is read, each but the first is predicted. So neighbouring rows of one document share one token.
"""

from collections.abc import Sequence

import numpy as np

OPEN_ROWS = 64
"""Rows that wait for a document of the right size; enough to fill nearly all of every row."""


def cut(tokens: int, context: int) -> np.ndarray:
    """Cut a stream of tokens: `[rows, 2]` int64 starts and ends; the last row may be shorter."""
    starts = np.arange(0, max(tokens - 1, 0), context, dtype=np.int64)
    return np.stack([starts, np.minimum(starts + context + 1, tokens)], axis=1)


def fit(lengths: Sequence[int], context: int) -> tuple[list[int], np.ndarray]:
    """Fit documents into rows so that no row begins within one that would fit whole.

    Each goes into the fullest open row where it fits. A document longer than a row fills rows of
    its own, and its rest opens another.

    Args:
        lengths: Tokens of each document.
        context: Tokens read a row.

    Returns:
        An order of the documents, and the rows of the stream in that order, `[rows, 2]` int64.
    """
    groups: list[list[int]] = []  # documents that stand side by side
    rooms: dict[int, int] = {}  # what an open group's last row has left
    for document, length in enumerate(lengths):
        fitting = [group for group, room in rooms.items() if room >= length]
        if length <= context + 1 and fitting:
            group = min(fitting, key=rooms.__getitem__)
        else:
            group = len(groups)
            groups.append([])
            full = max(0, -(-(length - 1) // context) - 1)
            rooms[group] = context + 1 + full * context
            if len(rooms) > OPEN_ROWS:
                del rooms[min(rooms, key=rooms.__getitem__)]
        groups[group].append(document)
        if group in rooms:
            rooms[group] -= length

    rows, start = [], 0
    for group in groups:
        end = start + sum(lengths[document] for document in group)
        rows.append(cut(end - start, context) + start)
        start = end
    order = [document for group in groups for document in group]
    return order, np.concatenate(rows) if rows else np.zeros((0, 2), np.int64)
