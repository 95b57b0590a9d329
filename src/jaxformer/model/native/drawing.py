"""The next token by the kernels; `generation.sampling.sample` says what is drawn."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxformer.model.native.library import instruction_set


def draw(
    scores: jax.Array,
    entries: int,
    temperature: jax.Array,
    top_p: jax.Array,
    top_k: jax.Array,
    seed: jax.Array,
    positions: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Draw a token for every row, with the random bits that JAX has for its seed and position.

    Args:
        scores: Logits `[n, vocab_size]` in float32; one row may be for all.
        entries: Ids from this on are impossible.
        temperature: float32 `[n]`; 0 takes the likeliest token.
        top_p: float32 `[n]`.
        top_k: int32 `[n]`; 0 for all.
        seed: uint32 `[n]`.
        positions: The position that each token will have, int32 `[n]`.

    Returns:
        int32 ids `[n]`; their natural-log probabilities before temperature and truncation.
    """
    instruction_set()  # makes the kernels known to XLA
    rows = positions.shape
    shapes = [jax.ShapeDtypeStruct(rows, jnp.int32), jax.ShapeDtypeStruct(rows, jnp.float32)]
    tokens, logprobs = jax.ffi.ffi_call("jaxformer_draw", shapes)(
        scores, temperature, top_p, top_k, seed, positions, entries=np.int32(entries)
    )
    return tokens, logprobs
