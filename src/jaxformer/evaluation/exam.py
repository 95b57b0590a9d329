"""What the runner needs of any benchmark: what to write next, and whether it is right."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from jaxformer import sandbox
from jaxformer.transcript import Stop

Mode = Literal["multi", "single", "function"]


class Key(NamedTuple):
    """Which sample of which program."""

    problem: str
    mode: Mode
    case: int
    sample: int


@dataclass(frozen=True)
class Step:
    """What a model is asked to write next.

    Attributes:
        prompt: The step in words, as the samples file shows it.
        text: All that the model reads.
        max_new_tokens: At most so many tokens.
        stops: What ends the code.
    """

    prompt: str
    text: str
    max_new_tokens: int
    stops: tuple[Stop, ...]


@dataclass(frozen=True)
class Verdict:
    """Whether a program does what was asked.

    Attributes:
        passed: The answer is right, or all tests passed.
        status: `passed`, `wrong`, `no answer`, `failed` (an assertion), or what ended the program,
            as in `sandbox.Result.status`.
        message: What was wrong, in a few words.
    """

    passed: bool
    status: str
    message: str = ""


@dataclass(frozen=True)
class Group:
    """A problem as results are broken down."""

    id: str
    category: str
    difficulty: str
    turns: int


class Exam(Protocol):
    """A benchmark that can be written by a model and judged."""

    @property
    def groups(self) -> Sequence[Group]:
        """All problems, in order."""
        ...

    def keys(self, samples: int) -> list[Key]:
        """Return all that is to be written, in the order of the samples file."""
        ...

    def repeats(self, key: Key) -> bool:
        """Whether a sample is of a case that counts no more, for it repeats another's inputs."""
        ...

    def step(self, key: Key, codes: Sequence[str]) -> Step | None:
        """Return what comes after the code that is there already; None when all is written."""
        ...

    def program(self, key: Key, codes: Sequence[str]) -> str:
        """Return the program so far."""
        ...

    def judge(
        self, key: Key, codes: Sequence[str], limits: sandbox.Limits, *, unprotected: bool
    ) -> Verdict:
        """Run what was written, and judge it."""
        ...


def seed_of(run: int, key: Key, turn: int) -> int:
    """Return the seed of one completion: the same whatever else is written, and in what order."""
    text = "/".join(map(str, (run, *key, turn)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
