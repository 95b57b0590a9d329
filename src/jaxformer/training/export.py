"""A finished stage as a folder that transformers, or PEFT, loads."""

import shutil
from pathlib import Path

import jax
import numpy as np
from safetensors import SafetensorError

from jaxformer.checkpoints import save_pretrained
from jaxformer.checkpoints.peft import save_adapter
from jaxformer.errors import UserError
from jaxformer.model import Params
from jaxformer.model.parameters import unstack
from jaxformer.training import devices, weights
from jaxformer.training import lora as loras
from jaxformer.training.card import FILE, Finished, write_card


def export(done: Finished, folder: Path, base: Params | None, trained: Params) -> None:
    """Write a stage's model, whole or not at all.

    Args:
        done: What was trained.
        folder: Where to; what is there is replaced.
        base: The weights that LoRA's are merged into, on this machine; None without.
        trained: What was trained: all weights, or LoRA's.

    Raises:
        UserError: If there is no room.
    """
    recipe = done.recipe
    adapters = recipe.lora if base is None else None
    arrays = devices.fetch(unstack(trained, done.config.n_layer))
    if base is not None:
        assert recipe.lora
        with weights.on_host():
            arrays = jax.tree.map(np.asarray, loras.merge(base, arrays, recipe.lora))
    if devices.is_first():
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            if adapters:
                save_adapter(
                    part,
                    done.config,
                    arrays,
                    rank=adapters.rank,
                    alpha=adapters.alpha,
                    matrices=adapters.matrices,
                    base_name=str(recipe.start),
                )
                done.tokenizer.save(part)
            else:
                save_pretrained(part, done.config, arrays, done.tokenizer, dtype=recipe.precision)
            (part / "recipe.json").write_text(
                recipe.model_dump_json(indent=1, by_alias=True) + "\n", "utf-8"
            )
            (part / FILE).write_text(write_card(done), "utf-8")
        except (OSError, SafetensorError) as error:
            shutil.rmtree(part, ignore_errors=True)
            reason = getattr(error, "strerror", None) or str(error).rstrip(".")
            raise UserError(
                f"{folder} could not be written: {reason}; "
                "make room, then the same command goes on."
            ) from error
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    devices.wait_for_all(f"export {folder.name}")
