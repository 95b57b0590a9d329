"""The text form of a conversation, and where a completion ends: the paper's multi-turn protocol.

A transcript is the header, then for each turn the prompt as a comment and the code under it. The
model's completion of a turn is cut as the released sampler cuts it: before the second top-level
`print`, before the second top-level `def`, and before the first terminal (a comment or a docstring
at the start of a line, two empty lines, the end of text).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEADER = "# Import libraries.\n\nimport numpy as np\n\n"


@dataclass(frozen=True)
class Turn:
    """One step: what was asked, and the code that answers it."""

    prompt: str
    code: str


def ask(prompt: str) -> str:
    """Return a prompt's line of the transcript."""
    return f"# {prompt}\n"


def render(turns: Iterable[Turn]) -> str:
    """Return the transcript of finished turns; the next prompt's line may follow."""
    return HEADER + "".join(f"{ask(turn.prompt)}{turn.code}\n\n" for turn in turns)


def program(turns: Iterable[Turn]) -> str:
    """Return the program that the turns have written, prompts as comments."""
    return render(turns).rstrip("\n") + "\n"


@dataclass(frozen=True)
class Stop:
    """Cut a completion before an occurrence of a literal text.

    Attributes:
        text: What to look for.
        line_start: Whether it counts only at the start of a line.
        occurrence: Which one to cut before, from 1.
        name: The reason that is reported; the text itself if empty.
    """

    text: str
    line_start: bool = False
    occurrence: int = 1
    name: str = ""

    def find(self, completion: str) -> int | None:
        """Return where to cut, or None while the rule has not matched."""
        position, found = 0, 0
        while (position := completion.find(self.text, position)) >= 0:
            if not self.line_start or position == 0 or completion[position - 1] == "\n":
                found += 1
                if found == self.occurrence:
                    return position
            position += 1 if self.line_start else len(self.text)
        return None

    def may_begin(self, completion: str) -> int | None:
        """Return where an unfinished match at the end of the text would begin, if there is one."""
        for length in range(min(len(self.text) - 1, len(completion)), 0, -1):
            start = len(completion) - length
            if self.text.startswith(completion[start:]) and (
                not self.line_start or start == 0 or completion[start - 1] == "\n"
            ):
                return start
        return None


TURN_STOPS = (
    Stop("print", line_start=True, occurrence=2, name="second print"),
    Stop("def", line_start=True, occurrence=2, name="second def"),
    Stop("#", line_start=True, name="comment"),
    Stop("'''", line_start=True, name="docstring"),
    Stop('"""', line_start=True, name="docstring"),
    Stop("\n\n\n", name="empty lines"),
    Stop("<|endoftext|>", name="end of text"),
)
"""The rules of a turn (`truncate` in the released CodeGen sampler)."""


@dataclass(frozen=True)
class Cut:
    """Where a completion ends, and which rule said so."""

    position: int
    reason: str


def find_cut(completion: str, stops: Sequence[Stop]) -> Cut | None:
    """Return the earliest cut that any rule makes, or None.

    Text that is added later never moves a cut that was found (for rules as above, of which none
    can begin inside another's match), so a completion can be cut while it grows.
    """
    cuts = [
        Cut(position, stop.name or repr(stop.text))
        for stop in stops
        if (position := stop.find(completion)) is not None
    ]
    return min(cuts, key=lambda cut: cut.position, default=None)


def settled(completion: str, stops: Sequence[Stop]) -> int:
    """Return how many leading characters no later text can cut away: safe to show already."""
    begins = [p for stop in stops if (p := stop.may_begin(completion)) is not None]
    return min(begins, default=len(completion))


def clean(code: str) -> str:
    """Return a turn's code without empty lines around it, as it enters the transcript."""
    return code.strip("\n").rstrip()
