"""The paper's questions, answered from what was measured, with intervals."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from jaxformer.evaluation.report import Run, read_runs
from jaxformer.evaluation.statistics import LEVEL, compare, rank_correlation

RESAMPLES = 2000
UNKNOWN = "cannot be told"


@dataclass(frozen=True)
class Measured:
    """A model after a stage.

    Attributes:
        size: Its name in the ladder.
        stage: The last stage it went through.
        run: Its programs.
        losses: Of right programs by problem, in nats a byte.
    """

    size: str
    stage: str
    run: Run
    losses: Mapping[str, float]

    @classmethod
    def read(cls, size: str, stage: str, folder: Path, losses: str) -> "Measured":
        """Read what was measured into a folder."""
        [run] = read_runs([folder])
        return cls(size, stage, run, json.loads((folder / losses).read_text("utf-8")))

    @property
    def parameters(self) -> int:
        """Of the model."""
        return self.run.manifest.parameters

    @property
    def loss(self) -> float:
        """The mean over problems."""
        return float(np.mean(list(self.losses.values())))


@dataclass(frozen=True)
class Finding:
    """An answer.

    Attributes:
        question: The paper's.
        about: Which models it is about.
        claim: What the number is.
        value: The number; None where it is not defined, such as for a model that passes nothing.
        low: Lower end of its 95 % interval over problems.
        high: Upper end.
        verdict: `holds`, `does not hold` (the contrary does), or `cannot be told`.
    """

    question: str
    about: str
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
    by = {(one.size, one.stage): one for one in measured}
    found = []
    for size in sizes:
        for before, after in pairwise(stages):
            about = f"{size}, {after} after {before}"
            found += _step(STAGES, about, by[size, before], by[size, after])
    for size in sizes:
        last = by[size, stages[-1]]
        multi, single = last.run.rates("multi"), last.run.rates("single")
        claim = "points of pass rate that several turns are ahead of one"
        found.append(_ahead(TURNS, size, claim, multi, single))
    found += [
        _correlation(f"{size}, {mode}", by[size, stages[-1]], mode)
        for size in sizes
        for mode in ("multi", "single")
    ]
    for smaller, larger in pairwise(sizes):
        about = f"{larger} after {smaller}"
        found += _step(SIZE, about, by[smaller, stages[-1]], by[larger, stages[-1]])
    return found


def _step(question: str, about: str, before: Measured, after: Measured) -> list[Finding]:
    return [
        _ahead(
            question, about, "hundredths of a nat a byte of right programs gained",
            before.losses, after.losses,
        ),
        _ahead(
            question, about, "points of pass rate in several turns gained",
            after.run.rates("multi"), before.run.rates("multi"),
        ),
    ]  # fmt: skip


def _ahead(
    question: str,
    about: str,
    claim: str,
    first: Mapping[str, float],
    second: Mapping[str, float],
) -> Finding:
    """Compare problem by problem; the claim is that the first is larger."""
    names = [name for name in first if name in second]
    by = compare([100 * first[n] for n in names], [100 * second[n] for n in names])
    # With few differences a bootstrap interval is too narrow; the permutation test is exact.
    verdict = _verdict(by.low, by.high) if by.p < 1 - LEVEL else UNKNOWN
    return Finding(question, about, claim, by.value, by.low, by.high, verdict)


def _verdict(low: float, high: float) -> str:
    return "holds" if low > 0 else "does not hold" if high < 0 else UNKNOWN


def _correlation(about: str, one: Measured, mode: str) -> Finding:
    """Relate prompt perplexity to the pass rate; the claim is that they fall together."""
    rates = one.run.rates(mode)
    names = [name for name in rates if (name, mode) in one.run.perplexities]
    perplexities = np.array([one.run.perplexities[name, mode] for name in names])
    passed = np.array([rates[name] for name in names])
    claim = "rank correlation of low prompt perplexity with the pass rate"
    value = rank_correlation(perplexities.tolist(), passed.tolist())
    if value is None:
        return Finding(PERPLEXITY, about, claim, None, None, None, UNKNOWN)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        some = rng.integers(len(names), size=len(names))
        found = rank_correlation(perplexities[some].tolist(), passed[some].tolist())
        drawn.append(0.0 if found is None else -found)  # none passes: perplexity tells nothing
    low, high = map(float, np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    return Finding(PERPLEXITY, about, claim, -value, low, high, _verdict(low, high))
