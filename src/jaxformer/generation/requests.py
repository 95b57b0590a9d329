"""What is asked of the engine, and what comes back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from jaxformer.checkpoints import Model
from jaxformer.errors import UserError
from jaxformer.generation.sampling import Sampling
from jaxformer.transcript import Stop


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


def prompt_tokens(model: Model, request: Request) -> list[int]:
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


def sampling_of(requests: Sequence[Request | None]) -> Sampling:
    """Return how each row draws; rows without a request take the likeliest token."""
    idle = Request("", temperature=0.0)
    rows = [request or idle for request in requests]
    return Sampling(
        jax.device_put(np.array([r.temperature for r in rows], np.float32)),
        jax.device_put(np.array([r.top_p for r in rows], np.float32)),
        jax.device_put(np.array([r.top_k for r in rows], np.int32)),
        jax.device_put(np.array([r.seed for r in rows], np.uint32)),
    )
