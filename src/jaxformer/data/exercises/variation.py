"""Other values of the same form for a program, and how people say them.

A program comes back in dozens of wordings. With its own values always, a model learns them by heart
instead of copying those that a step says; and who describes a program seldom writes brackets.
"""

import ast
import re
import string
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from jaxformer.data.exercises.values import (
    integer,
    letters_only,
    nonsense,
    person,
    spoken,
    words,
)

_WORD = re.compile(r"[A-Za-z]{2,}")
_TEXT = re.compile(r"[A-Za-z ]{2,60}")
# A flat list, set or dictionary that is no index, no text, no right side and none of several.
_FLAT = re.compile(
    r"(?<![\w\])\[({,='\"])(?<![,=] )(?<![\]}] and )(?<![\]}], and )"
    r"(?:\[[^][{}()]+\]|\{[^][{}()]+\})"
    r"(?![\w\])}\['\"]|,? ?[\[{]|,? and [\[{])"
)
_KIND = {
    "[": r"",
    "{": r"\bsets\b|\b(a|an|the|this|as|into|of) (new |small )?set\b",
    ":": r"\bdict|\bmapping\b|\bmaps\b|\bkeys?\b",
}
_NO_BARE_WORDS = {"and", "or", "is", "to", "with", "being", "True", "False", "None"}


def another(value: str, alternatives: Sequence[str], rng: Random) -> str:
    """Return another number, or other numbers or words in a list or a dictionary.

    Args:
        value: Python source; what is neither a number above one nor a flat collection stays.
        alternatives: What may stand there besides. If they differ in length, so may the new one.
        rng: The source of chance.
    """
    literal = _read(value)
    if type(literal) is int and literal > 1:
        return str(rng.randint(max(2, literal // 2), 2 * literal))
    if isinstance(literal, dict):
        return repr(_another_dictionary(literal, rng)) if len(literal) > 1 else value
    if not isinstance(literal, list | tuple) or len(literal) < 2 or value[0] not in "[({":
        return value
    size = len(literal)
    if len({other.count(",") for other in alternatives}) > 1 and rng.random() < 0.5:
        size = rng.randint(2, size + 3)
    drawn = _others(literal, size, rng)
    if drawn is None:
        return value
    if value[0] == "{":  # a set
        return f"{{{', '.join(dict.fromkeys(map(repr, drawn)))}}}"
    return repr(type(literal)(sorted(drawn) if list(literal) == sorted(literal) else drawn))


def another_text(value: str, rng: Random) -> str:
    """Return other words, each in the case of the word in its place, where a text is plain words.

    What is all in capitals, such as a code, stays; and so do words of one letter.
    """
    if not _TEXT.fullmatch(value) or value.isupper():
        return value
    return _WORD.sub(lambda found: _like(found[0], rng), value)


def quoted(slot: str, codes: Sequence[str]) -> bool:
    """Tell whether a slot stands in code as a text in quotes, and nowhere else."""
    whole = "\n".join(codes)
    return 0 < whole.count(f"'{{{slot}}}'") == whole.count(f"{{{slot}}}")


def said(prompt: str, code: str, rng: Random) -> str:
    """Say collections as people do, in half of all cases: "4, 8 and 15" instead of "[4, 8, 15]".

    Args:
        prompt: One step.
        code: Its code. Only what stands there too, and in no other collection, is said; and only
            a set or a dictionary that the step calls so.
        rng: The source of chance.
    """

    def other(found: re.Match[str]) -> str:
        before = prompt[: found.start()]
        if sum(map(before.count, "[{(")) > sum(map(before.count, ")}]")):  # part of a larger one
            return found[0]
        literal = _read(found[0])
        inner = re.search(r"([\[{:]|[\]}],) ?" + re.escape(found[0]), code)
        if literal is None or len(literal) < 2 or found[0] not in code or inner:
            return found[0]
        kind = "[" if found[0][0] == "[" else ":" if isinstance(literal, dict) else "{"
        if not re.search(_KIND[kind], prompt, re.IGNORECASE) or rng.random() < 0.5:
            return found[0]
        return _spoken(literal, rng)

    return _FLAT.sub(other, prompt)


def _read(source: str) -> Any:
    """What Python source stands for, a set as a list in the order written; None if for nothing."""
    try:
        literal = ast.literal_eval(source)
        return ast.literal_eval(f"[{source[1:-1]}]") if isinstance(literal, set) else literal
    except (SyntaxError, ValueError, TypeError):
        return None


def _others(items: Sequence[Any], size: int, rng: Random) -> list[Any] | None:
    kinds = {type(item) for item in items}
    if kinds == {int}:
        if rng.random() < 0.2:
            return [integer(rng) for _ in range(size)]
        return [rng.randint(min(items), max(items)) for _ in range(size)]
    if kinds == {float}:
        places = max(len(repr(x).partition(".")[2]) for x in items)
        return [round(rng.uniform(min(items), max(items)), places) for _ in range(size)]
    if kinds != {str} or not all(item.isalpha() for item in items):
        return None
    if all(len(item) == 1 for item in items):
        letters = string.ascii_uppercase if items[0].isupper() else string.ascii_lowercase
        return [rng.choice(letters) for _ in range(size)]
    drawn = [_like(items[i % len(items)], rng) for i in range(size)]
    if len(set(items)) < len(items):  # where something came twice, so it does again
        drawn[-1] = drawn[0]
    return drawn


def _another_dictionary(items: Mapping[Any, Any], rng: Random) -> dict[Any, Any]:
    keys = _others(list(items), len(items), rng) if rng.random() < 0.6 else None
    if keys is None or len(set(keys)) < len(keys):
        keys = list(items)
    held = list(items.values())
    return dict(zip(keys, _others(held, len(held), rng) or held, strict=True))


def _like(old: str, rng: Random) -> str:
    """A word in the same case, now and then one that does not exist."""
    if old.istitle() and len(old) > 1:
        return person(rng) if rng.random() < 0.5 else letters_only(rng).capitalize()
    new = nonsense(rng) if rng.random() < 0.1 else rng.choice(words())
    if old.islower() and rng.random() < 0.15:
        new += "s"
    return new.upper() if old.isupper() else new


def _spoken(literal: Any, rng: Random) -> str:
    flat = [*literal, *literal.values()] if isinstance(literal, dict) else list(literal)
    texts = [item for item in flat if isinstance(item, str)]
    bare = all(text.isalpha() and text not in _NO_BARE_WORDS for text in texts)
    quote = rng.choice(("'", '"', "" if bare else "'"))

    def part(item: Any) -> str:
        plain = isinstance(item, str) and repr(item) == f"'{item}'" and '"' not in item
        return f"{quote}{item}{quote}" if plain else repr(item)

    if not isinstance(literal, dict):
        return spoken([part(item) for item in literal], rng)
    between = rng.choice((": ", " is ", " = ", " with ", " to ", " being ", " -> "))
    return spoken([f"{part(key)}{between}{part(held)}" for key, held in literal.items()], rng)
