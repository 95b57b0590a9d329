"""A model as a folder for other software, read again once it is written."""

import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError

from jaxformer.checkpoints.layout import PROBE
from jaxformer.checkpoints.model import Model, load
from jaxformer.checkpoints.saving import save_pretrained
from jaxformer.errors import UserError
from jaxformer.model.inference import empty_cache, head_of, scores, step

TOLERANCE = 1e-3
"""The largest difference of logits that what was written may show."""


def export(name: str, folder: Path, dtype: str) -> float:
    """Write a folder that transformers loads, whole or not at all.

    Args:
        name: `nano`, a Hugging Face CodeGen folder, or a hub name.
        folder: Where to; it must not exist.
        dtype: Of the weights that are written; in `int8` and `int4` they are quantised.

    Returns:
        The largest difference between the logits of the model in that dtype and of the folder,
        read again, on a text.

    Raises:
        UserError: If the model cannot be loaded, or the folder exists, cannot be written, or does
            not give the model's logits.
    """
    if folder.exists():
        raise UserError(f"{folder} exists already; name another folder, or remove it first.")
    model = load(name, dtype=dtype, packed=False)
    wanted, part = _logits(model), folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        save_pretrained(part, model.config, model.params, model.tokenizer, dtype=dtype)
        del model  # not two in memory
        found = _logits(load(str(part), dtype=dtype, packed=False))
        difference = float(np.abs(found - wanted).max())
        if not difference <= TOLERANCE:
            raise UserError(
                f"{folder} was not written: read again, its logits differ by {difference:.2g}; "
                f"{name} does not fit transformers' layout of queries, keys and values."
            )
        part.rename(folder)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise UserError(f"{folder} could not be written: {reason}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return difference


def _logits(model: Model) -> np.ndarray:
    """Return the logits of a text, `[tokens, vocab_size]`."""
    tokens = model.tokenizer.encode(PROBE)[: model.config.n_positions]
    cache = empty_cache(model.params, model.config, 1, len(tokens))
    ids, places = jnp.array([tokens], jnp.int32), jnp.arange(len(tokens), dtype=jnp.int32)[None]
    states, _ = step(model.params, model.config, ids, places, cache)
    return np.asarray(scores(head_of(model.params), model.config, states[0]))
