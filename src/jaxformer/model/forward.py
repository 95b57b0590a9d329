"""The forward pass, one for training, prefill and decoding.

Two conventions carry all raggedness: a token whose position is negative is padding, and in a cache
a token's slot *is* its position. So a batch may be padded on either side, row by row.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from jaxformer.model import attention
from jaxformer.model.attention import Attention
from jaxformer.model.config import CodeGenConfig
from jaxformer.model.parameters import Params

Multiply = Callable[[jax.Array, jax.Array], jax.Array]
Cache = list[dict[str, jax.Array]]
"""A layer's keys and values, `[batch, slots, heads, head_dim]` each, rotated already."""


def new_cache(config: CodeGenConfig, batch: int, slots: int, dtype: jnp.dtype) -> Cache:
    """Return an empty cache for `batch` sequences of at most `slots` tokens."""
    shape = (batch, slots, config.n_head, config.head_dim)
    return [{n: jnp.zeros(shape, dtype) for n in ("k", "v")} for _ in range(config.n_layer)]


def layer_norm(x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float) -> jax.Array:
    """Normalise the last axis, in float32 whatever the dtype of `x`."""
    x32 = x.astype(jnp.float32)
    centred = x32 - x32.mean(-1, keepdims=True)
    normal = centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + epsilon)
    return (normal * scale + bias).astype(x.dtype)


def rotary_tables(positions: jax.Array, rotary_dim: int) -> tuple[jax.Array, jax.Array]:
    """Return sine and cosine `[batch, tokens, 1, rotary_dim / 2]` in float32, base 10,000."""
    frequencies = 10000.0 ** (-jnp.arange(0, rotary_dim, 2, dtype=jnp.float32) / rotary_dim)
    angles = positions[..., None, None].astype(jnp.float32) * frequencies
    return jnp.sin(angles), jnp.cos(angles)


def rotate(x: jax.Array, sin: jax.Array, cos: jax.Array) -> jax.Array:
    """Rotate the interleaved pairs (0, 1), (2, 3), … of the leading dimensions of every head.

    Args:
        x: `[batch, tokens, heads, head_dim]`.
        sin: From `rotary_tables`.
        cos: From `rotary_tables`.
    """
    rotary_dim = 2 * sin.shape[-1]
    even, odd = x[..., 0:rotary_dim:2], x[..., 1:rotary_dim:2]
    turned = jnp.stack([even * cos - odd * sin, odd * cos + even * sin], axis=-1)
    turned = turned.reshape(*x.shape[:-1], rotary_dim).astype(x.dtype)
    return jnp.concatenate([turned, x[..., rotary_dim:]], axis=-1)


def _write(slots: jax.Array, values: jax.Array, positions: jax.Array) -> jax.Array:
    """Put each token's values into the slot of its position; padding falls past the end."""
    rows = jnp.arange(slots.shape[0])[:, None]
    places = jnp.where(positions >= 0, positions, slots.shape[1])
    return slots.at[rows, places].set(values, mode="drop")


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
    """Return the embedded tokens, the mask and the rotary tables."""
    if slots is not None:
        mask = jnp.arange(slots) <= positions[:, :, None]
    else:
        mask = (positions[:, None, :] <= positions[:, :, None]) & (positions >= 0)[:, None, :]
        if segments is not None:
            mask &= segments[:, None, :] == segments[:, :, None]
    return embedding[tokens], mask, *rotary_tables(positions, config.rotary_dim)


@partial(jax.jit, static_argnames="config")
def _end(norm: Params, config: CodeGenConfig, x: jax.Array) -> jax.Array:
    return layer_norm(x, norm["scale"], norm["bias"], config.layer_norm_epsilon)


@partial(jax.jit, static_argnames=("config", "attend", "multiply"), donate_argnames="past")
def _block(
    block: Params,
    config: CodeGenConfig,
    x: jax.Array,
    positions: jax.Array,
    mask: jax.Array,
    sin: jax.Array,
    cos: jax.Array,
    past: dict[str, jax.Array] | None,
    attend: Attention,
    multiply: Multiply,
) -> tuple[jax.Array, dict[str, jax.Array] | None]:
    """Run one block; attention and MLP read the same LayerNorm."""
    h = layer_norm(x, block["ln"]["scale"], block["ln"]["bias"], config.layer_norm_epsilon)
    q, k, v = (
        multiply(h, block[name]).reshape(*positions.shape, config.n_head, config.head_dim)
        for name in ("q", "k", "v")
    )
    q, k = rotate(q, sin, cos), rotate(k, sin, cos)
    present = None
    if past is not None:
        k, v = _write(past["k"], k, positions), _write(past["v"], v, positions)
        present = {"k": k, "v": v}
    attended = multiply(attend(q, k, v, mask).reshape(x.shape), block["out"])
    inner = jax.nn.gelu(multiply(h, block["fc_in"]) + block["fc_in_bias"], approximate=True)
    return x + attended + (multiply(inner, block["fc_out"]) + block["fc_out_bias"]), present


def hidden(
    params: Params,
    config: CodeGenConfig,
    tokens: jax.Array,
    positions: jax.Array,
    *,
    segments: jax.Array | None = None,
    cache: Cache | None = None,
    attend: Attention = attention.xla,
    multiply: Multiply = jnp.matmul,
) -> tuple[jax.Array, Cache | None]:
    """Run the blocks and the final LayerNorm.

    Args:
        params: The parameters; their dtype is the dtype of the computation.
        config: The model's shape.
        tokens: Token ids `[batch, tokens]`.
        positions: The position of each token in its document, `[batch, tokens]`; negative marks
            padding, which nothing attends to and which enters no cache.
        segments: Without a cache, the document of each token `[batch, tokens]`, where several
            are packed into a row; tokens see their own document only.
        cache: The tokens before these. Each token sees all slots up to its own position. Its
            memory goes into the new cache: it must not be used again.
        attend: The attention kernel.
        multiply: The product of activations and a weight matrix.

    Returns:
        Hidden states `[batch, tokens, n_embd]`, and the cache with these tokens added (None
        where none was given).
    """
    slots = None if cache is None else cache[0]["k"].shape[1]
    x, mask, sin, cos = _begin(params["embedding"], config, tokens, positions, segments, slots)
    new: Cache = []
    for layer, block in enumerate(params["blocks"]):
        past = None if cache is None else cache[layer]
        x, present = _block(block, config, x, positions, mask, sin, cos, past, attend, multiply)
        if present is not None:
            new.append(present)
    return _end(params["ln_f"], config, x), new if cache is not None else None


def _to_float32(x: jax.Array, w: jax.Array) -> jax.Array:
    return jnp.matmul(x, w, preferred_element_type=jnp.float32)


def logits(params: Params, states: jax.Array, multiply: Multiply = _to_float32) -> jax.Array:
    """Map hidden states `[..., n_embd]` to float32 logits `[..., vocab_size]`."""
    return multiply(states, params["lm_head"]) + params["lm_head_bias"].astype(jnp.float32)
