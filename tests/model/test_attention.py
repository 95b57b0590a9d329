"""Every kernel against the reference, for every kind of mask it is given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxformer.model import attention


@settings(max_examples=12, deadline=None)
@given(
    batch=st.integers(1, 3),
    queries=st.sampled_from([1, 5, 16]),
    keys=st.sampled_from([16, 33]),
    heads=st.sampled_from([1, 4]),
    head_dim=st.sampled_from([8, 64, 80]),
    density=st.sampled_from([0.1, 0.5, 1.0]),
    seed=st.integers(0, 1000),
)
def test_xla_equals_the_reference(batch, queries, keys, heads, head_dim, density, seed):
    rng = np.random.default_rng(seed)
    q, k, v = (
        jnp.asarray(rng.normal(size=(batch, n, heads, head_dim)), jnp.float32)
        for n in (queries, keys, keys)
    )
    mask = rng.random((batch, queries, keys)) < density
    mask[..., 0] = True  # what a query that sees nothing returns is not defined
    got = attention.xla(3 * q, k, v, jnp.asarray(mask))
    want = attention.reference(3 * q, k, v, jnp.asarray(mask))
    np.testing.assert_allclose(got, want, atol=2e-5)


def test_the_reference_equals_jax():
    q, k, v = (jax.random.normal(jax.random.key(i), (2, 12, 4, 16)) for i in range(3))
    mask = jnp.broadcast_to(jnp.tril(jnp.ones((12, 12), bool)), (2, 12, 12))
    want = jax.nn.dot_product_attention(q, k, v, is_causal=True)
    np.testing.assert_allclose(attention.reference(q, k, v, mask), want, atol=1e-5)


@pytest.mark.parametrize("kernel", [attention.reference, attention.xla])
def test_half_precision_does_not_overflow(kernel):
    q = jnp.full((1, 2, 1, 64), 60, jnp.float16)  # q·k is 230,400; float16 ends at 65,504
    v = jnp.arange(128, dtype=jnp.float16).reshape(1, 2, 1, 64)
    out = kernel(q, q, v, jnp.ones((1, 2, 2), bool))
    assert out.dtype == jnp.float16
    np.testing.assert_allclose(out[0, 0, 0], (v[0, 0, 0] + v[0, 1, 0]) / 2, rtol=1e-2)


def test_a_query_that_sees_nothing_is_finite():
    q = jnp.ones((1, 2, 1, 8))
    assert jnp.isfinite(attention.xla(q, q, q, jnp.zeros((1, 2, 2), bool))).all()
