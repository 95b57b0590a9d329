"""Configuration, parameter table and forward pass: pure functions over a pytree of arrays."""

from jaxformer.model.config import RELEASED, CodeGenConfig
from jaxformer.model.forward import Cache, hidden, logits, new_cache
from jaxformer.model.parameters import Params, Spec, count, init, table

__all__ = [
    "RELEASED",
    "Cache",
    "CodeGenConfig",
    "Params",
    "Spec",
    "count",
    "hidden",
    "init",
    "logits",
    "new_cache",
    "table",
]
