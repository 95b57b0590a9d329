"""A model as a folder for other software, compared with itself once it is written."""

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


def export(model: Model, folder: Path) -> float:
    """Write a folder that transformers loads, in the dtype that the model was loaded in.

    Args:
        model: The model, not packed for the native kernels.
        folder: Where to; it must not exist.

    Returns:
        The largest difference between the model's logits and those of what was written, on a text.

    Raises:
        UserError: If the folder exists or cannot be written.
    """
    if folder.exists():
        raise UserError(f"{folder} exists already; name another folder, or remove it first.")
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        save_pretrained(part, model.config, model.params, model.tokenizer, dtype=model.dtype)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise UserError(f"{folder} could not be written: {reason}; make room.") from error
    written = load(str(part), dtype=model.dtype, packed=False)
    difference = float(np.abs(_logits(model) - _logits(written)).max())
    part.rename(folder)
    return difference


def _logits(model: Model) -> np.ndarray:
    """Return the logits of a text, `[tokens, vocab_size]`."""
    tokens = model.tokenizer.encode(PROBE)[: model.config.n_positions]
    cache = empty_cache(model.params, model.config, 1, len(tokens))
    ids, places = jnp.array([tokens], jnp.int32), jnp.arange(len(tokens), dtype=jnp.int32)[None]
    states, _ = step(model.params, model.config, ids, places, cache)
    return np.asarray(scores(head_of(model.params), model.config, states[0]))
