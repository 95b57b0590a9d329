"""Drawing tokens: the kernel against the definition, which runs on JAX."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jaxformer.generation.sampling import Sampling, mask_padding, sample
from jaxformer.model import native

ROWS = 24


@partial(jax.jit, static_argnums=1)
def defined(scores: jax.Array, entries: int, sampling: Sampling, places: jax.Array):
    return sample(mask_padding(scores, entries), sampling, places)


@partial(jax.jit, static_argnums=1)
def drawn(scores: jax.Array, entries: int, sampling: Sampling, places: jax.Array):
    return native.draw(scores, entries, *sampling, places)


def compare(scores: np.ndarray, entries: int, sampling: Sampling) -> int:
    """Return how many rows have another token, and see that all else is the same."""
    places = np.arange(len(sampling.seed), dtype=np.int32) * 37
    wide = np.broadcast_to(scores, (len(places), scores.shape[1]))
    want, expected = map(np.asarray, defined(wide, entries, sampling, places))
    got, logprobs = map(np.asarray, drawn(scores, entries, sampling, places))
    assert ((got >= 0) & (got < entries)).all()
    same = got == want
    np.testing.assert_allclose(logprobs[same], expected[same], rtol=1e-5, atol=1e-5)
    return int((~same).sum())


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    vocab=st.sampled_from([7, 16, 100, 1100]),
    padding=st.sampled_from([0, 5]),
    spread=st.sampled_from([0.1, 1, 3, 10, 100]),
    shared=st.booleans(),
)
@example(seed=0, vocab=1100, padding=5, spread=0.1, shared=False)
@example(seed=0, vocab=51200, padding=900, spread=3, shared=False)
def test_the_kernel_draws_as_defined(seed, vocab, padding, spread, shared):
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, spread, (1 if shared else ROWS, vocab)).astype(np.float32)
    scores[:, rng.integers(0, vocab, 3)] = scores.max()  # ties
    sampling = Sampling(
        temperature=jnp.asarray(rng.choice([0, 0.2, 0.8, 1, 2], ROWS), jnp.float32),
        top_p=jnp.asarray(rng.choice([0, 0.55, 0.95, 0.9999, 1], ROWS), jnp.float32),
        top_k=jnp.asarray(rng.choice([0, 0, 1, 17, 500], ROWS), jnp.int32),
        seed=jnp.asarray(rng.integers(0, 2**32, ROWS), jnp.uint32),
    )
    # A sum in another order may keep one token more or less.
    assert compare(scores, vocab - padding, sampling) <= 1


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize(("top_p", "top_k"), [(1, 0), (0.95, 0), (0.3, 0), (1, 50), (0.9, 5)])
def test_of_many_draws_hardly_one_is_another(temperature, top_p, top_k):
    rows, vocab = 600, 1000
    scores = np.random.default_rng(1).normal(0, 2, (rows, vocab)).astype(np.float32)
    sampling = Sampling(
        temperature=jnp.full(rows, temperature, jnp.float32),
        top_p=jnp.full(rows, top_p, jnp.float32),
        top_k=jnp.full(rows, top_k, jnp.int32),
        seed=jnp.arange(rows, dtype=jnp.uint32),
    )
    assert compare(scores, vocab - 3, sampling) <= 1


@pytest.mark.parametrize("top_p", [0.95, 1.0])
@pytest.mark.parametrize("worst", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_give_a_token(top_p, worst):
    for place in (0, 50, slice(None)):
        scores = np.zeros((1, 100), np.float32)
        scores[:, place] = worst
        temperature, most = jnp.array([[0.8], [top_p]], jnp.float32)
        sampling = Sampling(temperature, most, jnp.zeros(1, jnp.int32), jnp.zeros(1, jnp.uint32))
        token, logprob = drawn(scores, 90, sampling, np.zeros(1, np.int32))
        assert 0 <= token[0] < 90
        assert np.isnan(logprob[0]) or not np.isnan(worst)  # what is wrong is not hidden
