"""Programs with slots for their values and several wordings of each step.

`operations` make any number of conversations from few phrases; these are fewer, and nearer to how
people go about a program: a beginner's small steps in many words, and whole programs in which what
a step does follows from what the program is for. Each line of `programs.jsonl` has `values`, the
alternatives of each slot, and `turns` with the wordings and the code of each step.
"""

import ast
import json
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random

from jaxformer.data.exercises.exercise import Exercise
from jaxformer.data.exercises.phrasing import fill, finish
from jaxformer.data.exercises.values import fresh_name, person, words
from jaxformer.data.exercises.world import World
from jaxformer.transcript import Turn

_MAX_OUTPUT = 400
_ATTEMPTS = 20
_ASSIGNED = re.compile(
    r"(?:def|class|for) (\w+)|^\s*(\w+)(?:, (\w+))*(?:, (\w+))? [-+*/]?= ", re.MULTILINE
)


# A name where a step says it, so that the word is no other word of the sentence.
_SAID = (
    r"(?:called|named?|call|call it|as|in|into|to|set|let|define|make|create|compute|variables?"
    r"|lists?|dict|dictionary|functions?|strings?|sets?|tuples?|numbers?|method)"
    r"[^\w\n]{{1,3}}{name}\b|['\"`]{name}['\"`(]|^{name}\b|\b{name} ?="
)


@dataclass(frozen=True)
class Program:
    """A program with slots.

    Attributes:
        values: By slot, what may stand there.
        turns: Of each step its wordings and its code.
    """

    values: dict[str, tuple[str, ...]]
    turns: tuple[tuple[tuple[str, ...], str], ...]


@cache
def every() -> tuple[Program, ...]:
    """All programs."""
    text = (resources.files("jaxformer.data.exercises") / "programs.jsonl").read_text("utf-8")
    return tuple(
        Program(
            {slot: tuple(values) for slot, values in line["values"].items()},
            tuple((tuple(turn["prompts"]), turn["code"]) for turn in line["turns"]),
        )
        for line in map(json.loads, text.splitlines())
    )


def worded(program: Program, rng: Random) -> Exercise:
    """Fill a program's slots, choose a wording of each step, and run it.

    Often some values and names are others than the program's own, where it runs with them.
    """
    for attempt in range(_ATTEMPTS):
        slots = {slot: rng.choice(values) for slot, values in program.values.items()}
        try:
            return _written(program, slots if attempt > 1 else _varied(program, slots, rng), rng)
        except Exception:  # it does not run with these values, or prints nothing
            continue
    raise ValueError(f"no values suit the program {program}")


def _written(program: Program, slots: dict[str, str], rng: Random) -> Exercise:
    world, turns = World(rng), []
    names = frozenset(assigned("\n".join(code for _, code in program.turns)))
    for prompts, code in program.turns:
        wording = finish(rng.choice(prompts), rng, names, first=not turns)
        turns.append(Turn(fill(wording, slots), fill(code, slots)))
    turns = _renamed(turns, rng)
    for turn in turns:
        world.run(turn.code)
    if not world.output.strip() or len(world.output) > _MAX_OUTPUT:
        raise ValueError("it prints nothing, or too much")
    return Exercise(tuple(turns), world.output)


def _renamed(turns: list[Turn], rng: Random) -> list[Turn]:
    """Give names that the steps say other ones, wherever they stand, in most cases.

    A program comes back in dozens of wordings; with its own names always, a model learns them by
    heart instead of copying those that a step says. One that its step says twice stays: "the sum of
    the numbers, as sum" says what to do.
    """
    whole = "\n".join(f"{turn.prompt}\n{turn.code}" for turn in turns)
    taken = frozenset(re.findall(r"\w+", whole))
    others: dict[str, str] = {}
    for name in sorted(assigned("\n".join(turn.code for turn in turns))):
        first = next(turn for turn in turns if re.search(rf"\b{name}\b", turn.code))
        said = re.search(_SAID.format(name=name), first.prompt, re.IGNORECASE)
        once = len(re.findall(rf"\b{name}\b", first.prompt, re.IGNORECASE)) == 1
        if said and once and name.islower() and rng.random() < 0.8:
            others[name] = fresh_name(rng, "result", taken)
            taken |= {others[name]}
    if not others:
        return turns
    name = re.compile(rf"(?<!\\)\b({'|'.join(others)})\b")  # the n of '\\n' is no name

    def other(text: str) -> str:
        return name.sub(lambda found: others[found[0]], text)

    return [Turn(other(turn.prompt), other(turn.code)) for turn in turns]


def _varied(program: Program, slots: dict[str, str], rng: Random) -> dict[str, str]:
    """Return other values of the same form for some of the slots."""
    if any("while " in code for _, code in program.turns):  # other values might keep it from ending
        return slots
    return {
        slot: _another(value, rng) if rng.random() < 0.6 else value for slot, value in slots.items()
    }


def _another(value: str, rng: Random) -> str:
    """Return another number, or as many other numbers or words; or the value itself."""
    try:
        literal = ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return value
    if type(literal) is int and literal > 1:
        return str(rng.randint(max(2, literal // 2), 2 * literal))
    if not isinstance(literal, list | tuple) or len(literal) < 2:
        return value
    kinds = {type(item) for item in literal}
    if kinds == {int}:
        drawn = [rng.randint(min(literal), max(literal)) for _ in literal]
    elif kinds == {float}:
        places = max(len(repr(x).split(".")[1]) for x in literal)
        drawn = [round(rng.uniform(min(literal), max(literal)), places) for _ in literal]
    elif kinds == {str} and all(item.isalpha() for item in literal):
        people = all(item.istitle() for item in literal)
        letters = all(len(item) == 1 for item in literal)
        pool = string.ascii_lowercase if letters else words()
        drawn = [person(rng) if people else rng.choice(pool) for _ in literal]
    else:
        return value
    return repr(type(literal)(sorted(drawn) if list(literal) == sorted(literal) else drawn))


def assigned(code: str) -> set[str]:
    """The names that code defines, assigns or loops over."""
    return {name for found in _ASSIGNED.findall(code) for name in found if name}


def programs(seed: int, count: int) -> Iterator[Exercise]:
    """A run of programs, one after the other in ever new orders; see `conversations`."""
    rng, order = Random(seed), []
    for _ in range(count):
        if not order:
            order = rng.sample(every(), len(every()))
        yield worded(order.pop(), rng)
