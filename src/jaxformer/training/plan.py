"""How a stage is laid out on devices, and whether it fits, before anything is compiled."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from jaxformer.errors import UserError
from jaxformer.model import CodeGenConfig, count
from jaxformer.model.attention import pick
from jaxformer.model.parameters import Params, Spec, is_spec, table
from jaxformer.training import lora as loras
from jaxformer.training.devices import check_mesh, parse_mesh
from jaxformer.training.loss import tile_tokens
from jaxformer.training.recipe import Recipe
from jaxformer.training.sizes import Pace, derive

USABLE = 0.92
"""Of a device's memory; the rest is the runtime's, and room between blocks."""
CPU_TOKENS = 1024
"""Tokens of a part of a batch on a CPU: more take longer, for they leave the caches."""

REMAT: dict[str, Callable[..., Any] | None] = {
    "nothing": None,
    "some": jax.checkpoint_policies.save_only_these_names("attended", "inner"),
    "all": jax.checkpoint_policies.nothing_saveable,
}
"""What the backward pass computes again: the cheap parts of blocks, or blocks whole.

Not on CPUs: there XLA merges it with what was computed before, and keeps all, unless blocks are
compiled once and repeated.
"""

_SAVED = {"nothing": 26.0, "some": 6.5, "all": 1.5}
"""Values of the model's width that are kept for a token in a layer, by `REMAT`."""
_FROZEN = 0.8
"""How much of that LoRA keeps: the inputs of frozen matrices are not needed again."""
_SCORES = 2.0
"""All scores of one layer in float32 and their gradients, where a kernel holds them at once."""
_COPY = {"float32": 4, "bfloat16": 2, "bfloat16 on cpu": 6}
"""Bytes of a weight in the forms that products take: rounded; on CPUs turned and joined too.

`tests/training/test_plan.py` compares these figures with what XLA allots.
"""


@dataclass(frozen=True)
class Plan:
    """A layout, and the bytes on each device that it takes."""

    mesh: tuple[int, int, int]
    """Devices along data, fsdp and tensor."""
    accumulate: int
    """Parts of a batch that are worked on one after the other."""
    remat: str
    """A key of `REMAT`."""
    parts: dict[str, float]
    """Bytes by purpose."""
    memory: float
    """Bytes that a device has."""

    @property
    def bytes(self) -> float:
        """Bytes on each device, all together."""
        return sum(self.parts.values())

    @property
    def fits(self) -> bool:
        """Whether that is less than a device can give."""
        return self.bytes <= USABLE * self.memory


def make_plan(
    recipe: Recipe,
    pace: Pace,
    config: CodeGenConfig,
    *,
    devices: int,
    memory: float,
    platform: str,
    stage: str,
    mesh: tuple[int, int, int] | None = None,
    accumulate: int | None = None,
    kernel: str = "",
) -> Plan:
    """Choose the layout that computes least among those that fit.

    Among equals it is the one that splits heads least, then cuts batches least, then shares out
    parameters least.

    Args:
        recipe: What is trained.
        pace: The stage's.
        config: The model's shape.
        devices: How many.
        memory: Bytes of each.
        platform: `cpu`, `gpu` or `tpu`.
        stage: Its name, for messages.
        mesh: A mesh that must be used.
        accumulate: A number of parts that must be used.
        kernel: The attention kernel.

    Raises:
        UserError: If nothing fits, with what the smallest would take; or if the batch cannot be
            shared by these devices.
    """
    meshes = [mesh] if mesh else list(_meshes(devices, config))
    remats = ["nothing"] if platform == "cpu" else list(REMAT)
    plans = [
        Plan(
            shape,
            parts,
            remat,
            estimate(recipe, pace, config, shape, parts, remat, platform, kernel),
            memory,
        )
        for remat in remats
        for shape in meshes
        for parts in _accumulations(pace, recipe, shape, platform, accumulate)
    ]

    def cost(plan: Plan) -> tuple[int, ...]:
        _, fsdp, tensor = plan.mesh
        return remats.index(plan.remat), tensor, plan.accumulate, fsdp

    if fitting := [plan for plan in plans if plan.fits]:
        return min(fitting, key=cost)
    if not plans:
        raise UserError(
            f"Stage {stage} has batches of {pace.batch} rows, which "
            f"{f'the mesh {_written(mesh)}' if mesh else f'{devices} devices'} "
            f"cannot share evenly{f' in {accumulate} parts' if accumulate else ''}; "
            f"choose a multiple of {_shares(meshes) * (accumulate or 1)}."
        )
    least = min(plans, key=lambda plan: plan.bytes)
    largest = max(least.parts, key=lambda part: least.parts[part])
    raise UserError(
        f"Stage {stage} needs at least {least.bytes / 1e9:.3g} GB a device (mesh "
        f"{_written(least.mesh)}, the most for {largest}), but of a device's "
        f"{memory / 1e9:.3g} GB only {USABLE * memory / 1e9:.3g} can be used; take more or larger "
        f"devices, a smaller model or context{'' if recipe.lora else ', or LoRA'}."
    )


def _written(mesh: tuple[int, int, int]) -> str:
    return "x".join(map(str, mesh))


def plan_stages(
    recipe: Recipe,
    config: CodeGenConfig,
    *,
    devices: int,
    memory: float,
    platform: str,
    mesh: str | None = None,
    accumulate: int | None = None,
    kernel: str = "auto",
    capability: float | None = None,
) -> list[Plan]:
    """Lay out every stage of a recipe; see `make_plan`, and `attention.pick` for the last two.

    Raises:
        UserError: If one does not fit, or the mesh does not suit model, batch or devices, or the
            kernel cannot serve.
    """
    dtype = "float32" if recipe.precision == "float32" else "bfloat16"
    kernel, _ = pick(kernel, platform, recipe.context, config.head_dim, dtype, capability)
    shape = parse_mesh(mesh, devices) if mesh else None
    if shape:
        check_mesh(shape, config)
    return [
        make_plan(
            recipe,
            derive(recipe, stage, config),
            config,
            devices=devices,
            memory=memory,
            platform=platform,
            stage=stage.name,
            mesh=shape,
            accumulate=accumulate,
            kernel=kernel,
        )
        for stage in recipe.stages
    ]


def _shares(meshes: Sequence[tuple[int, int, int]]) -> int:
    return min(data * fsdp for data, fsdp, _ in meshes)


def _meshes(devices: int, config: CodeGenConfig) -> Iterator[tuple[int, int, int]]:
    """Yield meshes, those that talk least first."""
    for tensor in _divisors(devices):
        if config.n_head % tensor or config.inner_dim % tensor or tensor > 8:
            continue
        for fsdp in _divisors(devices // tensor):
            yield devices // tensor // fsdp, fsdp, tensor


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]


def _accumulations(
    pace: Pace, recipe: Recipe, mesh: tuple[int, int, int], platform: str, forced: int | None
) -> list[int]:
    data, fsdp, _ = mesh
    if pace.batch % (data * fsdp):
        return []
    rows = pace.batch // (data * fsdp)
    if forced:
        return [forced] if rows % forced == 0 else []
    parts = _divisors(rows)
    if platform == "cpu":
        small = [n for n in parts if rows // n * recipe.context <= CPU_TOKENS]
        return small or parts[-1:]
    return parts


def trained_specs(recipe: Recipe, config: CodeGenConfig) -> Params:
    """Return the table of what a recipe trains."""
    return loras.table(config, recipe.lora) if recipe.lora else table(config)


def estimate(
    recipe: Recipe,
    pace: Pace,
    config: CodeGenConfig,
    mesh: tuple[int, int, int],
    accumulate: int,
    remat: str,
    platform: str,
    kernel: str = "",
) -> dict[str, float]:
    """Return the bytes on each device by purpose."""
    data, fsdp, tensor = mesh
    specs: list[Spec] = jax.tree.leaves(trained_specs(recipe, config), is_leaf=is_spec)
    trained = sum(spec.size for spec in specs)
    turned = sum(s.size for s in specs if s.is_matrix and "vocab" not in s.axes)
    moments = 2 * trained - (turned if recipe.optimizer == "muon" else 0)
    shared = fsdp * tensor
    width = 4 if platform == "cpu" or recipe.precision == "float32" else 2
    tokens = pace.batch // (accumulate * data * fsdp) * recipe.context
    wide = config.n_embd * tokens * width * (_FROZEN if recipe.lora else 1)
    block = _SAVED["nothing"] * wide / tensor
    narrow = _COPY[recipe.precision]
    copy = _COPY["bfloat16 on cpu"] if narrow == 2 and platform == "cpu" else narrow
    working = copy * count(config) / tensor
    if fsdp > 1 and remat != "nothing":
        working *= min(3, config.n_layer) / config.n_layer
    elif fsdp > 1 and not recipe.lora:  # what is gathered, in float32, stays for the way back
        working *= 1 + 4 / copy
    parts = {
        "weights": 4.0 * trained / shared,
        "optimizer": 4.0 * moments / shared,
        "gradients": 4.0 * trained / shared * (1 if accumulate == 1 else 2),
        "activations": _SAVED[remat] * wide / tensor * config.n_layer + block,
        "logits": 3.0 * 4 * min(tile_tokens(platform), tokens) * config.vocab_size / tensor,
        "working weights": working,
    }
    if kernel in ("xla", "reference"):
        size = 4.0 if recipe.precision == "float32" else 6.0  # rounded ones beside
        one = size * tokens * recipe.context * config.n_head / tensor
        parts["attention scores"] = one * (_SCORES + (config.n_layer if remat == "nothing" else 0))
    if recipe.lora:
        whole = config.vocab_size * config.n_embd  # the embedding, which enters no product
        parts["frozen weights"] = (narrow * (count(config) - whole) + 4.0 * whole) / shared
    return parts
