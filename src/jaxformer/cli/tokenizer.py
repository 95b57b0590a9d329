"""Training a tokenizer."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from jaxformer.errors import UserError

app = typer.Typer(help="Train a tokenizer of one's own.", no_args_is_help=True)


@app.callback()
def tokenizer() -> None:
    """Train a tokenizer of one's own."""


@app.command()
def train(
    paths: Annotated[list[Path], typer.Argument(help="Text files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    vocab_size: Annotated[int, typer.Option(help="Entries, white-space tokens included.")] = 16384,
) -> None:
    """Learn a byte-level BPE with the white-space tokens, in the CodeGen manner.

    Example:

        jaxformer tokenizer train src docs --vocab-size 8192 --out my-tokenizer
    """
    from jaxformer.tokenizer import train as learn

    for path in paths:
        if not path.exists():
            raise UserError(f"There is no file or folder {path}.")
    files = sorted({file for path in paths for file in _files(path)})
    if not files:
        raise UserError(f"{', '.join(map(str, paths))} holds no files.")
    skipped: list[Path] = []
    trained = learn(_texts(files, skipped), vocab_size, progress=os.isatty(2))
    if len(skipped) == len(files):
        raise UserError("None of the files is UTF-8 text; give source files.")
    trained.save(out)
    note = f" ({len(skipped)} that are no UTF-8 text left out)" if skipped else ""
    print(f"{out}: {trained.vocab_size} entries from {len(files) - len(skipped)} files{note}")


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from (p for p in path.rglob("*") if p.is_file() and ".git" not in p.parts)


def _texts(files: list[Path], skipped: list[Path]) -> Iterator[str]:
    for file in files:
        try:
            yield file.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            skipped.append(file)
