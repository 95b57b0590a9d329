"""The paper in miniature."""

from pathlib import Path
from typing import Annotated

import typer

from jaxformer.cli import options


def reproduce(
    budget: Annotated[float, typer.Option(min=1, help="Minutes, training and measuring.")] = 60,
    sizes: Annotated[str, typer.Option(help="Of 1M, 3M, 10M and 30M.")] = "1M,3M,10M",
    data: Annotated[
        str, typer.Option(help="The folder of nl, multi and mono: data sets, or text.")
    ] = "data",
    out: Annotated[Path, typer.Option(help="The study's folder.")] = Path("runs/reproduce"),
    seed: options.Seed = 0,
) -> None:
    """Repeat the paper's questions with small models: do stages, turns and size help?

    Trains each size through all stages and measures it after each. The same command goes on where
    it was ended. Examples:

        jaxformer reproduce --budget 60

        jaxformer reproduce --budget 600 --sizes 3M,10M,30M --out runs/large
    """
    import tempfile

    from rich.console import Console

    from jaxformer.cli import show
    from jaxformer.data.look import require_plots
    from jaxformer.studies import plan
    from jaxformer.studies import reproduce as run
    from jaxformer.studies.miniature import rate
    from jaxformer.training.signals import Ended

    show.need_sandbox(False)
    require_plots()
    console = Console(stderr=True)
    names = [size.strip() for size in sizes.split(",") if size.strip()]
    try:
        with show.resumable(console), tempfile.TemporaryDirectory() as scratch:
            ladder = plan(
                *(out, names, budget, data, seed),
                lambda recipe: rate(recipe, Path(scratch, recipe.name)),
            )
            console.print(
                f"{', '.join(ladder.sizes)}: {ladder.tokens / 1e6:,.2f} M tokens each; "
                f"cases of each problem: {ladder.cases}.",
                highlight=False,
            )
            print(run(ladder, out, console))
    except Ended as ended:
        console.print(f"{ended}; the same command goes on.", highlight=False)
        raise typer.Exit(ended.status) from ended
