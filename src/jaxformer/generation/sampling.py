"""Choosing the next token."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

RANKED = (16, 128)
"""Tokens that are ranked by likelihood before a draw: the few that mostly do, then more."""


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
    likeliest = jnp.argmax(scores, axis=-1).astype(jnp.int32)
    # Ranking the vocabulary costs as much as a small model: not for greedy batches.
    chosen = jax.lax.cond(
        (sampling.temperature > 0).any(),
        lambda: jnp.where(sampling.temperature > 0, _draw(scores, sampling, positions), likeliest),
        lambda: likeliest,
    )
    found = jnp.take_along_axis(scores, chosen[:, None], axis=-1)[:, 0]
    return chosen, found - jax.nn.logsumexp(scores, axis=-1)


def _draw(scores: jax.Array, sampling: Sampling, positions: jax.Array) -> jax.Array:
    """Draw a token for every row, without ranking more of the vocabulary than it takes.

    Which way a row is drawn depends on itself alone, and so does its token. The noise of a rank is
    the same however many are ranked: JAX's random bits depend on the key and the place alone.
    """
    entries = scores.shape[-1]
    scaled = scores / jnp.maximum(sampling.temperature, 1e-6)[:, None]
    logprobs = scaled - jax.nn.logsumexp(scaled, axis=-1, keepdims=True)

    def key_at(seed: jax.Array, position: jax.Array) -> jax.Array:
        return jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), position)

    keys = jax.vmap(key_at)(sampling.seed, positions)

    def noise(count: int) -> jax.Array:  # whatever JAX's settings say: the kernels do the same
        return jax.vmap(lambda key: jax.random.gumbel(key, (count,), mode="low"))(keys)

    def rank(few: int) -> tuple[jax.Array, jax.Array]:
        return _by_rank(*jax.lax.top_k(logprobs, few), noise(few), sampling)

    few, more = (min(count, entries) for count in RANKED)
    found = rank(few)

    def ranked_more() -> tuple[jax.Array, jax.Array]:
        drawn, certain = rank(more)
        return jnp.where(found[1], found[0], drawn), found[1] | certain

    drawn, certain = jax.lax.cond(found[1].all(), lambda: found, ranked_more)
    free = (sampling.top_p >= 1) & (sampling.top_k <= 0) & (sampling.temperature > 0)

    def among_all() -> jax.Array:
        noise_of_all = noise(entries)

        def ranked() -> jax.Array:
            found, _ = rank(entries)
            return jnp.where(certain, drawn, found)

        found = jax.lax.cond((free | certain).all(), lambda: drawn, ranked)
        freely = jnp.argmax(logprobs + noise_of_all, axis=-1).astype(jnp.int32)  # needs no ranks
        return jnp.where(free, freely, found)

    return jax.lax.cond((certain & ~free).all(), lambda: drawn, among_all)


def _by_rank(
    ranked: jax.Array, order: jax.Array, noise: jax.Array, sampling: Sampling
) -> tuple[jax.Array, jax.Array]:
    """Draw among ranked tokens; the largest sum of log-probability and noise wins.

    Args:
        ranked: The largest log-probabilities of each row, falling, `[batch, n]`.
        order: Their ids.
        noise: Gumbel noise of each rank.
        sampling: How to draw.

    Returns:
        The ids, and whether all tokens that may be drawn were among these.
    """
    rank, chances = jnp.arange(ranked.shape[-1]), jnp.exp(ranked)
    before = jnp.cumsum(chances, axis=-1) - chances
    top_p, top_k = sampling.top_p[:, None], sampling.top_k[:, None]
    kept = (before < top_p) & ((rank < top_k) | (top_k <= 0)) | (rank == 0)
    place = jnp.argmax(jnp.where(kept, ranked, -jnp.inf) + noise, axis=-1)
    enough = (sampling.top_k > 0) & (sampling.top_k <= ranked.shape[-1])
    return jnp.take_along_axis(order, place[:, None], axis=-1)[:, 0], ~kept[:, -1] | enough
