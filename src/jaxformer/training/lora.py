"""LoRA: fine-tuning by small factors beside frozen matrices (Hu et al., 2021).

A matrix `base` acts as `base + alpha / rank · a @ b`. Adapters are a tree of their own, `blocks`
as in the parameters, a list or stacked; training differentiates with respect to them alone.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
from pydantic import Field, model_validator

from jaxformer.checkpoints.peft import Matrix
from jaxformer.model import CodeGenConfig, Params, Spec, parameters
from jaxformer.model.forward import Multiply
from jaxformer.model.parameters import is_spec
from jaxformer.strict import Strict


class LoRA(Strict):
    """What is adapted, and how."""

    rank: int = Field(gt=0)
    alpha: float = Field(default=16.0, gt=0, allow_inf_nan=False)
    """The adapters count `alpha / rank`. It stays the same whatever the rank, because then the
    best learning rate hardly depends on the rank (Hu et al., 2021)."""
    matrices: tuple[Matrix, ...] = Field(default=("q", "v"), min_length=1)
    """The adapted matrices of every block; the default is that of Hu et al. (2021)."""
    merge: bool = True
    """Export whole weights with the adapters in them, rather than the adapters in PEFT's format."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.matrices)) < len(self.matrices):
            raise ValueError(f"matrices names one twice: {', '.join(self.matrices)}")
        return self

    @property
    def scale(self) -> float:
        """How much `a @ b` counts."""
        return self.alpha / self.rank


class Adapted(NamedTuple):
    """What stands in the place of a matrix that is adapted."""

    base: Any
    """The frozen matrix `[in, out]`, in whatever form the inner `Multiply` takes."""
    a: jax.Array
    """`[in, rank]`."""
    b: jax.Array
    """`[rank, out]`."""


def table(config: CodeGenConfig, lora: LoRA) -> Params:
    """Return the tree of `Spec`s that every tree of adapters mirrors, its blocks a list."""

    def pair(base: Spec) -> Params:
        (inputs, outputs), (axis_in, axis_out) = base.shape, base.axes
        return {
            "a": Spec((inputs, lora.rank), (axis_in, "lora")),
            "b": Spec((lora.rank, outputs), ("lora", axis_out), "zeros"),
        }

    blocks = parameters.table(config)["blocks"]
    return {"blocks": [{name: pair(block[name]) for name in lora.matrices} for block in blocks]}


def init(config: CodeGenConfig, lora: LoRA, key: jax.Array) -> Params:
    """Draw fresh adapters in float32, which change nothing yet, because `b` is zero.

    `a` is normal with standard deviation `1 / sqrt(in)`, so that `x @ a` is as large as `x`.
    """

    def draw(spec: Spec, key: jax.Array) -> jax.Array:
        if spec.init == "zeros":
            return jnp.zeros(spec.shape)
        return jax.random.normal(key, spec.shape) / math.sqrt(spec.shape[0])

    specs, treedef = jax.tree.flatten(table(config, lora), is_leaf=is_spec)
    keys = jax.random.split(key, len(specs))
    return treedef.unflatten([draw(spec, key) for spec, key in zip(specs, keys, strict=True)])


def _replace(params: Params, adapters: Params, new: Callable[..., Any]) -> Params:
    """Put `new(base, a, b)` in the place of every adapted matrix."""

    def change(block: Params, pairs: Params) -> Params:
        return block | {name: new(block[name], **pair) for name, pair in pairs.items()}

    blocks, pairs = params["blocks"], adapters["blocks"]
    if isinstance(blocks, list):
        return params | {"blocks": [change(b, p) for b, p in zip(blocks, pairs, strict=True)]}
    return params | {"blocks": change(blocks, pairs)}


def attach(params: Params, adapters: Params) -> Params:
    """Put the adapters beside their matrices, for a forward pass with `multiply_adapted`.

    Args:
        params: The base model, its blocks a list or stacked.
        adapters: The adapters, their blocks likewise.

    Returns:
        The parameters, with an `Adapted` in the place of each adapted matrix.
    """
    return _replace(params, adapters, Adapted)


@functools.cache  # the same function for the same arguments: it is static where it is compiled
def multiply_adapted(multiply: Multiply, scale: float) -> Multiply:
    """Make a `Multiply` take `Adapted` matrices too: `x @ base + scale · (x @ a) @ b`.

    All products with frozen matrices stay one call of `multiply`. The others are in the dtype of
    the activations, both ways; XLA sums them in float32.
    """

    def low_rank(x: jax.Array, w: Adapted) -> jax.Array:
        return scale * (x @ w.a.astype(x.dtype)) @ w.b.astype(x.dtype)

    def adapted(x: jax.Array, weights: Sequence[Any]) -> list[jax.Array]:
        products = multiply(x, [w.base if isinstance(w, Adapted) else w for w in weights])
        return [
            y + low_rank(x, w).astype(y.dtype) if isinstance(w, Adapted) else y
            for y, w in zip(products, weights, strict=True)
        ]

    return adapted


def merge(params: Params, adapters: Params, lora: LoRA) -> Params:
    """Return the base model with the adapters added to its matrices.

    Args:
        params: The base model, its blocks a list or stacked.
        adapters: The adapters, their blocks likewise.
        lora: Their settings.

    Returns:
        Parameters like `params`; the sums are in float32, the results in the dtype of the base.
    """

    @jax.jit
    def add(base: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
        a, b = a.astype(jnp.float32), b.astype(jnp.float32)
        change = jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
        return (base.astype(jnp.float32) + lora.scale * change).astype(base.dtype)

    return _replace(params, adapters, add)
