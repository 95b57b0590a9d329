"""Runs untrusted Python programs, each in a process of its own with walls around it.

The room is independent of the others and never loads JAX.
"""

from jaxformer.sandbox.contracts import DEFAULT_LIMITS, Capabilities, Limits, Result, Status, Tier
from jaxformer.sandbox.supervisor import probe, run

__all__ = [
    "DEFAULT_LIMITS",
    "Capabilities",
    "Limits",
    "Result",
    "Status",
    "Tier",
    "probe",
    "run",
]
