"""The figures of a run: rates with intervals, and broken down."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jaxformer.evaluation.exam import Exam, Group
from jaxformer.evaluation.samples import Sample
from jaxformer.evaluation.statistics import compare, mean, pass_at_k, rank_correlation

KS = (1, 5, 10, 25, 50, 100)


def figures(
    exam: Exam,
    samples: Sequence[Sample],
    perplexities: Mapping[tuple[str, str], float] | None = None,
) -> dict[str, Any]:
    """Return what is reported of a run, as plain data.

    The pass rate is the mean over problems of the mean over cases of the share of samples that are
    right, as in the CodeGen paper; `pass@k` likewise, by the unbiased estimate for each case.

    Args:
        exam: The benchmark.
        samples: All that was written for it.
        perplexities: Of the prompts, by problem and mode.
    """
    modes: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        modes[sample.key.mode].append(sample)
    if set(modes) == {"function"}:
        return _of_mode(exam.groups, modes["function"])
    found: dict[str, Any] = {}
    for mode in ("multi", "single"):
        if modes[mode]:
            found[mode] = _of_mode(exam.groups, modes[mode])
            of_mode = {p: v for (p, m), v in (perplexities or {}).items() if m == mode}
            if of_mode:
                found[mode]["perplexity"] = _perplexity(of_mode, problem_rates(modes[mode]))
    if "multi" in found and "single" in found:
        multi, single = problem_rates(modes["multi"]), problem_rates(modes["single"])
        both = [name for name in multi if name in single]
        if both:
            found["difference"] = difference([multi[n] for n in both], [single[n] for n in both])
    return found


def difference(first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
    """Return how much the first is ahead of the second on the same problems."""
    found = compare(first, second)
    return {"value": found.value, "interval": [found.low, found.high], "p": found.p}


def problem_rates(samples: Iterable[Sample], k: int = 1) -> dict[str, float]:
    """Return pass@k of each problem, the mean of its cases."""
    cases: dict[str, dict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        cases[sample.key.problem][sample.key.case].append(sample.verdict.passed)
    return {
        name: sum(pass_at_k(len(each), sum(each), k) for each in found.values()) / len(found)
        for name, found in cases.items()
    }


def _of_mode(groups: Sequence[Group], samples: Sequence[Sample]) -> dict[str, Any]:
    rates = problem_rates(samples)
    estimate = mean(list(rates.values()))
    counts = Counter((s.key.problem, s.key.case) for s in samples)
    found: dict[str, Any] = {
        "pass_rate": estimate.value,
        "interval": [estimate.low, estimate.high],
        "problems": len(rates),
        "samples": len(samples),
    }
    for k in KS:
        if k <= min(counts.values()):
            found[f"pass@{k}"] = mean(list(problem_rates(samples, k).values())).value
    found["verdicts"] = dict(Counter(s.verdict.status for s in samples).most_common())
    parts: dict[str, Callable[[Group], object]] = {
        "difficulty": lambda group: group.difficulty,
        "category": lambda group: group.category,
        "turns": lambda group: group.turns,
    }
    for name, part in parts.items():
        named: dict[str, list[float]] = defaultdict(list)
        for group in groups:
            if group.id in rates:
                named[str(part(group))].append(rates[group.id])
        if len(named) > 1:
            found[f"by_{name}"] = {key: _rate(values) for key, values in sorted(named.items())}
    return found


def _rate(values: Sequence[float]) -> dict[str, Any]:
    estimate = mean(values)
    interval = [estimate.low, estimate.high]
    return {"pass_rate": estimate.value, "interval": interval, "problems": len(values)}


def _perplexity(perplexities: Mapping[str, float], rates: Mapping[str, float]) -> dict[str, Any]:
    """Relate the perplexity of problems' prompts to success."""
    both = [name for name in rates if name in perplexities]
    solved = [perplexities[name] for name in both if rates[name] > 0]
    failed = [perplexities[name] for name in both if rates[name] == 0]
    return {
        "mean": sum(perplexities[name] for name in both) / len(both),
        "of_solved_problems": sum(solved) / len(solved) if solved else None,
        "of_unsolved_problems": sum(failed) / len(failed) if failed else None,
        "rank_correlation_with_pass_rate": rank_correlation(
            [perplexities[name] for name in both], [rates[name] for name in both]
        ),
    }
