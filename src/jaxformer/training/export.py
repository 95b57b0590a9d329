"""A finished stage as a folder that transformers, or PEFT, loads."""

import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from jaxformer.checkpoints import save_pretrained
from jaxformer.checkpoints.peft import save_adapter
from jaxformer.errors import UserError
from jaxformer.model import Params
from jaxformer.model.parameters import unstack
from jaxformer.training import devices, weights
from jaxformer.training.card import FILE, Finished, write_card


def export(done: Finished, folder: Path, frozen: Any, trained: Params) -> None:
    """Write a stage's model, whole or not at all.

    Args:
        done: What was trained.
        folder: Where to; what is there is replaced.
        frozen: Frozen weights, or None.
        trained: What was trained: all weights, or LoRA's.

    Raises:
        UserError: If there is no room.
    """
    recipe = done.recipe
    adapters = recipe.lora if recipe.lora and not recipe.lora.merge else None
    tree = trained if adapters else weights.merged(recipe, frozen, trained)
    arrays = devices.fetch(unstack(tree, done.config.n_layer))
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
