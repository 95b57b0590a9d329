"""Quantised matrices: near to what they stand for, and what they cost in perplexity."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxformer as jf
from jaxformer.data.exercises import conversations
from jaxformer.generation import perplexity
from jaxformer.model.quantisation import GROUP, dequantise, multiply, quantise
from jaxformer.transcript import render


def random(rows: int, columns: int, seed: int) -> np.ndarray:
    """Values of very different sizes, some columns nothing but zeros."""
    rng = np.random.default_rng(seed)
    matrix = rng.standard_t(3, (rows, columns)) * rng.choice([0, 1e-3, 1, 30], columns)
    return matrix.astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 100), st.integers(1, 70), st.integers(0, 9))
def test_eight_bits_are_within_half_a_step_of_each_output(rows, columns, seed):
    matrix = random(rows, columns, seed)
    error = np.abs(dequantise(quantise(matrix, 8)) - matrix)
    assert (error <= np.abs(matrix).max(axis=0) / 127 * 0.5001).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 100), st.integers(1, 70), st.integers(0, 9))
def test_four_bits_are_no_worse_than_q4_0(rows, columns, seed):
    """The plain rule: the value of largest size is -8, its scale in half precision."""
    matrix = random(rows, columns, seed)
    found = np.asarray(dequantise(quantise(matrix, 4)))
    assert found.shape == matrix.shape
    for start in range(0, rows, GROUP):
        for column in range(columns):
            group = matrix[start : start + GROUP, column]
            scale = np.float32(np.float16(group[np.abs(group).argmax()] / -8))
            plain = scale * np.clip(np.rint(group / (scale or 1)), -8, 7)
            error = np.square(found[start : start + GROUP, column] - group).sum()
            assert error <= np.square(plain - group).sum() * 1.0001 + 1e-12


@pytest.mark.parametrize("bits", [8, 4])
def test_products_are_those_of_what_it_stands_for(bits):
    matrix = quantise(random(90, 50, 0), bits)
    x = np.random.default_rng(1).normal(size=(3, 90)).astype(np.float32)
    [got] = multiply(jnp.asarray(x), [matrix])
    want = x @ np.asarray(dequantise(matrix))
    np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


def test_int8_costs_one_per_cent_of_perplexity_at_most_and_int4_four(nano):
    """Of `nano`, on conversations that it was not trained with."""
    texts = [render(one.turns) for one in conversations(10**9 + 7, 64)]
    whole = perplexity(nano, texts)
    for dtype, most in (("bfloat16", 1.01), ("int8", 1.01), ("int4", 1.04)):
        found = perplexity(jf.load("nano", dtype=dtype), texts)
        print(f"{dtype}: {found:.4f} / {whole:.4f} = {found / whole:.4f}")
        assert 0.99 < found / whole <= most
