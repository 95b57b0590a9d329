"""Estimates with their uncertainty. Problems are the unit: samples of one problem are alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
"""Of bootstraps and of permutations."""
LEVEL = 0.95


def pass_at_k(samples: int, right: int, k: int) -> float:
    """Return the unbiased estimate of the probability that one of k samples is right.

    `1 - C(n - c, k) / C(n, k)` (Chen et al., arXiv:2107.03374, equation 1), as a product that
    cannot overflow.

    Raises:
        ValueError: If k is not between 1 and the number of samples, or more are right than there
            are.
    """
    if not 1 <= k <= samples or not 0 <= right <= samples:
        raise ValueError(f"pass@{k} is not defined for {right} right of {samples} samples")
    if samples - right < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(samples - right + 1, samples + 1))


@dataclass(frozen=True)
class Estimate:
    """A mean over problems with a bootstrap interval."""

    value: float
    low: float
    high: float


def mean(values: Sequence[float], seed: int = 0) -> Estimate:
    """Return the mean and its 95 % percentile bootstrap interval (Efron), resampling problems.

    Args:
        values: One of each problem.
        seed: The same gives the same interval.

    Raises:
        ValueError: If there are none.
    """
    if not len(values):
        raise ValueError("a mean needs a value")
    array = np.asarray(values, float)
    means = _resampled(array, seed)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(array.mean()), float(low), float(high))


@dataclass(frozen=True)
class Difference:
    """How much one run is ahead of another on the same problems.

    Attributes:
        value: Mean difference, first less second.
        low: Lower end of its 95 % bootstrap interval.
        high: Upper end.
        p: Two-sided, of the paired permutation test: how often random signs of the differences
            give a mean as far from zero.
    """

    value: float
    low: float
    high: float
    p: float


def compare(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Difference:
    """Compare two runs by the values of each problem, in the same order.

    Raises:
        ValueError: If there are none, or not as many in both.
    """
    differences = np.subtract(np.asarray(first, float), np.asarray(second, float))
    estimate = mean(differences.tolist(), seed)
    rng = np.random.default_rng(seed)
    far, done = 0, 0
    while done < RESAMPLES:
        count = min(1000, RESAMPLES - done)
        signs = rng.choice([-1.0, 1.0], (count, len(differences)))
        far += int((abs((signs * differences).mean(1)) >= abs(estimate.value) - 1e-12).sum())
        done += count
    return Difference(estimate.value, estimate.low, estimate.high, (far + 1) / (RESAMPLES + 1))


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Spearman's correlation; None where one of the two does not vary."""
    ranks = [_ranks(np.asarray(values, float)) for values in (first, second)]
    if len(ranks[0]) < 2 or any(rank.std() == 0 for rank in ranks):
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks, the mean rank where values are equal."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[places]


def _resampled(values: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    size = max(1, 2_000_000 // len(values))
    parts = []
    while sum(map(len, parts)) < RESAMPLES:
        count = min(size, RESAMPLES - sum(map(len, parts)))
        parts.append(rng.choice(values, (count, len(values))).mean(1))
    return np.concatenate(parts)
