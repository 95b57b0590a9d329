"""How likely a model finds a text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxformer.checkpoints import Model
from jaxformer.errors import UserError
from jaxformer.model import Params, hidden, logits


@dataclass(frozen=True)
class Score:
    """The probability of a text, token by token.

    Attributes:
        tokens: Ids.
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


def _logprobs(model: Model, tokens: Sequence[int], bucket: int) -> np.ndarray:
    padded = np.zeros(bucket, np.int32)
    padded[: len(tokens)] = tokens
    places = np.arange(bucket)
    positions = np.where(places < len(tokens), places, -1)[None]
    states, _ = hidden(
        model.params, model.config, jnp.asarray(padded[None]), jnp.asarray(positions)
    )
    return np.asarray(_pick(model.params, states[0, :-1], jnp.asarray(padded[1:])))


@jax.jit
def _pick(params: Params, states: jax.Array, targets: jax.Array) -> jax.Array:
    scores = jax.nn.log_softmax(logits(params, states))
    return jnp.take_along_axis(scores, targets[:, None], axis=-1)[:, 0]


def score(model: Model, texts: Sequence[str], *, keep_end: bool = False) -> list[Score]:
    """Score texts, each by itself.

    Args:
        model: The model.
        texts: Any number of texts.
        keep_end: Whether a text longer than the context loses its start, instead of being an
            error.

    Raises:
        UserError: If a text is longer than the model's context.
    """
    return [_score(model, text, keep_end) for text in texts]


def _score(model: Model, text: str, keep_end: bool) -> Score:
    tokens, spans = model.tokenizer.encode_with_offsets(text)
    context = model.config.n_positions
    if keep_end:
        tokens, spans = tokens[-context:], spans[-context:]
    if len(tokens) > context:
        raise UserError(
            f"The text has {len(tokens)} tokens and the model's context only {context}; "
            "shorten it or choose a model with a longer context."
        )
    if not tokens:
        return Score((), (), ())
    bucket = min(max(16, 1 << (len(tokens) - 1).bit_length()), context)
    known = _logprobs(model, tokens, bucket)[: len(tokens) - 1].tolist()
    return Score(tuple(tokens), tuple(spans), (None, *known))
