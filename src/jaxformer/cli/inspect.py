"""What a model is made of, and what training it takes."""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxformer.cli import options
from jaxformer.errors import UserError

if TYPE_CHECKING:
    from jaxformer.training.preview import Preview


QUANTISED_SEED = 10**9 + 7
"""Of the conversations on which --quantised measures; not one that recipes train with."""


PIECE = 400
"""Characters of a given text that are scored together: they fit any context."""


class Quantised(StrEnum):
    """What weights can be quantised to."""

    INT8 = "int8"
    INT4 = "int4"


def inspect(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|RECIPE.toml",
            help="`nano`, a model folder, a hub name, or a size: 350M, 2B, 6B, 16B; or a recipe.",
        ),
    ] = "nano",
    devices: Annotated[
        str | None,
        typer.Option(
            help="Lay the recipe out on these, such as 8xH200, 16xTPU v5p or 4x24GB; "
            "this machine's if not given."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Another size of model than the recipe's.")
    ] = None,
    quantised: Annotated[
        list[Quantised] | None,
        typer.Option("--quantised", help="Also measure what int8 or int4 costs in perplexity."),
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(help="On this text; on generated conversations if not given."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a model's shapes, its parameters and the memory that it needs; or how a recipe trains.

    Of a recipe: every stage's steps and tokens, its layout on devices, and the bytes on each. What
    cannot fit is refused. Nothing is loaded but the configuration, and nothing compiled, unless
    --quantised asks for a measurement.

    Examples:

        jaxformer inspect nano

        jaxformer inspect 16B --json

        jaxformer inspect nano --quantised int8 --quantised int4

        jaxformer inspect recipes/16B.toml --devices 8xH200

        jaxformer inspect recipes/nano.toml --set stages.batch=64 --size 40M
    """
    if model.endswith(".toml"):
        if quantised or text:
            raise UserError(f"--quantised and --text are for models, and {model} is a recipe.")
        _show_recipe(Path(model), devices, changes or (), size, as_json)
    elif devices or changes or size:
        raise UserError(
            f"--devices, --set and --size are for recipes, and {model} is a model; "
            "give a TOML file such as recipes/350M.toml."
        )
    else:
        costs = _quantised(model, [q.value for q in quantised or ()], text)
        _show_model(model, costs, as_json)


def _quantised(model: str, dtypes: Sequence[str], text: Path | None) -> dict[str, float]:
    """Return the perplexity of a text under the model in float32 and in each dtype."""
    if not dtypes:
        if text:
            raise UserError("--text is what --quantised measures on; give --quantised int8, too.")
        return {}
    from jaxformer.checkpoints import load
    from jaxformer.data.exercises import conversations
    from jaxformer.generation import perplexity
    from jaxformer.synthesis import read_text
    from jaxformer.transcript import render

    if text:
        whole = read_text(text)
        texts = [whole[at : at + PIECE] for at in range(0, len(whole), PIECE)]
    else:
        made = conversations(QUANTISED_SEED, 64)
        texts = [render(one.turns) for one in made]
    return {dtype: perplexity(load(model, dtype=dtype), texts) for dtype in ("float32", *dtypes)}


def _show_model(model: str, costs: dict[str, float], as_json: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from jaxformer.checkpoints import read_config
    from jaxformer.checkpoints.hub import find
    from jaxformer.model import RELEASED, count
    from jaxformer.model.memory import (
        cache_bytes,
        inference_bytes,
        quantised_bytes,
        training_bytes,
    )
    from jaxformer.model.parameters import named_specs

    config = RELEASED[model] if model in RELEASED else read_config(find(model, weights=False))
    memory = {
        "inference_float32": inference_bytes(config, 4),
        "inference_bfloat16": inference_bytes(config, 2),
        "inference_int8": quantised_bytes(config, 8),
        "inference_int4": quantised_bytes(config, 4),
        "cache_float32": cache_bytes(config, 4),
        "cache_bfloat16": cache_bytes(config, 2),
        "training": training_bytes(config),
    }
    if as_json:
        shapes = {name: list(spec.shape) for name, spec in named_specs(config)}
        report = {"config": config.model_dump(), "parameters": count(config)}
        report |= {"memory_bytes": memory, "shapes": shapes}
        print(json.dumps(report | ({"perplexity": costs} if costs else {}), indent=1))
        return

    console = Console()
    summary = Table("", model, box=None, show_edge=False)
    for name, value in config.model_dump(exclude_none=True).items():
        summary.add_row(name, str(value))
    summary.add_row("head_dim", str(config.head_dim))
    summary.add_row("parameters", f"{count(config):,}")
    for name, size in memory.items():
        summary.add_row(f"memory: {name.replace('_', ', ')}", _size(size))
    for dtype, found in costs.items():
        more = "" if dtype == "float32" else f" ({found / costs['float32'] - 1:+.2%})"
        summary.add_row(f"perplexity: {dtype}", f"{found:.4f}{more}")
    console.print(summary)
    console.print("\nInference holds the weights and one sequence as long as the context (the")
    console.print("cache); training is without activations, which depend on the batch.\n")
    shapes = Table("parameter", "shape", "axes", "values", box=None, show_edge=False)
    for name, spec in named_specs(config):
        if not name.startswith("blocks.") or name.startswith("blocks.0."):
            label = name.replace("blocks.0.", f"blocks.0…{config.n_layer - 1}.")
            shapes.add_row(
                label, " × ".join(map(str, spec.shape)), ", ".join(spec.axes), f"{spec.size:,}"
            )
    console.print(shapes)


def _show_recipe(
    path: Path, devices: str | None, changes: Sequence[str], size: str | None, as_json: bool
) -> None:
    from jaxformer.training import read_recipe
    from jaxformer.training.preview import preview

    recipe = read_recipe(path, changes, size)
    shown = preview(recipe, devices)
    if as_json:
        print(json.dumps(_as_json(shown), indent=1))
    else:
        _print_recipe(recipe.name, shown)


def _as_json(shown: "Preview") -> dict[str, object]:
    from jaxformer.model import count

    return {
        "config": shown.config.model_dump(),
        "parameters": count(shown.config),
        "devices": {
            "count": shown.devices.count,
            "kind": shown.devices.kind,
            "memory_bytes": shown.devices.memory,
        },
        "stages": [
            {
                "name": stage.name,
                "steps": stage.pace.steps,
                "tokens": stage.tokens,
                "batch": stage.pace.batch,
                "learning_rate": stage.pace.learning_rate,
                "warmup": stage.pace.warmup,
                "anneal": stage.pace.anneal,
                "mesh": dict(zip(("data", "fsdp", "tensor"), stage.plan.mesh, strict=True)),
                "parts": stage.plan.accumulate,
                "remat": stage.plan.remat,
                "memory_bytes": stage.plan.parts,
                "total_bytes": stage.plan.bytes,
            }
            for stage in shown.stages
        ],
    }


def _print_recipe(name: str, shown: "Preview") -> None:
    from rich.console import Console
    from rich.table import Table

    from jaxformer.model import count

    on, stages = shown.devices, shown.stages
    console = Console(highlight=False)
    console.print(
        f"{name}: {count(shown.config):,} parameters; "
        f"on {on.count} × {on.kind} with {_size(on.memory)} each\n"
    )
    table = Table("stage", box=None, show_edge=False)
    for stage in stages:
        table.add_column(stage.name, justify="right")
    table.add_row("steps", *(f"{stage.pace.steps:,}" for stage in stages))
    table.add_row("tokens", *(_number(stage.tokens) for stage in stages))
    table.add_row("rows a batch", *(f"{stage.pace.batch:,}" for stage in stages))
    table.add_row("peak learning rate", *(f"{stage.pace.learning_rate:.3g}" for stage in stages))
    table.add_row("mesh", *("x".join(map(str, stage.plan.mesh)) for stage in stages))
    table.add_row("parts a batch", *(str(stage.plan.accumulate) for stage in stages))
    table.add_row("computed again", *(stage.plan.remat for stage in stages), end_section=True)
    for part in stages[0].plan.parts:
        table.add_row(part, *(_size(stage.plan.parts[part]) for stage in stages))
    table.add_row("all on a device", *(_size(stage.plan.bytes) for stage in stages))
    console.print(table)
    console.print("\nThe mesh is data x fsdp x tensor; sizes are estimates for each device.")


def _number(number: int) -> str:
    return f"{number / 1e9:,.1f} B" if number >= 1e9 else f"{number / 1e6:,.1f} M"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError
