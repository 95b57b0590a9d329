"""Exercises as other texts: functions to be completed from their docstrings, and explanations."""

from collections.abc import Iterator
from random import Random

from jaxformer.data.exercises import functions
from jaxformer.data.exercises.compose import conversation
from jaxformer.data.exercises.phrasing import expand
from jaxformer.data.exercises.world import World

_HINTS = {"int": "int", "word": "str", "text": "str", "ints": "list[int]"}
_SAYS = "[Return|Returns|Compute|Give] {R}."
_FIRST = "First: {p}|To begin: {p}|Here is how it starts. {p}|{p}"
_THEN = "Then: {p}|Next step: {p}|After that: {p}|{p}"
_SHOWS = "It prints:|The output is:|This shows:|Running it gives:"


def function(rng: Random) -> str:
    """A function with a docstring, examples of its use in it or below."""
    world = World(rng)
    made = functions.write(world, rng)
    hinted = rng.random() < 0.4
    hints = zip(made.params, made.known.args, strict=True)
    params = ", ".join(f"{name}: {_HINTS[kind]}" if hinted else name for name, kind in hints)
    world.run(f"def {made.name}({', '.join(made.params)}):\n{made.code}")
    calls = []
    for _ in range(rng.choice((1, 2, 2, 3))):
        call = f"{made.name}({', '.join(map(repr, functions.arguments(made.known, rng)))})"
        calls.append((call, world.evaluate(call)))
    says = expand(_SAYS, rng, {"R": made.returns})
    place = rng.random()
    if place < 0.5:
        shown = "".join(f"    >>> {call}\n    {value!r}\n" for call, value in calls)
        docstring = f'    """{says}\n\n{shown}    """'
    else:
        docstring = f'    """{says}"""'
    text = f"def {made.name}({params}):\n{docstring}\n{made.code}\n"
    if place < 0.7:
        return text
    return text + "\n\n" + "".join(f"assert {call} == {value!r}\n" for call, value in calls)


def explanation(rng: Random) -> str:
    """A conversation told as a text explains it: prose, code set off from it, and the output."""
    exercise = conversation(rng.getrandbits(40))
    parts = []
    for number, turn in enumerate(exercise.turns):
        prose = expand(_THEN if number else _FIRST, rng, {"p": turn.prompt})
        parts.append(f"{prose}\n\n{_set_off(turn.code)}")
    if exercise.output:
        parts.append(f"{expand(_SHOWS, rng, {})}\n\n{_set_off(exercise.output.rstrip())}")
    return "\n\n".join(parts) + "\n"


def _set_off(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.split("\n"))


def texts(seed: int, count: int) -> Iterator[str]:
    """Functions with docstrings and explanations, two to one; see `conversations`."""
    for number in range(count):
        rng = Random(seed * 1_000_003 + number)
        yield explanation(rng) if number % 3 == 2 else function(rng)
