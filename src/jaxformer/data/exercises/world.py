"""The small world of one conversation: its variables, their values and what was printed."""

import datetime
import io
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from types import FunctionType
from typing import Any

import numpy as np

_GROUPS = {
    "nums": "ints floats",
    "list": "ints floats strs",
    "seq": "ints floats strs bools rows pairs empty",
    "str": "word text",
    "num": "int float",
    "anydict": "dict dictf dicts",
    "numdict": "dict dictf",
    "plain": "int float word text ints floats strs bool",
    "shown": "int float bool word text ints floats strs bools rows pairs empty "
    "dict dictf dicts dictn tuple set array matrix date records lines",
    "any": "int float bool word text ints floats strs bools rows pairs empty "
    "dict dictf dicts dictn tuple set",
}
SCOPE = "exercise"
"""What the module of a conversation's own classes is called."""
_MEMBERS = {group: tuple(kinds.split()) for group, kinds in _GROUPS.items()}


def members(spec: str) -> tuple[str, ...]:
    """The kinds that a kind specification such as `nums` stands for."""
    return _MEMBERS.get(spec, (spec,))


def _all(values: Any, *types: type) -> bool:
    return all(type(value) in types for value in values)


def _list_kind(value: list[Any]) -> str:
    for kind, types in (
        ("empty", ()),
        ("ints", (int,)),
        ("floats", (int, float)),
        ("strs", (str,)),
        ("bools", (bool,)),
        ("rows", (list,)),
        ("pairs", (tuple,)),
    ):
        if _all(value, *types):
            return kind
    return "records" if _are_records(value) else "other"


def _are_records(value: list[Any]) -> bool:
    """Whether these are dictionaries with the same keys, texts and whole numbers in them."""
    if not _all(value, dict) or len({tuple(row) for row in value}) != 1:
        return False
    held = [list(row.values()) for row in value]
    kinds = [{type(x) for x in column} for column in zip(*held, strict=True)]
    return {str} in kinds and {int} in kinds and all(k in ({str}, {int}) for k in kinds)


def _dict_kind(value: dict[Any, Any]) -> str:
    held = value.values()
    if not value:
        return "dictn"
    if not _all(value, str):
        return "dictn" if _all(value, int) else "other"
    for kind, types in (("dict", (int,)), ("dictf", (int, float)), ("dicts", (str,))):
        if _all(held, *types):
            return kind
    return "other"


def kind_of(value: Any) -> str:
    """The kind of a value: what may be asked of it."""
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, int | np.integer):
        return "int"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "lines" if "\n" in value else "text" if " " in value else "word"
    if isinstance(value, np.ndarray):
        return {1: "array", 2: "matrix"}.get(value.ndim, "other") if value.size else "other"
    if isinstance(value, datetime.date):
        return "date"
    if isinstance(value, list):
        return _list_kind(value)
    if isinstance(value, dict):
        return _dict_kind(value)
    if isinstance(value, tuple):
        return "tuple"
    if isinstance(value, set):
        return "set"
    if isinstance(value, FunctionType):
        return "func"
    if isinstance(value, type):
        return "class"
    return "object" if type(value).__module__ == SCOPE else "other"


@dataclass
class Var:
    """A variable of the conversation.

    Attributes:
        name: Its name in the code.
        alias: A description it can go by ("the sorted list"), or empty.
        computed: Whether an operation made it, so that "the result" may mean it.
        noun: What one of its items is, where that is known ("name" of a list of names).
        detail: For a function, a class or an object, the row of the table it came from.
    """

    name: str
    alias: str = ""
    computed: bool = False
    noun: str = ""
    detail: Any = None


@dataclass
class Style:
    """The habits of the person who words one conversation."""

    define_quote: str
    mention_quote: str
    value_quote: str

    @classmethod
    def draw(cls, rng: Random) -> "Style":
        """Draw the habits of one person."""
        define = rng.choices(["", "'", '"', "`"], [50, 25, 12, 13])[0]
        mention = define if rng.random() < 0.45 else ""
        return cls(define, mention, "'" if rng.random() < 0.72 else '"')


class World:
    """Variables and output of one conversation; code runs in it as it is written."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.style = Style.draw(rng)
        self.vars: dict[str, Var] = {}
        self.focus: str | None = None
        self.pieces: list[str] = []
        self.used: list[str] = []
        self.space: dict[str, Any] = {"__name__": SCOPE, "print": self._print, "np": np}

    def _print(self, *args: Any, **kwargs: Any) -> None:
        buffer = io.StringIO()
        print(*args, **kwargs, file=buffer)
        self.pieces.append(buffer.getvalue())

    @property
    def output(self) -> str:
        """Everything printed so far."""
        return "".join(self.pieces)

    @property
    def names(self) -> frozenset[str]:
        """The names taken by variables."""
        return frozenset(self.vars)

    def value(self, name: str) -> Any:
        """The present value of a variable."""
        return self.space[name]

    def kind(self, name: str) -> str:
        """The present kind of a variable."""
        return kind_of(self.space[name])

    def evaluate(self, expression: str, setup: str = "") -> Any:
        """The value of an expression here; the expression must not change anything."""
        if setup:
            exec(setup, self.space)
        return eval(expression, self.space)

    def run(self, code: str) -> None:
        """Execute the code of a step."""
        exec(code, self.space)

    def find(self, spec: str, test: Callable[[Any], bool] | None = None) -> list[Var]:
        """The variables of a kind, oldest first."""
        kinds = members(spec)
        return [
            var
            for var in self.vars.values()
            if self.kind(var.name) in kinds and (test is None or test(self.value(var.name)))
        ]

    def add(self, var: Var) -> None:
        """Record a variable that a step just made or changed, and look at it from now on."""
        self.vars.pop(var.name, None)
        self.vars[var.name] = var
        self.focus = var.name
