"""Measurement: whether programs written turn by turn do what was asked."""

from jaxformer.evaluation.conversations import is_right, pass_rate

__all__ = ["is_right", "pass_rate"]
