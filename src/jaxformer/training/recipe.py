"""A recipe: one TOML file that says how a model is made, from raw text to weights."""

from pathlib import Path
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from jaxformer.model import CodeGenConfig
from jaxformer.strict import NAME, Strict, read_toml


class Stage(Strict):
    """One stage of training; it starts from the last one's weights with a fresh optimizer."""

    name: str = Field(pattern=NAME)
    data: Literal["python", "exercises"]
    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    """Rows of `context` tokens a step."""
    learning_rate: float = Field(gt=0)
    warmup: int = Field(ge=0)
    stop_after: int | None = Field(None, gt=0)
    """Leave the schedule after so many of its `steps`."""
    amount: float = Field(gt=0)
    """Megabytes of Python source, or number of generated conversations."""
    first_seed: int = 0
    """Of the data, so that a second stage need not see the same again."""
    prompt_weight: float = Field(1.0, ge=0)
    """How much a prompt's tokens count in the loss beside the code's, which count 1."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.warmup < self.steps:
            raise ValueError(f"warmup {self.warmup} must be less than steps {self.steps}")
        if self.stop_after and self.stop_after > self.steps:
            raise ValueError(f"stop_after {self.stop_after} is beyond steps {self.steps}")
        return self


class _Model(CodeGenConfig):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Recipe(Strict):
    """Everything that determines a model."""

    name: str = Field(pattern=NAME)
    seed: int = Field(0, ge=0)
    model: _Model
    context: int = Field(gt=0)
    """Tokens a row in training; the model's own context may be longer."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    weight_decay: float = 0.1
    stages: tuple[Stage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError(f"two stages have the same name: {', '.join(names)}")
        if self.context > self.model.n_positions:
            raise ValueError(
                f"context {self.context} is longer than the model's {self.model.n_positions}"
            )
        return self


def read_recipe(path: Path | str) -> Recipe:
    """Read and check a recipe.

    Raises:
        UserError: If the file is missing or is not TOML, or a key is unknown, missing or wrong.
    """
    return read_toml(path, Recipe)
