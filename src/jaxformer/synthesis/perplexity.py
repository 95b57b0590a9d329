"""Prompt perplexity: how well a model understands what it is asked."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from jaxformer.checkpoints import Model
from jaxformer.generation import Score, score
from jaxformer.transcript import HEADER, Turn, ask

Scorer = Callable[[Sequence[str]], list[Score]]
"""Scores texts, such as `generation.score` with a model."""


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
    [found] = prompt_perplexities(partial(score, model, keep_end=True), [turns], single=single)
    return found


def prompt_perplexities(
    scorer: Scorer, conversations: Sequence[Sequence[Turn]], *, single: bool
) -> list[PromptPerplexity]:
    """Measure the prompts of conversations given all that stands before them.

    Args:
        scorer: Scores texts; one longer than the context loses its start.
        conversations: Any number.
        single: Whether the prompts stand alone, one after the other, as in the paper's
            single-turn form, or each after all earlier prompts and their code.

    Returns:
        The figures, over the tokens that touch a prompt's words (the `#` is not among them).
    """
    told = [_told(turns, single) for turns in conversations]
    whole = scorer([texts[-1] for texts in told])  # the last holds all others
    cut = [i for i, found in enumerate(whole) if found.spans[0][0] > 0]
    parts = iter(scorer([text for i in cut for text in told[i]]) if cut else ())
    measured = []
    for i, (turns, texts) in enumerate(zip(conversations, told, strict=True)):
        scores = [next(parts) for _ in texts] if i in cut else [whole[i]] * len(texts)
        measured.append(
            _measured(
                [
                    (turn, text, found, len(text) - 1)
                    for turn, text, found in zip(turns, texts, scores, strict=True)
                ]
            )
        )
    return measured


def _told(turns: Sequence[Turn], single: bool) -> list[str]:
    """Return for each prompt the text up to its end."""
    texts, text = [], HEADER
    for turn in turns:
        text += ask(turn.prompt)
        texts.append(text)
        text += "" if single else f"{turn.code}\n\n"
    return texts


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
