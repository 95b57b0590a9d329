"""Endless made-up conversations in which a program is described and written step by step."""

from jaxformer.data.exercises.compose import conversation, conversations
from jaxformer.data.exercises.exercise import Exercise
from jaxformer.data.exercises.programs import programs
from jaxformer.data.exercises.texts import texts

__all__ = ["Exercise", "conversation", "conversations", "programs", "texts"]
