"""Evaluations as a page."""

import json
from pathlib import Path
from typing import Annotated

import typer

from jaxformer.cli import options


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished evaluations.")],
    out: Annotated[Path, typer.Option(help="The page.")] = Path("report.html"),
    as_json: options.AsJson = False,
) -> None:
    """Show evaluations side by side: one HTML page with tables, plots and transcripts.

    Every run is compared with the first. Examples:

        jaxformer report runs/turns-nano

        jaxformer report runs/plain runs/guided --out comparison.html

        jaxformer report runs/plain runs/guided --json
    """
    from jaxformer.evaluation.report import as_data, read_runs, render

    found = read_runs(runs)
    if as_json:
        print(json.dumps(as_data(found), indent=1, ensure_ascii=False))
    else:
        out.write_text(render(found), "utf-8")
        print(out)
