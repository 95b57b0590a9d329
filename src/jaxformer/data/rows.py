"""Rows of tokens as a training step reads them."""

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")
"""A NumPy array on the host, a JAX array within a compiled step."""


class Rows(NamedTuple, Generic[T]):
    """A batch; every array is `[rows, context]`."""

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


@dataclass(frozen=True)
class Stretch:
    """Consecutive tokens of a data set."""

    tokens: np.ndarray
    """Ids, `[n]`."""
    starts: np.ndarray
    """Where in it documents begin, sorted; a document that began before has no entry."""
    prompts: np.ndarray | None = None
    """uint8 `[n]`, 1 for the words of a conversation's prompts; None if there are none."""


def row(
    stretch: Stretch, context: int, mask_documents: bool = True, prompt_weight: float = 1.0
) -> Rows[np.ndarray]:
    """Return a stretch of at most `context + 1` tokens as one row, padded at its end.

    Args:
        stretch: The tokens.
        context: Tokens read.
        mask_documents: Whether positions and segments begin anew with each document, so that
            none sees another, and none's first token is predicted from another.
        prompt_weight: How much a prompt's tokens count in the loss beside the others' 1.
    """
    count = min(max(len(stretch.tokens) - 1, 0), context)
    made = Rows(
        tokens=np.zeros((1, context), np.int32),
        positions=np.full((1, context), -1, np.int32),
        segments=np.zeros((1, context), np.int32),
        targets=np.zeros((1, context), np.int32),
        weights=np.zeros((1, context), np.float32),
    )
    made.tokens[0, :count] = stretch.tokens[:count]
    made.targets[0, :count] = stretch.tokens[1 : count + 1]
    made.weights[0, :count] = 1.0
    if stretch.prompts is not None:
        made.weights[0, :count][stretch.prompts[1 : count + 1] > 0] = prompt_weight
    places = np.arange(count)
    if not mask_documents:
        made.positions[0, :count] = places
        return made
    starts = stretch.starts[stretch.starts <= count]
    begins = np.unique(np.append(0, starts[starts < count]))
    segments = np.searchsorted(begins, places, "right") - 1
    made.segments[0, :count] = segments
    made.positions[0, :count] = places - begins[segments]
    made.weights[0, starts[starts > 0] - 1] = 0.0
    return made


def stack(rows: list[Rows[np.ndarray]]) -> Rows[np.ndarray]:
    """Join rows into a batch."""
    return Rows(*(np.concatenate(arrays) for arrays in zip(*rows, strict=True)))
