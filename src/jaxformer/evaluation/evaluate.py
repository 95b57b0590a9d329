"""One evaluation from start to end: problems, samples, verdicts, perplexities, figures."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from jaxformer import sandbox
from jaxformer.checkpoints import Model
from jaxformer.data.atomic import alone, room, save_json, whole
from jaxformer.errors import UserError
from jaxformer.evaluation import manifest as manifests
from jaxformer.evaluation import perplexities
from jaxformer.evaluation.exam import Exam
from jaxformer.evaluation.figures import figures
from jaxformer.evaluation.manifest import Manifest, Subject
from jaxformer.evaluation.multi_turn import MultiTurn
from jaxformer.evaluation.runner import Drawing, Runner, Writer, judge_all
from jaxformer.evaluation.samples import read_completions, read_samples

FIGURES = "figures.json"


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is measured, and how; the command line's options.

    Attributes:
        benchmark: Its name.
        file: Its problems.
        exam: The problems, read.
        mode: Of multi-turn benchmarks.
        history: Of multi-turn benchmarks.
        scorer: Of multi-turn benchmarks.
        limits: What programs may use.
        unprotected: Run programs even where there is no sandbox.
    """

    benchmark: str
    file: Path
    exam: Exam
    mode: str = ""
    history: str = "own"
    scorer: str = "fixed"
    limits: sandbox.Limits = sandbox.DEFAULT_LIMITS
    unprotected: bool = False


def evaluate(
    setting: Setting,
    subject: Subject,
    drawing: Drawing,
    folder: Path,
    *,
    writer: Writer,
    console: Console,
    model: Model | None = None,
) -> dict[str, Any]:
    """Write and judge samples, go on where a run was ended, and return the figures.

    Args:
        setting: The benchmark.
        subject: What is measured.
        drawing: How samples are drawn.
        folder: Where everything goes.
        writer: What completes requests.
        console: Where progress is shown.
        model: Measures the perplexity of multi-turn prompts, if given.

    Raises:
        UserError: If the folder holds another run or has no room.
    """
    drawn = dataclasses.asdict(drawing)
    del drawn["rows"]  # of which the result is independent
    manifest = Manifest(
        benchmark=setting.benchmark,
        problems=manifests.digest(setting.file),
        model=subject.name,
        weights=subject.weights,
        parameters=subject.parameters,
        dtype=subject.dtype,
        mode=setting.mode,
        history=setting.history,
        scorer=setting.scorer,
        drawing=drawn,
        limits=dataclasses.asdict(setting.limits),
        tier=sandbox.probe().tier,
        software=manifests.software(),
    )
    with room(folder):
        manifests.open_folder(folder, manifest)
        with alone(folder, "evaluation"), _progress(console) as progress:
            runner = Runner(
                setting.exam, writer, drawing, setting.limits, unprotected=setting.unprotected
            )
            path = runner.run(folder, _show(progress, setting.benchmark))
            samples = read_samples(path)
            if model and isinstance(setting.exam, MultiTurn):
                task = progress.add_task("prompt perplexity", total=None, score="")
                perplexities.measure(
                    model, setting.exam, samples, folder,
                    lambda done, total: progress.update(task, completed=done, total=total),
                )  # fmt: skip
                progress.remove_task(task)
            found = head(manifest) | figures(setting.exam, samples, perplexities.read(folder))
            save_json(folder / FIGURES, found)
    return found


def score(
    setting: Setting, completions: Path, folder: Path | None, *, console: Console
) -> dict[str, Any]:
    """Judge samples that were made elsewhere, and return the figures.

    Args:
        setting: The benchmark.
        completions: The samples.
        folder: Where the verdicts go, if anywhere.
        console: Where progress is shown.

    Raises:
        UserError: If the samples cannot be read or do not belong to the benchmark.
    """
    written = read_completions(completions, setting.exam)
    with _progress(console) as progress:
        samples = judge_all(
            setting.exam, written, setting.limits,
            unprotected=setting.unprotected, on_progress=_show(progress, setting.benchmark),
        )  # fmt: skip
    found = {"benchmark": setting.benchmark, "scored": str(completions)}
    found |= figures(setting.exam, samples)
    if folder is not None:
        with room(folder):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / "samples.jsonl"
            if path.exists() and path.samefile(completions):
                raise UserError(f"{path} would replace what it is made of; choose another --out.")
            with whole(path) as part:
                part.write_text("".join(s.line() + "\n" for s in samples), "utf-8")
            save_json(folder / FIGURES, found)
    return found


def head(manifest: Manifest) -> dict[str, Any]:
    """Return what stands before a run's figures."""
    drawing = manifest.drawing
    return {
        "benchmark": manifest.benchmark,
        "model": manifest.model,
        "dtype": manifest.dtype,
        "samples": drawing["samples"],
        "temperature": drawing["temperature"],
        "candidates": drawing["candidates"],
    }


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<17}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TextColumn("{task.fields[score]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _show(progress: Progress, title: str) -> Callable[[int, int, int], None]:
    task = progress.add_task(title, total=None, score="")

    def show(done: int, right: int, total: int) -> None:
        share = f"{100 * right / done:.1f} % right" if done else ""
        progress.update(task, completed=done, total=total, score=share)

    return show
