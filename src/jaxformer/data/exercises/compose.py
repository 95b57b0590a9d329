"""Putting steps together to a conversation in which every step builds on the earlier ones."""

from collections.abc import Callable, Iterator
from random import Random

from jaxformer.data.exercises import (
    algorithms,
    arrays,
    classes,
    dates,
    definitions,
    dictionaries,
    files,
    formats,
    functions,
    list_changes,
    lists,
    numbers,
    operations,
    predicates,
    printing,
    records,
    strings,
    transforms,
)
from jaxformer.data.exercises.exercise import Exercise
from jaxformer.data.exercises.forms import Step, step
from jaxformer.data.exercises.operations import Check, Do, Operation, Value
from jaxformer.data.exercises.phrasing import finish
from jaxformer.data.exercises.world import World, kind_of
from jaxformer.transcript import Turn

# Importing these modules fills the registry.
TABLES = (
    *(lists, list_changes, predicates, transforms, strings, numbers, dictionaries, printing),
    *(arrays, records, algorithms, formats, files, dates),
)

_Opening = Callable[[World, Random], Step]
_OPENINGS: tuple[tuple[_Opening, float], ...] = (
    (lambda world, rng: definitions.define_list(world, rng, "ints"), 27),
    (lambda world, rng: definitions.define_list(world, rng, "strs"), 13),
    (lambda world, rng: definitions.define_list(world, rng, "floats"), 3),
    (lambda world, rng: definitions.define_string(world, rng, "text"), 12),
    (lambda world, rng: definitions.define_string(world, rng, "word"), 6),
    (definitions.define_number, 6),
    (definitions.define_several, 10),
    (definitions.define_two_lists, 3),
    (definitions.define_dict, 9),
    (definitions.define_range, 4),
    (definitions.define_other, 3),
    (arrays.define_array, 9),
    (arrays.define_matrix, 5),
    (records.define_records, 8),
    (dates.define_date, 4),
    (dates.define_date_text, 3),
    (files.define_lines, 6),
    (files.define_json, 2),
    (classes.define_class, 7),
    (functions.define, 9),
)
_PARTNERS: dict[str, _Opening] = {
    "array": arrays.define_array,
    "matrix": arrays.define_matrix,
    "date": dates.define_date,
}
_MAX_OUTPUT = 260


class _Stuck(Exception):
    """No step fits the conversation as it stands; it is begun again."""


def _apply(world: World, rng: Random, made: Step, turns: list[Turn]) -> None:
    """Run a step, word it to the end and take it into the conversation."""
    pieces = len(world.pieces)
    world.run(made.code)
    printed = "".join(world.pieces[pieces:])
    prints = "print(" in made.code and not made.code.startswith("def ")
    if len(printed) > _MAX_OUTPUT or (prints and not printed.strip() and rng.random() < 0.9):
        raise _Stuck
    for var in made.makes:
        world.add(var)
        kind = kind_of(world.value(var.name))
        if kind == "other" or len(repr(world.value(var.name))) > (
            260 if kind == "records" else 160
        ):
            raise _Stuck
    if len(made.makes) > 1:
        world.focus = None
    wording = " ".join(made.prompt.split()) if "  " in made.prompt else made.prompt
    prompt = finish(wording, rng, world.names, first=not turns)
    prompt = prompt.translate({1: "[", 2: "]", 3: "|"})
    if "\n" in prompt or len(prompt) > 220:
        raise _Stuck
    turns.append(Turn(prompt, made.code))


def _weight(operation: Operation, mode: str, many: bool) -> float:
    """How likely an operation is here."""
    weight = operation.weight
    if " " in operation.kinds:
        weight *= 2.5 if many else 0.0
    if isinstance(operation, Check):
        weight *= 0.8 if mode == "print" else 0.35
    if isinstance(operation, Do):
        if operation.prints != (mode == "print"):
            return 0.0
        weight *= 1.3
    if mode == "loose" and isinstance(operation, Value) and not (operation.verbs or operation.does):
        weight *= 0.5
    return weight


def _use_function(world: World, rng: Random, mode: str) -> Step | None:
    found = world.find("func")
    if not found:
        return None
    ways = functions.calls(world, rng, found[-1])
    if not ways:
        return None
    row, subject = rng.choice(ways)
    if found[-1].detail.gives == "print":
        return _call_printing(row, world, rng, subject, mode)
    if mode == "loose":
        mode = "named"
    return step(row, world, rng, subject, mode)


def _call_printing(
    row: Value, world: World, rng: Random, subject: str | None, mode: str
) -> Step | None:
    """A function that prints by itself is called as a statement."""
    if mode != "print" or not row.expr.endswith(")"):
        return None
    bare = Do(row.kinds, row.verbs, row.expr, prints=True)
    return step(bare, world, rng, subject, "print")


def _choose_subject(world: World, rng: Random) -> str | None:
    names = [name for name in world.vars if world.kind(name) not in ("func", "class", "object")]
    if not names:
        return None
    if world.focus in names and rng.random() < 0.78:
        return world.focus
    return rng.choice(names[-3:])


def _use_class(world: World, rng: Random, mode: str) -> Step | None:
    objects = world.find("object")
    if objects:
        return classes.use_object(world, rng, objects[-1], mode)
    return None if mode == "print" else classes.use_class(world, rng, world.find("class")[-1])


def _attempt(world: World, rng: Random, mode: str) -> Step | None:
    if world.find("class") and rng.random() < 0.85:
        return _use_class(world, rng, mode)
    if world.find("func") and rng.random() < 0.75:
        return _use_function(world, rng, mode)
    subject = _choose_subject(world, rng)
    if subject is None:
        return None
    kind = world.kind(subject)
    many = len(world.vars) > 1
    pool = operations.for_kind(kind)
    weights = [_weight(operation, mode, many) for operation in pool]
    if not any(weights):
        return None
    return step(rng.choices(pool, weights)[0], world, rng, subject, mode)


def _next_step(world: World, rng: Random, mode: str) -> Step:
    for _ in range(25):
        try:
            made = _attempt(world, rng, mode)
        except (ArithmeticError, LookupError, TypeError, ValueError, StopIteration):
            continue  # The operation has no answer for this value: 1 / 0, max([]) …
        if made is not None:
            return made
    raise _Stuck


def _lengths(rng: Random) -> int:
    return rng.choices((2, 3, 4, 5, 6, 7, 8), (15, 46, 21, 10, 4, 2, 2))[0]


def _mode(rng: Random, last: bool) -> str:
    if last:
        return rng.choices(("print", "both", "named", "loose"), (80, 7, 9, 4))[0]
    return rng.choices(("named", "loose", "print", "both"), (52, 31, 12, 5))[0]


def _build(rng: Random) -> Exercise:
    world = World(rng)
    turns: list[Turn] = []
    count = _lengths(rng)
    weights = [weight for _, weight in _OPENINGS]
    opening = rng.choices(_OPENINGS, weights)[0][0]
    _apply(world, rng, opening(world, rng), turns)
    for position in range(1, count):
        last = position == count - 1
        if not last and position < 3 and rng.random() < 0.14:
            made = _another(world, rng)
        else:
            made = _next_step(world, rng, _mode(rng, last))
        if made.prompt in (turn.prompt for turn in turns):
            raise _Stuck
        _apply(world, rng, made, turns)
    return Exercise(tuple(turns), world.output)


def _another(world: World, rng: Random) -> Step:
    """A second definition: a partner for what is there, or a function to use on it."""
    name = world.focus or next(reversed(world.vars))
    kind = world.kind(name)
    if kind == "func" or rng.random() < 0.3:
        if kind != "func" and rng.random() < 0.6 and not world.find("func"):
            return functions.define(world, rng)
        weights = [weight for _, weight in _OPENINGS[:-1]]
        return rng.choices(_OPENINGS[:-1], weights)[0][0](world, rng)
    if kind in ("ints", "floats", "strs"):
        return definitions.define_list(world, rng, kind)
    if kind in ("word", "text"):
        return definitions.define_string(world, rng, kind)
    if kind in ("int", "float"):
        return definitions.define_number(world, rng)
    if kind in _PARTNERS:
        return _PARTNERS[kind](world, rng)
    return (
        functions.define(world, rng)
        if not world.find("func")
        else definitions.define_number(world, rng)
    )


def conversation(seed: int) -> Exercise:
    """The conversation of a seed, the same on every machine.

    Args:
        seed: Any whole number.

    Returns:
        Its turns and what their program prints.
    """
    rng = Random(seed)
    while True:
        try:
            return _build(rng)
        except (_Stuck, ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
            continue


def conversations(seed: int, count: int) -> Iterator[Exercise]:
    """A run of conversations; different seeds give different runs.

    Args:
        seed: The run.
        count: How many conversations.

    Yields:
        The conversations of the run in order.
    """
    for number in range(count):
        yield conversation(seed * 1_000_003 + number)
