"""The fused q, v, k projection of released checkpoints, which exists only in their files.

The rows of `attn.qkv_proj.weight` are `mp_num` blocks, one for each core that the first model was
trained on; each block holds its share of the heads' queries, then values, then keys. The files do
not say `mp_num` (4 in CodeGen, 8 in some CodeGen2 models), so it is found out by trying.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxformer.model import CodeGenConfig, Params, native
from jaxformer.model.inference import advance, empty_cache, head_of, scores

USUAL_MP_NUM = 4
DECISIVE = 0.5
"""Nats a token by which one layout must explain a text better than another to be believed."""

PROBE = '''import os
import sys


def main(path):
    """Print the names of the files in a folder."""
    for name in sorted(os.listdir(path)):
        print(name)


if __name__ == "__main__":
    main(sys.argv[1])
'''
"""A text that every code model finds far more likely than a scrambled one does."""


def split_qkv(fused: np.ndarray, mp_num: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split fused rows `[3 · width, …]` into q, k and v, `[width, …]` each (out, in)."""
    rows, columns = len(fused) // 3, fused.shape[1]
    q, v, k = fused.reshape(mp_num, 3, rows // mp_num, columns).swapaxes(0, 1)
    return q.reshape(rows, columns), k.reshape(rows, columns), v.reshape(rows, columns)


def fuse_qkv(q: np.ndarray, k: np.ndarray, v: np.ndarray, mp_num: int) -> np.ndarray:
    """Do the opposite of `split_qkv`."""
    rows, columns = q.shape
    parts = np.stack([x.reshape(mp_num, rows // mp_num, columns) for x in (q, v, k)], axis=1)
    return parts.reshape(3 * rows, columns)


def _columns(width: int, assumed: int, other: int) -> np.ndarray:
    """Return which columns of q, k and v, read with `assumed`, belong where with `other`."""
    q, k, v = np.arange(3 * width).reshape(3, assumed, -1)
    q, v, k = np.stack([q, v, k], axis=1).reshape(other, 3, -1).swapaxes(0, 1)
    return np.concatenate([q, k, v], axis=None)


@partial(jax.jit, donate_argnums=0)
def _rearrange(parts: list[Any], columns: jax.Array) -> list[Any]:
    def take(*leaves: jax.Array) -> list[jax.Array]:
        return jnp.split(jnp.concatenate(leaves, axis=-1)[..., columns], 3, axis=-1)

    leaves, structure = jax.tree.flatten(parts[0])
    taken = [take(*each) for each in zip(leaves, *map(jax.tree.leaves, parts[1:]), strict=True)]
    return [structure.unflatten(each) for each in zip(*taken, strict=True)]


def relayout(blocks: list[Params], assumed: int, other: int) -> None:
    """Make every block's q, k and v what they would be, had their file been read otherwise.

    In place and one block at a time, because a second copy would be too much memory. The columns
    are heads (`[in, out]`), as in the parameter table; they may be quantised, or packed.

    Args:
        blocks: The blocks, read with `assumed`.
        assumed: The `mp_num` that they were read with.
        other: The `mp_num` that they should have been read with.
    """
    for block in blocks if assumed != other else ():
        columns = _columns(len(block["fc_out_bias"]), assumed, other)
        if "in" in block:
            block["in"] = native.reordered(block["in"], columns)
        else:
            homes = jax.tree.map(lambda x: x.sharding, block["q"])
            parts = _rearrange([block[name] for name in "qkv"], columns)
            placed = [jax.tree.map(_at_home, part, homes) for part in jax.block_until_ready(parts)]
            block |= zip("qkv", placed, strict=True)


def _at_home(x: jax.Array, home: jax.sharding.Sharding) -> jax.Array:
    """Put an array where it was; one that is there stays free to go where others are."""
    return x if x.sharding == home else jax.device_put(x, home)


def _loss(params: Params, config: CodeGenConfig, tokens: np.ndarray) -> float:
    places = np.arange(len(tokens) - 1, dtype=np.int32)[None]
    cache = empty_cache(params, config, 1, len(tokens))
    states, _ = advance(params, config, tokens[None, :-1], places, cache)
    states = jax.device_put(np.asarray(states)[0])  # not by XLA: compiling takes memory
    found = np.asarray(scores(head_of(params), config, states))
    losses = []
    for row, token in zip(found, tokens[1:], strict=True):  # all at once would take memory
        largest = row.max()
        losses.append(largest + np.log(np.exp(row - largest).sum()) - row[token])
    return float(np.mean(losses))


def find_mp_num(params: Params, config: CodeGenConfig, tokens: list[int], assumed: int) -> int:
    """Lay q, k and v out in the `mp_num` under which the model explains a text decisively best.

    Args:
        params: Parameters that were read with `assumed`; put right in place.
        config: The model's shape.
        tokens: The text, at least two tokens that are in the model's vocabulary.
        assumed: The layout that was assumed; it stays where none is decisively better, and where
            the best is still worse than chance, as with random weights.

    Returns:
        The `mp_num` that was settled on.
    """
    ids = np.array(tokens[: min(64, config.n_positions)], np.int32)
    candidates = [assumed, *(n for n in (4, 8) if n != assumed and config.n_head % n == 0)]
    losses, current = {}, assumed
    for candidate in candidates:
        relayout(params["blocks"], current, candidate)
        current = candidate
        losses[candidate] = _loss(params, config, ids)
    best = min(candidates, key=losses.__getitem__)
    chance = math.log(config.vocab_size)
    found = best if losses[best] < min(losses[assumed] - DECISIVE, chance) else assumed
    relayout(params["blocks"], current, found)
    return found
