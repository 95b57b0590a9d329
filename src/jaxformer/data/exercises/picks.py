"""Drawing the parameters of operations so that they fit the value at hand."""

from random import Random
from typing import Any

from jaxformer.data.exercises import values
from jaxformer.data.exercises.operations import Params, Pick


def number(low: int, high: int) -> Pick:
    """A whole number `k` in a fixed range."""
    return lambda _, rng: {"k": rng.randint(low, high)}


def threshold(held: Any, rng: Random) -> Params | None:
    """A number `k` that splits a list of numbers, or is near a single one."""
    if not isinstance(held, list):
        return {"k": rng.choice((10, 5, 20, 50, 100, 0, int(held) + rng.randint(-3, 3)))}
    if len(held) < 2:
        return None
    low, high = int(min(held)), int(max(held))
    round_ones = [
        k for k in (0, 5, 10, 15, 20, 25, 30, 50, 60, 75, 80, 90, 100) if low <= k <= high
    ]
    if round_ones and rng.random() < 0.5:
        return {"k": rng.choice(round_ones)}
    return {"k": min(max(int(rng.choice(held)) + rng.choice((-1, 0, 0, 1)), low), high)}


def span(held: Any, rng: Random) -> Params | None:
    """Two numbers `j` < `k` within or around a list or number."""
    middle = int(rng.choice(held)) if isinstance(held, list) and held else rng.randint(0, 20)
    low = middle - rng.randint(0, 10)
    return {"j": low, "k": low + rng.randint(2, 20)}


def divisor(_: Any, rng: Random) -> Params:
    """A small divisor `k`."""
    return {"k": rng.choice((3, 3, 4, 5, 5, 6, 7, 10))}


def member(held: Any, rng: Random) -> Params | None:
    """A value `k` of a list, now and then one that is not there."""
    if not held:
        return None
    if rng.random() < 0.75:
        return {"k": rng.choice(held)}
    return {"k": another(held, rng)}


def present(held: Any, rng: Random) -> Params | None:
    """A value `k` of a list."""
    return {"k": rng.choice(held)} if held else None


def once(held: Any, rng: Random) -> Params | None:
    """A value `k` of a list and a different value `v`."""
    return {"k": rng.choice(held), "v": another(held, rng)} if held else None


def another(held: list[Any], rng: Random) -> Any:
    """A value like those of a list."""
    if held and isinstance(held[0], str):
        if held[0][:1].isupper():
            return values.person(rng)
        return rng.choice(values.words()[:420]) if rng.random() < 0.7 else values.letters_only(rng)
    if held and any(isinstance(value, float) for value in held):
        return values.real(rng)
    return values.integer(rng)


def newcomer(held: Any, rng: Random) -> Params:
    """A value `k` to put into a list."""
    return {"k": another(held, rng)}


def newcomers(held: Any, rng: Random) -> Params:
    """Two values `k` and `v` to put into a list."""
    return {"k": another(held, rng), "v": another(held, rng)}


def position(held: Any, rng: Random) -> Params | None:
    """A position: `n` as an ordinal and as an index, `k` the index itself."""
    if len(held) < 3:
        return None
    index = rng.randrange(1, min(len(held), 6))
    return {"n": (values.ordinal(index + 1), str(index)), "k": index}


def place(held: Any, rng: Random) -> Params | None:
    """A position `n`, its index `k` and a new value `v`."""
    found = position(held, rng)
    return None if found is None else {**found, "v": another(held, rng)}


def part(held: Any, rng: Random) -> Params | None:
    """A number `k` of items smaller than the length."""
    return None if len(held) < 3 else {"k": rng.randint(2, min(len(held) - 1, 5))}


def cut(held: Any, rng: Random) -> Params | None:
    """Two indices `j` < `k` inside a list or string, `l` the last one taken."""
    if len(held) < 4:
        return None
    low = rng.randint(0, len(held) - 3)
    high = rng.randint(low + 2, len(held))
    return {"j": low, "k": high, "l": high - 1}


def letter(held: Any, rng: Random) -> Params | None:
    """A letter `k` that mostly occurs in a string."""
    choices = sorted({char for char in held if char.isalpha()})
    if not choices:
        return None
    return {"k": rng.choice(choices) if rng.random() < 0.85 else rng.choice("aeiostrx")}


def two_letters(held: Any, rng: Random) -> Params | None:
    """A letter `k` of a string and another letter or sign `v`."""
    found = letter(held, rng)
    return None if found is None else {**found, "v": rng.choice("aeioxyz*#-_0")}


def inner_word(held: Any, rng: Random) -> Params | None:
    """A word `k` of a sentence and another word `v`."""
    pool = [word.strip(".,!?") for word in held.split()]
    pool = [word for word in pool if word]
    if not pool:
        return None
    return {"k": rng.choice(pool), "v": values.letters_only(rng)}


def any_word(held: Any, rng: Random) -> Params | None:
    """A word `k`, mostly one of the sentence."""
    found = inner_word(held, rng)
    if found is None or rng.random() < 0.3:
        return {"k": rng.choice(values.words())}
    return {"k": found["k"]}


def initial(held: Any, rng: Random) -> Params | None:
    """The first letter `k` of one of several words."""
    choices = [word[0] for word in held if word and word[0].isalpha()]
    return {"k": rng.choice(choices)} if choices else None


def final(held: Any, rng: Random) -> Params | None:
    """The last letter `k` of one of several words."""
    choices = [word[-1] for word in held if word and word[-1].isalpha()]
    return {"k": rng.choice(choices)} if choices else None


def inside(held: Any, rng: Random) -> Params | None:
    """A letter `k` that occurs in one of several words."""
    choices = sorted({char for word in held for char in word if char.isalpha()})
    return {"k": rng.choice(choices)} if choices else None


def word_length(held: Any, rng: Random) -> Params | None:
    """A word length `k` near those of several words."""
    if not held:
        return None
    return {"k": max(2, len(rng.choice(held)) + rng.choice((-1, 0, 0)))}


def key(held: Any, rng: Random) -> Params | None:
    """A key `k` of a dictionary."""
    return {"k": rng.choice(list(held))} if held else None


def maybe_key(held: Any, rng: Random) -> Params | None:
    """A key `k`, now and then one that is not there."""
    if not held:
        return None
    return {"k": rng.choice(list(held)) if rng.random() < 0.7 else another(list(held), rng)}


def entry(held: Any, rng: Random) -> Params | None:
    """A key `k` that is new and a value `v` for it."""
    if not held:
        return None
    fresh = another(list(held), rng)
    return None if fresh in held else {"k": fresh, "v": another(list(held.values()), rng)}


def update(held: Any, rng: Random) -> Params | None:
    """A key `k` that is there and a new value `v` for it."""
    found = key(held, rng)
    return None if found is None else {**found, "v": another(list(held.values()), rng)}


def bump(held: Any, rng: Random) -> Params | None:
    """A key `k` that is there and a small number `v`."""
    found = key(held, rng)
    return None if found is None else {**found, "v": rng.randint(1, 10)}


def value_limit(held: Any, rng: Random) -> Params | None:
    """A number `t` that splits the values of a dictionary."""
    found = threshold(list(held.values()), rng)
    return None if found is None else {"t": found["k"]}


def key_and_threshold(held: Any, rng: Random) -> Params | None:
    """A key `k` and a number `t` near the values."""
    found, limit = key(held, rng), value_limit(held, rng)
    return None if found is None or limit is None else {**found, **limit}


def text(_: Any, rng: Random) -> Params:
    """Any word `k`."""
    return {"k": values.word(rng)}
