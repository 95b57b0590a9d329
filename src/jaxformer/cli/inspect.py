"""What a model is made of."""

import json
from typing import Annotated

import typer

from jaxformer.cli import options


def inspect(
    model: Annotated[
        str,
        typer.Argument(help="`nano`, a model folder, a hub name, or a size: 350M, 2B, 6B, 16B."),
    ] = "nano",
    as_json: options.AsJson = False,
) -> None:
    """Show a model's shapes, its parameters, and the memory that it needs.

    Nothing is loaded but the configuration.

    Examples:

        jaxformer inspect nano

        jaxformer inspect 16B --json
    """
    from rich.console import Console
    from rich.table import Table

    from jaxformer.checkpoints import read_config
    from jaxformer.checkpoints.hub import find
    from jaxformer.model import RELEASED, count
    from jaxformer.model.memory import cache_bytes, inference_bytes, training_bytes
    from jaxformer.model.parameters import named_specs

    config = RELEASED[model] if model in RELEASED else read_config(find(model, weights=False))
    memory = {
        "inference_float32": inference_bytes(config, 4),
        "inference_bfloat16": inference_bytes(config, 2),
        "cache_float32": cache_bytes(config, 4),
        "cache_bfloat16": cache_bytes(config, 2),
        "training": training_bytes(config),
    }
    if as_json:
        shapes = {name: list(spec.shape) for name, spec in named_specs(config)}
        report = {"config": config.model_dump(), "parameters": count(config)}
        print(json.dumps(report | {"memory_bytes": memory, "shapes": shapes}, indent=1))
        return

    console = Console()
    summary = Table("", model, box=None, show_edge=False)
    for name, value in config.model_dump(exclude_none=True).items():
        summary.add_row(name, str(value))
    summary.add_row("head_dim", str(config.head_dim))
    summary.add_row("parameters", f"{count(config):,}")
    for name, size in memory.items():
        summary.add_row(f"memory: {name.replace('_', ', ')}", _size(size))
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


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError
