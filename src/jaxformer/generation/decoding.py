"""Reading prompts and decoding tokens on the device; no request, text or rule is known here."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxformer.checkpoints import Model
from jaxformer.generation.sampling import Sampling, mask_padding, sample
from jaxformer.model import Cache, CodeGenConfig, Params, native
from jaxformer.model.inference import advance, compiles_whole, head_of, scores, step

PIECE = 512
"""Tokens of a prompt that are read at one time, at most."""


def bucket(size: int, limit: int, smallest: int = 1) -> int:
    """Round up to a power of two, so that few shapes are compiled."""
    return min(max(smallest, 1 << (size - 1).bit_length()), limit)


def read(
    model: Model, cache: Cache, tokens: Sequence[int], start: int
) -> tuple[Cache, jax.Array | None]:
    """Read tokens into a cache of one row, behind the `start` tokens that it holds.

    A prompt is always read alone, so that what it is batched with cannot change it.

    Returns:
        The new cache; the states behind the last token, `[1, n_embd]`, if there is any.
    """
    slots = cache[0]["k"].shape[2]
    states, end = None, 0
    for first in range(0, len(tokens), PIECE):
        piece = tokens[first : first + PIECE]
        width = bucket(len(piece), slots, 16)
        padded = np.zeros((1, width), np.int32)
        padded[0, : len(piece)] = piece
        places = np.arange(width)
        positions = np.where(places < len(piece), start + first + places, -1)[None]
        states, cache = advance(
            model.params, model.config, padded, positions.astype(np.int32), cache
        )
        end = len(piece) - 1
    if states is None:
        return cache, None
    return cache, _behind(states, jax.device_put(np.int32(end)))


@jax.jit
def _behind(states: jax.Array, place: jax.Array) -> jax.Array:
    """Return the states behind a place, which is data: a constant would be compiled for each."""
    return jax.lax.dynamic_index_in_dim(states, place, axis=1, keepdims=False)


def draw(
    model: Model, states: jax.Array, position: int, sampling: Sampling
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the tokens that several requests have behind the same beginning.

    Args:
        model: The model.
        states: What `read` returned, `[1, n_embd]`.
        position: Of the last token read.
        sampling: How each request draws.

    Returns:
        Ids and natural-log probabilities, one each.
    """
    places = jax.device_put(np.full(len(sampling.seed), position, np.int32))
    head, entries = head_of(model.params), model.tokenizer.vocab_size
    ids, _, logprobs = _draw(head, model.config, states, places, sampling, entries)
    return np.asarray(ids), np.asarray(logprobs)


@partial(jax.jit, donate_argnums=0)
def spread(cache: Cache, one: Cache, rows: jax.Array, count: jax.Array) -> Cache:
    """Copy a cache of one row into the first `count` of the given rows."""

    def put(i: jax.Array, cache: Cache) -> Cache:
        start = (rows[i], 0, 0, 0)  # a scatter would take thirty times as long on a CPU
        return jax.tree.map(
            lambda many, single: jax.lax.dynamic_update_slice(many, single, start), cache, one
        )

    return jax.lax.fori_loop(0, count, put, cache)


@partial(jax.jit, static_argnames="slots")
def moved(cache: Cache, rows: jax.Array, slots: int) -> Cache:
    """Return a cache of the given rows in this order, with another number of slots."""

    def move(old: jax.Array) -> jax.Array:
        kept = old[rows, :, :slots]
        more = slots - kept.shape[2]
        return jnp.pad(kept, ((0, 0), (0, 0), (0, more), (0, 0)))

    return jax.tree.map(move, cache)


def decode(
    model: Model,
    cache: Cache,
    token: np.ndarray,
    position: np.ndarray,
    sampling: Sampling,
    steps: int,
) -> tuple[Cache, np.ndarray, np.ndarray]:
    """Decode several tokens for every row.

    Args:
        model: The model.
        cache: What came before, with a slot for each position; it must not be used again.
        token: The last token of each row, which is not in the cache yet, int32 `[rows]`.
        position: Its position; negative for rows without a request.
        sampling: How each row draws.
        steps: How many.

    Returns:
        The new cache; ids and natural-log probabilities, `[rows, steps]`.
    """
    entries = model.tokenizer.vocab_size
    last, place = jax.device_put((token, position))
    if compiles_whole(model.params):
        cache, ids, logprobs = _chunk(
            model.params, model.config, cache, last, place, sampling, entries, steps
        )
        return cache, np.asarray(ids), np.asarray(logprobs)
    tokens, logprobs = [], []
    for _ in range(steps):
        cache, last, place, logprob = _next(
            model.params, model.config, cache, last, place, sampling, entries
        )
        # Shared by several devices of a CPU, programs under way together may wait for each other.
        jax.block_until_ready((cache, last))
        tokens.append(last)
        logprobs.append(logprob)
    return cache, np.stack(tokens, axis=1), np.stack(logprobs, axis=1)


def verify(
    model: Model, cache: Cache, tokens: np.ndarray, positions: np.ndarray, sampling: Sampling
) -> tuple[Cache, np.ndarray, np.ndarray]:
    """Read several tokens of every row and draw the one behind each, as if those were certain.

    Args:
        model: The model.
        cache: What came before; it must not be used again.
        tokens: The last token of each row and guesses behind it, int32 `[rows, n]`.
        positions: Of each; negative where there is none.
        sampling: How each row draws.

    Returns:
        The new cache; ids and natural-log probabilities, `[rows, n]`.
    """
    states, cache = advance(model.params, model.config, tokens, positions, cache)
    rows, count = tokens.shape
    each = jax.tree.map(lambda x: jax.device_put(np.repeat(x, count)), sampling)
    places = jax.device_put(positions.reshape(-1))
    head, entries = head_of(model.params), model.tokenizer.vocab_size
    found = _draw(head, model.config, states, places, each, entries)
    ids, logprobs = (np.asarray(x).reshape(rows, count) for x in (found[0], found[2]))
    return cache, ids, logprobs


@partial(jax.jit, static_argnames=("config", "entries", "steps"), donate_argnames="cache")
def _chunk(
    params: Params,
    config: CodeGenConfig,
    cache: Cache,
    last: jax.Array,
    place: jax.Array,
    sampling: Sampling,
    entries: int,
    steps: int,
) -> tuple[Cache, jax.Array, jax.Array]:
    """Draw several tokens for every row, without the host between them."""

    def one(
        carry: tuple[Cache, jax.Array, jax.Array], _: None
    ) -> tuple[tuple[Cache, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
        cache, last, place, logprob = _next(params, config, *carry, sampling, entries)
        return (cache, last, place), (last, logprob)

    (cache, _, _), (ids, logprobs) = jax.lax.scan(one, (cache, last, place), length=steps)
    return cache, ids.T, logprobs.T


def _next(
    params: Params,
    config: CodeGenConfig,
    cache: Cache,
    last: jax.Array,
    place: jax.Array,
    sampling: Sampling,
    entries: int,
) -> tuple[Cache, jax.Array, jax.Array, jax.Array]:
    """Return the cache, each row's next token, its position and its log-probability."""
    states, cache = step(params, config, last[:, None], place[:, None], cache)
    head = head_of(params)
    return cache, *_draw(head, config, states[:, 0], place, sampling, entries)


@partial(jax.jit, static_argnames=("config", "entries"))
def _draw(
    head: Params,
    config: CodeGenConfig,
    states: jax.Array,
    place: jax.Array,
    sampling: Sampling,
    entries: int,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return tokens, their positions and log-probabilities, one for each of the places `[n]`.

    States `[…, n_embd]` are one for each, or one for all.
    """
    following = jnp.where(place >= 0, place + 1, -1)
    found = scores(head, config, states.reshape(-1, states.shape[-1]))
    if native.is_packed(head):
        token, logprob = native.draw(found, entries, *sampling, following)
        return token, following, logprob
    found = mask_padding(found, entries)
    found = jnp.broadcast_to(found, (len(place), found.shape[-1]))
    token, logprob = sample(found, sampling, following)
    return token, following, logprob
