"""What reports draw: pass rates of runs with their intervals, and perplexity against success."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxformer.data.look import COLOURS
from jaxformer.data.page import short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jaxformer.evaluation.report import Run

MODES = {"multi": "multi-turn", "single": "single-turn", "function": "pass@1"}
WIDTH = 6.4
"""Of a plot, in inches."""


def axes_of(figure: "Figure", labels: tuple[str, str] | None = None) -> Any:
    """Return the axes of a figure with one plot, in the page's style."""
    axes = figure.add_subplot()
    axes.tick_params(length=0)
    axes.set_axisbelow(True)
    if labels:
        axes.set_xlabel(labels[0], color=COLOURS["muted"])
        axes.set_ylabel(labels[1], color=COLOURS["muted"])
        axes.grid(color=COLOURS["grid"], linewidth=0.7)
    return axes


def shade(number: int, many: int) -> float:
    """Return how strong the colour of one of many is, the first the strongest."""
    return 1 - 0.85 * number / max(many, 2)


def log_axis(axes: Any) -> None:
    """Make the lower axis logarithmic, its numbers written out."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
    axes.xaxis.set_minor_formatter(NullFormatter())


def draw_rates(
    axes: Any, xs: Sequence[Any], figures: Sequence[Mapping[str, Any]], **how: Any
) -> None:
    """Draw a line of pass rates with their intervals, in per cent."""
    values = [100 * found["pass_rate"] for found in figures]
    ends = [[100 * end for end in found["interval"]] for found in figures]
    errors = [[v - e[0] for v, e in zip(values, ends, strict=True)],
              [e[1] - v for v, e in zip(values, ends, strict=True)]]  # fmt: skip
    axes.errorbar(xs, values, errors, marker="o", markersize=4, **how)


def _bars(
    rows: Sequence[tuple[str, Sequence[tuple[str, Mapping[str, Any]]]]], legend: Sequence[str]
) -> "Figure":
    """Draw groups of bars with intervals: each row a name and its figures by legend."""
    from matplotlib.figure import Figure

    many = len(legend)
    figure = Figure((WIDTH, 0.5 + 0.16 * len(rows) * (many + 0.9)), layout="constrained")
    axes = axes_of(figure)
    for place, (_, bars) in enumerate(rows):
        for name, figures in bars:
            number = legend.index(name)
            y = place + (number - (many - 1) / 2) * 0.8 / many
            value = 100 * figures["pass_rate"]
            low, high = (100 * end for end in figures["interval"])
            strength = shade(number, many)
            axes.barh(y, value, 0.72 / many, color=COLOURS["accent"], alpha=strength)
            axes.plot([low, high], [y, y], color=COLOURS["ink"], linewidth=1)
            axes.text(high + 1, y, f"{value:.1f}", va="center", color=COLOURS["muted"], fontsize=8)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], color=COLOURS["ink"])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    highest = max((100 * bar["interval"][1] for _, bars in rows for _, bar in bars), default=0)
    axes.set_xlim(0, max(1.12 * highest, 5))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    axes.grid(axis="x", color=COLOURS["grid"], linewidth=0.7)
    if many > 1:
        from matplotlib.patches import Patch

        handles = [
            Patch(color=COLOURS["accent"], alpha=shade(i, many), label=name)
            for i, name in enumerate(legend)
        ]
        figure.legend(handles=handles, loc="outside lower left", frameon=False, ncols=2)
    return figure


def overall(runs: Sequence["Run"], modes: Sequence[str]) -> "Figure":
    """Pass rates of whole runs."""
    rows = [
        (run.name, [(MODES[mode], found) for mode, found in run.modes().items()]) for run in runs
    ]
    return _bars(rows, [MODES[mode] for mode in modes])


def by_part(runs: Sequence["Run"], modes: Sequence[str], part: str) -> "Figure":
    """Pass rates by a part of the problems, such as their difficulty."""
    names: dict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    legend = []
    for run in runs:
        for mode in modes:
            title = MODES[mode] if len(runs) == 1 else f"{run.name}, {MODES[mode]}"
            for value, rate in run.modes().get(mode, {}).get(part, {}).items():
                names[value].append((title, rate))
                if title not in legend:
                    legend.append(title)
    order = {"easy": 0, "medium": 1, "hard": 2}
    rows = sorted(names.items(), key=lambda item: (order.get(item[0], 0), item[0]))
    return _bars([(f"{v} turns" if part == "by_turns" else v, bars) for v, bars in rows], legend)


def perplexity(runs: Sequence["Run"]) -> "Figure":
    """Problems by the perplexity of their prompts and their pass rate."""
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, 3.2), layout="constrained")
    axes = axes_of(figure, ("perplexity of a problem's prompts", "pass rate, %"))
    for number, run in enumerate(runs):
        colour = COLOURS["accent" if number % 2 == 0 else "loss"]
        strength = 0.7 * shade(number // 2, (len(runs) + 1) // 2)
        for mode, marker in (("multi", "o"), ("single", "x")):
            rates = run.rates(mode)
            names = [name for name in rates if (name, mode) in run.perplexities]
            if names:
                axes.scatter(
                    [run.perplexities[name, mode] for name in names],
                    [100 * rates[name] for name in names],
                    s=14, marker=marker, color=colour, alpha=strength,
                    label=f"{run.name}, {MODES[mode]}", linewidths=1,
                )  # fmt: skip
    log_axis(axes)
    figure.legend(loc="outside lower left", frameon=False, ncols=2)
    return figure


def sizes(runs: Sequence["Run"], modes: Sequence[str]) -> "Figure":
    """Pass rate against the number of parameters."""
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, 3.2), layout="constrained")
    axes = axes_of(figure, ("parameters", "pass rate, %"))
    for number, mode in enumerate(modes):
        having = [run for run in runs if run.manifest.parameters and mode in run.modes()]
        having.sort(key=lambda run: run.manifest.parameters)
        draw_rates(
            axes,
            [run.manifest.parameters for run in having],
            [run.modes()[mode] for run in having],
            color=COLOURS["accent" if number == 0 else "loss"],
            label=MODES[mode],
        )
    log_axis(axes)
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside lower left", frameon=False, ncols=2)
    return figure
