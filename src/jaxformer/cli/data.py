"""Building data sets, and looking into them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from jaxformer.cli import options
from jaxformer.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from jaxformer.data.survey import DecodedRow, Group, Lengths, Sample, Survey

app = typer.Typer(help="Build data sets for training, and look into them.", no_args_is_help=True)


@app.command()
def build(
    recipes: Annotated[
        list[Path], typer.Argument(help="Corpus recipes: TOML files, or folders of them.")
    ],
    out: Annotated[
        Path, typer.Option(help="Where data sets go, each into a folder of its name.")
    ] = Path("data"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; one a core if not given.")
    ] = None,
    on: Annotated[
        Literal["cores", "ray"],
        typer.Option(help="Where they run: this machine, or a Ray cluster (RAY_ADDRESS)."),
    ] = "cores",
) -> None:
    """Build data sets: read, filter, drop duplicates, tokenise, shuffle and pack.

    The same command resumes a build that was interrupted.

    Examples:

        jaxformer data build recipes/corpora/mono.toml

        jaxformer data build recipes/corpora --out corpora
    """
    from rich.console import Console

    from jaxformer.data.build import build as run
    from jaxformer.data.recipe import read_recipe
    from jaxformer.data.tasks import crew

    checked = [read_recipe(file) for path in recipes for file in _recipe_files(path)]
    if len({recipe.name for recipe in checked}) < len(checked):
        raise UserError("Two of the recipes have the same name; a data set's folder needs its own.")
    console = Console(stderr=True)
    with crew(workers, on) as hired:
        for recipe in checked:
            folder = out / recipe.name
            if len(checked) > 1:
                console.rule(recipe.name)
            manifest = run(recipe, folder, console, hired)
            size = f"{manifest.documents:,} documents, {manifest.tokens:,} tokens"
            print(f"{folder}: {size}, {sum(manifest.rows):,} rows of {manifest.context:,}")


def _recipe_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.toml"))
    if not files:
        raise UserError(f"{path} holds no recipe, that is, no .toml file.")
    return files


@app.command()
def inspect(
    folder: Annotated[Path, typer.Argument(help="A data set's folder.")],
    as_json: options.AsJson = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots instead.")] = None,
    samples: Annotated[int, typer.Option(min=0, help="Documents to decode.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Which documents and rows are drawn.")] = 0,
) -> None:
    """Show what is in a data set: what was dropped and why, what is left, and how it reads.

    Examples:

        jaxformer data inspect data/mono

        jaxformer data inspect data/mono --html mono.html --samples 20

        jaxformer data inspect data/mono --json --samples 0
    """
    from jaxformer.data.page import render
    from jaxformer.data.survey import survey

    found = survey(folder, samples, seed)
    if html:
        html.write_text(render(found), "utf-8")
    if as_json:
        print(json.dumps(asdict(found), indent=1, ensure_ascii=False))
    elif html:
        print(html)
    else:
        _show(found)


# What `inspect` prints. Text of the data goes through `_line` or `_lines`.

_LINES = 15
"""Of a sample document."""
_SEGMENTS = 4
"""Of a row."""


def _show(survey: "Survey") -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)

    def show(title: str, *parts: "Table | Text") -> None:
        console.print(Text(f"\n{title}", "bold"))
        for part in parts:
            console.print(part)

    show(survey.name, _summary(survey))
    if survey.losses:
        show("Losses", _losses(survey))
        if len(survey.sources) > 1:
            show("Losses by source", _losses_by_source(survey))
    show("Languages", _groups("language", survey.languages))
    show("Sources", _groups("source", survey.sources))
    show("Licences", _groups("licence", survey.licenses))
    show("Lengths in tokens", _histogram(survey.lengths))
    for sample in survey.samples[:2]:
        show(f"Document: {_line(sample.path)}", *_sample(sample))
    for number, row in enumerate(survey.batch[:2], 1):
        show(f"Row {number} of the batch of step 0", *_row(row))


def _line(text: str) -> "Text":
    """Return untrusted text as one line that cannot steer the terminal."""
    shown = _wrapped(text)
    shown.no_wrap, shown.overflow = True, "ellipsis"
    return shown


def _wrapped(text: str) -> "Text":
    """Return the same, that goes on below where it is too long."""
    from rich.text import Text

    from jaxformer.sandbox.terminal import plain

    return Text(plain(text.replace("\n", "\\n")))


def _lines(text: str, most: int, style: str = "") -> "Iterator[Text]":
    """Yield the first lines of untrusted text."""
    lines = text.split("\n")
    for line in lines[:most]:
        shown = _line(line)
        shown.stylize(style)
        yield shown
    if len(lines) > most:
        yield _line(f"… {len(lines) - most:,} more lines")


def _table(*columns: str) -> "Table":
    """Return a table of names and, right of them, numbers."""
    from rich.table import Table

    table = Table(box=None, show_edge=False, header_style="dim", pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    return table


def _summary(survey: "Survey") -> "Table":
    from jaxformer.data.page import share, size

    table = _table("", "")
    table.show_header = False
    for name, value in {
        "documents": f"{survey.documents:,}",
        "of those that came in": share(survey.documents, survey.documents_in),
        "text": size(survey.bytes),
        "of what came in": share(survey.bytes, survey.bytes_in),
        "tokens": f"{survey.tokens:,}",
        "bytes a token": f"{survey.bytes / survey.tokens:.2f}",
        "rows": f"{survey.rows:,}",
        "tokens a row": f"{survey.context:,}",
        "positions used": share(survey.fill),
    }.items():
        table.add_row(name, value)
    if survey.prompts is not None:
        table.add_row("tokens of prompts", share(survey.prompts))
    return table


def _losses(survey: "Survey") -> "Table":
    from jaxformer.data.page import size

    table = _table("rule", "documents", "bytes", "documents left", "bytes left")
    table.add_row("came in", "", "", f"{survey.documents_in:,}", size(survey.bytes_in))
    for loss in survey.losses:
        lost = f"{loss.documents:,}", size(loss.bytes)
        table.add_row(_line(loss.rule), *lost, f"{loss.documents_left:,}", size(loss.bytes_left))
    return table


def _losses_by_source(survey: "Survey") -> "Table":
    table = _table("source", "came in", "kept")
    table.add_column("dropped by")
    for source in survey.sources:
        losses = survey.losses_by_source[source.name]
        came = source.documents + sum(loss.documents for loss in losses)
        rules = ", ".join(f"{loss.rule} {loss.documents:,}" for loss in losses)
        table.add_row(_line(source.name), f"{came:,}", f"{source.documents:,}", _wrapped(rules))
    return table


def _groups(what: str, groups: "Sequence[Group]", most: int = 20) -> "Table":
    from jaxformer.data.page import share, size

    total = sum(group.tokens for group in groups)
    table = _table(what, "documents", "bytes", "tokens", "")
    for group in groups[:most]:
        figures = f"{group.documents:,}", size(group.bytes), f"{group.tokens:,}"
        table.add_row(_line(group.name or "unknown"), *figures, share(group.tokens, total))
    if len(groups) > most:
        table.add_row(f"… {len(groups) - most:,} more")
    return table


def _histogram(lengths: "Sequence[Lengths]", width: int = 40) -> "Table":
    from rich.text import Text

    longest = max(bucket.documents for bucket in lengths)
    table = _table("", "documents")
    table.add_column()
    for bucket in lengths:
        bar = "█" * -(-bucket.documents * width // longest)
        name = f"{bucket.low:>7,} – {bucket.high:,}"
        table.add_row(name, f"{bucket.documents:,}", Text(bar, "blue"))
    return table


def _sample(sample: "Sample") -> "Iterator[Text]":
    language, license = sample.language or "unknown", sample.license or "no licence"
    about = f"{language}, {sample.source}, {license}, {sample.tokens:,} tokens"
    yield _dim(about)
    yield from _lines(sample.text, _LINES)


def _row(row: "DecodedRow") -> "Iterator[Text]":
    for number, segment in enumerate(row.segments[:_SEGMENTS], 1):
        yield _dim(f"── document {number}: {segment.tokens:,} tokens")
        yield from _lines(segment.text, _LINES // 2, ("cyan", "magenta")[number % 2])
    if len(row.segments) > _SEGMENTS:
        yield _dim(f"── {len(row.segments) - _SEGMENTS:,} more documents")
    if row.padding:
        yield _dim(f"── {row.padding:,} positions unused")


def _dim(text: str) -> "Text":
    shown = _line(text)
    shown.stylize("dim")
    return shown
