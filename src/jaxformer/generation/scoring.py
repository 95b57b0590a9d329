"""How likely a model finds a text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxformer.checkpoints import Model
from jaxformer.errors import UserError
from jaxformer.generation.decoding import PIECE, bucket
from jaxformer.model import CodeGenConfig, Params
from jaxformer.model.inference import advance, empty_cache, head_of, scores

BATCH = 512
"""Tokens that are scored at one time; each needs a number for every entry of the vocabulary."""


@dataclass(frozen=True)
class Score:
    """The probability of a text, token by token.

    Attributes:
        tokens: Ids; none where an endpoint scored, which does not tell them.
        spans: For each token the half-open range of characters that it stands for.
        logprobs: The natural-log probability of each token given those before it; None for the
            first, which has none before it.
    """

    tokens: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    logprobs: tuple[float | None, ...]

    def perplexity(self, start: int = 0, end: int | None = None) -> float | None:
        """Return `exp(-mean)` of the log-probabilities of the tokens that touch a range of text.

        Args:
            start: First character of the range.
            end: The character behind its last; the end of the text if not given.

        Returns:
            The perplexity, or None where no token in the range has one before it.
        """
        end = max((high for _, high in self.spans), default=0) if end is None else end
        inside = [
            logprob
            for (low, high), logprob in zip(self.spans, self.logprobs, strict=True)
            if logprob is not None and low < end and high > start
        ]
        return math.exp(-sum(inside) / len(inside)) if inside else None


def score(model: Model, texts: Sequence[str], *, keep_end: bool = False) -> list[Score]:
    """Score texts, many together.

    Args:
        model: The model.
        texts: Any number of texts.
        keep_end: Whether a text longer than the context loses its start, instead of being an
            error.

    Raises:
        UserError: If a text is longer than the model's context.
    """
    encoded = [_encode(model, text, keep_end) for text in texts]
    order = sorted(range(len(texts)), key=lambda i: len(encoded[i][0]))
    done: dict[int, Score] = {}
    for batch in _batches([(i, len(encoded[i][0])) for i in order], model.config.n_positions):
        found = _logprobs(model, [encoded[i][0] for i in batch])
        for i, logprobs in zip(batch, found, strict=True):
            tokens, spans = encoded[i]
            known = (None, *logprobs) if tokens else ()
            done[i] = Score(tuple(tokens), tuple(spans), known)
    return [done[i] for i in range(len(texts))]


def perplexity(model: Model, texts: Sequence[str]) -> float:
    """Return `exp(-mean)` of the log-probabilities of all tokens but the first of each text.

    Raises:
        UserError: If no text has two tokens, or one is longer than the context.
    """
    known = [logprob for one in score(model, texts) for logprob in one.logprobs[1:]]
    if not known:
        raise UserError("Perplexity needs a text of two tokens at least.")
    return math.exp(-sum(logprob or 0.0 for logprob in known) / len(known))


def _encode(
    model: Model, text: str, keep_end: bool
) -> tuple[Sequence[int], Sequence[tuple[int, int]]]:
    tokens, spans = model.tokenizer.encode_with_offsets(text)
    context = model.config.n_positions
    if keep_end:
        tokens, spans = tokens[-context:], spans[-context:]
    if len(tokens) > context:
        raise UserError(
            f"The text has {len(tokens)} tokens and the model's context only {context}; "
            "shorten it or choose a model with a longer context."
        )
    return tokens, spans


def _batches(lengths: Sequence[tuple[int, int]], context: int) -> list[list[int]]:
    """Put numbers with rising lengths into batches of at most `BATCH` tokens, padding included."""
    batches: list[list[int]] = []
    for number, length in lengths:
        slots = bucket(length, context, 16)
        if not batches or bucket(len(batches[-1]) + 1, BATCH) * slots > BATCH:
            batches.append([])
        batches[-1].append(number)
    return batches


def _logprobs(model: Model, texts: Sequence[Sequence[int]]) -> list[list[float]]:
    """Return the log-probability of every token but the first, text by text."""
    longest = max(map(len, texts))
    if longest < 2:
        return [[] for _ in texts]
    slots = bucket(longest, model.config.n_positions, 16)
    rows = bucket(len(texts), BATCH)
    tokens, positions = np.zeros((rows, slots + 1), np.int32), np.full((rows, slots), -1, np.int32)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = text
        positions[row, : len(text)] = np.arange(len(text))
    cache = empty_cache(model.params, model.config, rows, slots)
    head = head_of(model.params)
    found: list[np.ndarray] = []
    for start in range(0, slots, PIECE):
        piece = slice(start, min(start + PIECE, slots))
        states, cache = advance(
            model.params, model.config, tokens[:, piece], positions[:, piece], cache
        )
        following = jax.device_put(tokens[:, piece.start + 1 : piece.stop + 1])
        found.append(np.asarray(_pick(head, model.config, states, following)))
    whole = np.concatenate(found, axis=1)
    return [whole[row, : len(text) - 1].tolist() for row, text in enumerate(texts)]


@partial(jax.jit, static_argnames="config")
def _pick(head: Params, config: CodeGenConfig, states: jax.Array, targets: jax.Array) -> jax.Array:
    found = jax.nn.log_softmax(scores(head, config, states.reshape(-1, states.shape[-1])))
    return jnp.take_along_axis(found, targets.reshape(-1, 1), axis=-1).reshape(targets.shape)
