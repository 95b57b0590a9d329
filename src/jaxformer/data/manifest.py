"""What a finished data set says of itself: `manifest.json`."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from jaxformer.errors import UserError

FILE = "manifest.json"


class Count(BaseModel):
    """Documents, and their bytes in UTF-8."""

    documents: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count one more document."""
        self.documents += 1
        self.bytes += size


class Manifest(BaseModel):
    """Everything needed to repeat and to check a data set."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    name: str
    recipe: dict[str, Any]
    """The corpus recipe, all defaults filled in."""
    software: dict[str, str]
    """Versions of what was used."""
    commits: dict[str, list[str]]
    """What the revisions of git sources were."""
    encoder: str
    """What made tokens of text; another for units where it differed from the reference."""
    dtype: Literal["uint16", "uint32"]
    context: int
    documents: int
    tokens: int
    rows: list[int]
    """Rows of each shard."""
    conversations: bool
    """Whether the shards tell prompts from code."""
    accounts: dict[str, dict[str, Count]]
    """By source: documents and bytes by verdict, which is `kept` or the rule that dropped them."""
    benchmarks: dict[str, str]
    """SHA-256 of each benchmark that was looked for."""
    files: dict[str, str]
    """SHA-256 of every other file of the data set."""


def read_manifest(folder: Path) -> Manifest:
    """Read and check a data set's manifest.

    Raises:
        UserError: If there is none, or a field is wrong.
    """
    path = folder / FILE
    try:
        return Manifest.model_validate(json.loads(path.read_text("utf-8")))
    except FileNotFoundError as error:
        unfinished = (folder / "work").exists()
        remedy = "run its 'data build' again to finish it" if unfinished else "build one first"
        raise UserError(f"{folder} is no finished data set: no {FILE}; {remedy}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: {where}: {first['msg']}; build the data set again.") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}; build the data set again.") from error


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
