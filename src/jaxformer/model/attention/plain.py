"""Attention under any mask: the definition, and the form that XLA compiles well."""

import jax
import jax.numpy as jnp


def reference(q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array) -> jax.Array:
    """Attention as it is defined, one query and one head at a time, in float32."""

    def one_query(q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array) -> jax.Array:
        scores = jnp.where(mask, k @ q / jnp.sqrt(q.shape[-1]), jnp.finfo(jnp.float32).min)
        weights = jnp.exp(scores - scores.max())
        return (weights / weights.sum()) @ v

    over_queries = jax.vmap(one_query, in_axes=(0, None, None, 0))
    over_heads = jax.vmap(over_queries, in_axes=(1, 1, 1, None), out_axes=1)
    over_batch = jax.vmap(over_heads)
    q32, k32, v32 = (x.astype(jnp.float32) for x in (q, k, v))
    return over_batch(q32, k32, v32, mask).astype(v.dtype)


def xla(q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array) -> jax.Array:
    """Attention as XLA compiles it best on a CPU; scores and softmax in float32.

    Heads become one batch dimension, and the softmax's division waits until after the product with
    the values: half the time of `jax.nn.dot_product_attention` at training's shapes.
    """
    batch, queries, heads, head_dim = q.shape

    def by_head(x: jax.Array) -> jax.Array:
        return x.swapaxes(1, 2).reshape(batch * heads, x.shape[1], head_dim)

    def product(a: jax.Array, b: jax.Array, contract: tuple[int, int]) -> jax.Array:
        dimensions = (((contract[0],), (contract[1],)), ((0,), (0,)))
        return jax.lax.dot_general(a, b, dimensions, preferred_element_type=jnp.float32)

    scores = product(by_head(q), by_head(k), (2, 2)) * head_dim**-0.5
    bias = jnp.where(mask, 0.0, jnp.finfo(jnp.float32).min)
    scores = scores.reshape(batch, heads, queries, -1) + bias[:, None]
    largest = jax.lax.stop_gradient(scores.max(-1, keepdims=True))
    weights = jnp.exp(scores - largest).reshape(batch * heads, queries, -1)
    sums = weights.sum(-1, keepdims=True)
    attended = product(weights.astype(v.dtype), by_head(v), (2, 1)) / sums
    return attended.reshape(batch, heads, queries, head_dim).swapaxes(1, 2).astype(v.dtype)


def row_mask(segments: jax.Array) -> jax.Array:
    """Return `[batch, tokens, tokens]` booleans of what the tokens of packed rows see."""
    places = jnp.arange(segments.shape[1])
    same = segments[:, :, None] == segments[:, None, :]
    return same & (places[None, :] <= places[:, None]) & (segments >= 0)[:, None, :]


def reference_rows(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array) -> jax.Array:
    """Attention within packed rows, as it is defined."""
    return reference(q, k, v, row_mask(segments))


def xla_rows(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array) -> jax.Array:
    """Attention within packed rows, all scores at once."""
    return xla(q, k, v, row_mask(segments))
