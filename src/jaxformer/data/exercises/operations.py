"""What a step can be, and the registry of all operations.

Three shapes cover everything. A `Value` computes something and gets its wording from noun phrases
("the sum of nums") and verb phrases ("add up nums"); `forms` turns those into every way of
storing or printing it. A `Check` is a statement that is true or false. A `Do` is a step with
wordings and code of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from jaxformer.data.exercises.world import members

Params = dict[str, Any]
Pick = Callable[[Any, Random], Params | None]
Test = Callable[[Any], bool]


@dataclass(frozen=True)
class Value:
    """An expression over variables.

    Attributes:
        kinds: Kinds of the subjects a, b …, separated by spaces.
        expr: The expression, with `{a}`, `{b}`, parameters, `{x}` and `{i}` for loop variables.
        nouns: Noun phrases for the value, with their article.
        verbs: Imperatives that compute it ("add up {them}").
        does: Imperatives that change the subject itself ("double every {item}").
        asks: Questions for it, without the question mark.
        names: Names that suit the result; the first is what it is called if nobody says.
        alias: A description the result goes by later.
        pick: Draws the parameters from the value of the subject, or declines.
        test: Whether the operation makes sense for the value of the subject.
        inplace: Code for `does`, where assigning the expression back is not the plain way.
        setup: Imports that come first.
        weight: How often it is chosen.
        many: Whether the noun phrases are plural.
    """

    kinds: str
    expr: str
    nouns: str = ""
    verbs: str = ""
    does: str = ""
    asks: str = ""
    names: str = "result answer res"
    alias: str = ""
    pick: Pick | None = None
    test: Test | None = None
    inplace: str = ""
    setup: str = ""
    weight: float = 1.0
    many: bool = False


@dataclass(frozen=True)
class Check:
    """A statement about variables, and the expression that tells whether it is true.

    Attributes:
        kinds: Kinds of the subjects, separated by spaces.
        expr: The condition.
        clauses: The statement ("{A} is even").
        asks: The question ("is {a} even"), without the question mark.
        names: Names that suit the answer.
        pick: Draws the parameters, or declines.
        test: Whether the statement makes sense for the value of the subject.
        weight: How often it is chosen.
    """

    kinds: str
    expr: str
    clauses: str
    asks: str
    names: str = "result is_ok flag check answer"
    pick: Pick | None = None
    test: Test | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class Do:
    """A step with its own wordings and code.

    Attributes:
        kinds: Kinds of the subjects, separated by spaces; empty if it needs none.
        prompts: The wordings.
        code: The code; `{r}` is a new name if `makes` is given.
        makes: Names that suit the variable it makes; empty if it makes none.
        pool: The pool of names for that variable.
        alias: A description the result goes by later.
        pick: Draws the parameters, or declines.
        test: Whether the step makes sense for the value of the subject.
        weight: How often it is chosen.
        prints: Whether it prints.
        changes: Whether it changes its subject.
    """

    kinds: str
    prompts: str
    code: str
    makes: str = ""
    pool: str = "result"
    alias: str = ""
    pick: Pick | None = None
    test: Test | None = None
    weight: float = 1.0
    prints: bool = False
    changes: bool = False


Operation = Value | Check | Do

_BY_KIND: dict[str, list[Operation]] = {}
_ALL: list[Operation] = []


def register(*operations: Operation) -> None:
    """Add operations to the registry."""
    for operation in operations:
        _ALL.append(operation)
        first = operation.kinds.split(" ")[0]
        for kind in members(first) if first else ("",):
            _BY_KIND.setdefault(kind, []).append(operation)


def for_kind(kind: str) -> list[Operation]:
    """The operations whose first subject may be of this kind."""
    return _BY_KIND.get(kind, [])


def every() -> tuple[Operation, ...]:
    """All registered operations."""
    return tuple(_ALL)
