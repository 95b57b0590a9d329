"""What a stage reads: finished data sets, or text that is made into one first."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from jaxformer.checkpoints import hub
from jaxformer.data.documents import Document, conversation
from jaxformer.data.exercises import conversations, programs, texts
from jaxformer.data.manifest import FILE, read_manifest
from jaxformer.data.prepare import prepare
from jaxformer.data.shards import open_tokens
from jaxformer.data.views import Pieces, Range, Stretches
from jaxformer.errors import UserError
from jaxformer.tokenizer import Tokenizer
from jaxformer.tokenizer import load as load_tokenizer
from jaxformer.training.recipe import Recipe, Source, Stage

_TALKS_TO_A_TEXT = 16
"""Conversations for each function with a docstring or explanation among the exercises."""


@dataclass(frozen=True)
class Opened:
    """One source of a stage, ready to be read."""

    name: str
    train: Stretches
    held_out: Stretches
    """Rows that training never reads; none unless the recipe says so."""
    tokens: int
    """Of all its documents."""
    folder: Path | None
    """The data set; None for generated conversations."""


def find_tokenizer(recipe: Recipe) -> Tokenizer:
    """Return a recipe's tokenizer: its own, its model's, or that of its first data set."""
    if named := recipe.tokenizer or recipe.start:
        return load_tokenizer(hub.find(named, weights=False))
    for stage in recipe.stages:
        for source in stage.data:
            if source.path and (folder := Path(source.path).expanduser() / "tokenizer").exists():
                return load_tokenizer(folder)
    first = next((s.path for stage in recipe.stages for s in stage.data if s.path), None)
    if first and not Path(first).expanduser().exists():
        raise UserError(f"There is no data {first}; build it first with 'jaxformer data build'.")
    raise UserError("The recipe names no tokenizer, and neither model nor data bring one; add it.")


def open_sources(
    recipe: Recipe, stage: Stage, tokenizer: Path, run: Path, console: Console
) -> list[Opened]:
    """Open what a stage reads; text becomes a data set in the run's folder.

    Args:
        recipe: The recipe.
        stage: One of its stages.
        tokenizer: The folder of the run's tokenizer.
        run: The run's folder.
        console: Where progress goes.

    Raises:
        UserError: If data is missing, or was made with another tokenizer or for shorter rows.
    """
    opened = []
    for number, source in enumerate(stage.data, 1):
        folder = run / "data" / f"{stage.name}-{number}"
        if not source.path:
            opened.append(_conversations(recipe, source, tokenizer, folder))
            continue
        path = Path(source.path).expanduser()
        if not path.exists():
            raise UserError(f"There is no data {path}; build it with 'jaxformer data build' first.")
        if not _is_data_set(path):
            if not (folder / FILE).exists():
                _build(recipe, path, tokenizer, folder, console)
            path = folder
        opened.append(_data_set(recipe, source.path, path, tokenizer, console))
    return opened


def _is_data_set(path: Path) -> bool:
    """Tell a data set, finished or not, from text; among text may be any manifest.json."""
    return any((path / name).exists() for name in ("ledger.parquet", "work/plan.json"))


def _conversations(recipe: Recipe, source: Source, tokenizer: Path, folder: Path) -> Opened:
    tokens = prepare(_made(source), tokenizer, recipe.context, folder)
    count = len(tokens.shards[0]().tokens)
    return _split(recipe, source.name, tokens, count, None)


def _made(source: Source) -> Iterator[Document]:
    """Write the conversations of a source; among exercises there are other texts, too."""
    seed, count = source.first_seed, source.exercises or 0
    talks = conversations(seed, count) if count else programs(seed, source.programs or 0)
    others = texts(seed, count // _TALKS_TO_A_TEXT)
    for number, talk in enumerate(talks, 1):
        yield conversation(talk.turns, f"conversation {number}")
        if count and number % _TALKS_TO_A_TEXT == 0:
            yield Document(next(others), f"text {number}", "python")


def _build(recipe: Recipe, path: Path, tokenizer: Path, folder: Path, console: Console) -> None:
    # Imported here: reading finished data sets needs none of the libraries that build them.
    try:
        from jaxformer.data.build import build
        from jaxformer.data.recipe import CorpusRecipe
    except ImportError as error:
        raise UserError(
            f"{path} is text, which takes more libraries to read; "
            "install them with pip install 'jaxformer[data]'."
        ) from error

    source = {"kind": "folder", "path": str(path)}
    if path.is_file():
        # Where records do not say their language, that is no reason to drop them.
        source |= {"kind": "parquet" if path.suffix == ".parquet" else "jsonl", "language": "text"}
    elif (path / ".git").exists():
        source |= {"kind": "git"}
    console.print(f"Making a data set of {path} …", markup=False, highlight=False)
    values = {
        "name": "data",
        "tokenizer": str(tokenizer),
        "context": recipe.context,
        "packing": "fit",
        "seed": recipe.seed,
        "sources": [source],
    }
    build(CorpusRecipe.model_validate(values), folder, console)


def _data_set(recipe: Recipe, name: str, path: Path, tokenizer: Path, console: Console) -> Opened:
    manifest = read_manifest(path)
    theirs, ours = load_tokenizer(path / "tokenizer"), load_tokenizer(tokenizer)
    if theirs.backend.get_vocab() != ours.backend.get_vocab():
        raise UserError(
            f"{name} was made with another tokenizer ({theirs.vocab_size:,} entries) than this "
            f"run's ({ours.vocab_size:,}); build it again with tokenizer = '{tokenizer}'."
        )
    if manifest.context < recipe.context:
        raise UserError(
            f"The rows of {name} have {manifest.context} tokens, but the recipe's context is "
            f"{recipe.context}; build it again with context = {recipe.context}."
        )
    tokens: Stretches = open_tokens(path)
    pieces, rest = divmod(manifest.context, recipe.context)
    if pieces > 1 or rest:
        tokens = Pieces(tokens, pieces, recipe.context)
    if rest:
        console.print(
            f"Of each row of {name}, {manifest.context} tokens, the last {rest} are not read, for "
            f"the recipe's context is {recipe.context}; built with context = {recipe.context}, "
            "all would be.",
            markup=False,
            highlight=False,
        )
    read = manifest.tokens * (manifest.context - rest) // manifest.context
    return _split(recipe, name, tokens, read, path)


def _split(recipe: Recipe, name: str, tokens: Stretches, count: int, folder: Path | None) -> Opened:
    """Keep the last rows from training; documents were shuffled before they were packed."""
    rest = len(tokens) - recipe.held_out
    if rest < 1:
        raise UserError(
            f"{name} has {len(tokens)} rows of {recipe.context} tokens, of which {recipe.held_out} "
            "are to be held out; set a smaller held_out or bring more text."
        )
    return Opened(name, Range(tokens, 0, rest), Range(tokens, rest, len(tokens)), count, folder)


def languages_of(opened: Opened) -> np.ndarray:
    """Return the language of every document that came into a data set, by its row in the ledger.

    Empty where there is no ledger: for generated conversations.
    """
    if opened.folder is None:
        return np.zeros(0, object)
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UserError(
            f"The languages of {opened.name} are in a Parquet file; to measure held-out losses "
            "install pyarrow with pip install 'jaxformer[data]'."
        ) from error

    table = pq.read_table(opened.folder / "ledger.parquet", columns=["language"])
    return table.column("language").to_numpy(zero_copy_only=False)
