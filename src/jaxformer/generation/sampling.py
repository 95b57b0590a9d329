"""Choosing the next token."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Sampling(NamedTuple):
    """How each row of a batch draws its tokens; every array is `[batch]`."""

    temperature: jax.Array
    """float32; 0 takes the likeliest token."""
    top_p: jax.Array
    """float32: draw among the fewest tokens whose probabilities reach this sum."""
    top_k: jax.Array
    """int32: draw among this many likeliest tokens; 0 for all."""
    seed: jax.Array
    """uint32."""


def mask_padding(scores: jax.Array, entries: int) -> jax.Array:
    """Make the ids past the tokenizer's entries impossible: padding rows of the vocabulary."""
    return jnp.where(jnp.arange(scores.shape[-1]) < entries, scores, -jnp.inf)


def sample(
    scores: jax.Array, sampling: Sampling, positions: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Draw a token for every row.

    The randomness of a row is a function of its own seed and position alone, so that a request
    draws the same tokens whatever it is batched with.

    Args:
        scores: Logits `[batch, vocab_size]` in float32, -inf where impossible.
        sampling: Each row's parameters.
        positions: The position that each row's token will have, `[batch]`.

    Returns:
        int32 ids `[batch]`, and their natural-log probabilities under the model itself, before
        temperature and truncation.
    """
    log_probabilities = jax.nn.log_softmax(scores)
    greedy = jnp.argmax(scores, axis=-1)

    def draw(scores: jax.Array, row: Sampling, position: jax.Array) -> jax.Array:
        key = jax.random.fold_in(jax.random.key(row.seed), position)
        scaled = scores / jnp.maximum(row.temperature, 1e-6)
        order = jnp.argsort(-scaled)
        ranked = scaled[order]
        rank = jnp.arange(scores.shape[-1])
        probabilities = jax.nn.softmax(ranked)
        before = jnp.cumsum(probabilities) - probabilities
        kept = (before < row.top_p) & ((rank < row.top_k) | (row.top_k <= 0)) | (rank == 0)
        return order[jax.random.categorical(key, jnp.where(kept, ranked, -jnp.inf))]

    def all_rows() -> jax.Array:
        drawn = jax.vmap(draw)(scores, sampling, positions)
        return jnp.where(sampling.temperature > 0, drawn, greedy)

    # Sorting the vocabulary costs as much as a small model: not for greedy batches.
    chosen = jax.lax.cond((sampling.temperature > 0).any(), all_rows, lambda: greedy)
    chosen = chosen.astype(jnp.int32)
    return chosen, jnp.take_along_axis(log_probabilities, chosen[:, None], axis=-1)[:, 0]
