"""An exercise: a conversation whose program was run."""

from dataclasses import dataclass

from jaxformer.transcript import Turn


@dataclass(frozen=True)
class Exercise:
    """A whole conversation.

    Attributes:
        turns: The steps in order; each builds on the variables of the earlier ones.
        output: Everything the program of all steps prints when run from the start.
    """

    turns: tuple[Turn, ...]
    output: str
