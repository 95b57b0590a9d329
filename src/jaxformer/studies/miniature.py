"""Training and measuring a ladder; every part is kept, and done once."""

import json
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.console import Console

from jaxformer.checkpoints import load
from jaxformer.data.atomic import save_json, whole
from jaxformer.evaluation import evaluate
from jaxformer.evaluation.benchmarks import open_exam
from jaxformer.evaluation.evaluate import FIGURES, Setting
from jaxformer.evaluation.problems import read_problems
from jaxformer.evaluation.runner import Drawing
from jaxformer.studies.findings import Measured, findings
from jaxformer.studies.ladder import Ladder
from jaxformer.studies.references import reference_losses
from jaxformer.studies.report import render
from jaxformer.studies.yardsticks import YARDSTICKS, write_problems
from jaxformer.training import Options, Recipe, train

LOSSES, FINDINGS, PAGE = "references.json", "findings.json", "report.html"


def reproduce(ladder: Ladder, out: Path, console: Console) -> Path:
    """Train and measure all sizes after every stage, or go on with it; return the report.

    Args:
        ladder: The plan.
        out: The study's folder: `training/SIZE`, `YARDSTICK/SIZE-STAGE`, `findings.json`,
            `report.html`.
        console: Where progress goes.

    Raises:
        UserError: As training and evaluating.
        training.signals.Ended: If it was asked to end; all is saved.
    """
    problems = {name: write_problems(name, ladder.cases, out) for name in YARDSTICKS}
    steps = [(size, stage.name) for size in ladder.sizes for stage in ladder.recipe(size).stages]
    begun = time.monotonic()
    for number, (size, stage) in enumerate(steps):
        minutes = (time.monotonic() - begun) / 60
        console.rule(f"{number + 1} of {len(steps)}: {size}, {stage} (after {minutes:.0f} min)")
        recipe = ladder.recipe(size)
        options = Options(report_every=50)
        model = train(recipe, out / "training" / size, console, options, stage)
        for name, file in problems.items():
            _measure(model, name, file, out / name / f"{size}-{stage}", ladder.seed, console)
    measured = _read(ladder, out)
    found = findings(measured)
    save_json(out / FINDINGS, [asdict(finding) for finding in found])
    with whole(out / PAGE) as part:
        part.write_text(render(ladder, measured, found), "utf-8")
    return out / PAGE


def rate(recipe: Recipe, folder: Path) -> float:
    """Return the tokens a second of a recipe's last stage, by training it for a moment."""
    short = recipe.model_copy(update={"stages": recipe.stages[-1:]})
    train(short, folder, Console(quiet=True), Options(report_every=8, evaluate_every=1000))
    lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    rates = [found["tokens_per_second"] for line in lines if "loss" in (found := json.loads(line))]
    return rates[-1]


def _measure(
    model: Path, name: str, problems: Path, folder: Path, seed: int, console: Console
) -> None:
    """Measure one model, by its programs and by the likelihood of right ones."""
    if not (folder / FIGURES).exists():
        exam = open_exam("turns", problems, mode="both")
        setting = Setting(name, problems, exam, "both")
        drawing = Drawing(samples=1, seed=seed, rows=32)
        source = str(model)
        opened = partial(load, source)
        evaluate.of_model(setting, source, opened, drawing, folder, on="cores", console=console)
    if not (folder / LOSSES).exists():
        save_json(folder / LOSSES, reference_losses(load(str(model)), read_problems(problems)))


def _read(ladder: Ladder, out: Path) -> list[Measured]:
    return [
        Measured.read(
            size,
            stage.name,
            {name: out / name / f"{size}-{stage.name}" for name in YARDSTICKS},
            LOSSES,
        )
        for size in ladder.sizes
        for stage in ladder.recipe(size).stages
    ]
