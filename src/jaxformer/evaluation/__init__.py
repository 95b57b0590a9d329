"""Measurement: whether what a model writes does what was asked."""

from jaxformer.evaluation.held_out import is_right, pass_rate

__all__ = ["is_right", "pass_rate"]
