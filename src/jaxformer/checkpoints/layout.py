"""The fused q, v, k projection of released checkpoints, which exists only in their files.

The rows of `attn.qkv_proj.weight` are `mp_num` blocks, one for each core that the first model was
trained on; each block holds its share of the heads' queries, then values, then keys. The files do
not say `mp_num` (4 in CodeGen, 8 in some CodeGen2 models), so it is found out by trying.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxformer.model import CodeGenConfig, Params, hidden, logits

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
    """Split fused rows `[3 · width, width]` into q, k and v, `[width, width]` each (out, in)."""
    width = fused.shape[1]
    q, v, k = fused.reshape(mp_num, 3, width // mp_num, width).swapaxes(0, 1)
    return q.reshape(width, width), k.reshape(width, width), v.reshape(width, width)


def fuse_qkv(q: np.ndarray, k: np.ndarray, v: np.ndarray, mp_num: int) -> np.ndarray:
    """Do the opposite of `split_qkv`."""
    width = q.shape[1]
    parts = np.stack([part.reshape(mp_num, width // mp_num, width) for part in (q, v, k)], axis=1)
    return parts.reshape(3 * width, width)


@partial(jax.jit, static_argnames=("assumed", "other"), donate_argnames=("q", "k", "v"))
def _rearrange(
    q: jax.Array, k: jax.Array, v: jax.Array, assumed: int, other: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    width = q.shape[0]
    parts = jnp.stack([x.reshape(width, assumed, -1) for x in (q, v, k)], axis=2)
    q, v, k = jnp.moveaxis(parts.reshape(width, other, 3, -1), 2, 0).reshape(3, width, width)
    return q, k, v


def relayout(blocks: list[Params], assumed: int, other: int) -> None:
    """Make every block's q, k and v what they would be, had their file been read otherwise.

    In place and one block at a time, because a second copy would be too much memory. The columns
    are heads (`[in, out]`), as in the parameter table.

    Args:
        blocks: The blocks, read with `assumed`.
        assumed: The `mp_num` that they were read with.
        other: The `mp_num` that they should have been read with.
    """
    for block in blocks if assumed != other else ():
        block["q"], block["k"], block["v"] = jax.block_until_ready(
            _rearrange(block["q"], block["k"], block["v"], assumed, other)
        )


def _loss(params: Params, config: CodeGenConfig, tokens: jax.Array) -> float:
    states, _ = hidden(params, config, tokens[None], jnp.arange(len(tokens))[None])
    head = {name: params[name] for name in ("lm_head", "lm_head_bias")}
    return float(_mean_loss(head, states[0, :-1], tokens[1:]))


@jax.jit
def _mean_loss(head: Params, states: jax.Array, targets: jax.Array) -> jax.Array:
    scores = logits(head, states)
    picked = jnp.take_along_axis(scores, targets[:, None], axis=1)[:, 0]
    return (jax.nn.logsumexp(scores, axis=-1) - picked).mean()


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
    ids = jnp.asarray(tokens[: min(64, config.n_positions)])
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
