"""Hashes of n-grams: how texts are compared for duplicates and for contamination.

A token is a run of letters, digits, underscores and non-ASCII characters, or one other character
that is no white space. Everything is computed by whole arrays; a token's hash is a polynomial in
its bytes modulo 2**64, taken as a difference of sums so that no loop runs over tokens.
"""

import functools

import numpy as np

_MULTIPLIER = 0x9E3779B97F4A7C15  # odd, hence invertible modulo 2**64
_PIECE = 1 << 20
"""Longest stretch of bytes that is hashed at once; it bounds the tables of powers."""


def _kinds() -> np.ndarray:
    kinds = np.zeros(256, np.uint8)
    kinds[33:] = 2
    word = b"_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    kinds[list(word) + list(range(128, 256))] = 1
    kinds[127] = 0
    return kinds


_KINDS = _kinds()
"""0 for white space and control characters, 1 within words, 2 for signs."""


_IN_WORD = (_KINDS == 1).tobytes()
_LOWER = np.frombuffer(bytes(range(256)).lower(), np.uint8).astype(np.uint64)
"""Bytes with ASCII's capital letters made small."""


def mix(hashes: np.ndarray) -> np.ndarray:
    """Scramble uint64 values one to one (the finaliser of SplitMix64)."""
    hashes = hashes ^ (hashes >> np.uint64(30))
    hashes = hashes * np.uint64(0xBF58476D1CE4E5B9)
    hashes = hashes ^ (hashes >> np.uint64(27))
    hashes = hashes * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def _values(signs: bool) -> np.ndarray:
    values = mix(np.arange(1, 257, dtype=np.uint64))
    values[_KINDS == 0 if signs else _KINDS != 1] = 0
    return values


_VALUES = {signs: _values(signs) for signs in (False, True)}
"""What a byte adds to its token's hash; what stands between tokens adds nothing."""


@functools.cache
def _powers(inverse: bool) -> np.ndarray:
    base = pow(_MULTIPLIER, -1, 1 << 64) if inverse else _MULTIPLIER
    powers = np.full(_PIECE, base, np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)


def _pieces(text: bytes) -> list[bytes]:
    """Cut a long text where no token is cut, if it has any white space."""
    pieces = []
    while len(text) > _PIECE:
        end = max(text.rfind(b"\n", 1, _PIECE), text.rfind(b" ", 1, _PIECE))
        end = end if end > 0 else _PIECE
        pieces.append(text[:end])
        text = text[end:]
    return [*pieces, text]


def _tokens(text: bytes, signs: bool) -> np.ndarray:
    data = np.frombuffer(text, np.uint8)
    kinds = _KINDS[data]
    starts = kinds == 1
    np.greater(starts[1:], starts[:-1], out=starts[1:])
    if signs:
        starts |= kinds == 2
    first = np.flatnonzero(starts)
    if not len(first):
        return np.zeros(0, np.uint64)
    values = _VALUES[signs][data] * _powers(False)[: len(data)]
    return mix(np.add.reduceat(values, first) * _powers(True)[first])


def code_ngrams(text: str, n: int = 5) -> np.ndarray:
    """Return the hashes of the text's n-grams of code tokens: sorted, distinct, uint64.

    A text of fewer tokens has one n-gram, all of it; an empty one has none.
    """
    return np.unique(_ngrams(text.encode(), n, signs=True))


def word_ngrams(text: str, n: int) -> np.ndarray:
    """Return the hashes of n words in a row, in order; case and everything but words is ignored.

    A text of fewer words has none.
    """
    words = text.lower().encode()
    return _ngrams(words, n, signs=False, whole=False)


def count_words(text: str) -> int:
    """Return the number of words as `word_ngrams` sees them."""
    return sum(len(_tokens(piece, signs=False)) for piece in _pieces(text.encode()))


def word_codes(text: str) -> np.ndarray:
    """Return a code for each word, uint64: made of its first byte and its length.

    ASCII letters count as small ones; other text must be lower-case.

    Equal words have equal codes. They cost a third of hashes, and ten in a row rarely agree by
    chance: enough to rule out most of what is searched.
    """
    content = text.encode()
    data = np.frombuffer(content, np.uint8)
    inside = np.zeros(len(data) + 2, bool)
    inside[1:-1] = np.frombuffer(content.translate(_IN_WORD), bool)
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts, ends = edges[::2], edges[1::2]
    first = _LOWER[data[starts]]
    return first * np.uint64(257) + (ends - starts).astype(np.uint64)


def in_a_row(tokens: np.ndarray, n: int) -> np.ndarray:
    """Return a hash for each n tokens, or codes of words, in a row, in order."""
    count = max(0, len(tokens) - n + 1)
    hashes = np.zeros(count, np.uint64)
    for offset in range(n):
        hashes = hashes * np.uint64(_MULTIPLIER) + tokens[offset : offset + count]
    return mix(hashes)


def _ngrams(text: bytes, n: int, signs: bool, whole: bool = True) -> np.ndarray:
    parts = [_tokens(piece, signs) for piece in _pieces(text)]
    tokens = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if len(tokens) < n:
        if not whole or not len(tokens):
            return np.zeros(0, np.uint64)
        n = len(tokens)
    return in_a_row(tokens, n)
