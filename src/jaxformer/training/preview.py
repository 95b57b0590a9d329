"""What a run would be, before it begins: its stages, their layout and their memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax

from jaxformer.errors import UserError
from jaxformer.model import RELEASED, CodeGenConfig
from jaxformer.training.devices import capability_of, memory_of, parse_devices
from jaxformer.training.plan import Plan, plan_stages
from jaxformer.training.recipe import Recipe
from jaxformer.training.sizes import Pace, derive, model_config, shape
from jaxformer.training.sources import find_tokenizer


@dataclass(frozen=True)
class Devices:
    """What a run would be laid out on."""

    count: int
    kind: str
    platform: str
    """`cpu`, `gpu` or `tpu`."""
    memory: float
    """Bytes of each."""


@dataclass(frozen=True)
class StagePreview:
    """A stage as it would run."""

    name: str
    pace: Pace
    plan: Plan
    tokens: int
    """Read in all steps together."""


@dataclass(frozen=True)
class Preview:
    """A run as it would be."""

    config: CodeGenConfig
    devices: Devices
    stages: Sequence[StagePreview]


def preview(recipe: Recipe, devices: str | None = None) -> Preview:
    """Lay out every stage of a recipe; nothing is compiled, and no data set read.

    Args:
        recipe: What would be trained.
        devices: On what, such as `8xH200`; on this machine's devices if not given.

    Raises:
        UserError: If a stage does not fit, there are no such devices, or the recipe's model and
            tokenizer do not go together.
    """
    on, config = _devices(devices), _config(recipe)
    plans = plan_stages(
        recipe,
        config,
        devices=on.count,
        memory=on.memory,
        platform=on.platform,
        capability=capability_of(on.kind),
    )
    stages = []
    for stage, plan in zip(recipe.stages, plans, strict=True):
        pace = derive(recipe, stage, config)
        tokens = pace.steps * pace.batch * recipe.context
        stages.append(StagePreview(stage.name, pace, plan, tokens))
    return Preview(config, on, stages)


def _devices(text: str | None) -> Devices:
    if text is None:
        device = jax.local_devices()[0]
        return Devices(jax.device_count(), device.device_kind, device.platform, memory_of(device))
    count, kind, memory = parse_devices(text)
    return Devices(count, kind, "tpu" if kind.lower().startswith("tpu") else "gpu", memory)


def _config(recipe: Recipe) -> CodeGenConfig:
    """Return the model's shape, which may be known before there is data with a tokenizer."""
    try:
        tokenizer = find_tokenizer(recipe)
    except UserError:
        if recipe.tokenizer or recipe.start:
            raise
        if recipe.model:
            return CodeGenConfig.model_validate(recipe.model.model_dump())
        if recipe.size in RELEASED:
            return shape(recipe.size, RELEASED[recipe.size].vocab_size, recipe.context)
        raise
    return model_config(recipe, tokenizer)
