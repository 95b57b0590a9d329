"""What a program does, as seen from outside the sandbox: its answer and its variables.

The answer is the first argument of its last `print`.

The program runs with a `print` that notes what it is given. The values come out as plain data, to
be compared outside: the expected answer never enters the sandbox. A program that forges the report
can thus say no more than what it could have printed.

Two ways to run a program (`Rules`):

    published  as `mtpb_exec.py` of the released CodeGen does: whatever a last statement assigns or
               evaluates is wrapped in `print`; the noted object is looked at when all is over; an
               exception after a `print` does not count.
    fixed      as a notebook does: a last expression is printed unless it is None; a value is noted
               as it was when it was printed; the program must run to its end.
"""

import json
import re
import secrets
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path
from typing import Any, Literal

from jaxformer import sandbox

Rules = Literal["fixed", "published"]
_IMPORTS = re.compile(r"^[ \t]*(?:import|from)[ \t]+([a-z]+)\b", re.MULTILINE)
_HARNESS = Path(__file__).with_name("harness.py").read_text("utf-8")


@dataclass(frozen=True)
class Value:
    """A value as it came out of the sandbox.

    Attributes:
        kind: Its type's name, `int`, `list` or `numpy.ndarray`, say.
        plain: The value itself: None, booleans, numbers, text, lists, tuples, sets, dictionaries;
            arrays and other sequences as lists. For all else an `Opaque`.
        text: What `str` makes of it.
        casts: By the published rules what `int`, `float` and `list` make of it, by name; by the
            fixed ones what a text says if read as a `literal` of Python. Missing what fails.
    """

    kind: str
    plain: Any
    text: str
    casts: dict[str, Any]


@dataclass(frozen=True)
class Opaque:
    """An object that is no plain data."""

    kind: str


@dataclass(frozen=True)
class Run:
    """How a program ended and what it answered.

    Attributes:
        status: As `sandbox.Result.status`.
        message: What ended it early, empty if nothing did.
        answer: None if it printed nothing.
        stdout: What it printed.
        state: A digest of all its variables but functions, classes and modules; empty if it was
            not asked for, or the program did not run to its end.
    """

    status: sandbox.Status
    message: str
    answer: Value | None
    stdout: str
    state: str = ""


def run(
    program: str,
    rules: Rules = "fixed",
    limits: sandbox.Limits = sandbox.DEFAULT_LIMITS,
    *,
    state: bool = False,
    unprotected: bool = False,
) -> Run:
    """Run a program in the sandbox and take its answer out, and its variables if asked for.

    Random numbers are seeded, so that the same program gives the same answer.
    """
    mark = secrets.token_hex(16)
    settings = repr({"source": program, "rules": rules, "mark": mark, "state": state})
    # The sandbox keeps modules loaded that programs name, which it does not see inside quotes.
    names = [name for name in dict.fromkeys(_IMPORTS.findall(program)) if not iskeyword(name)]
    named = "".join(f"    import {name}\n" for name in names)
    text = f"{_HARNESS}\nif 0:\n    pass\n{named}_main({settings})\n"
    result = sandbox.run(text, limits, unprotected=unprotected)
    stdout, found, report = result.stdout.rpartition(f"\n{mark}")
    if not found:
        stdout, report = result.stdout, ""
    report, _, behind = report.partition("\n")  # threads and exit handlers may print on
    stdout += behind
    message = result.exception or ("" if result.status == "ok" else result.status)
    try:  # the program may have forged it
        answer, digest = json.loads(report)
        seen = str(digest) if state else ""
        return Run(result.status, message, answer and _value(*answer), stdout, seen)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return Run(result.status, message, None, stdout)


def _value(kind: str, plain: Any, text: str, casts: dict[str, Any]) -> Value:
    named = {str(name): decode(value) for name, value in casts.items()}
    return Value(str(kind), decode(plain), str(text), named)


def decode(coded: Any) -> Any:
    """Return the value that the harness has coded as `[kind, content]`."""
    kind, content = coded
    if kind in ("none", "bool", "text"):
        return {"none": None, "bool": bool(content), "text": str(content)}[kind]
    if kind == "int":
        return int(content, 16)
    if kind == "float":
        return float(content)
    if kind == "complex":
        return complex(*map(float, content))
    if kind in ("list", "tuple", "set"):
        items = [decode(item) for item in content]
        return tuple(items) if kind == "tuple" else Set(items) if kind == "set" else items
    if kind == "dict":
        return Pairs([(decode(key), decode(value)) for key, value in content])
    return Opaque(str(content))


class Set(list):
    """The elements of a set, in the order in which it held them."""


class Pairs(list):
    """The keys and values of a dictionary, which a list as key, say, could not make again."""
