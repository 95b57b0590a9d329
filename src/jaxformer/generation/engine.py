"""The engine: many requests decoded together, each as if it were alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxformer.checkpoints import Model
from jaxformer.errors import UserError
from jaxformer.generation.sampling import Sampling, mask_padding, sample
from jaxformer.model import Cache, CodeGenConfig, Params, hidden, logits, new_cache
from jaxformer.transcript import Stop, find_cut, settled

CHUNK = 8
"""Tokens decoded between two looks at the stop rules."""


@dataclass(frozen=True)
class Request:
    """What to generate.

    Attributes:
        prompt: The text to continue.
        max_new_tokens: At most so many tokens.
        temperature: 0 takes the likeliest token each time.
        top_p: Draw among the fewest tokens whose probabilities reach this sum.
        top_k: Draw among this many likeliest tokens; 0 for all.
        seed: The same request with the same seed gives the same tokens.
        stops: Rules that end the text, applied while it grows.
        keep_end: Whether a prompt longer than the context loses its start, instead of being an
            error.
    """

    prompt: str
    max_new_tokens: int = 128
    temperature: float = 0.2
    top_p: float = 0.95
    top_k: int = 0
    seed: int = 0
    stops: tuple[Stop, ...] = ()
    keep_end: bool = False

    def __post_init__(self) -> None:
        checks = {
            "max_new_tokens must be at least 1": self.max_new_tokens >= 1,
            "temperature must not be negative": 0 <= self.temperature < float("inf"),
            "top_p must be above 0 and at most 1": 0 < self.top_p <= 1,
            "top_k must not be negative": self.top_k >= 0,
            "seed must be between 0 and 4294967295": 0 <= self.seed < 2**32,
        }
        for rule, holds in checks.items():
            if not holds:
                value = getattr(self, rule.split()[0])
                raise UserError(f"{rule}, not {value}.")


@dataclass(frozen=True)
class Completion:
    """What was generated.

    Attributes:
        text: The completion, cut where a stop rule says.
        raw: Everything that was generated, the part behind the cut too.
        stop_reason: The stop rule's name, `end of text`, `length` (`max_new_tokens` reached) or
            `context` (the model's context is full).
        tokens: The ids behind `raw`, the end of text not among them.
        logprobs: The natural-log probability of each under the model, padding rows of the
            vocabulary left out (`score` leaves nothing out, as other software does).
    """

    text: str
    raw: str
    stop_reason: str
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]


OnText = Callable[[int, str], None]
"""Called with a request's number and a piece of its text that no stop rule can take back."""


class _Decoding(NamedTuple):
    """The state of a decoding batch on the device; arrays are `[batch]` but for the cache."""

    cache: Cache
    token: jax.Array
    """The last token of each row, which is not in the cache yet."""
    position: jax.Array
    """Its position; rows that are done stay at -1."""


def _prefill(
    params: Params, config: CodeGenConfig, cache: Cache, prompt: Sequence[int], rows: Sequence[int]
) -> Cache:
    """Read one prompt into the given rows of a cache.

    A prompt is always read alone, so that what it is batched with cannot change a bit of it.
    """
    width, slots = cache[0]["k"].shape[:2]
    length, bucket = len(prompt), _bucket(len(prompt), slots, 16)
    tokens = np.zeros((1, bucket), np.int32)
    tokens[0, :length] = prompt
    places = np.arange(bucket)
    positions = np.where(places < length, places, -1)[None]
    empty = new_cache(config, 1, slots, cache[0]["k"].dtype)
    _, one = hidden(params, config, jnp.asarray(tokens), jnp.asarray(positions), cache=empty)
    padded = np.full(width, width, np.int32)  # past the end: dropped
    padded[: len(rows)] = rows
    return _spread(cache, one, padded)


@partial(jax.jit, donate_argnums=0)
def _spread(cache: Cache, one: Cache, rows: jax.Array) -> Cache:
    """Copy the cache of one prompt into several rows."""
    return jax.tree.map(lambda many, single: many.at[rows].set(single, mode="drop"), cache, one)


def _decode(
    model: Model, state: _Decoding, sampling: Sampling, steps: int
) -> tuple[_Decoding, np.ndarray, np.ndarray]:
    """Decode `steps` tokens for every row; return ids and log-probabilities `[batch, steps]`."""
    tokens, logprobs = [], []
    for _ in range(steps):
        states, cache = hidden(
            model.params,
            model.config,
            state.token[:, None],
            state.position[:, None],
            cache=state.cache,
        )
        assert cache is not None
        head = {name: model.params[name] for name in ("lm_head", "lm_head_bias")}
        token, position, logprob = _draw(
            head, states, state.position, sampling, model.tokenizer.vocab_size
        )
        state = _Decoding(cache, token, position)
        tokens.append(token)
        logprobs.append(logprob)
    return state, np.stack(tokens, axis=1), np.stack(logprobs, axis=1)


@partial(jax.jit, static_argnames="entries")
def _draw(
    head: Params, states: jax.Array, position: jax.Array, sampling: Sampling, entries: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return each row's next token, its position and its log-probability."""
    following = jnp.where(position >= 0, position + 1, -1)
    scores = mask_padding(logits(head, states[:, 0]), entries)
    token, logprob = sample(scores, sampling, following)
    return token, following, logprob


def _bucket(size: int, limit: int, smallest: int) -> int:
    """Round up to a power of two, so that few shapes are compiled."""
    return min(max(smallest, 1 << (size - 1).bit_length()), limit)


class _Row:
    """One request while it is decoded."""

    def __init__(self, request: Request, model: Model, room: int) -> None:
        self.request = request
        self.model = model
        self.room = room
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.shown = 0
        self.result: Completion | None = None

    def take(self, tokens: Sequence[int], logprobs: Sequence[float]) -> None:
        """Add decoded tokens up to the first reason to stop."""
        limit = min(self.room, self.request.max_new_tokens)
        before = len(self.tokens)
        reason = None
        for token, logprob in zip(tokens, logprobs, strict=True):
            if token == self.model.tokenizer.eos_token_id:
                reason = "end of text"
                break
            self.tokens.append(token)
            self.logprobs.append(logprob)
            if len(self.tokens) == limit:
                reason = "length" if limit == self.request.max_new_tokens else "context"
                break
        if find_cut(self.raw, self.request.stops):
            count = next(
                n
                for n in range(before + 1, len(self.tokens) + 1)
                if find_cut(self.model.tokenizer.decode(self.tokens[:n]), self.request.stops)
            )
            del self.tokens[count:], self.logprobs[count:]
        raw = self.raw
        if cut := find_cut(raw, self.request.stops):
            self._finish(raw[: cut.position], raw, cut.reason)
        elif reason:
            self._finish(raw, raw, reason)

    def _finish(self, text: str, raw: str, reason: str) -> None:
        self.result = Completion(text, raw, reason, tuple(self.tokens), tuple(self.logprobs))

    @property
    def raw(self) -> str:
        return self.model.tokenizer.decode(self.tokens)

    def new_text(self) -> str:
        """Return the text that became certain since the last call."""
        if self.result:
            text = self.result.text
        else:
            raw = self.raw.rstrip("�")  # the first bytes of a character
            text = raw[: settled(raw, self.request.stops)]
        piece = text[self.shown :]
        self.shown = max(self.shown, len(text))
        return piece


def _prompt_tokens(model: Model, request: Request) -> list[int]:
    """Return a request's prompt as it enters the context, at least one token.

    Raises:
        UserError: If it fills the context and may not lose its start.
    """
    tokens = model.tokenizer.encode(request.prompt) or [model.tokenizer.eos_token_id]
    context = model.config.n_positions
    if request.keep_end:
        return tokens[-max(context - request.max_new_tokens, 1) :]
    if len(tokens) >= context:
        raise UserError(
            f"The prompt has {len(tokens)} tokens and the model's context only {context}; "
            "shorten it or choose a model with a longer context."
        )
    return tokens


def generate(
    model: Model, requests: Sequence[Request], on_text: OnText | None = None
) -> list[Completion]:
    """Complete requests together; each result is what the request alone would give.

    Requests with the same prompt share its reading. Rows whose text is complete wait for the
    others.

    Args:
        model: The model.
        requests: Any number, of any lengths.
        on_text: Called with pieces of text as they become certain.

    Raises:
        UserError: If a prompt does not fit the context.
    """
    if not requests:
        return []
    prompts = [_prompt_tokens(model, request) for request in requests]
    context = model.config.n_positions
    longest = max(
        len(p) + min(r.max_new_tokens, context - len(p))
        for p, r in zip(prompts, requests, strict=True)
    )
    slots = _bucket(longest, context, 64)
    rows = [_Row(r, model, context - len(p)) for r, p in zip(requests, prompts, strict=True)]

    width = _bucket(len(requests), 1 << 30, 1)
    padded = [*requests, *([requests[0]] * (width - len(requests)))]
    sampling = _sampling(padded)
    cache = new_cache(model.config, width, slots, model.params["embedding"].dtype)
    token = np.zeros(width, np.int32)
    position = np.full(width, -1, np.int32)
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault(tuple(prompt), []).append(index)
        token[index], position[index] = prompt[-1], len(prompt) - 1
    for prompt, members in groups.items():
        cache = _prefill(model.params, model.config, cache, prompt, members)

    state = _Decoding(cache, jnp.asarray(token), jnp.asarray(position))
    while True:
        for index, row in enumerate(rows):
            if on_text and (piece := row.new_text()):
                on_text(index, piece)
        if all(row.result for row in rows):
            return [row.result for row in rows if row.result]
        done = np.array([bool(row.result) for row in rows] + [True] * (width - len(rows)))
        state = state._replace(position=jnp.where(done, -1, state.position))
        state, tokens, logprobs = _decode(model, state, sampling, CHUNK)
        for row, t, p in zip(rows, tokens.tolist(), logprobs.tolist(), strict=False):
            if row.result is None:
                row.take(t, p)


def _sampling(requests: Sequence[Request]) -> Sampling:
    return Sampling(
        np.array([r.temperature for r in requests], np.float32),  # pyright: ignore
        np.array([r.top_p for r in requests], np.float32),  # pyright: ignore
        np.array([r.top_k for r in requests], np.int32),  # pyright: ignore
        np.array([r.seed for r in requests], np.uint32),  # pyright: ignore
    )
