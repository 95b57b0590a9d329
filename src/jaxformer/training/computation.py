"""Which kernels, products and layout a stage computes with."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxformer.model import CodeGenConfig
from jaxformer.model.attention import RowAttention, choose, over_mesh
from jaxformer.model.forward import matmul
from jaxformer.training import lora as loras
from jaxformer.training.loss import tile_tokens
from jaxformer.training.plan import REMAT, Plan
from jaxformer.training.products import mixed
from jaxformer.training.recipe import Recipe
from jaxformer.training.step import Computation

Layers = Literal["auto", "scan", "unroll"]


def is_stacked(layers: Layers, platform: str) -> bool:
    """Tell whether blocks are compiled once and repeated, or each by itself.

    On TPUs repeating is as fast, and compiles in a fraction of the time; CPUs and GPUs are faster
    when all layers are written out.
    """
    return layers == "scan" or (layers == "auto" and platform == "tpu")


def computation(
    recipe: Recipe, plan: Plan, config: CodeGenConfig, mesh: Mesh, kernel: str
) -> Computation:
    """Return how a stage computes.

    Args:
        recipe: What is trained.
        plan: Its layout.
        config: The model's shape.
        mesh: Of the devices.
        kernel: The attention kernel's name, or `auto`.

    Raises:
        UserError: If the kernel cannot serve.
    """
    platform = next(iter(mesh.devices.flat)).platform
    single = recipe.precision == "float32"
    attend = choose(
        kernel,
        platform,
        tokens=recipe.context,
        head_dim=config.head_dim,
        dtype=jnp.float32 if single else jnp.bfloat16,
        mask_documents=recipe.mask_documents,
    )
    if single:
        dtype, multiply = jnp.float32, matmul
    else:
        # XLA on CPUs sums bfloat16 products fast into float32 only.
        dtype = jnp.float32 if platform == "cpu" else jnp.bfloat16
        multiply = mixed(
            dtype=dtype,
            # Where fc_in's product is kept, q, k and v are made again without it.
            fuse=platform != "cpu" and plan.mesh[2] == 1 and plan.remat != "some",
            by_rows=platform == "cpu" and mesh.size == 1,
        )
        attend = _in_bfloat16(attend) if platform == "cpu" else attend
    if mesh.size > 1:
        attend = over_mesh(attend, mesh)
    if recipe.lora:
        multiply = loras.multiply_adapted(multiply, recipe.lora.scale)
    return Computation(
        attend,
        multiply,
        dtype,
        shards=plan.mesh[0] * plan.mesh[1],
        tile=tile_tokens(platform),
        accumulate=plan.accumulate,
        remat=REMAT[plan.remat],
    )


@functools.cache
def _in_bfloat16(attend: RowAttention) -> RowAttention:
    def cast(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array) -> jax.Array:
        q, k, narrow = (x.astype(jnp.bfloat16) for x in (q, k, v))
        return attend(q, k, narrow, segments).astype(v.dtype)

    return cast
