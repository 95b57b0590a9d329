"""A corpus recipe: one TOML file that says what a data set is made of."""

from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, StrictFloat, StrictInt, model_validator

from jaxformer.data.languages import LANGUAGES
from jaxformer.strict import NAME, Strict, read_toml
from jaxformer.tokenizer.training import SMALLEST

Off: TypeAlias = Literal[False]
_Count: TypeAlias = Off | Annotated[StrictInt, Field(gt=0, lt=1 << 62)]
_Share: TypeAlias = Off | Annotated[StrictFloat, Field(gt=0, le=1)]
_Place: TypeAlias = Annotated[str, Field(pattern=r"^[^\x00-\x1f]+$")]
"""A path or the like: not empty, without control characters."""


class _Source(Strict):
    path: _Place
    """`~`, `{stdlib}` and `{packages}` stand for folders of this machine; `*` matches names."""
    name: str = Field("", pattern=r"^[\w.+-]*$")
    """What the accounts call it; the path if empty."""
    license: str = ""
    """SPDX identifier of what the source does not say itself."""
    language: str = ""
    """The language of all its documents, whatever their names say."""


class Folder(_Source):
    """Every file of the folders that `path` matches."""

    kind: Literal["folder"]
    include: tuple[str, ...] = ()
    """Patterns of relative paths; everything if none."""
    exclude: tuple[str, ...] = ()


class Git(_Source):
    """The tracked files of git checkouts, at one revision."""

    kind: Literal["git"]
    revision: _Place = "HEAD"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Records(_Source):
    """JSONL (plain, .gz or .zst) or Parquet files with one document a line or row."""

    kind: Literal["jsonl", "parquet"]
    text: str = "text"
    """The field of the text; a record with `turns` is a conversation instead."""


class Hub(Strict):
    """A data set of the Hugging Face hub, or a local folder of one, by streaming."""

    kind: Literal["hub"]
    path: _Place
    """The data set's name on the hub, or a folder."""
    name: str = Field("", pattern=r"^[\w.+-]*$")
    subset: str | None = None
    split: str = "train"
    text: str = "text"
    license: str = ""
    language: str = ""
    limit: _Count = False
    """Take so many documents of each shard."""


Source: TypeAlias = Annotated[Folder | Git | Records | Hub, Field(discriminator="kind")]


class Filters(Strict):
    """What stays out of a data set; `false` switches a filter off."""

    encoding: bool = True
    """Drop what is no UTF-8 text; if off, undecodable bytes become U+FFFD."""
    size: _Count = 1_000_000
    """Longest document, in bytes."""
    generated: bool = True
    """Drop files that say they are generated, and minified ones."""
    mean_line_length: _Count = 100
    longest_line: _Count = 1000
    digits: _Share = 0.9
    """Largest share of decimal or hexadecimal digits."""
    licenses: Off | tuple[str, ...] = False
    """Keep these SPDX identifiers only."""
    parses: bool = True
    """Drop Python that is no Python 3."""
    secrets: bool = True
    """Replace keys and passwords."""
    emails: bool = True
    """Replace e-mail addresses."""


class Duplicates(Strict):
    """Which documents count as seen before."""

    exact: bool = True
    near: Off | Annotated[StrictFloat, Field(ge=0.6, le=1)] = 0.8
    """Jaccard similarity of sets of code-token 5-grams from which a document is a duplicate; the
    search for candidates is made for 0.6 and more."""


class Contamination(Strict):
    """Benchmarks of which nothing may be in the data; those of the package always count."""

    benchmarks: tuple[str, ...] = ()
    """Files or patterns: JSONL, or plain text."""
    ngram: int = Field(10, ge=5, le=1000)
    """So many words in a row that a document shares with a problem drop it."""


class CorpusRecipe(Strict):
    """Everything that determines a data set."""

    name: str = Field(pattern=NAME)
    seed: int = Field(0, ge=0, lt=1 << 32)
    tokenizer: _Place = "nano"
    """A model or tokenizer folder, `nano`, or a name on the hub."""
    vocab_size: Off | Annotated[StrictInt, Field(ge=SMALLEST, le=1 << 20)] = False
    """Learn a tokenizer of so many entries from the corpus instead."""
    infilling: bool = False
    """Give the tokenizer the sentinels of fill-in-the-middle."""
    context: int = Field(2048, gt=1, le=1 << 20)
    """Tokens a row."""
    packing: Literal["cut", "fit"] = "cut"
    """`cut` the stream of documents into rows, or `fit` whole documents into them."""
    languages: tuple[str, ...] = ()
    """Keep these only; every known one if none are named."""
    language_prefix: bool = False
    """Begin each document with a comment that names its language."""
    sources: tuple[Source, ...] = Field(min_length=1)
    filters: Filters = Filters()
    duplicates: Duplicates = Duplicates()
    contamination: Contamination = Contamination(ngram=10)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unknown = set(self.languages) - LANGUAGES.keys()
        unknown |= {s.language for s in self.sources if s.language} - LANGUAGES.keys()
        if unknown:
            raise ValueError(
                f"no such language: {', '.join(sorted(unknown))}; known: {', '.join(LANGUAGES)}"
            )
        names = [source_name(source) for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError("two sources have the same name")
        return self


def source_name(source: Source) -> str:
    """Return what the accounts call a source."""
    return source.name or source.path


def read_recipe(path: Path | str) -> CorpusRecipe:
    """Read and check a corpus recipe; relative paths in it count from the working folder.

    Raises:
        UserError: If the file is missing or is not TOML, or a key is unknown, missing or wrong.
    """
    return read_toml(path, CorpusRecipe)
