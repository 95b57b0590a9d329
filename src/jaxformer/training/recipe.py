"""A recipe: one TOML file that says how a model is made, from raw text to weights."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from jaxformer.errors import UserError
from jaxformer.model import CodeGenConfig


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stage(_Strict):
    """One stage of training; it starts from the last one's weights with a fresh optimizer."""

    name: str
    data: Literal["python", "exercises"]
    steps: int
    batch: int
    """Rows of `context` tokens a step."""
    learning_rate: float
    warmup: int
    stop_after: int | None = None
    """Leave the schedule after so many of its `steps`."""
    amount: float
    """Megabytes of Python source, or number of generated conversations."""
    first_seed: int = 0
    """Of the data, so that a second stage need not see the same again."""
    prompt_weight: float = 1.0
    """How much a prompt's tokens count in the loss beside the code's, which count 1."""


class Recipe(_Strict):
    """Everything that determines a model."""

    name: str
    seed: int = 0
    model: CodeGenConfig
    context: int
    """Tokens a row in training; the model's own context may be longer."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    weight_decay: float = 0.1
    stages: tuple[Stage, ...]


def read_recipe(path: Path | str) -> Recipe:
    """Read and check a recipe.

    Raises:
        UserError: If the file is missing or is not TOML, or a key is unknown, missing or wrong.
    """
    path = Path(path)
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text("utf-8")))
    except FileNotFoundError as error:
        raise UserError(f"There is no recipe {path}.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path} is not a TOML file: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: {where or 'recipe'}: {first['msg']}.") from error
