"""The forward pass, one for training, prefill and decoding.

Two conventions carry all raggedness: a token whose position is negative is padding, and in a cache
a token's slot *is* its position. So a batch may be padded on either side, row by row.
"""

from collections.abc import Callable

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
        cache: The tokens before these. Each token sees all slots up to its own position.
        attend: The attention kernel.
        multiply: The product of activations and a weight matrix.

    Returns:
        Hidden states `[batch, tokens, n_embd]`, and the cache with these tokens added (None
        where none was given).
    """
    sin, cos = rotary_tables(positions, config.rotary_dim)
    if cache is None:
        mask = (positions[:, None, :] <= positions[:, :, None]) & (positions >= 0)[:, None, :]
        if segments is not None:
            mask &= segments[:, None, :] == segments[:, :, None]
    else:
        mask = jnp.arange(cache[0]["k"].shape[1]) <= positions[:, :, None]

    x = params["embedding"][tokens]
    new: Cache = []
    for layer, block in enumerate(params["blocks"]):
        h = layer_norm(x, block["ln"]["scale"], block["ln"]["bias"], config.layer_norm_epsilon)
        q, k, v = (
            multiply(h, block[name]).reshape(*tokens.shape, config.n_head, config.head_dim)
            for name in ("q", "k", "v")
        )
        q, k = rotate(q, sin, cos), rotate(k, sin, cos)
        if cache is not None:
            k, v = _write(cache[layer]["k"], k, positions), _write(cache[layer]["v"], v, positions)
            new.append({"k": k, "v": v})
        attended = multiply(attend(q, k, v, mask).reshape(x.shape), block["out"])
        inner = jax.nn.gelu(multiply(h, block["fc_in"]) + block["fc_in_bias"], approximate=True)
        x = x + attended + (multiply(inner, block["fc_out"]) + block["fc_out_bias"])

    x = layer_norm(x, params["ln_f"]["scale"], params["ln_f"]["bias"], config.layer_norm_epsilon)
    return x, new if cache is not None else None


def _to_float32(x: jax.Array, w: jax.Array) -> jax.Array:
    return jnp.matmul(x, w, preferred_element_type=jnp.float32)


def logits(params: Params, states: jax.Array, multiply: Multiply = _to_float32) -> jax.Array:
    """Map hidden states `[..., n_embd]` to float32 logits `[..., vocab_size]`."""
    return multiply(states, params["lm_head"]) + params["lm_head_bias"].astype(jnp.float32)
