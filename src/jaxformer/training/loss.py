"""The loss: weighted cross-entropy with z-loss, without ever holding all logits."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxformer.data.rows import Rows
from jaxformer.model import Params
from jaxformer.model.forward import Multiply


def tile_tokens(platform: str) -> int:
    """Return of how many tokens the logits exist at one time, on each device."""
    return 1024 if platform == "cpu" else 4096


class Losses(NamedTuple):
    """Sums over tokens; divide by their weights."""

    total: jax.Array
    """What is made small, z-loss included."""
    cross_entropy: jax.Array
    """In nats."""


def token_losses(
    head: Params, states: jax.Array, targets: jax.Array, multiply: Multiply
) -> tuple[jax.Array, jax.Array]:
    """Return each token's cross-entropy and the logarithm of its normaliser, float32 `[...]`."""
    [scores] = multiply(states, [head["lm_head"]])
    scores = scores.astype(jnp.float32) + head["lm_head_bias"]
    log_z = jax.nn.logsumexp(scores, axis=-1)
    picked = jnp.take_along_axis(scores, targets[..., None], axis=-1)[..., 0]
    return log_z - picked, log_z


def cut(x: jax.Array, tile: int) -> jax.Array:
    """Cut every row into tiles: `[rows, context, …]` to `[tiles, rows, tile, …]`, zeros last."""
    more = -x.shape[1] % tile
    padded = jnp.pad(x, ((0, 0), (0, more), *((0, 0),) * (x.ndim - 2))) if more else x
    return padded.reshape(len(x), -1, tile, *x.shape[2:]).swapaxes(0, 1)


@partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def losses(
    head: Params, states: jax.Array, rows: Rows[Any], z_loss: float, multiply: Multiply, tile: int
) -> Losses:
    """Return the weighted sums of the losses of a batch.

    Logits are made for some tokens of each row at a time, and their gradients with them, so that
    neither are kept, nor made twice.

    Args:
        head: `lm_head` and `lm_head_bias` of the parameters.
        states: Hidden states `[rows, context, n_embd]`.
        rows: The batch.
        z_loss: Weight of log² of the softmax's normaliser, which keeps that near one.
        multiply: The product with the head.
        tile: Tokens of a row at one time.
    """
    return _losses(head, states, rows, z_loss, multiply, tile)[0]


def _losses(
    head: Params, states: jax.Array, rows: Rows[Any], z_loss: float, multiply: Multiply, tile: int
) -> tuple[Losses, tuple[Params, jax.Array]]:
    def one(
        head: Params, states: jax.Array, targets: jax.Array, weights: jax.Array
    ) -> tuple[jax.Array, Losses]:
        entropy, log_z = token_losses(head, states, targets, multiply)
        cross_entropy = (entropy * weights).sum()
        total = cross_entropy + z_loss * (jnp.square(log_z) * weights).sum()
        return total, Losses(total, cross_entropy)

    def step(
        carry: tuple[Losses, Params], part: tuple[jax.Array, ...]
    ) -> tuple[tuple[Losses, Params], jax.Array]:
        (by_head, by_states), sums = jax.grad(one, argnums=(0, 1), has_aux=True)(head, *part)
        return jax.tree.map(jnp.add, carry, (sums, by_head)), by_states

    zero = jnp.zeros((), jnp.float32)
    start = Losses(zero, zero), jax.tree.map(jnp.zeros_like, head)
    parts = tuple(cut(x, tile) for x in (states, rows.targets, rows.weights))
    (sums, by_head), by_states = jax.lax.scan(step, start, parts)
    by_states = by_states.swapaxes(0, 1).reshape(len(states), -1, states.shape[-1])
    return sums, (by_head, by_states[:, : states.shape[1]])


def _backward(
    _z_loss: float,
    _multiply: Multiply,
    _tile: int,
    saved: tuple[Params, jax.Array],
    gradient: Losses,
) -> tuple[Params, jax.Array, None]:
    by_head, by_states = jax.tree.map(lambda x: (x * gradient.total).astype(x.dtype), saved)
    return by_head, by_states, None


losses.defvjp(_losses, _backward)


def tile_of(context: int, rows: int, tokens: int) -> int:
    """Return how many tokens of each row to take at a time, all tiles being nearly full.

    Args:
        context: Tokens of a row.
        rows: Of a device.
        tokens: At most so many of all these rows together, but one of each at least.
    """
    tiles = -(-context // max(1, tokens // rows))
    return -(-context // tiles)
