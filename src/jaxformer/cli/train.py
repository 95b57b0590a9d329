"""Training from a recipe."""

from pathlib import Path
from typing import Annotated

import typer

_SHORT = "Change a value of the recipe: seed=1, model.n_layer=4, mono.steps=100, stages.batch=8."


def train(
    recipe: Annotated[Path, typer.Argument(help="A TOML file such as recipes/pico.toml.")],
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; runs/NAME if not given.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="Run this stage only; the one before must be finished.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=_SHORT)
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Another size of model, such as 40M; all that follows is derived."),
    ] = None,
    mesh: Annotated[
        str | None, typer.Option(help="Devices along data, fsdp, tensor, such as 1x8x1.")
    ] = None,
    accumulate: Annotated[
        int | None, typer.Option(min=1, help="Parts of a batch, one after the other.")
    ] = None,
    kernel: Annotated[
        str, typer.Option(help="Attention: auto, xla, tiled, cudnn, splash or reference.")
    ] = "auto",
    layers: Annotated[
        str, typer.Option(help="auto, scan (compiled once) or unroll (written out).")
    ] = "auto",
    hosts: Annotated[
        str | None,
        typer.Option(
            help="auto (Slurm, Kubernetes, TPU pods) or ADDRESS:PORT,COUNT,NUMBER on each host."
        ),
    ] = None,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 200,
    keep: Annotated[int, typer.Option(min=1, help="Checkpoints that stay.")] = 1,
    report_every: Annotated[int, typer.Option(min=1, help="Steps between reports.")] = 10,
    evaluate_every: Annotated[
        int, typer.Option(min=0, help="Steps between evaluations; 0: ten in a stage.")
    ] = 0,
    sample: Annotated[
        list[str] | None, typer.Option(help="Complete this prompt at each evaluation.")
    ] = None,
    programs: Annotated[
        Path | None,
        typer.Option(help="Conversations whose pass rate is measured at each evaluation."),
    ] = None,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Leave out batches whose loss is no number or a spike."),
    ] = False,
    track: Annotated[
        list[str] | None, typer.Option(help="Also write to tensorboard or wandb.")
    ] = None,
    profile: Annotated[
        int, typer.Option(min=0, help="Profile so many steps into the run's folder.")
    ] = 0,
) -> None:
    """Train a model through all stages of a recipe; the same command resumes.

    Fine-tuning is a recipe with `from`. Ctrl-C and SIGTERM save and end. Examples:

        jaxformer train recipes/pico.toml --out runs/mine

        jaxformer train recipes/350M.toml --mesh 1x8x1 --track tensorboard

        jaxformer train recipes/pico.toml --set mono.steps=100 --set seed=1
    """
    import logging
    import os

    # Before JAX starts: as much of a GPU as the plan counts on, not three quarters.
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.92")

    from rich.console import Console

    from jaxformer.errors import UserError
    from jaxformer.training import Options, read_recipe
    from jaxformer.training import train as run
    from jaxformer.training.devices import join_hosts
    from jaxformer.training.signals import Ended
    from jaxformer.training.watch import TRACKERS

    log = logging.getLogger("jaxformer")
    log.setLevel(logging.INFO)  # such as which kernel attends
    log.propagate = False
    log.addHandler(logging.StreamHandler())
    checked = read_recipe(recipe, changes or (), size)
    if unknown := set(track or ()) - set(TRACKERS):
        raise UserError(f"--track {unknown.pop()} is not known; use {' or '.join(TRACKERS)}.")
    if layers not in ("auto", "scan", "unroll"):
        raise UserError(f"--layers {layers} is not known; use auto, scan or unroll.")
    join_hosts(hosts)
    options = Options(
        mesh=mesh,
        accumulate=accumulate,
        kernel=kernel,
        layers=layers,
        save_every=save_every,
        keep=keep,
        report_every=report_every,
        evaluate_every=evaluate_every,
        samples=tuple(sample or ()),
        programs=programs,
        skip_bad=skip_bad,
        trackers=tuple(track or ()),
        profile=profile,
    )
    console = Console(stderr=True)
    try:
        finished = run(checked, out or Path("runs") / checked.name, console, options, stage)
    except Ended as ended:
        console.print(f"{ended}; the same command goes on.", highlight=False)
        raise typer.Exit(ended.status) from ended
    print(finished)
