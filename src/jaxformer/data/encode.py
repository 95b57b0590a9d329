"""Texts to token ids by the fast encoder, where it agrees with the reference.

gigatoken is some thirty times as fast as `tokenizers` and young, so a build compares the two on a
few documents of every unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from jaxformer.errors import UserError
from jaxformer.tokenizer import END_OF_TEXT

FAST, REFERENCE = "gigatoken", "tokenizers"
SAMPLE, SAMPLE_LENGTH = 4, 2000
"""Documents of a unit that are compared, and characters of each."""


@dataclass(frozen=True)
class Encoder:
    """Encodes documents one by one or many at once."""

    reference: tokenizers.Tokenizer
    """Takes special tokens that stand in a text for ordinary text."""
    fast: Any | None
    special: tuple[str, ...]
    end_of_text: int
    """The id that ends each document."""
    dtype: np.dtype
    """The smallest type that holds every id, little-endian."""

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the ids of each text, uint32; nothing is added."""
        if self.fast is None:
            encodings = self.reference.encode_batch_fast(list(texts), add_special_tokens=False)
            return [np.array(encoding.ids, np.uint32) for encoding in encodings]
        return [
            # gigatoken would take a text's mention of a special token for the token itself.
            replace(self, fast=None).encode([text])[0]
            if any(token in text for token in self.special)
            else self.fast.encode(text)
            for text in texts
        ]

    def offsets(self, text: str) -> np.ndarray:
        """Return the range of characters that each token of a text stands for, `[tokens, 2]`."""
        offsets = self.reference.encode(text, add_special_tokens=False).offsets
        return np.array(offsets, np.int64).reshape(-1, 2)


def mark_prompts(offsets: np.ndarray, spans: list[int]) -> np.ndarray:
    """Return 1 for each token that begins within a span of characters (start, end, …), else 0."""
    return (np.searchsorted(spans, offsets[:, 0], "right") % 2).astype(np.uint8)


def load_encoder(folder: Path, name: str) -> Encoder:
    """Load the tokenizer of a folder for one of the encoders `FAST` and `REFERENCE`.

    Raises:
        UserError: If gigatoken is wanted, and is not installed or cannot use the tokenizer.
    """
    path = folder / "tokenizer.json"
    reference = tokenizers.Tokenizer.from_file(str(path))
    reference.encode_special_tokens = True
    vocabulary = reference.get_vocab()
    added = reference.get_added_tokens_decoder().values()
    special = tuple(token.content for token in added if token.special)
    fast = None
    if name == FAST:
        try:
            import gigatoken
        except ImportError as error:
            raise UserError("gigatoken is missing; pip install 'jaxformer[data]'.") from error
        try:
            fast = gigatoken.Tokenizer(str(path))
        except Exception as error:  # whatever a young library makes of an unusual tokenizer
            raise UserError(f"gigatoken cannot use the tokenizer {path}: {error}.") from error
    dtype = np.dtype("<u2" if max(vocabulary.values()) < 1 << 16 else "<u4")
    return Encoder(reference, fast, special, vocabulary[END_OF_TEXT], dtype)


def trusted(encoder: Encoder, texts: Sequence[str]) -> Encoder:
    """Return the encoder if it agrees with the reference on a sample of texts, else that."""
    reference = replace(encoder, fast=None)
    sample = [text[:SAMPLE_LENGTH] for text in texts[:: -(-len(texts) // SAMPLE)]]
    pairs = zip(encoder.encode(sample), reference.encode(sample), strict=True)
    return encoder if all(np.array_equal(*pair) for pair in pairs) else reference
