"""Synthesis: a program written over several turns."""

from jaxformer.synthesis.session import Session, Turn
from jaxformer.synthesis.turns_file import parse_turns, read_bytes, read_text

__all__ = ["Session", "Turn", "parse_turns", "read_bytes", "read_text"]
