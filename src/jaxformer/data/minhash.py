"""MinHash signatures and their bands: which documents may be near duplicates.

One-permutation hashing (Li, Owen, Zhang 2012): the range of hashes is cut into bins, and a
signature holds the least hash of each. An empty bin takes over the next one's (Shrivastava and Li
2014). Two signatures agree in a bin about as often as the sets' Jaccard similarity says.
"""

import numpy as np

from jaxformer.data.ngrams import mix

BANDS, ROWS = 20, 6
"""Two documents are compared if all rows of a band agree: at a similarity of 0.8 with a
probability of 1 - (1 - 0.8**6)**20 = 0.998, at 0.5 of 0.27, at 0.2 of 0.001."""
BINS = BANDS * ROWS
_EDGES = np.array([(bin << 64) // BINS for bin in range(BINS)], np.uint64)


def signature(ngrams: np.ndarray) -> np.ndarray:
    """Return the signature of a document, `[BINS]` uint32.

    Args:
        ngrams: Sorted, distinct uint64 hashes; at least one.
    """
    first = np.searchsorted(ngrams, _EDGES)
    empty = first == np.append(first[1:], len(ngrams))
    values = ngrams[np.minimum(first, len(ngrams) - 1)]
    if empty.any():
        filled = np.flatnonzero(~empty)
        following = np.searchsorted(filled, np.flatnonzero(empty)) % len(filled)
        values[empty] = values[filled[following]]
    return mix(values).astype(np.uint32)


def bands(signatures: np.ndarray) -> np.ndarray:
    """Return a hash for each band, `[documents, BINS]` to `[documents, BANDS]` uint64."""
    rows = signatures.reshape(len(signatures), BANDS, ROWS).astype(np.uint64)
    hashes = np.broadcast_to(np.arange(BANDS, dtype=np.uint64), rows.shape[:2])
    for row in range(ROWS):
        hashes = mix(hashes + rows[:, :, row])
    return hashes


def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    """Return the similarity of two sets of sorted, distinct hashes."""
    common = len(np.intersect1d(left, right, assume_unique=True))
    return common / (len(left) + len(right) - common)
