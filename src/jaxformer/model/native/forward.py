"""The forward pass of inference by the kernels; `model.forward` says what it computes.

Activations are float32 between products. Each output of a product and each query of attention is
one chain of operations in a fixed order: the same tokens give the same values, bit for bit, whether
they are read together or one by one, alone or in a batch, into a small cache or a large one.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxformer.model.config import CodeGenConfig
from jaxformer.model.forward import Cache, rotary_tables
from jaxformer.model.native.library import instruction_set
from jaxformer.model.native.packing import FORMATS, Packed
from jaxformer.model.parameters import Params


def cache_dtype(params: Params) -> jnp.dtype:
    """Return the dtype of keys and values: float32, or uint16 for the bits of bfloat16.

    XLA would widen bfloat16 to float32 and back wherever it copies a part of it on a CPU.
    """
    whole = params["lm_head"].format == "float32"
    return jnp.dtype(jnp.float32 if whole else jnp.uint16)


def hidden(
    params: Params, config: CodeGenConfig, tokens: jax.Array, positions: jax.Array, cache: Cache
) -> tuple[jax.Array, Cache]:
    """Run the blocks, without the final LayerNorm.

    Args:
        params: Packed parameters.
        config: The model's shape.
        tokens: Token ids `[batch, tokens]`.
        positions: Of each, `[batch, tokens]`; negative marks padding, which costs nothing.
        cache: The tokens before these; it is written in place where it can be.

    Returns:
        float32 `[batch, tokens, n_embd]`, zeros for padding; the cache with these tokens added.
    """
    instruction_set()  # makes the kernels known to XLA
    x = params["embedding"][tokens]
    tables = [jnp.asarray(t) for t in rotary_tables(config.n_positions, config.rotary_dim)]
    new: Cache = []
    for block, past in zip(params["blocks"], cache, strict=True):
        shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in (x, past["k"], past["v"])]
        call = jax.ffi.ffi_call("jaxformer_block", shapes, input_output_aliases={14: 1, 15: 2})
        ln, matrices = block["ln"], [block[name] for name in ("in", "out", "fc_out")]
        into, attended_out, inner_out = ([m.panels, m.scales] for m in matrices)
        x, k, v = call(
            *(x, positions, *tables, ln["scale"], ln["bias"]),
            *(*into, block["fc_in_bias"], *attended_out, *inner_out, block["fc_out_bias"]),
            *(past["k"], past["v"]),
            **_attributes(block["in"], config),
            heads=np.int32(config.n_head),
        )
        new.append({"k": k, "v": v})
    return x, new


def logits(params: Params, config: CodeGenConfig, states: jax.Array) -> jax.Array:
    """Map the blocks' output `[n, n_embd]` to float32 logits `[n, vocab_size]`."""
    instruction_set()
    norm, head, bias = params["ln_f"], params["lm_head"], params["lm_head_bias"]
    shape = jax.ShapeDtypeStruct((len(states), len(bias)), jnp.float32)
    return jax.ffi.ffi_call("jaxformer_head", shape)(
        *(states, norm["scale"], norm["bias"], head.panels, head.scales, bias),
        **_attributes(head, config),
    )


def _attributes(matrix: Packed, config: CodeGenConfig) -> dict[str, np.generic]:
    return {
        "format": np.int32(FORMATS.index(matrix.format)),
        "epsilon": np.float32(config.layer_norm_epsilon),
    }
