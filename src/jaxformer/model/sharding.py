"""Where arrays live on a mesh of devices: one table of rules, logical axes to mesh axes."""

import math
from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxformer.model.parameters import Params, Spec, is_spec

AXES = ("data", "fsdp", "tensor")
"""`data` repeats the parameters, `fsdp` shares them out, `tensor` splits heads and MLP."""

RULES: dict[str, str | tuple[str, ...] | None] = {
    "batch": ("data", "fsdp"),
    "tokens": None,
    "layers": None,
    "embed": "fsdp",
    "heads": "tensor",
    "mlp": "tensor",
    "vocab": "tensor",
    "lora": None,
}


def make_mesh(shape: Sequence[int], devices: Sequence[Any] | None = None) -> Mesh:
    """Arrange devices as `[data, fsdp, tensor]`; all of them if none are given."""
    return jax.make_mesh(
        tuple(shape), AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices
    )


def partition(axes: Sequence[str | None]) -> PartitionSpec:
    """Return where an array goes whose axes have these logical names."""
    return PartitionSpec(*(axis and RULES[axis] for axis in axes))


def shardings(specs: Params, mesh: Mesh) -> Params:
    """Return the sharding of every parameter of a table.

    An axis that its mesh axis does not divide is kept whole.
    """

    def place(spec: Spec) -> NamedSharding:
        axes = [
            axis if rule is None or not size % mesh.shape[rule] else None
            for axis, size in zip(spec.axes, spec.shape, strict=True)
            if isinstance(rule := RULES[axis], str | None)
        ]
        return NamedSharding(mesh, partition(axes))

    return jax.tree.map(place, specs, is_leaf=is_spec)


def constrain(x: jax.Array, *axes: str | None) -> jax.Array:
    """Say where an activation lives; nothing where no mesh is set, or one of a single device."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.size == 1:
        return x
    return jax.lax.with_sharding_constraint(x, partition(axes))


def bytes_on_each(tree: Any) -> int:
    """Return the bytes that a tree of arrays takes on each of its devices."""
    leaves = jax.tree.leaves(tree)
    return sum(math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in leaves)
