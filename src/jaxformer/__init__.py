"""Train, talk to and measure open code models, from a laptop to a TPU pod.

import jaxformer as jf

model = jf.load("nano")
session = jf.Session(model)
turn = session.ask("Define a list named 'nums' with values [3, 1, 4].")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jaxformer.errors import UserError

if TYPE_CHECKING:
    from jaxformer.checkpoints import Model, load
    from jaxformer.generation import complete, score
    from jaxformer.synthesis import Session

__all__ = ["Model", "Session", "UserError", "complete", "load", "score"]

_HOMES = {
    "Model": "checkpoints",
    "Session": "synthesis",
    "complete": "generation",
    "load": "checkpoints",
    "score": "generation",
}


def __getattr__(name: str) -> Any:
    """Import on first use: the sandbox, for one, must never load JAX."""
    if name not in _HOMES:
        raise AttributeError(f"module 'jaxformer' has no attribute {name!r}")
    return getattr(import_module(f"jaxformer.{_HOMES[name]}"), name)
