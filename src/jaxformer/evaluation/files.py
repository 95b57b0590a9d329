"""JSON Lines that people bring: benchmarks and samples, read with file, line and field in mind."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from jaxformer.errors import UserError


class Line:
    """One object of a file, and where it stands."""

    def __init__(self, path: Path, number: int, fields: dict[str, Any], unit: str = "line") -> None:
        """Note an object and its place."""
        self.path, self.number, self.fields, self._unit = path, number, fields, unit

    def wrong(self, what: str) -> UserError:
        """Return the error that says what is wrong here."""
        return UserError(f"{self.path}, {self._unit} {self.number}: {what}.")

    def check(self, schema: type["Schema"]) -> Any:
        """Return the object as its schema has it.

        Raises:
            UserError: If a field is missing or wrong; it names file, line and field.
        """
        try:
            return schema.model_validate(self.fields)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the object"
            raise self.wrong(f"{place}: {first['msg'].lower()}") from error


class Schema(BaseModel):
    """The fields that are needed; others are let be."""


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the objects of a JSON Lines file, also compressed (`.gz`); empty lines do not count.

    A file that is one JSON list will do, too; the number of an object is then its place in it.

    Raises:
        UserError: If the file cannot be read, or a line is no JSON object.
    """
    try:
        data = path.read_bytes()
        content = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    except FileNotFoundError as error:
        raise UserError(f"There is no file {path}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not valid UTF-8; save the file as UTF-8.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path} is not a whole gzip file; download it again.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    if content.lstrip().startswith("["):
        try:
            objects = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: no JSON ({error}).") from error
        for number, fields in enumerate(objects, 1):
            if not isinstance(fields, dict):
                raise UserError(f"{path}, object {number}: no JSON object.")
            yield Line(path, number, fields, "object")
        return
    for number, text in enumerate(content.split("\n"), 1):
        if not text.strip():
            continue
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: no JSON ({error}).") from error
        if not isinstance(fields, dict):
            raise UserError(f"{path}, line {number}: no JSON object.")
        yield Line(path, number, fields)


def read_object(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises:
        UserError: If it cannot be read, or is none.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"There is no file {path}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON ({error}).") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no JSON object.")
    return found
