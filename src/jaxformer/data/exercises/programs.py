"""Programs with slots for their values and several wordings of each step.

`operations` make any number of conversations from few phrases; these are fewer, and nearer to how
people go about a program: a beginner's small steps in many words, and whole programs in which what
a step does follows from what the program is for. Each line of `programs.jsonl` has `values`, the
alternatives of each slot, and `turns` with the wordings and the code of each step.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random

from jaxformer.data.exercises.exercise import Exercise
from jaxformer.data.exercises.phrasing import fill, finish
from jaxformer.data.exercises.values import fresh_name
from jaxformer.data.exercises.variation import another, another_text, quoted, said
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
        filled = fill(code, slots)
        turns.append(Turn(said(fill(wording, slots), filled, rng), filled))
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
    the numbers, as sum" says what to do. So does one that is an attribute, too: `math.radians`.
    """
    whole = "\n".join(f"{turn.prompt}\n{turn.code}" for turn in turns)
    taken = frozenset(re.findall(r"\w+", whole))
    others: dict[str, str] = {}
    code = "\n".join(turn.code for turn in turns)
    for name in sorted(assigned(code) - set(re.findall(r"\.(\w+)", code))):
        first = next(turn for turn in turns if re.search(rf"\b{name}\b", turn.code))
        told = re.search(_SAID.format(name=name), first.prompt, re.IGNORECASE)
        once = len(re.findall(rf"\b{name}\b", first.prompt, re.IGNORECASE)) == 1
        if told and once and name.islower() and rng.random() < 0.8:
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
    codes = [code for _, code in program.turns]
    if any("while " in code for code in codes):  # other values might keep it from ending
        return slots
    others = {}
    for slot, value in slots.items():
        roll = rng.random()
        if quoted(slot, codes):
            others[slot] = another_text(value, rng) if roll < 0.4 else value
        else:
            others[slot] = another(value, program.values[slot], rng) if roll < 0.6 else value
    return others


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
