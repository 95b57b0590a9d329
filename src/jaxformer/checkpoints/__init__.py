"""Checkpoints: Hugging Face folders in and out, with and without the hub."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxformer.checkpoints.huggingface import DTYPES, read_config, read_params
    from jaxformer.checkpoints.model import Model, load
    from jaxformer.checkpoints.saving import save_pretrained

__all__ = ["DTYPES", "Model", "load", "read_config", "read_params", "save_pretrained"]

_HOMES = {"Model": "model", "load": "model", "save_pretrained": "saving"}


def __getattr__(name: str) -> Any:
    """Import on first use: who looks for a folder (`hub`) need not wait for JAX."""
    if name not in __all__:
        raise AttributeError(f"module 'jaxformer.checkpoints' has no attribute {name!r}")
    home = _HOMES.get(name, "huggingface")
    return getattr(import_module(f"jaxformer.checkpoints.{home}"), name)
