"""Plain completion: the simplest face of the engine."""

from collections.abc import Sequence
from dataclasses import replace

from jaxformer.checkpoints import Model
from jaxformer.generation.engine import generate
from jaxformer.generation.requests import Completion, OnText, Request
from jaxformer.transcript import Stop


def complete(
    model: Model,
    prompt: str,
    *,
    max_new_tokens: int = 128,
    n: int = 1,
    temperature: float = 0.2,
    top_p: float = 0.95,
    top_k: int = 0,
    seed: int = 0,
    stop: Sequence[str] = (),
    on_text: OnText | None = None,
) -> list[Completion]:
    """Return `n` completions of a prompt; sample `i` is the one that seed `seed + i` gives.

    Args:
        model: The model.
        prompt: The text to continue.
        max_new_tokens: At most so many tokens each.
        n: How many.
        temperature: 0 takes the likeliest token each time.
        top_p: Draw among the fewest tokens whose probabilities reach this sum.
        top_k: Draw among this many likeliest tokens; 0 for all.
        seed: Of the first sample.
        stop: Texts before which a completion ends.
        on_text: Called with a sample's number and each piece of its text as it becomes certain.

    Raises:
        UserError: If a parameter is out of range or the prompt does not fit the context.
    """
    stops = tuple(Stop(text) for text in stop if text)
    first = Request(prompt, max_new_tokens, temperature, top_p, top_k, seed, stops)
    requests = [replace(first, seed=(seed + i) % 2**32) for i in range(n)]
    return generate(model, requests, on_text)
