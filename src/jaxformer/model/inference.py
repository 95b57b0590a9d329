"""One step of inference, by the fastest means there are for the weights and the device.

What generates prepares what goes in with NumPy and `jax.device_put`: of JAX's operations, each
would be compiled by itself, for some ten milliseconds and a megabyte that stays.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from jaxformer.model import native
from jaxformer.model.config import CodeGenConfig
from jaxformer.model.forward import Cache, hidden, logits, new_cache
from jaxformer.model.parameters import Params
from jaxformer.model.quantisation import multiply
from jaxformer.model.sharding import partition


def empty_cache(params: Params, config: CodeGenConfig, rows: int, slots: int) -> Cache:
    """Return an empty cache of the dtype that goes with the weights, on the devices they are on."""
    packed = native.is_packed(params)
    dtype = native.cache_dtype(params) if packed else params["embedding"].dtype
    home = params["lm_head_bias"].sharding
    if not isinstance(home, NamedSharding):
        return new_cache(config, rows, slots, dtype)
    by_heads = NamedSharding(home.mesh, partition((None, "heads", None, None)))
    return new_cache(config, rows, slots, dtype, by_heads)


def compiles_whole(params: Params) -> bool:
    """Whether a whole step, or several, are best compiled as one.

    Plain XLA on a CPU compiles a block once and calls it for each layer instead, which spares
    seconds and hundreds of megabytes.
    """
    return native.is_packed(params) or jax.default_backend() != "cpu"


def step(
    params: Params, config: CodeGenConfig, tokens: jax.Array, positions: jax.Array, cache: Cache
) -> tuple[jax.Array, Cache]:
    """Read tokens `[batch, tokens]` behind what is in the cache; see `forward.hidden`.

    Returns:
        What `scores` makes logits of, `[batch, tokens, n_embd]`, and the new cache.
    """
    if native.is_packed(params):
        return native.hidden(params, config, tokens, positions, cache)
    states, new = hidden(params, config, tokens, positions, cache=cache, multiply=multiply)
    assert new is not None
    return states, new


_whole_step = jax.jit(step, static_argnames="config", donate_argnames="cache")


def advance(
    params: Params, config: CodeGenConfig, tokens: np.ndarray, positions: np.ndarray, cache: Cache
) -> tuple[jax.Array, Cache]:
    """Run `step` on tokens and positions, compiled as is best.

    The cache must not be used again.
    """
    run = _whole_step if compiles_whole(params) else step
    found = run(params, config, jax.device_put(tokens), jax.device_put(positions), cache)
    # Shared by several devices of a CPU, programs under way together may wait for each other.
    return found if compiles_whole(params) else jax.block_until_ready(found)


def head_of(params: Params) -> Params:
    """Return the part of the parameters that `scores` needs, so that it compiles for no other."""
    return {name: params[name] for name in ("lm_head", "lm_head_bias", "ln_f")}


def scores(params: Params, config: CodeGenConfig, states: jax.Array) -> jax.Array:
    """Map states `[n, n_embd]` from `step` to float32 logits `[n, vocab_size]`."""
    if native.is_packed(params):
        return native.logits(params, config, states)
    if isinstance(params["lm_head"], jax.Array):
        return logits(params, states)
    [found] = multiply(states, [params["lm_head"]])
    return found.astype(jnp.float32) + params["lm_head_bias"].astype(jnp.float32)
