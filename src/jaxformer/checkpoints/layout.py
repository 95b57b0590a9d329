"""The fused q, v, k projection of released checkpoints, which exists only in their files.

The rows of `attn.qkv_proj.weight` are `mp_num` blocks, one for each core that the first model was
trained on; each block holds its share of the heads' queries, then values, then keys. The files do
not say `mp_num` (4 in CodeGen, 8 in some CodeGen2 models), so it is found out by trying.
"""

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


def relayout(block: Params, assumed: int, other: int) -> Params:
    """Return a block's q, k and v as they would be, had its file been read with another `mp_num`.

    The columns are heads (`[in, out]`), as in the parameter table.
    """
    width = block["q"].shape[0]
    parts = jnp.stack([block[n].reshape(width, assumed, -1) for n in ("q", "v", "k")], axis=2)
    q, v, k = jnp.moveaxis(parts.reshape(width, other, 3, -1), 2, 0)
    return block | {n: x.reshape(width, width) for n, x in (("q", q), ("k", k), ("v", v))}


@partial(jax.jit, static_argnames=("config", "assumed", "other"))
def _loss(
    params: Params, config: CodeGenConfig, tokens: jax.Array, assumed: int, other: int
) -> jax.Array:
    blocks = [relayout(block, assumed, other) for block in params["blocks"]]
    positions = jnp.arange(len(tokens))[None]
    states, _ = hidden(params | {"blocks": blocks}, config, tokens[None], positions)
    log_probabilities = jax.nn.log_softmax(logits(params, states[0, :-1]))
    return -jnp.take_along_axis(log_probabilities, tokens[1:, None], axis=1).mean()


def likeliest_mp_num(params: Params, config: CodeGenConfig, tokens: list[int], assumed: int) -> int:
    """Return the `mp_num` under which the model explains a text decisively best.

    Args:
        params: Parameters that were read with `assumed`.
        config: The model's shape.
        tokens: The text, at least two tokens that are in the model's vocabulary.
        assumed: The layout that was assumed; the answer where none is decisively better, as with
            random weights.
    """
    candidates = {assumed} | {n for n in (4, 8) if config.n_head % n == 0}
    ids = jnp.asarray(tokens[: config.n_positions])
    losses = {n: float(_loss(params, config, ids, assumed, n)) for n in sorted(candidates)}
    best = min(losses, key=losses.__getitem__)
    return best if losses[best] < losses[assumed] - DECISIVE else assumed
