"""A study as a page: tables, figures and findings."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxformer.data import look
from jaxformer.data.look import COLOURS
from jaxformer.data.page import short
from jaxformer.evaluation.report import log_axis
from jaxformer.studies.findings import Finding, Measured
from jaxformer.studies.ladder import Ladder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 5.6, 3.0
"""Of a plot, in inches."""
MODES = {"multi": "several turns", "single": "one turn"}


def render(ladder: Ladder, measured: Sequence[Measured], found: Sequence[Finding]) -> str:
    """Return the page.

    Raises:
        UserError: If matplotlib or Jinja is not installed.
    """
    stages = list(dict.fromkeys(one.stage for one in measured))
    last = [one for one in measured if one.stage == stages[-1]]
    plots: dict[str, Callable[[], Figure]] = {
        "stages": lambda: _by_stage(measured, stages),
        "losses": lambda: _losses(measured, stages),
        "scaling": lambda: _scaling(last),
        "turns": lambda: _turns(last[-1]),
        "perplexity": lambda: _perplexity(last[-1]),
    }
    questions: dict[str, list[Finding]] = {}
    for finding in found:
        questions.setdefault(finding.question, []).append(finding)
    return look.render(
        "jaxformer.studies", "report.html", plots, {"count": "{:,}".format},
        ladder=ladder, measured=measured, questions=questions, modes=MODES, largest=last[-1],
    )  # fmt: skip


def _axes(labels: tuple[str, str]) -> tuple["Figure", Any]:
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(length=0)
    axes.set_axisbelow(True)
    axes.set_xlabel(labels[0], color=COLOURS["muted"])
    axes.set_ylabel(labels[1], color=COLOURS["muted"])
    axes.grid(color=COLOURS["grid"], linewidth=0.7)
    return figure, axes


def _line(
    axes: Any, xs: Sequence[Any], figures: Sequence[Mapping[str, Any]], label: str, **how: Any
) -> None:
    """Draw pass rates with their intervals."""
    values = [100 * one["pass_rate"] for one in figures]
    below = [v - 100 * one["interval"][0] for v, one in zip(values, figures, strict=True)]
    above = [100 * one["interval"][1] - v for v, one in zip(values, figures, strict=True)]
    axes.errorbar(xs, values, [below, above], marker="o", markersize=4, label=label, **how)


def _shade(number: int, many: int) -> float:
    return 1 - 0.7 * (many - 1 - number) / max(many, 2)


def _sizes(measured: Sequence[Measured]) -> list[str]:
    return list(dict.fromkeys(one.size for one in measured))


def _legend(figure: "Figure") -> None:
    figure.legend(loc="outside lower left", frameon=False, ncols=4)


def _by_stage(measured: Sequence[Measured], stages: Sequence[str]) -> "Figure":
    figure, axes = _axes(("after stage", "pass rate in several turns, %"))
    sizes = _sizes(measured)
    for number, size in enumerate(sizes):
        figures = [one.run.modes()["multi"] for one in measured if one.size == size]
        shade = _shade(number, len(sizes))
        places = [place + 0.06 * (number - len(sizes) / 2) for place in range(len(stages))]
        _line(axes, places, figures, size, color=COLOURS["accent"], alpha=shade)
    axes.set_xticks(range(len(stages)), stages)
    axes.set_ylim(bottom=0)
    _legend(figure)
    return figure


def _losses(measured: Sequence[Measured], stages: Sequence[str]) -> "Figure":
    figure, axes = _axes(("parameters", "loss of right programs, nats a byte"))
    for number, stage in enumerate(stages):
        some = [one for one in measured if one.stage == stage]
        shade = _shade(number, len(stages))
        xs, ys = [one.parameters for one in some], [one.loss for one in some]
        axes.plot(xs, ys, "o-", markersize=4, color=COLOURS["accent"], alpha=shade, label=stage)
    _by_parameters(axes, measured)
    _legend(figure)
    return figure


def _scaling(last: Sequence[Measured]) -> "Figure":
    figure, axes = _axes(("parameters", "pass rate after the last stage, %"))
    for mode, colour in (("multi", "accent"), ("single", "loss")):
        figures = [one.run.modes()[mode] for one in last]
        sizes = [one.parameters for one in last]
        _line(axes, sizes, figures, MODES[mode], color=COLOURS[colour])
    _by_parameters(axes, last)
    axes.set_ylim(bottom=0)
    _legend(figure)
    return figure


def _by_parameters(axes: Any, measured: Sequence[Measured]) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    sizes = sorted({one.parameters for one in measured})
    axes.set_xscale("log")
    axes.set_xticks(sizes, [short(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _turns(one: Measured) -> "Figure":
    figure, axes = _axes(("turns of the problem", f"pass rate of {one.size}, %"))
    for mode, colour in (("multi", "accent"), ("single", "loss")):
        parts = one.run.modes()[mode].get("by_turns", {})
        order = sorted(parts, key=int)
        _line(axes, order, [parts[n] for n in order], MODES[mode], color=COLOURS[colour])
    axes.set_ylim(bottom=0)
    _legend(figure)
    return figure


def _perplexity(one: Measured) -> "Figure":
    figure, axes = _axes(("perplexity of a problem's prompts", f"pass rate of {one.size}, %"))
    for mode, colour in (("multi", "accent"), ("single", "loss")):
        rates = one.run.rates(mode)
        names = [name for name in rates if (name, mode) in one.run.perplexities]
        axes.scatter(
            [one.run.perplexities[name, mode] for name in names],
            [100 * rates[name] for name in names],
            s=14, alpha=0.6, color=COLOURS[colour], label=MODES[mode], linewidths=0,
        )  # fmt: skip
    log_axis(axes)
    _legend(figure)
    return figure
