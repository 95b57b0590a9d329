"""Runs untrusted Python programs, each in a process of its own with walls around it.

The room is independent of the others and never loads JAX.
"""

from jaxformer.sandbox.checker import Verdict, check
from jaxformer.sandbox.contracts import DEFAULT_LIMITS, Capabilities, Limits, Result, Status, Tier
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
