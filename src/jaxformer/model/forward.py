"""The forward pass, one for training, prefill and decoding.

Two conventions carry all raggedness: a token whose position is negative is padding, and in a cache
a token's slot *is* its position. So a batch may be padded on either side, row by row.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from jaxformer.model import attention
from jaxformer.model.attention import RowAttention
from jaxformer.model.config import CodeGenConfig
from jaxformer.model.parameters import Params
from jaxformer.model.sharding import constrain

Multiply = Callable[[jax.Array, Sequence[Any]], list[jax.Array]]
"""Products of the same activations `[batch, tokens, in]` with several matrices `[in, out]`."""
Cache = list[dict[str, jax.Array]]
"""A layer's keys and values, `[batch, heads, slots, head_dim]` each, rotated already."""


def matmul(x: jax.Array, weights: Sequence[jax.Array]) -> list[jax.Array]:
    """Multiply by each matrix, in the dtype of both."""
    return [x @ w for w in weights]


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def new_cache(
    config: CodeGenConfig,
    batch: int,
    slots: int,
    dtype: jnp.dtype,
    sharding: jax.sharding.Sharding | None = None,
) -> Cache:
    """Return an empty cache for `batch` sequences of at most `slots` tokens."""
    shape = (batch, config.n_head, slots, config.head_dim)
    cache = [{n: jnp.zeros(shape, dtype) for n in ("k", "v")} for _ in range(config.n_layer)]
    return cache if sharding is None else jax.lax.with_sharding_constraint(cache, sharding)


def layer_norm(x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float) -> jax.Array:
    """Normalise the last axis, in float32 whatever the dtype of `x`."""
    x32 = x.astype(jnp.float32)
    centred = x32 - x32.mean(-1, keepdims=True)
    normal = centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + epsilon)
    return (normal * scale + bias).astype(x.dtype)


@cache
def rotary_tables(n_positions: int, rotary_dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sine and cosine of all positions, `[n_positions, rotary_dim / 2]`, base 10,000.

    They are constants, because XLA would compute them again for every layer and head.
    """
    places = np.arange(0, rotary_dim, 2, dtype=np.float32)
    frequencies = np.float32(10000) ** (-places / rotary_dim)
    angles = np.arange(n_positions, dtype=np.float32)[:, None] * frequencies
    return np.sin(angles), np.cos(angles)


def rotate(x: jax.Array, sin: jax.Array, cos: jax.Array) -> jax.Array:
    """Rotate the interleaved pairs (0, 1), (2, 3), … of the leading dimensions of every head.

    Args:
        x: `[batch, tokens, heads, head_dim]`.
        sin: Of each token's angles, `[batch, tokens, 1, rotary_dim / 2]`.
        cos: The same.
    """
    rotary_dim = 2 * sin.shape[-1]
    even, odd = x[..., 0:rotary_dim:2], x[..., 1:rotary_dim:2]
    turned = jnp.stack([even * cos - odd * sin, odd * cos + even * sin], axis=-1)
    turned = turned.reshape(*x.shape[:-1], rotary_dim).astype(x.dtype)
    return jnp.concatenate([turned, x[..., rotary_dim:]], axis=-1)


def _write(slots: jax.Array, values: jax.Array, positions: jax.Array) -> jax.Array:
    """Put each token's values into the slot of its position; padding falls past the end."""
    rows = jnp.arange(slots.shape[0])[:, None]
    places = jnp.where(positions >= 0, positions, slots.shape[2])
    return slots.at[rows, :, places].set(values, mode="drop")


# These three are compiled by themselves. Called outside of a larger compiled function, layer by
# layer, one compilation serves all layers, which spares seconds and hundreds of megabytes.
@partial(jax.jit, static_argnames=("config", "slots"))
def _begin(
    embedding: jax.Array,
    config: CodeGenConfig,
    tokens: jax.Array,
    positions: jax.Array,
    segments: jax.Array | None,
    slots: int | None,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return the embedded tokens, what they see, and the sine and cosine of their angles.

    What they see is a mask where there is a cache, else segments with padding marked.
    """
    if slots is not None:
        seen = jnp.arange(slots) <= positions[:, :, None]
    else:
        seen = jnp.where(positions < 0, -1, 0 if segments is None else segments)
    x = constrain(embedding[tokens], "batch", "tokens", None)
    tables = rotary_tables(config.n_positions, config.rotary_dim)
    sin, cos = (jnp.asarray(table)[positions][:, :, None] for table in tables)
    return x, seen, sin, cos


@partial(jax.jit, static_argnames="config")
def _end(norm: Params, config: CodeGenConfig, x: jax.Array) -> jax.Array:
    return layer_norm(x, norm["scale"], norm["bias"], config.layer_norm_epsilon)


@partial(jax.jit, static_argnames=("config", "attend", "multiply"), donate_argnames="past")
def _block(
    block: Params,
    config: CodeGenConfig,
    x: jax.Array,
    positions: jax.Array,
    seen: jax.Array,
    sin: jax.Array,
    cos: jax.Array,
    past: dict[str, jax.Array] | None,
    attend: RowAttention,
    multiply: Multiply,
) -> tuple[jax.Array, dict[str, jax.Array] | None]:
    """Run one block; attention and MLP read the same LayerNorm, so one product serves both."""
    h = layer_norm(x, block["ln"]["scale"], block["ln"]["bias"], config.layer_norm_epsilon)
    *heads, inner = multiply(h, [block[name] for name in ("q", "k", "v", "fc_in")])
    shape = (*positions.shape, config.n_head, config.head_dim)
    q, k, v = (constrain(y.reshape(shape), "batch", "tokens", "heads", None) for y in heads)
    q, k = rotate(q, sin, cos), rotate(k, sin, cos)
    present = None
    if past is not None:
        k, v = _write(past["k"], k, positions), _write(past["v"], v, positions)
        present = {"k": k, "v": v}
        attended = attention.xla(q, k.swapaxes(1, 2), v.swapaxes(1, 2), seen)
    else:
        attended = attend(q, k, v, seen)
    attended = checkpoint_name(attended.reshape(x.shape), "attended")
    inner = checkpoint_name(constrain(inner, "batch", "tokens", "mlp"), "inner")
    inner = jax.nn.gelu(inner + block["fc_in_bias"].astype(inner.dtype), approximate=True)
    [from_attention], [from_mlp] = (
        multiply(attended, [block["out"]]),
        multiply(inner, [block["fc_out"]]),
    )
    x = x + from_attention + (from_mlp + block["fc_out_bias"].astype(x.dtype))
    return constrain(x, "batch", "tokens", None), present


def hidden(
    params: Params,
    config: CodeGenConfig,
    tokens: jax.Array,
    positions: jax.Array,
    *,
    segments: jax.Array | None = None,
    cache: Cache | None = None,
    attend: RowAttention = attention.xla_rows,
    multiply: Multiply = matmul,
    remat: Callable[..., Any] | None = None,
    dtype: Any = None,
) -> tuple[jax.Array, Cache | None]:
    """Run the blocks and the final LayerNorm.

    Args:
        params: The parameters, their blocks a list or stacked (`parameters.stack`).
        config: The model's shape.
        tokens: Token ids `[batch, tokens]`.
        positions: The position of each token in its document, `[batch, tokens]`; negative marks
            padding, which nothing attends to and which enters no cache.
        segments: Without a cache, the document of each token `[batch, tokens]`, where several
            are packed into a row; tokens see what stands before them in their own document only.
        cache: The tokens before these. Each token sees all slots up to its own position. Its
            memory goes into the new cache: it must not be used again.
        attend: The attention kernel where there is no cache.
        multiply: The products of activations and weight matrices.
        remat: What a block's backward pass computes again: a policy of `jax.checkpoint_policies`;
            nothing if not given.
        dtype: Of the activations; that of the embedding if not given.

    Returns:
        Hidden states `[batch, tokens, n_embd]`, and the cache with these tokens added (None
        where none was given).
    """
    slots = None if cache is None else cache[0]["k"].shape[2]
    x, seen, sin, cos = _begin(params["embedding"], config, tokens, positions, segments, slots)
    x = x.astype(dtype or x.dtype)
    blocks = params["blocks"]
    if cache is not None:
        new: Cache = []
        for block, past in zip(blocks, cache, strict=True):
            x, present = _block(block, config, x, positions, seen, sin, cos, past, attend, multiply)
            assert present is not None
            new.append(present)
        return _end(params["ln_f"], config, x), new

    def run(x: jax.Array, block: Params) -> tuple[jax.Array, None]:
        return _block(block, config, x, positions, seen, sin, cos, None, attend, multiply)  # pyright: ignore

    step = run if remat is None else jax.checkpoint(run, policy=remat)
    if isinstance(blocks, list):
        for block in blocks:
            x, _ = step(x, block)
    else:
        x, _ = jax.lax.scan(step, x, blocks)
    return _end(params["ln_f"], config, x), None


def logits(params: Params, states: jax.Array) -> jax.Array:
    """Map hidden states `[..., n_embd]` to float32 logits `[..., vocab_size]`."""
    scores = jnp.matmul(states, params["lm_head"], preferred_element_type=jnp.float32)
    return scores + params["lm_head_bias"].astype(jnp.float32)
