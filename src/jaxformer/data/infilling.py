"""Fill-in-the-middle: documents rearranged so that a model learns to write what is missing.

Bavarian et al. 2022, "Efficient training of language models to fill in the middle": a document is
cut at two places between characters, and its parts are told apart by sentinels:

    prefix-suffix-middle:  <prefix> prefix <suffix> suffix <middle> middle
    suffix-prefix-middle:  <prefix> <suffix> suffix <middle> prefix middle
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from jaxformer.data.rows import Stretch
from jaxformer.errors import UserError
from jaxformer.tokenizer import INFILLING, Tokenizer


@dataclass(frozen=True)
class Infilling:
    """How often documents are rearranged, and by which tokenizer."""

    tokenizer: Tokenizer
    rate: float = 0.5
    """Share of documents that are rearranged."""
    spm_rate: float = 0.5
    """Share of these with the suffix first."""

    def __post_init__(self) -> None:
        missing = [token for token in INFILLING if token not in self.tokenizer.backend.get_vocab()]
        if missing:
            raise UserError(
                f"The tokenizer lacks {', '.join(missing)}; build the data with infilling = true."
            )

    @cached_property
    def sentinels(self) -> tuple[int, int, int]:
        """Ids of the sentinels before prefix, middle and suffix."""
        vocabulary = self.tokenizer.backend.get_vocab()
        prefix, middle, suffix = (vocabulary[token] for token in INFILLING)
        return prefix, middle, suffix


def rearrange(ids: np.ndarray, settings: Infilling, rng: np.random.Generator) -> np.ndarray:
    """Return a document's ids with its middle last, or as they are.

    Args:
        ids: The document, or the part of it that a row holds; an end of text stays at the end.
        settings: How often, and the tokenizer.
        rng: Where chance comes from.
    """
    if rng.random() >= settings.rate:
        return ids
    tokenizer = settings.tokenizer
    ended = len(ids) > 0 and ids[-1] == tokenizer.eos_token_id
    text = tokenizer.decode((ids[:-1] if ended else ids).tolist())
    if "\ufffd" in text:  # the row begins or ends within a character
        return ids
    first, second = np.sort(rng.integers(0, len(text) + 1, 2))
    before, middle, after = (
        tokenizer.encode(part) for part in (text[:first], text[first:second], text[second:])
    )
    prefix_id, middle_id, suffix_id = settings.sentinels
    if rng.random() < settings.spm_rate:
        parts = [prefix_id, suffix_id, *after, middle_id, *before, *middle]
    else:
        parts = [prefix_id, *before, suffix_id, *after, middle_id, *middle]
    end = [tokenizer.eos_token_id] if ended else []
    return np.array([*parts, *end], np.int32)


def rearrange_stretch(stretch: Stretch, settings: Infilling, rng: np.random.Generator) -> Stretch:
    """Rearrange each document of a row by itself; what no longer fits is cut off.

    Rows with conversations stay as they are: their code is asked for, not left out.
    """
    if stretch.prompts is not None and stretch.prompts.any():
        return stretch
    if not len(stretch.tokens):
        return stretch
    bounds = np.unique([0, *stretch.starts, len(stretch.tokens)])
    pieces = [
        rearrange(stretch.tokens[start:end], settings, rng) for start, end in pairwise(bounds)
    ]
    starts = np.cumsum([0, *map(len, pieces)])[:-1]
    if not (len(stretch.starts) and stretch.starts[0] == 0):
        starts = starts[1:]
    size = len(stretch.tokens)
    tokens = np.concatenate(pieces)[:size]
    return Stretch(tokens, starts[starts < size], None)
