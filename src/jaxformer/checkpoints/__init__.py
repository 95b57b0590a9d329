"""Checkpoints: Hugging Face folders in and out, with and without the hub."""

from jaxformer.checkpoints.huggingface import DTYPES, read_config, read_params, save_pretrained
from jaxformer.checkpoints.model import Model, load

__all__ = ["DTYPES", "Model", "load", "read_config", "read_params", "save_pretrained"]
