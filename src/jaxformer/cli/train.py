"""Training from a recipe."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Argument(help="A TOML file such as recipes/nano.toml.")],
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; runs/NAME if not given.")
    ] = None,
) -> None:
    """Train a model through all stages of a recipe; the same command resumes.

    Example:

        jaxformer train recipes/nano.toml --out runs/nano
    """
    from rich.console import Console

    from jaxformer.training import read_recipe
    from jaxformer.training import train as run

    checked = read_recipe(recipe)
    finished = run(checked, out or Path("runs") / checked.name, Console(stderr=True))
    print(finished)
