"""Attention within rows for CPUs: no more scores at a time than a core's cache holds.

Each block of queries meets the keys up to its own end only, which spares the half of the scores
that causality hides. The backward pass computes the weights again from the logarithm of their sums
(FlashAttention's formulas), so no score is ever kept.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint

QUERIES = 128
"""The queries of a block."""

Row = tuple[jax.Array, ...]
"""One row of a batch: q, k, v `[heads, tokens, head_dim]`, segments `[tokens]`, and more."""


@jax.custom_vjp
def tiled(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array) -> jax.Array:
    """Attention within packed rows, block by block; see `RowAttention`.

    Products are in the dtype of `q`, `k` and `v`; their sums and the softmax are in float32.
    """
    return _forward(q, k, v, segments)[0]


def _forward(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array) -> tuple[Any, Any]:
    rows = (*map(_heads_first, (q, k, v)), segments)
    out, log_sums = jax.lax.map(_row_forward, rows)
    return out.swapaxes(1, 2), (*rows, out, log_sums)


def _backward(saved: tuple[jax.Array, ...], d_out: jax.Array) -> tuple[jax.Array | None, ...]:
    gradients = jax.lax.map(_row_backward, (*saved, _heads_first(d_out)))
    return (*(x.swapaxes(1, 2) for x in gradients), None)


tiled.defvjp(_forward, _backward)


def _row_forward(row: Row) -> tuple[jax.Array, jax.Array]:
    """Return what the tokens of a row attend to, and the logarithms of the sums of exponentials."""
    q, k, v, segments = row
    k_turned = _turned(k)
    outs, log_sums = [], []
    for block, seen in _blocks(segments):
        scores = _scores(q, k_turned, segments, block, seen)
        largest = scores.max(-1, keepdims=True)
        weights = jnp.exp(scores - largest)
        sums = weights.sum(-1, keepdims=True)
        outs.append((_product(weights.astype(v.dtype), v[:, seen]) / sums).astype(v.dtype))
        log_sums.append(largest + jnp.log(sums))
    return jnp.concatenate(outs, 1), jnp.concatenate(log_sums, 1)


def _row_backward(row: Row) -> tuple[jax.Array, ...]:
    """Return the gradients of q, k and v of a row, `d` for the derivative by each."""
    q, k, v, segments, out, log_sums, d_out = row
    k_turned, v_turned = _turned(k), _turned(v)
    # Of the derivative of a softmax: the sum over all keys of weights · d_weights.
    shared = (out.astype(jnp.float32) * d_out.astype(jnp.float32)).sum(-1, keepdims=True)
    d_q = []
    d_k, d_v = jnp.zeros(k.shape, jnp.float32), jnp.zeros(v.shape, jnp.float32)
    for block, seen in _blocks(segments):
        scores = _scores(q, k_turned, segments, block, seen)
        weights = jnp.exp(scores - log_sums[:, block])
        d_weights = _product(d_out[:, block], v_turned[:, :, seen])
        d_scores = weights * (d_weights - shared[:, block]) * _scale(q)
        weights, d_scores = weights.astype(v.dtype), d_scores.astype(q.dtype)
        d_q.append(_product(d_scores, k[:, seen]).astype(q.dtype))
        d_k = d_k.at[:, seen].add(_product(_turned(d_scores), q[:, block]))
        d_v = d_v.at[:, seen].add(_product(_turned(weights), d_out[:, block]))
    return jnp.concatenate(d_q, 1), d_k.astype(k.dtype), d_v.astype(v.dtype)


def _blocks(segments: jax.Array) -> Iterator[tuple[slice, slice]]:
    """Yield the places of each block of queries, and of the keys that causality lets it see."""
    tokens = segments.shape[0]
    for start in range(0, tokens, QUERIES):
        end = min(start + QUERIES, tokens)
        yield slice(start, end), slice(0, end)


def _scores(
    q: jax.Array, k_turned: jax.Array, segments: jax.Array, block: slice, seen: slice
) -> jax.Array:
    """Return a block's scores, float32 `[heads, queries, keys]`, very low where none is seen.

    Padding sees padding, so that every query sees itself and no sum is zero.
    """
    places = jnp.arange(segments.shape[0])
    same = segments[block, None] == segments[None, seen]
    visible = same & (places[None, seen] <= places[block, None])
    scores = _product(q[:, block], k_turned[:, :, seen]) * _scale(q)
    return jnp.where(visible, scores, jnp.finfo(jnp.float32).min)


def _scale(q: jax.Array) -> float:
    return q.shape[-1] ** -0.5


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    """Multiply `[heads, m, k]` by `[heads, k, n]`, with sums in float32."""
    dimensions = (((2,), (1,)), ((0,), (0,)))
    return jax.lax.dot_general(a, b, dimensions, preferred_element_type=jnp.float32)


def _turned(x: jax.Array) -> jax.Array:
    """Transpose the last two axes in memory.

    Of the bfloat16 products, XLA has a fast form on CPUs only for matrices that are both stored
    row by row; left to itself, it would fold the transposition into the product.
    """
    return with_layout_constraint(x.swapaxes(1, 2), Layout(major_to_minor=(0, 1, 2)))


def _heads_first(x: jax.Array) -> jax.Array:
    return x.swapaxes(1, 2)
