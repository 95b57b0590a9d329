"""Attention within rows for TPUs: the "splash" kernel that comes with JAX."""

import jax
import jax.numpy as jnp

BLOCKS = (512, 256, 128)
"""Sizes of the blocks of queries and keys, the fastest first."""


def splash(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    segments: jax.Array,
    *,
    mask_documents: bool = True,
    interpret: bool = False,
) -> jax.Array:
    """Attention within packed rows, by JAX's kernel for TPUs; see `RowAttention`.

    Args:
        q: See `RowAttention`, as for all that follow.
        k: Shaped like `q`.
        v: Shaped like `q`.
        segments: The documents; not looked at without `mask_documents`.
        mask_documents: Whether tokens see their own document only. If not, a row is one stream,
            and padding may stand at its end only, where causality hides it.
        interpret: Compute step by step what the kernel would, on any processor.

    Returns:
        See `RowAttention`.
    """
    # Imported late because it takes long, and only TPUs need it.
    from jax.experimental.pallas.ops.tpu import splash_attention as kernels

    tokens, heads, head_dim = q.shape[1:]
    block = next(size for size in BLOCKS if tokens % size == 0)
    attend = kernels.make_splash_mha_single_device(
        kernels.MultiHeadMask([kernels.CausalMask((tokens, tokens))] * heads),
        block_sizes=kernels.BlockSizes(
            block_q=block,
            block_kv=block,
            block_q_dkv=block,
            block_kv_dkv=block,
            block_q_dq=block,
            block_kv_dq=block,
        ),
        interpret=interpret,
    )
    q, k, v = (x.swapaxes(1, 2) for x in (q * head_dim**-0.5, k, v))
    # Of the same segment, padding sees padding, so that every query sees itself.
    documents = kernels.SegmentIds(segments, segments) if mask_documents else None
    attended: jax.Array = jax.vmap(attend)(q, k, v, documents)  # pyright: ignore
    return attended.swapaxes(1, 2)


def why_not_splash(tokens: int, dtype: jnp.dtype) -> str | None:
    """Return what of the kernel's needs is not met, None if nothing."""
    if dtype not in (jnp.bfloat16, jnp.float32):
        return f"needs bfloat16 or float32, not {dtype}"
    if tokens % BLOCKS[-1]:
        return f"needs rows of a multiple of {BLOCKS[-1]} tokens, not {tokens}"
    return None
