"""TOML files that people write, read strictly: an unknown key is an error."""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from jaxformer.errors import UserError

NAME = r"^[A-Za-z0-9][\w.-]*$"
"""What a name must match that becomes a folder."""


class Strict(BaseModel):
    """Read-only settings; a key that is not among the fields is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


M = TypeVar("M", bound=BaseModel)


def read_toml(path: Path | str, model: type[M]) -> M:
    """Read and check a TOML file.

    Raises:
        UserError: If the file is missing or is not TOML, or a key is unknown, missing or wrong.
    """
    return check(load_toml(path), model, path)


def load_toml(path: Path | str) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        UserError: If it is missing or is not TOML.
    """
    path = Path(path)
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"There is no recipe {path}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path} is not a TOML file: {error}.") from error


def check(values: dict[str, Any], model: type[M], path: Path | str) -> M:
    """Check what was read from a TOML file.

    Raises:
        UserError: If a key is unknown, missing or wrong; it names the file and the key.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # A misspelt key also makes the right one missing; the misspelling is what helps.
        unknown = [e for e in error.errors() if e["type"] == "extra_forbidden"]
        # Where false is allowed beside something else, what is wrong with the latter is useful.
        useful = [e for e in error.errors() if e.get("ctx", {}).get("expected") != "False"]
        first = (unknown or useful or error.errors())[0]
        parts = [str(part) for part in first["loc"] if not re.search(r"[^\w.]", str(part))]
        where = ".".join(parts) or "the recipe"
        what = first["msg"]
        if unknown:
            known = [str(e["loc"][-1]) for e in error.errors() if e["type"] == "missing"]
            near = difflib.get_close_matches(str(first["loc"][-1]), [*known, *_keys(model)], 1)
            what = "no such key" + (f", did you mean {near[0]}" if near else "")
        raise UserError(f"{path}: {where}: {what}; see docs/formats.md.") from error


def _keys(model: type[BaseModel]) -> set[str]:
    """Return the names of all fields, those of nested settings too."""
    keys: set[str] = set()
    for definition in model.model_json_schema().get("$defs", {}).values():
        keys |= definition.get("properties", {}).keys()
    return keys | model.model_fields.keys()
