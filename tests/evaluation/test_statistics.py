"""Estimates beside exact arithmetic and enumeration."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxformer.evaluation.statistics import compare, mean, pass_at_k, rank_correlation


def test_pass_at_k_is_the_closed_form_for_all_n_up_to_30():
    for n in range(1, 31):
        for c in range(n + 1):
            for k in range(1, n + 1):
                exact = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
                assert pass_at_k(n, c, k) == pytest.approx(float(exact), abs=1e-12), (n, c, k)


@pytest.mark.parametrize(("n", "c", "k"), [(5, 2, 6), (5, 2, 0), (5, 6, 1), (5, -1, 1)])
def test_pass_at_k_refuses_what_is_not_defined(n: int, c: int, k: int):
    with pytest.raises(ValueError, match="not defined"):
        pass_at_k(n, c, k)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        rates = rng.beta(1, 3, 80)  # whose mean is 1/4
        found = mean(rates.tolist(), seed=trial)
        assert found.low <= found.value <= found.high
        held += found.low <= 0.25 <= found.high
    assert 0.89 <= held / 200 <= 0.99


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=1, max_size=10))
def test_the_permutation_test_agrees_with_all_signs(differences: list[float]):
    observed = abs(np.mean(differences))
    signs = itertools.product([-1, 1], repeat=len(differences))
    means = [abs(np.mean(np.multiply(sign, differences))) for sign in signs]
    exact = np.mean([m >= observed - 1e-12 for m in means])
    found = compare(differences, [0.0] * len(differences))
    assert found.value == pytest.approx(float(np.mean(differences)))
    assert found.p == pytest.approx(float(exact), abs=0.025)


def test_a_plain_difference_is_significant_and_none_is_not():
    assert compare([0.6] * 30, [0.4] * 30).p < 0.001
    assert compare([0.5, 0.2] * 10, [0.2, 0.5] * 10).p > 0.5


def test_rank_correlation_takes_equal_values_together():
    assert rank_correlation([1, 2, 2, 4], [10, 30, 30, 50]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    # By hand: ranks 1, 2.5, 2.5, 4 and 2, 1, 3, 4.
    first, second = [1, 2.5, 2.5, 4], [2.0, 1, 3, 4]
    assert rank_correlation([1, 2, 2, 3], [5, 1, 7, 9]) == pytest.approx(
        float(np.corrcoef(first, second)[0, 1])
    )
    assert rank_correlation([1, 1], [1, 2]) is None
