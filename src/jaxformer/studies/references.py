"""How likely a model finds right programs: a measure that tells models apart that pass nothing."""

import math
from collections.abc import Sequence

from jaxformer.checkpoints import Model
from jaxformer.data.documents import prompt_spans
from jaxformer.evaluation.problems import Problem
from jaxformer.generation import score
from jaxformer.transcript import Turn, render


def reference_losses(model: Model, problems: Sequence[Problem]) -> dict[str, float]:
    """Return by problem the loss of its first case's solution, in nats a byte of code.

    The code of each turn is scored given all prompts and right code before it; prompts are not
    counted. Bytes make models of different tokenizers comparable.
    """
    told = [_turns(problem) for problem in problems]
    found = score(model, [render(turns) for turns in told], keep_end=True)
    return {
        problem.id: _loss(turns, scored.spans, scored.logprobs)
        for problem, turns, scored in zip(problems, told, found, strict=True)
    }


def _turns(problem: Problem) -> tuple[Turn, ...]:
    pairs = zip(problem.filled(0), problem.solved(0), strict=True)
    return tuple(Turn(prompt, code) for prompt, code in pairs)


def _loss(
    turns: tuple[Turn, ...],
    spans: Sequence[tuple[int, int]],
    logprobs: Sequence[float | None],
) -> float:
    asked = prompt_spans(turns)
    prompts = list(zip(asked[::2], asked[1::2], strict=True))
    text = render(turns)
    total, size = 0.0, 0
    for (low, high), logprob in zip(spans, logprobs, strict=True):
        said = any(low < end and high > start for start, end in prompts)
        if logprob is not None and not said:
            total -= logprob
            size += len(text[low:high].encode())
    return total / size if size else math.nan
