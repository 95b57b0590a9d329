"""Matrix products of training: bfloat16 factors, float32 weights and weight gradients."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint

from jaxformer.model.forward import Multiply

Saved = tuple[jax.Array, list[jax.Array], tuple[jax.Array, ...]]


@cache
def mixed(*, dtype: Any = jnp.bfloat16, fuse: bool = True, by_rows: bool = False) -> Multiply:
    """Return products whose factors are bfloat16 in both directions and whose sums are float32.

    The weights, and their gradients, stay float32 outside. The same arguments give the same
    function, so that it can be a static argument of a compiled one.

    Args:
        dtype: What the products come out as. XLA on CPUs is fast with float32 only.
        fuse: Whether several weights become one matrix: fewer and larger products, for which
            the weights are copied. Not where they are split over devices.
        by_rows: Whether transposed factors are written out first. XLA on CPUs runs bfloat16
            products of plain rows twice to three times as fast as of transposed ones.
    """

    def product(a: jax.Array, b: jax.Array, out: Any) -> jax.Array:
        return jnp.matmul(a, b, preferred_element_type=out)

    def turned(x: jax.Array) -> jax.Array:
        return with_layout_constraint(x.T, Layout((0, 1))) if by_rows else x.T

    def forward(x: jax.Array, weights: Sequence[jax.Array]) -> tuple[list[jax.Array], Saved]:
        factor = x.astype(jnp.bfloat16).reshape(-1, x.shape[-1])
        narrow = [w.astype(jnp.bfloat16) for w in weights]
        if fuse and len(narrow) > 1:
            narrow = [jnp.concatenate(narrow, axis=1)]
        made = [product(factor, w, dtype) for w in narrow]
        if len(made) < len(weights):
            made = jnp.split(made[0], _bounds(weights), axis=1)
        out = [y.reshape(*x.shape[:-1], -1) for y in made]
        return out, (factor, narrow, tuple(weights))

    def backward(saved: Saved, gradients: list[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
        factor, narrow, weights = saved
        shape = gradients[0].shape[:-1]
        flat = [g.astype(jnp.bfloat16).reshape(-1, g.shape[-1]) for g in gradients]
        if len(narrow) < len(flat):
            flat = [jnp.concatenate(flat, axis=1)]
        down = turned(factor)
        by_weight = [product(down, g, jnp.float32) for g in flat]
        if len(by_weight) < len(weights):
            by_weight = jnp.split(by_weight[0], _bounds(weights), axis=1)
        by_x = sum(product(g, turned(w), jnp.float32) for g, w in zip(flat, narrow, strict=True))
        assert isinstance(by_x, jax.Array)
        return by_x.astype(dtype).reshape(*shape, -1), [
            g.astype(w.dtype) for g, w in zip(by_weight, weights, strict=True)
        ]

    @jax.custom_vjp
    def multiply(x: jax.Array, weights: Sequence[jax.Array]) -> list[jax.Array]:
        return forward(x, weights)[0]

    multiply.defvjp(forward, backward)
    return multiply


def _bounds(weights: Sequence[jax.Array]) -> list[int]:
    """Return where the columns of each weight but the first begin in all of them side by side."""
    ends = [0]
    for w in weights:
        ends.append(ends[-1] + w.shape[1])
    return ends[1:-1]
