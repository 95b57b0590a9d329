"""Runs side by side: tables, plots and transcripts, as one page and as data."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxformer.data import look
from jaxformer.errors import UserError
from jaxformer.evaluation import perplexities, plots
from jaxformer.evaluation.evaluate import FIGURES
from jaxformer.evaluation.figures import difference, problem_rates
from jaxformer.evaluation.files import read_object
from jaxformer.evaluation.manifest import Manifest, read_manifest
from jaxformer.evaluation.paper import TABLES
from jaxformer.evaluation.plots import MODES
from jaxformer.evaluation.samples import FILE, Sample, read_samples

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = {"by_difficulty": "difficulty", "by_category": "category", "by_turns": "turns"}


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
    drawn: dict[str, Callable[[], Figure]] = {"overall": lambda: plots.overall(runs, modes)}
    for part in PARTS:
        if any(part in figures for run in runs for figures in run.modes().values()):
            drawn[part] = lambda part=part: plots.by_part(runs, modes, part)
    if any(run.perplexities for run in runs):
        drawn["perplexity"] = lambda: plots.perplexity(runs)
    if len({run.manifest.parameters for run in runs} - {0}) > 1:
        drawn["sizes"] = lambda: plots.sizes(runs, modes)
    return look.render(
        "jaxformer.evaluation", "report.html", drawn,
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
