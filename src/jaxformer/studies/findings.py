"""The paper's questions, answered from what was measured, with intervals."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path

import numpy as np

from jaxformer.evaluation import perplexities
from jaxformer.evaluation.report import Run, read_runs
from jaxformer.evaluation.statistics import LEVEL, compare, rank_correlation

RESAMPLES = 2000
UNKNOWN = "cannot be told"
MODES = {"multi": "several turns", "single": "one turn"}
"""What reports call each."""


@dataclass(frozen=True)
class Measured:
    """A model after a stage.

    Attributes:
        size: Its name in the ladder.
        stage: The last stage it went through.
        runs: Its programs by yardstick.
        losses: Of right programs by yardstick and problem, in nats a byte.
        prompts: The logarithm of prompt perplexity by yardstick, problem and mode, in nats a token.
    """

    size: str
    stage: str
    runs: Mapping[str, Run]
    losses: Mapping[str, Mapping[str, float]]
    prompts: Mapping[str, Mapping[tuple[str, str], float]]

    @classmethod
    def read(cls, size: str, stage: str, folders: Mapping[str, Path], losses: str) -> "Measured":
        """Read what was measured into a folder for each yardstick."""
        runs = {name: read_runs([folder])[0] for name, folder in folders.items()}
        found = {
            name: json.loads((folder / losses).read_text("utf-8"))
            for name, folder in folders.items()
        }
        prompts = {name: perplexities.nats(folder) for name, folder in folders.items()}
        return cls(size, stage, runs, found, prompts)

    @property
    def parameters(self) -> int:
        """Of the model."""
        return next(iter(self.runs.values())).manifest.parameters

    def loss(self, yardstick: str) -> float:
        """The mean over problems."""
        return float(np.mean(list(self.losses[yardstick].values())))

    def nats(self, yardstick: str, mode: str) -> dict[str, float]:
        """How surprising the prompts of each problem are in a mode, in nats a token."""
        found = self.prompts[yardstick].items()
        return {name: value for (name, in_mode), value in found if in_mode == mode}


@dataclass(frozen=True)
class Finding:
    """An answer.

    Attributes:
        question: The paper's.
        about: Which models it is about.
        yardstick: What they were measured on.
        claim: What the number is.
        value: The number; None where it is not defined, such as for a model that passes nothing.
        low: Lower end of its 95 % interval over problems.
        high: Upper end.
        verdict: `holds`, `does not hold` (the contrary does), or `cannot be told`.
    """

    question: str
    about: str
    yardstick: str
    claim: str
    value: float | None
    low: float | None
    high: float | None
    verdict: str


STAGES = "Does each stage help?"
TURNS = "Do more turns help?"
PERPLEXITY = "Does perplexity predict success?"
SIZE = "Does size help?"


def findings(measured: Sequence[Measured]) -> list[Finding]:
    """Answer all questions.

    Args:
        measured: Size by size from small to large, stage by stage.
    """
    sizes = list(dict.fromkeys(one.size for one in measured))
    stages = list(dict.fromkeys(one.stage for one in measured))
    yardsticks = list(measured[0].runs)
    by = {(one.size, one.stage): one for one in measured}
    last = {size: by[size, stages[-1]] for size in sizes}
    found = []
    for size, (before, after) in product(sizes, pairwise(stages)):
        about = f"{size}, {after} after {before}"
        found += _step(STAGES, about, by[size, before], by[size, after])
    for size, yardstick in product(sizes, yardsticks):
        found += _turns(size, yardstick, last[size])
    for size, yardstick in product(sizes, yardsticks):
        found += _perplexity(size, yardstick, last[size])
    for smaller, larger in pairwise(sizes):
        found += _step(SIZE, f"{larger} after {smaller}", last[smaller], last[larger])
    return found


def _step(question: str, about: str, before: Measured, after: Measured) -> Iterator[Finding]:
    for yardstick in before.runs:
        yield _ahead(
            question, about, yardstick, "hundredths of a nat a byte of right programs gained",
            before.losses[yardstick], after.losses[yardstick],
        )  # fmt: skip
        yield _ahead(
            question, about, yardstick, "points of pass rate in several turns gained",
            after.runs[yardstick].rates("multi"), before.runs[yardstick].rates("multi"),
        )  # fmt: skip


def _turns(size: str, yardstick: str, model: Measured) -> Iterator[Finding]:
    run = model.runs[yardstick]
    yield _ahead(
        TURNS, size, yardstick, "points of pass rate that several turns are ahead of one",
        run.rates("multi"), run.rates("single"),
    )  # fmt: skip
    yield _ahead(
        TURNS, size, yardstick,
        "hundredths of a nat a token that prompts are likelier in several turns",
        model.nats(yardstick, "single"), model.nats(yardstick, "multi"),
    )  # fmt: skip


def _perplexity(size: str, yardstick: str, model: Measured) -> Iterator[Finding]:
    run = model.runs[yardstick]
    for mode, name in MODES.items():
        about, what = f"{size}, {name}", "pass rate"
        yield _correlation(about, yardstick, model.nats(yardstick, mode), what, run.rates(mode))
    likely = {name: -loss for name, loss in model.losses[yardstick].items()}
    about, what = f"{size}, {MODES['multi']}", "likelihood of right programs"
    yield _correlation(about, yardstick, model.nats(yardstick, "multi"), what, likely)


def _ahead(
    question: str,
    about: str,
    yardstick: str,
    claim: str,
    first: Mapping[str, float],
    second: Mapping[str, float],
) -> Finding:
    """Compare problem by problem; the claim is that the first is larger."""
    names = [name for name in first if name in second]
    by = compare([100 * first[n] for n in names], [100 * second[n] for n in names])
    # With few differences a bootstrap interval is too narrow; the permutation test is exact.
    verdict = _verdict(by.low, by.high) if by.p < 1 - LEVEL else UNKNOWN
    return Finding(question, about, yardstick, claim, by.value, by.low, by.high, verdict)


def _verdict(low: float, high: float) -> str:
    return "holds" if low > 0 else "does not hold" if high < 0 else UNKNOWN


def _correlation(
    about: str, yardstick: str, nats: Mapping[str, float], what: str, success: Mapping[str, float]
) -> Finding:
    """Relate prompt perplexity to success; the claim is that one falls as the other rises."""
    names = [name for name in success if name in nats]
    surprise = np.array([nats[name] for name in names])
    succeeded = np.array([success[name] for name in names])
    claim = f"rank correlation of low prompt perplexity with the {what}"
    value = rank_correlation(surprise.tolist(), succeeded.tolist())
    if value is None:
        return Finding(PERPLEXITY, about, yardstick, claim, None, None, None, UNKNOWN)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        some = rng.integers(len(names), size=len(names))
        found = rank_correlation(surprise[some].tolist(), succeeded[some].tolist())
        drawn.append(0.0 if found is None else -found)  # all the same: perplexity tells nothing
    low, high = map(float, np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    return Finding(PERPLEXITY, about, yardstick, claim, -value, low, high, _verdict(low, high))
