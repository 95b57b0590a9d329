"""Synthesis: a program written over several turns."""

from jaxformer.synthesis.session import Session, Turn
from jaxformer.synthesis.turns_file import parse_turns, read_bytes

__all__ = ["Session", "Turn", "parse_turns", "read_bytes"]
