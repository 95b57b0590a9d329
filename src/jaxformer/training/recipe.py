"""A recipe: one TOML file that says how a model is made, from data sets to weights."""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from jaxformer.errors import UserError
from jaxformer.model import CodeGenConfig
from jaxformer.strict import NAME, Strict, check, load_toml
from jaxformer.training.lora import LoRA


class Source(Strict):
    """What a stage reads; give one of `path`, `exercises` and `programs`."""

    path: str | None = Field(None, min_length=1)
    """A data set that `data build` made; or text: a folder, a git checkout, JSONL or Parquet with
    documents or conversations. Text is made into a data set first, in the run's folder."""
    exercises: int | None = Field(None, gt=0)
    """So many generated conversations instead."""
    programs: int | None = Field(None, gt=0)
    """So many conversations about whole programs instead, in ever new wordings."""
    first_seed: int = Field(0, ge=0)
    """Of conversations, so that a second stage need not see the same again."""
    weight: float = Field(1.0, gt=0)
    """Of a stage's rows each source brings such a share on average."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(way is not None for way in (self.path, self.exercises, self.programs)) != 1:
            raise ValueError("give one of path, exercises and programs")
        return self

    @property
    def name(self) -> str:
        """What reports call it."""
        if self.exercises:
            return f"{self.exercises:,} exercises"
        return self.path or f"{self.programs:,} programs"


def _as_table(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class Stage(Strict):
    """One stage of training; it starts from the last one's weights with a fresh optimizer.

    What is left out of `batch`, `steps`, `learning_rate` and `warmup` follows from the model's
    size (`sizes.derive`).
    """

    name: str = Field(pattern=NAME)
    data: tuple[Annotated[Source, BeforeValidator(_as_table)], ...] = Field(min_length=1)
    batch: int | None = Field(None, gt=0)
    """Rows of `context` tokens a step, on all devices together."""
    steps: int | None = Field(None, gt=0)
    tokens: float | None = Field(None, gt=0, le=1e15)
    """Instead of steps: tokens read, rounded up to whole steps."""
    learning_rate: float | None = Field(None, gt=0)
    """The peak."""
    warmup: int | None = Field(None, ge=0)
    """Steps in which the learning rate rises to its peak."""
    anneal: int | None = Field(None, gt=0)
    """The step at which it reaches its floor; the last if not given."""
    prompt_weight: float = Field(1.0, ge=0)
    """How much the words of prompts count in the loss beside the code's 1."""
    infilling: float = Field(0.0, ge=0, le=1)
    """Share of documents rearranged for fill-in-the-middle; the tokenizer needs its sentinels."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.steps and self.tokens:
            raise ValueError("give steps or tokens, not both")
        if self.steps and self.warmup is not None and self.warmup >= self.steps:
            raise ValueError(f"warmup {self.warmup} must be less than steps {self.steps}")
        if self.anneal and self.warmup is not None and self.warmup >= self.anneal:
            raise ValueError(f"warmup {self.warmup} must be less than anneal {self.anneal}")
        return self


class _Model(CodeGenConfig):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Recipe(Strict):
    """Everything that determines a model; give one of `model`, `size` and `from`."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(pattern=NAME)
    """Finished stages are called `codegen-NAME-STAGE`."""
    seed: int = Field(0, ge=0, lt=1 << 31)
    model: _Model | None = None
    """The shape of a new model."""
    size: str | None = None
    """Or its size: a released one such as `350M`, or about so many parameters."""
    start: str | None = Field(None, alias="from")
    """Or an existing model to go on from: a folder, `nano` or a name on the hub."""
    tokenizer: str | None = None
    """A model or tokenizer folder, `nano` or a name on the hub. If not given: that of the model
    under `from`, else that of the first data set."""
    lora: LoRA | None = None
    """Train low-rank additions to the matrices instead of all weights."""
    context: int = Field(2048, gt=1)
    """Tokens a row in training; the model's own context may be longer."""
    mask_documents: bool = True
    """Whether documents that share a row are hidden from each other."""
    held_out: int = Field(0, ge=0)
    """Rows of each source that are kept from training, to measure the loss on."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    schedule: Literal["cosine", "wsd"] = "cosine"
    weight_decay: float = Field(0.1, ge=0)
    z_loss: float = Field(1e-4, ge=0)
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Of products and activations; weights, sums and the optimizer's state are float32."""
    stages: tuple[Stage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(bool(way) for way in (self.model, self.size, self.start)) != 1:
            raise ValueError("give one of model, size and from")
        if self.lora and not self.start:
            raise ValueError("lora needs a model to go on from; give from")
        if self.lora and not self.lora.merge and len(self.stages) > 1:
            raise ValueError(
                "without merge, LoRA of a later stage would lack that of the ones before; "
                "leave one stage"
            )
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError(f"two stages have the same name: {', '.join(names)}")
        if self.start:
            for stage in self.stages:
                if not stage.steps and not stage.tokens:
                    raise ValueError(
                        f"stage {stage.name} of a model under from needs steps or tokens"
                    )
        if self.model and self.context > self.model.n_positions:
            raise ValueError(
                f"context {self.context} is longer than the model's {self.model.n_positions}"
            )
        return self


def read_recipe(path: Path | str, overrides: Sequence[str] = (), size: str | None = None) -> Recipe:
    """Read and check a recipe.

    Args:
        path: The TOML file.
        overrides: `key=value` each, the value as TOML has it or a bare word. A key may be in a
            table (`model.n_layer`), in the stage of a name (`mono.steps`) or in all of them
            (`stages.steps`).
        size: Another size of model instead of the recipe's; what follows from the size is then
            derived for all stages.

    Raises:
        UserError: If the file is missing or is not TOML, or a key is unknown, missing or wrong.
    """
    values = load_toml(path)
    if size is not None:
        if "lora" in values:
            raise UserError(f"{path}: --size makes a new model, but LoRA needs one to go on from.")
        values = {k: v for k, v in values.items() if k not in ("model", "from")} | {"size": size}
        for stage in _stages(values):
            for key in ("batch", "steps", "tokens", "learning_rate", "warmup", "anneal"):
                stage.pop(key, None)
        values["name"] = size
    for override in overrides:
        _set(values, override)
    return check(values, Recipe, path)


Values: TypeAlias = dict[str, Any]


def _stages(values: Values) -> list[Values]:
    stages = values.get("stages")
    tables = stages if isinstance(stages, list) else []
    return [stage for stage in tables if isinstance(stage, dict)]


def _set(values: Values, override: str) -> None:
    key, equals, text = override.partition("=")
    key, text = key.strip(), text.strip()
    if not equals or not key:
        raise UserError(f"'{override}' sets nothing; write --set key=value.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        value = text
    *path, last = key.split(".")
    named = {str(stage.get("name")): stage for stage in _stages(values)}
    match path:
        case []:
            tables = [values]
        case ["stages"]:
            tables = list(named.values())
        case [name] if name in named:
            tables = [named[name]]
        case [name] if name in ("model", "lora"):
            tables = [values.setdefault(name, {})]
        case _:
            known = [*named, "stages", "model", "lora"]
            near = difflib.get_close_matches(path[0], known, 1)
            hint = f"did you mean {near[0]}" if near else f"there are {', '.join(known)}"
            raise UserError(f"--set {key}: no such stage or table; {hint}?")
    for table in tables:
        if not isinstance(table, dict):
            raise UserError(f"--set {key}: {path[0]} is no table; set it whole.")
        if last in ("steps", "tokens"):  # one takes the other's place
            table.pop("tokens" if last == "steps" else "steps", None)
        table[last] = value
