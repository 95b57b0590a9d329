"""Attention within rows for NVIDIA GPUs: the fused kernels of cuDNN."""

import jax
import jax.numpy as jnp


def cudnn(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    segments: jax.Array,
    *,
    mask_documents: bool = True,
) -> jax.Array:
    """Attention within packed rows, fused by cuDNN; see `RowAttention`.

    Causality costs no memory. Documents do: cuDNN reads their mask as a bias of the dtype of `q`,
    `[batch, 1, tokens, tokens]`, and returns a gradient of that size.

    Args:
        q: See `RowAttention`, as for all that follow.
        k: Shaped like `q`.
        v: Shaped like `q`.
        segments: The documents; not looked at without `mask_documents`.
        mask_documents: Whether tokens see their own document only. If not, a row is one stream,
            and padding may stand at its end only, where causality hides it.

    Returns:
        See `RowAttention`.
    """
    # Padding sees padding, so that every query sees itself and no sum is zero.
    mask = segments[:, None, :, None] == segments[:, None, None, :] if mask_documents else None
    return jax.nn.dot_product_attention(q, k, v, mask=mask, is_causal=True, implementation="cudnn")


def why_not_cudnn(
    tokens: int, head_dim: int, dtype: jnp.dtype, capability: float | None = None
) -> str | None:
    """Return what of the kernel's needs is not met, None if nothing.

    Args:
        tokens: The length of the rows.
        head_dim: The dimensions of a head.
        dtype: Of queries, keys and values.
        capability: The GPU's compute capability; that of the one that is here if not given.
    """
    capability = _compute_capability() if capability is None else capability
    if capability is not None and capability < 8:
        return "needs an NVIDIA GPU of compute capability 8.0 or later"
    if dtype not in (jnp.bfloat16, jnp.float16):
        return f"needs bfloat16 or float16, not {dtype}"
    # For larger heads, GPUs after Hopper have a backward pass only in recent versions of cuDNN.
    most = 256 if capability is None or int(capability) == 9 else 128
    if head_dim % 8 or head_dim > most:
        return f"needs heads of a multiple of 8 and at most {most} dimensions, not {head_dim}"
    if tokens % 2:  # JAX takes an empty bias for one in the backward pass, and odd rows forbid one
        return f"needs rows of an even number of tokens, not {tokens}"
    return None


def _compute_capability() -> float | None:
    """Return that of the first GPU, 0 if it is not NVIDIA's; None where there is no GPU to ask."""
    try:
        found = jax.local_devices(backend="gpu")[0].compute_capability
    except RuntimeError:
        return None
    try:
        return float(found)
    except ValueError:
        return 0.0
