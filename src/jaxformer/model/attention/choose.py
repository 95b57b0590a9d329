"""Which kernel attends within rows, and how it does so on a mesh of devices."""

import functools
import logging

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.typing import DTypeLike

from jaxformer.errors import UserError
from jaxformer.model.attention.cudnn import cudnn, why_not_cudnn
from jaxformer.model.attention.plain import reference_rows, xla_rows
from jaxformer.model.attention.protocols import RowAttention
from jaxformer.model.attention.splash import splash, why_not_splash
from jaxformer.model.attention.tiled import tiled
from jaxformer.model.sharding import partition

log = logging.getLogger("jaxformer")

MADE_FOR = {"tiled": "cpu", "cudnn": "gpu", "splash": "tpu"}
"""The kernels that serve one platform, where `auto` takes them; the others serve all."""
NAMES = ("auto", "reference", "xla", *MADE_FOR)


def choose(
    name: str,
    platform: str,
    *,
    tokens: int,
    head_dim: int,
    dtype: DTypeLike,
    mask_documents: bool,
) -> RowAttention:
    """Return the kernel of a name, the same object for the same arguments, and log its name.

    Args:
        name: See `pick`, as for the three that follow.
        platform: Of the devices.
        tokens: The length of the rows.
        head_dim: The dimensions of a head.
        dtype: Of queries, keys and values.
        mask_documents: Whether tokens see their own document only. If not, a row is one stream:
            its segments are not looked at, and padding may stand at its end only, where causality
            hides it.

    Raises:
        UserError: There is no such kernel, or it cannot serve.
    """
    name, reason = pick(name, platform, tokens, head_dim, dtype)
    log.info("attention: %s%s", name, reason)
    return _kernel(name, mask_documents)


def pick(
    name: str,
    platform: str,
    tokens: int,
    head_dim: int,
    dtype: DTypeLike,
    capability: float | None = None,
) -> tuple[str, str]:
    """Return the name of the kernel that will serve, and why `auto` took no faster one, or "".

    Args:
        name: One of `NAMES`; `auto` is the fastest that can serve.
        platform: Of the devices: `cpu`, `gpu` (or `cuda`) or `tpu`.
        tokens: The length of the rows.
        head_dim: The dimensions of a head.
        dtype: Of queries, keys and values.
        capability: Compute capability of NVIDIA GPUs, if not that of the one that is here.

    Raises:
        UserError: There is no such kernel, or it cannot serve.
    """
    if name not in NAMES:
        raise UserError(f"There is no attention kernel '{name}'; choose one of {', '.join(NAMES)}.")
    platform = "gpu" if platform == "cuda" else platform

    def why_not(kernel: str) -> str | None:
        if platform != MADE_FOR.get(kernel, platform):
            return f"runs on {MADE_FOR[kernel]}, not on {platform}"
        if kernel == "cudnn":
            return why_not_cudnn(tokens, head_dim, jnp.dtype(dtype), capability)
        if kernel == "splash":
            return why_not_splash(tokens, jnp.dtype(dtype))
        return None

    if name == "auto":
        best = next((kernel for kernel, made in MADE_FOR.items() if made == platform), "xla")
        reason = why_not(best)
        return ("xla", f" ({best} {reason})") if reason else (best, "")
    if reason := why_not(name):
        remedy = "change that, or choose 'auto' to have one that serves"
        raise UserError(f"The attention kernel '{name}' {reason}; {remedy}.")
    return name, ""


@functools.cache
def _kernel(name: str, mask_documents: bool) -> RowAttention:
    """Return the one object for these arguments: jit compiles anew for each that it sees."""
    if name in ("cudnn", "splash"):
        kernel = {"cudnn": cudnn, "splash": splash}[name]
        return functools.partial(kernel, mask_documents=mask_documents)
    kernel = {"reference": reference_rows, "xla": xla_rows, "tiled": tiled}[name]
    return kernel if mask_documents else functools.partial(_as_one_stream, kernel)


def _as_one_stream(
    attend: RowAttention, q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array
) -> jax.Array:
    return attend(q, k, v, jnp.zeros_like(segments))


@functools.cache
def over_mesh(attend: RowAttention, mesh: Mesh) -> RowAttention:
    """Let every device attend within its own rows and heads, with no word to any other.

    The compiler cannot split most kernels itself: it would gather all rows on every device.

    Args:
        attend: The kernel.
        mesh: With the axes of `sharding.AXES`; rows must be divisible by `data` times `fsdp`,
            heads by `tensor`.

    Returns:
        The kernel for whole arrays; the same object for the same arguments.
    """
    heads = partition(("batch", "tokens", "heads", None))
    segments = partition(("batch", "tokens"))
    # Kernels do not say along which axes their results vary, so that cannot be checked.
    return jax.shard_map(
        attend,
        mesh=mesh,
        in_specs=(heads, heads, heads, segments),
        out_specs=heads,
        check_vma=False,
    )
