"""The loss: weighted cross-entropy with z-loss."""

import jax
import jax.numpy as jnp

from jaxformer.data.rows import Rows
from jaxformer.model import CodeGenConfig, Params, hidden, logits


@jax.custom_vjp
def mixed_product(x: jax.Array, w: jax.Array) -> jax.Array:
    """Multiply `[..., in] @ [in, out]`, both passes with bfloat16 factors and float32 sums.

    The weights stay float32 outside; a processor with bfloat16 products runs them twice as fast.
    """
    return jnp.matmul(
        x.astype(jnp.bfloat16), w.astype(jnp.bfloat16), preferred_element_type=jnp.float32
    )


def _forward(x: jax.Array, w: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return mixed_product(x, w), (x.astype(jnp.bfloat16), w.astype(jnp.bfloat16))


def _backward(
    saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, w = saved
    g = gradient.astype(jnp.bfloat16)
    dx = jnp.matmul(g, w.T, preferred_element_type=jnp.float32)
    flat_x, flat_g = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    return dx, jnp.matmul(flat_x.T, flat_g, preferred_element_type=jnp.float32)


mixed_product.defvjp(_forward, _backward)


def loss(
    params: Params, config: CodeGenConfig, batch: Rows[jax.Array], z_loss: float = 1e-4
) -> tuple[jax.Array, jax.Array]:
    """Return the training loss and the cross-entropy in it, both in nats a (weighted) token.

    The z-loss `z_loss · log²Z` keeps the logits' normaliser near one.
    """
    states, _ = hidden(
        params,
        config,
        batch.tokens,
        batch.positions,
        segments=batch.segments,
        multiply=mixed_product,
    )
    scores = logits(params, states, multiply=mixed_product)
    log_z = jax.nn.logsumexp(scores, axis=-1)
    picked = jnp.take_along_axis(scores, batch.targets[..., None], axis=-1)[..., 0]
    total = jnp.maximum(batch.weights.sum(), 1.0)
    cross_entropy = ((log_z - picked) * batch.weights).sum() / total
    return cross_entropy + z_loss * (jnp.square(log_z) * batch.weights).sum() / total, cross_entropy
