"""Runs side by side: tables, plots and transcripts, as one page and as data."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxformer.data import look
from jaxformer.data.look import COLOURS
from jaxformer.data.page import short
from jaxformer.errors import UserError
from jaxformer.evaluation import perplexities
from jaxformer.evaluation.evaluate import FIGURES
from jaxformer.evaluation.figures import difference, problem_rates
from jaxformer.evaluation.files import read_object
from jaxformer.evaluation.manifest import Manifest, read_manifest
from jaxformer.evaluation.paper import TABLES
from jaxformer.evaluation.samples import FILE, Sample, read_samples

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODES = {"multi": "multi-turn", "single": "single-turn", "function": "pass@1"}
PARTS = {"by_difficulty": "difficulty", "by_category": "category", "by_turns": "turns"}
WIDTH = 6.4
"""Of a plot, in inches."""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        name: Its folder's.
        manifest: Its settings.
        figures: As `evaluate` printed them.
        samples: All programs.
        perplexities: Of the prompts, by problem and mode.
    """

    name: str
    manifest: Manifest
    figures: dict[str, Any]
    samples: list[Sample]
    perplexities: dict[tuple[str, str], float]

    def modes(self) -> dict[str, dict[str, Any]]:
        """Return the figures of each mode."""
        found = {mode: self.figures[mode] for mode in ("multi", "single") if mode in self.figures}
        return found or {"function": self.figures}

    def rates(self, mode: str) -> dict[str, float]:
        """Return the pass rate of each problem."""
        return problem_rates(sample for sample in self.samples if sample.key.mode == mode)


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read finished runs of one benchmark.

    Raises:
        UserError: If a folder is no finished run, or of another benchmark than the first.
    """
    runs = []
    for folder in folders:
        manifest = read_manifest(folder)
        if not (folder / FIGURES).exists():
            raise UserError(f"{folder} is not finished; give its evaluate command again.")
        samples = read_samples(folder / FILE)
        figures = read_object(folder / FIGURES)
        name = folder.resolve().name
        runs.append(Run(name, manifest, figures, samples, perplexities.read(folder)))
    for run, folder in zip(runs, folders, strict=True):
        first = runs[0].manifest
        if (run.manifest.benchmark, run.manifest.problems) != (first.benchmark, first.problems):
            raise UserError(
                f"{folder} is of {run.manifest.benchmark} with other problems than {folders[0]}; "
                "compare runs of the same."
            )
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise UserError("Two runs have the same name; give folders with different names.")
    return runs


def as_data(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the figures of runs, and how they compare, as plain data."""
    return {
        "benchmark": runs[0].manifest.benchmark,
        "runs": {run.name: run.figures | {"parameters": run.manifest.parameters} for run in runs},
        "comparisons": comparisons(runs),
        "paper": TABLES.get(runs[0].manifest.benchmark, {}),
    }


def comparisons(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Compare every run with the first, mode by mode, on the same problems."""
    found = []
    for run in runs[1:]:
        for mode in run.modes():
            if mode in runs[0].modes():
                first, second = runs[0].rates(mode), run.rates(mode)
                names = [name for name in first if name in second]
                by = difference([second[n] for n in names], [first[n] for n in names])
                found.append({"run": run.name, "than": runs[0].name, "mode": mode} | by)
    return found


def render(runs: Sequence[Run]) -> str:
    """Return the report as one HTML page; all text of models is escaped in it.

    Raises:
        UserError: If matplotlib or Jinja is not installed.
    """
    modes = list(dict.fromkeys(mode for run in runs for mode in run.modes()))
    plots: dict[str, Callable[[], Figure]] = {"overall": lambda: _overall(runs, modes)}
    for part in PARTS:
        if any(part in figures for run in runs for figures in run.modes().values()):
            plots[part] = lambda part=part: _by_part(runs, modes, part)
    if any(run.perplexities for run in runs):
        plots["perplexity"] = lambda: _perplexity(runs)
    if len({run.manifest.parameters for run in runs} - {0}) > 1:
        plots["sizes"] = lambda: _sizes(runs, modes)
    return look.render(
        "jaxformer.evaluation", "report.html", plots,
        {"percent": "{:.2f} %".format, "count": "{:,}".format},
        runs=runs, modes=MODES, parts=PARTS, comparisons=comparisons(runs),
        paper=TABLES.get(runs[0].manifest.benchmark, {}), problems=_transcripts(runs),
    )  # fmt: skip


def _transcripts(runs: Sequence[Run]) -> dict[str, list[tuple[str, Sample]]]:
    """Return by problem a right and a wrong program of each run and mode, as far as there are."""
    found: dict[str, list[tuple[str, Sample]]] = defaultdict(list)
    for run in runs:
        seen = set()
        for sample in run.samples:
            kind = (sample.key.problem, sample.key.mode, sample.verdict.passed)
            if kind not in seen:
                seen.add(kind)
                found[sample.key.problem].append((run.name, sample))
    return dict(found)


# Plots


def _axes(figure: "Figure", labels: tuple[str, str] | None = None) -> Any:
    axes = figure.add_subplot()
    axes.tick_params(length=0)
    axes.set_axisbelow(True)
    if labels:
        axes.set_xlabel(labels[0], color=COLOURS["muted"])
        axes.set_ylabel(labels[1], color=COLOURS["muted"])
        axes.grid(color=COLOURS["grid"], linewidth=0.7)
    return axes


def _shade(number: int, many: int) -> float:
    """Return how strong the colour of one of many is, the first the strongest."""
    return 1 - 0.85 * number / max(many, 2)


def log_axis(axes: Any) -> None:
    """Make the lower axis logarithmic, its numbers written out."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _bars(
    rows: Sequence[tuple[str, Sequence[tuple[str, Mapping[str, Any]]]]], legend: Sequence[str]
) -> "Figure":
    """Draw groups of bars with intervals: each row a name and its figures by legend."""
    from matplotlib.figure import Figure

    many = len(legend)
    figure = Figure((WIDTH, 0.5 + 0.16 * len(rows) * (many + 0.9)), layout="constrained")
    axes = _axes(figure)
    for place, (_, bars) in enumerate(rows):
        for name, figures in bars:
            number = legend.index(name)
            y = place + (number - (many - 1) / 2) * 0.8 / many
            value = 100 * figures["pass_rate"]
            low, high = (100 * end for end in figures["interval"])
            shade = _shade(number, many)
            axes.barh(y, value, 0.72 / many, color=COLOURS["accent"], alpha=shade)
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
            Patch(color=COLOURS["accent"], alpha=_shade(i, many), label=name)
            for i, name in enumerate(legend)
        ]
        figure.legend(handles=handles, loc="outside lower left", frameon=False, ncols=2)
    return figure


def _overall(runs: Sequence[Run], modes: Sequence[str]) -> "Figure":
    rows = [
        (run.name, [(MODES[mode], found) for mode, found in run.modes().items()]) for run in runs
    ]
    return _bars(rows, [MODES[mode] for mode in modes])


def _by_part(runs: Sequence[Run], modes: Sequence[str], part: str) -> "Figure":
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


def _perplexity(runs: Sequence[Run]) -> "Figure":
    """Problems by the perplexity of their prompts and their pass rate."""
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, 3.2), layout="constrained")
    axes = _axes(figure, ("perplexity of a problem's prompts", "pass rate, %"))
    for number, run in enumerate(runs):
        colour = COLOURS["accent" if number % 2 == 0 else "loss"]
        shade = 0.7 * _shade(number // 2, (len(runs) + 1) // 2)
        for mode, marker in (("multi", "o"), ("single", "x")):
            rates = run.rates(mode)
            names = [name for name in rates if (name, mode) in run.perplexities]
            if names:
                axes.scatter(
                    [run.perplexities[name, mode] for name in names],
                    [100 * rates[name] for name in names],
                    s=14, marker=marker, color=colour, alpha=shade,
                    label=f"{run.name}, {MODES[mode]}", linewidths=1,
                )  # fmt: skip
    log_axis(axes)
    figure.legend(loc="outside lower left", frameon=False, ncols=2)
    return figure


def _sizes(runs: Sequence[Run], modes: Sequence[str]) -> "Figure":
    """Pass rate against the number of parameters."""
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, 3.2), layout="constrained")
    axes = _axes(figure, ("parameters", "pass rate, %"))
    for number, mode in enumerate(modes):
        having = [run for run in runs if run.manifest.parameters and mode in run.modes()]
        having.sort(key=lambda run: run.manifest.parameters)
        points = [(run.manifest.parameters, run.modes()[mode]) for run in having]
        values = [100 * found["pass_rate"] for _, found in points]
        ends = [[100 * end for end in found["interval"]] for _, found in points]
        errors = [[v - e[0] for v, e in zip(values, ends, strict=True)],
                  [e[1] - v for v, e in zip(values, ends, strict=True)]]  # fmt: skip
        axes.errorbar(
            [size for size, _ in points], values, errors, marker="o", markersize=4,
            color=COLOURS["accent" if number == 0 else "loss"], label=MODES[mode],
        )  # fmt: skip
    log_axis(axes)
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside lower left", frameon=False, ncols=2)
    return figure
