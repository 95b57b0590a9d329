"""One evaluation from start to end: problems, samples, verdicts, perplexities, figures."""

import contextlib
import dataclasses
import functools
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
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
from jaxformer.evaluation.cluster import judged_on_ray
from jaxformer.evaluation.endpoint import Endpoint, Unscored
from jaxformer.evaluation.exam import Exam, Key
from jaxformer.evaluation.figures import figures
from jaxformer.evaluation.manifest import Manifest, Subject
from jaxformer.evaluation.multi_turn import MultiTurn
from jaxformer.evaluation.runner import Drawing, Runner, Writer, complete, judge_all
from jaxformer.evaluation.samples import FILE as SAMPLES
from jaxformer.evaluation.samples import Judging, read_completions, read_samples
from jaxformer.evaluation.vllm import Vllm
from jaxformer.generation import Engine
from jaxformer.generation import score as score_texts
from jaxformer.synthesis.perplexity import Scorer

log = logging.getLogger("jaxformer")

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


def of_model(
    setting: Setting,
    source: str,
    load: Callable[[], Model],
    drawing: Drawing,
    folder: Path,
    *,
    on: str,
    console: Console,
) -> dict[str, Any]:
    """Measure a model that is loaded here, or on every machine of a Ray cluster.

    Args:
        setting: What is measured.
        source: The model's folder or name.
        load: Loads it; called here and on each machine.
        drawing: How samples are drawn.
        folder: The run's.
        on: `cores` or `ray`.
        console: Shows the progress.

    Raises:
        UserError: If the model cannot be loaded, or as `evaluate`.
    """
    model = load()
    drawing = dataclasses.replace(drawing, context=model.config.n_positions)

    def make(model: Model) -> Runner:
        return _runner(setting, Engine(model, rows=drawing.rows), drawing)

    def judged(keys: Sequence[Key]) -> Judging:
        if on == "ray":
            return judged_on_ray(lambda: make(load()), keys)
        return make(model).judged(keys)

    return evaluate(
        setting, Subject.of(model, source), drawing, folder,
        judged=judged, console=console, scorer=functools.partial(score_texts, model, keep_end=True),
    )  # fmt: skip


def of_endpoint(
    setting: Setting, url: str, name: str, drawing: Drawing, folder: Path, *, console: Console
) -> dict[str, Any]:
    """Measure a model behind an OpenAI-compatible endpoint.

    Raises:
        UserError: If the endpoint is down or refuses, or as `evaluate`.
    """
    with contextlib.closing(Endpoint(url, name, drawing.rows)) as endpoint:
        if endpoint.context:
            drawing = dataclasses.replace(drawing, context=endpoint.context)
        return evaluate(
            setting, Subject(name, engine=url), drawing, folder,
            judged=_runner(setting, endpoint, drawing).judged,
            console=console, scorer=endpoint.score,
        )  # fmt: skip


def of_vllm(
    setting: Setting, name: str, dtype: str, drawing: Drawing, folder: Path, *, console: Console
) -> dict[str, Any]:
    """Measure a model that vLLM runs.

    Raises:
        UserError: If vLLM is not installed or cannot load the model, or as `evaluate`.
    """
    writer = Vllm(name, dtype)
    drawing = dataclasses.replace(drawing, context=writer.context)
    weights = manifests.digest_of_weights(name)
    subject = Subject(name, weights, dtype=dtype, engine=f"vllm {version('vllm')}")
    return evaluate(
        setting, subject, drawing, folder,
        judged=_runner(setting, writer, drawing).judged, console=console, scorer=writer.score,
    )  # fmt: skip


def _runner(setting: Setting, writer: Writer, drawing: Drawing) -> Runner:
    limits, unprotected = setting.limits, setting.unprotected
    return Runner(setting.exam, writer, drawing, limits, unprotected=unprotected)


def evaluate(
    setting: Setting,
    subject: Subject,
    drawing: Drawing,
    folder: Path,
    *,
    judged: Callable[[Sequence[Key]], Judging],
    console: Console,
    scorer: Scorer,
) -> dict[str, Any]:
    """Write and judge samples, go on where a run was ended, and return the figures.

    Args:
        setting: The benchmark.
        subject: What is measured.
        drawing: How samples are drawn.
        folder: Where everything goes.
        judged: Writes and judges samples, such as `runner.Runner.judged`.
        console: Where progress is shown.
        scorer: Measures the perplexity of multi-turn prompts.

    Raises:
        UserError: If the folder holds another run or has no room.
    """
    drawn = dataclasses.asdict(drawing)
    del drawn["rows"]  # of which the result is independent
    manifest = describe(setting, subject, drawn)
    with room(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder, "evaluation"), _progress(console) as progress:
            manifests.open_folder(folder, manifest)
            path = complete(
                setting.exam, drawing.samples, judged, folder, _show(progress, setting.benchmark)
            )
            samples = read_samples(path)
            measured = {}
            if isinstance(setting.exam, MultiTurn):
                task = progress.add_task("prompt perplexity", total=None, score="")
                try:
                    perplexities.measure(
                        scorer, setting.exam, samples, folder,
                        lambda done, total: progress.update(task, completed=done, total=total),
                    )  # fmt: skip
                except Unscored as error:
                    log.warning("%s Prompt perplexity is left out.", error)
                    (folder / perplexities.FILE).unlink(missing_ok=True)
                else:
                    measured = perplexities.read(folder)
                progress.remove_task(task)
            found = head(manifest) | figures(setting.exam, samples, measured)
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
        UserError: If the samples cannot be read or do not belong to the benchmark, or there is a
            run in the folder.
    """
    if folder is not None and any((folder / n).exists() for n in (manifests.FILE, SAMPLES)):
        raise UserError(f"{folder} holds a run already; choose another --out.")
    written = read_completions(completions, setting.exam)
    with _progress(console) as progress:
        samples = judge_all(
            setting.exam, written, setting.limits,
            unprotected=setting.unprotected, on_progress=_show(progress, setting.benchmark),
        )  # fmt: skip
    of_case = max(Counter(sample.key[:3] for sample in samples).values())
    subject = Subject(completions.name, manifests.digest(completions), engine="")
    manifest = describe(setting, subject, {"samples": of_case})
    found = head(manifest) | figures(setting.exam, samples)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with room(folder), alone(folder, "evaluation"):
            manifests.open_folder(folder, manifest)
            with whole(folder / SAMPLES) as part:
                part.write_text("".join(s.line() + "\n" for s in samples), "utf-8")
            save_json(folder / FIGURES, found)
    return found


def describe(setting: Setting, subject: Subject, drawing: dict[str, Any]) -> Manifest:
    """Return the manifest of a run."""
    return Manifest(
        benchmark=setting.benchmark,
        problems=manifests.digest(setting.file),
        model=subject.name,
        weights=subject.weights,
        parameters=subject.parameters,
        dtype=subject.dtype,
        engine=subject.engine,
        mode=setting.mode,
        history=setting.history,
        scorer=setting.scorer,
        drawing=drawing,
        limits=dataclasses.asdict(setting.limits),
        tier=sandbox.probe().tier,
        software=manifests.software(),
    )


def head(manifest: Manifest) -> dict[str, Any]:
    """Return what stands before a run's figures."""
    drawing = manifest.drawing
    return {
        "benchmark": manifest.benchmark,
        "model": manifest.model,
        "dtype": manifest.dtype,
        "samples": drawing["samples"],
        "temperature": drawing.get("temperature"),
        "candidates": drawing.get("candidates"),
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
