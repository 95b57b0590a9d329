"""Runs untrusted Python programs, each in a process of its own with walls around it.

The room is independent of the others and never loads JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxformer.sandbox.checker import Verdict, check
    from jaxformer.sandbox.contracts import (
        DEFAULT_LIMITS,
        Capabilities,
        Limits,
        Result,
        Status,
        Tier,
    )
    from jaxformer.sandbox.live import Live, State
    from jaxformer.sandbox.pool import Pool, probe, run

__all__ = [
    "DEFAULT_LIMITS",
    "Capabilities",
    "Limits",
    "Live",
    "Pool",
    "Result",
    "State",
    "Status",
    "Tier",
    "Verdict",
    "check",
    "probe",
    "run",
]

_HOMES = {
    "checker": ("Verdict", "check"),
    "live": ("Live", "State"),
    "pool": ("Pool", "probe", "run"),
}


def __getattr__(name: str) -> Any:
    # Loaded when first used: the fork server's memory, copied for each program, is to be small.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((home for home, names in _HOMES.items() if name in names), "contracts")
    return getattr(import_module(f"{__name__}.{home}"), name)
