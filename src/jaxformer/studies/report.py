"""A study as a page: tables, figures and findings."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from jaxformer.data import look
from jaxformer.data.look import COLOURS
from jaxformer.data.page import short
from jaxformer.evaluation import plots
from jaxformer.studies.findings import MODES, Finding, Measured
from jaxformer.studies.ladder import Ladder
from jaxformer.studies.yardsticks import YARDSTICKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 5.6, 3.0
"""Of a plot, in inches."""


def render(ladder: Ladder, measured: Sequence[Measured], found: Sequence[Finding]) -> str:
    """Return the page.

    Raises:
        UserError: If matplotlib or Jinja is not installed.
    """
    stages = list(dict.fromkeys(one.stage for one in measured))
    last = [one for one in measured if one.stage == stages[-1]]
    drawn: dict[str, Callable[[], Figure]] = {}
    for name in YARDSTICKS:
        drawn |= {
            f"stages_{name}": partial(_by_stage, measured, stages, name),
            f"losses_{name}": partial(_losses, measured, stages, name),
            f"sizes_{name}": partial(plots.sizes, [one.runs[name] for one in last], tuple(MODES)),
            f"turns_{name}": partial(_turns, last[-1], name),
            f"perplexity_{name}": partial(plots.perplexity, [last[-1].runs[name]]),
        }
    questions: dict[str, list[Finding]] = {}
    for finding in found:
        questions.setdefault(finding.question, []).append(finding)
    return look.render(
        "jaxformer.studies", "report.html", drawn, {"count": "{:,}".format},
        ladder=ladder, measured=measured, questions=questions, modes=MODES, largest=last[-1],
        yardsticks=YARDSTICKS,
    )  # fmt: skip


def _axes(labels: tuple[str, str]) -> tuple["Figure", Any]:
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, HEIGHT), layout="constrained")
    return figure, plots.axes_of(figure, labels)


def _sizes(measured: Sequence[Measured]) -> list[str]:
    return list(dict.fromkeys(one.size for one in measured))


def _legend(figure: "Figure") -> None:
    figure.legend(loc="outside lower left", frameon=False, ncols=4)


def _by_stage(measured: Sequence[Measured], stages: Sequence[str], name: str) -> "Figure":
    figure, axes = _axes(("after stage", "pass rate in several turns, %"))
    sizes = _sizes(measured)
    for number, size in enumerate(sizes):
        figures = [one.runs[name].modes()["multi"] for one in measured if one.size == size]
        shade = plots.shade(len(sizes) - 1 - number, len(sizes))
        places = [place + 0.06 * (number - len(sizes) / 2) for place in range(len(stages))]
        plots.draw_rates(axes, places, figures, label=size, color=COLOURS["accent"], alpha=shade)
    axes.set_xticks(range(len(stages)), stages)
    axes.set_ylim(bottom=0)
    _legend(figure)
    return figure


def _losses(measured: Sequence[Measured], stages: Sequence[str], name: str) -> "Figure":
    figure, axes = _axes(("parameters", "loss of right programs, nats a byte"))
    for number, stage in enumerate(stages):
        some = [one for one in measured if one.stage == stage]
        shade = plots.shade(len(stages) - 1 - number, len(stages))
        xs, ys = [one.parameters for one in some], [one.loss(name) for one in some]
        axes.plot(xs, ys, "o-", markersize=4, color=COLOURS["accent"], alpha=shade, label=stage)
    _by_parameters(axes, measured)
    _legend(figure)
    return figure


def _by_parameters(axes: Any, measured: Sequence[Measured]) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    sizes = sorted({one.parameters for one in measured})
    axes.set_xscale("log")
    axes.set_xticks(sizes, [short(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _turns(one: Measured, name: str) -> "Figure":
    figure, axes = _axes(("turns of the problem", f"pass rate of {one.size}, %"))
    for mode, colour in (("multi", "accent"), ("single", "loss")):
        parts = one.runs[name].modes()[mode].get("by_turns", {})
        order = sorted(parts, key=int)
        figures = [parts[n] for n in order]
        plots.draw_rates(axes, order, figures, label=MODES[mode], color=COLOURS[colour])
    axes.set_ylim(bottom=0)
    _legend(figure)
    return figure
