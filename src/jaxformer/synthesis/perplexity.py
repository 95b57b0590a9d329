"""Prompt perplexity: how well a model understands what it is asked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jaxformer.checkpoints import Model
from jaxformer.generation import Score, score
from jaxformer.transcript import HEADER, Turn, ask


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
    """Measure the prompts of one conversation; see `prompt_perplexities`."""
    [found] = prompt_perplexities(model, [turns], single=single)
    return found


def prompt_perplexities(
    model: Model, conversations: Sequence[Sequence[Turn]], *, single: bool
) -> list[PromptPerplexity]:
    """Measure the prompts of conversations given all that stands before them.

    Args:
        model: The model.
        conversations: Any number.
        single: Whether the prompts stand alone, one after the other, as in the paper's
            single-turn form, or each after all earlier prompts and their code.

    Returns:
        The figures, over the tokens that touch a prompt's words (the `#` is not among them).
    """
    texts: list[str] = []
    ends: list[list[tuple[int, int]]] = []
    for turns in conversations:
        text, own = HEADER, []
        for turn in turns:
            text += ask(turn.prompt)
            own.append((len(texts), len(text) - 1))
            texts.append(text)
            text += "" if single else f"{turn.code}\n\n"
        if len(model.tokenizer.encode(texts[-1])) <= model.config.n_positions:
            del texts[own[0][0] : -1]  # the last holds all others, and is read once
            own = [(len(texts) - 1, end) for _, end in own]
        ends.append(own)
    scores = score(model, texts, keep_end=True)
    return [
        _measured(
            [(turn, texts[i], scores[i], end) for turn, (i, end) in zip(turns, own, strict=True)]
        )
        for turns, own in zip(conversations, ends, strict=True)
    ]


def _measured(scored: Sequence[tuple[Turn, str, Score, int]]) -> PromptPerplexity:
    """Take each prompt's tokens out of a scored text in which the prompt ends at a character."""
    perplexities, tokens, total = [], [], []
    for turn, text, found, end in scored:
        start = end - len(turn.prompt)
        inside = [
            (text[low:high], logprob)
            for (low, high), logprob in zip(found.spans, found.logprobs, strict=True)
            if logprob is not None and low < end and high > start
        ]
        tokens.append(tuple(inside))
        total += [logprob for _, logprob in inside]
        perplexities.append(found.perplexity(start, end) or math.nan)
    return PromptPerplexity(tuple(perplexities), math.exp(-sum(total) / len(total)), tuple(tokens))
