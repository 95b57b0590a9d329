"""Prompt perplexity: how well a model understands what it is asked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jaxformer.checkpoints import Model
from jaxformer.generation import score
from jaxformer.transcript import HEADER, Turn, ask, render


@dataclass(frozen=True)
class PromptPerplexity:
    """The perplexity of a conversation's prompts.

    Attributes:
        prompts: Of each prompt.
        whole: Of all prompts together, `exp(-(1/m) Σ log p)` over their m tokens.
        tokens: For each prompt its tokens' texts and natural-log probabilities.
    """

    prompts: tuple[float, ...]
    whole: float
    tokens: tuple[tuple[tuple[str, float], ...], ...]


def prompt_perplexity(model: Model, turns: Sequence[Turn], *, single: bool) -> PromptPerplexity:
    """Measure prompts given all that stands before them.

    Args:
        model: The model.
        turns: The conversation.
        single: Whether the prompts stand alone, one after the other, as in the paper's
            single-turn form, or each after all earlier prompts and their code.

    Returns:
        The figures, over the tokens that touch a prompt's words (the `#` is not among them).
    """
    perplexities, tokens, total = [], [], []
    for index, turn in enumerate(turns):
        if single:
            history = HEADER + "".join(ask(earlier.prompt) for earlier in turns[:index])
        else:
            history = render(turns[:index])
        text = history + ask(turn.prompt)
        [scored] = score(model, [text], keep_end=True)
        start, end = len(text) - 1 - len(turn.prompt), len(text) - 1
        inside = [
            (text[low:high], logprob)
            for (low, high), logprob in zip(scored.spans, scored.logprobs, strict=True)
            if logprob is not None and low < end and high > start
        ]
        tokens.append(tuple(inside))
        total += [logprob for _, logprob in inside]
        perplexities.append(scored.perplexity(start, end) or math.nan)
    return PromptPerplexity(tuple(perplexities), math.exp(-sum(total) / len(total)), tuple(tokens))
