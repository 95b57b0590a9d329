"""The one table of parameters; initialisation, sizes, masks and checkpoint names derive from it."""

import math
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxformer.model.config import CodeGenConfig

Params = dict[str, Any]
"""A pytree of arrays shaped like `table(config)`: nested dictionaries, a list of blocks."""


@dataclass(frozen=True)
class Spec:
    """One parameter: its shape, what each axis means, and how it starts.

    A matrix is stored `[in, out]`, so that the forward pass reads `x @ w`.
    """

    shape: tuple[int, ...]
    axes: tuple[str, ...]
    init: Literal["zeros", "ones", "normal", "residual"] = "normal"

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def is_matrix(self) -> bool:
        """Whether weight decay applies: to matrices, not to biases or LayerNorms."""
        return sum(axis != "layers" for axis in self.axes) > 1


def table(config: CodeGenConfig) -> Params:
    """Return the tree of `Spec`s that every tree of parameters mirrors."""
    d, inner, vocab = config.n_embd, config.inner_dim, config.vocab_size

    def norm() -> Params:
        return {"scale": Spec((d,), ("embed",), "ones"), "bias": Spec((d,), ("embed",), "zeros")}

    def block() -> Params:
        return {
            "ln": norm(),
            "q": Spec((d, d), ("embed", "heads")),
            "k": Spec((d, d), ("embed", "heads")),
            "v": Spec((d, d), ("embed", "heads")),
            "out": Spec((d, d), ("heads", "embed"), "residual"),
            "fc_in": Spec((d, inner), ("embed", "mlp")),
            "fc_in_bias": Spec((inner,), ("mlp",), "zeros"),
            "fc_out": Spec((inner, d), ("mlp", "embed"), "residual"),
            "fc_out_bias": Spec((d,), ("embed",), "zeros"),
        }

    return {
        "embedding": Spec((vocab, d), ("vocab", "embed")),
        "blocks": [block() for _ in range(config.n_layer)],
        "ln_f": norm(),
        "lm_head": Spec((d, vocab), ("embed", "vocab")),
        "lm_head_bias": Spec((vocab,), ("vocab",), "zeros"),
    }


def stack_specs(specs: Params) -> Params:
    """Return a table with all its blocks as one, whose arrays begin with an axis `layers`.

    A forward pass over such parameters compiles one block and repeats it.
    """
    count = len(specs["blocks"])
    block = jax.tree.map(
        lambda spec: Spec((count, *spec.shape), ("layers", *spec.axes), spec.init),
        specs["blocks"][0],
        is_leaf=is_spec,
    )
    return specs | {"blocks": block}


def stack(params: Params) -> Params:
    """Join the list of blocks into one, as `stack_specs` describes it."""
    blocks = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params["blocks"])
    return params | {"blocks": blocks}


def unstack(params: Params, layers: int) -> Params:
    """Split stacked blocks into a list again; parameters that have a list are returned as is."""
    if isinstance(params["blocks"], list):
        return params
    blocks = [jax.tree.map(itemgetter(i), params["blocks"]) for i in range(layers)]
    return params | {"blocks": blocks}


def is_spec(leaf: object) -> bool:
    """Tell a `Spec` from the containers around it (for `jax.tree.map`)."""
    return isinstance(leaf, Spec)


def count(config: CodeGenConfig) -> int:
    """Number of parameters."""
    return sum(spec.size for spec in jax.tree.leaves(table(config), is_leaf=is_spec))


def init(config: CodeGenConfig, key: jax.Array, dtype: jnp.dtype | type = jnp.float32) -> Params:
    """Draw fresh parameters.

    Normal with standard deviation 0.02; the two matrices that write to the residual stream are
    truncated normal with `(2 / n_layer) / sqrt(n_embd)` (CodeGen's JAXFORMER).
    """
    residual_std = 2 / config.n_layer / math.sqrt(config.n_embd)

    def draw(spec: Spec, key: jax.Array) -> jax.Array:
        match spec.init:
            case "zeros":
                return jnp.zeros(spec.shape, dtype)
            case "ones":
                return jnp.ones(spec.shape, dtype)
            case "normal":
                return 0.02 * jax.random.normal(key, spec.shape, dtype)
            case "residual":
                return residual_std * jax.random.truncated_normal(key, -2, 2, spec.shape, dtype)

    specs, treedef = jax.tree.flatten(table(config), is_leaf=is_spec)
    keys = jax.random.split(key, len(specs))
    return treedef.unflatten([draw(spec, key) for spec, key in zip(specs, keys, strict=True)])


def named_specs(config: CodeGenConfig) -> list[tuple[str, Spec]]:
    """Return every parameter's dotted name and `Spec`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(table(config), is_leaf=is_spec)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), spec) for path, spec in leaves]
