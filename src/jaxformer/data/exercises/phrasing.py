"""A tiny template language for wording, and the finish every prompt gets.

A template is text with alternatives in square brackets and named slots in braces:
`"[Print|Show] [the value of |]{a}"`. Brackets nest, and a template as a whole may hold
alternatives too: `"sum of {a}|total of {a}"`.
"""

import re
from collections.abc import Mapping
from functools import cache
from random import Random

_TOKEN = re.compile(r"[\[\]|]|\{\w+\}|[^\[\]|{]+|\{")

# A part is literal text, a slot ("{a}" kept as a one-item tuple) or a list of alternatives.
_Part = str | tuple[str] | list
_Branch = list[_Part]


@cache
def _parse(template: str) -> list[_Branch]:
    stack: list[list[_Branch]] = [[[]]]
    for token in _TOKEN.findall(template):
        if token == "[":
            stack.append([[]])
        elif token == "]":
            group = stack.pop()
            stack[-1][-1].append(group)
        elif token == "|":
            stack[-1].append([])
        elif len(token) > 2 and token[0] == "{":
            stack[-1][-1].append((token[1:-1],))
        else:
            stack[-1][-1].append(token)
    if len(stack) != 1:
        raise ValueError(f"unbalanced brackets in {template!r}")
    return stack[0]


def _write(branches: list[_Branch], rng: Random, slots: Mapping[str, str], out: list[str]) -> None:
    for part in branches[int(rng.random() * len(branches))]:
        if isinstance(part, str):
            out.append(part)
        elif isinstance(part, tuple):
            out.append(slots[part[0]])
        else:
            _write(part, rng, slots, out)


def expand(template: str, rng: Random, slots: Mapping[str, str]) -> str:
    """Choose one wording of a template and fill its slots."""
    out: list[str] = []
    _write(_parse(template), rng, slots, out)
    return "".join(out)


def alternatives(template: str) -> int:
    """Count the wordings of a template, its slots left open."""

    def count(branches: list[_Branch]) -> int:
        total = 0
        for branch in branches:
            ways = 1
            for part in branch:
                if isinstance(part, list):
                    ways *= count(part)
            total += ways
        return total

    return count(_parse(template))


_SLOT = re.compile(r"\{(\w+)\}")


def fill(code: str, slots: Mapping[str, str]) -> str:
    """Fill the known slots of a piece of code; other braces stay as they are."""
    return _SLOT.sub(lambda match: slots.get(match[1], match[0]), code)


def _vocabulary(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LEADS = "Now [|,]|Then[|,]|Next,|Please|Now please|Finally,|After that,|And now|Also,|Next|Then"
_FIRST_LEADS = "Please|First,|Let's start:|First|To start,"
_IMPERATIVE = _vocabulary(
    """
    add append apply assign build calculate call capitalize change check collect combine compute
    concatenate convert count create cube declare decrease define delete determine display
    divide double drop extend extract filter find flip get give go halve increase increment
    initialize insert join keep loop lowercase make map merge multiply negate output pick print
    put raise remove repeat replace return reverse round save select set show sort split square
    store subtract sum swap take transform triple turn update use work write zip
    """
)
_TYPOS = _vocabulary(
    """
    print create define list number numbers variable called named result store values value
    string every calculate length reverse function words containing sorted
    """
)


def _misspell(text: str, rng: Random) -> str:
    """Swap or drop one inner letter of an ordinary word, as a hurried typist would."""
    words = text.split(" ")
    spots = [i for i, word in enumerate(words) if word.lower() in _TYPOS]
    if not spots:
        return text
    spot = rng.choice(spots)
    word = words[spot]
    at = rng.randrange(1, len(word) - 2)
    if rng.random() < 0.6:
        words[spot] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    else:
        words[spot] = word[:at] + word[at + 1 :]
    return " ".join(words)


def finish(text: str, rng: Random, names: frozenset[str], *, first: bool) -> str:
    """Give a raw wording its capital, full stop and the small habits of people who type.

    Args:
        text: The wording, its first word in lower or upper case.
        rng: The source of chance.
        names: Names that keep their case at the start of a sentence.
        first: Whether this is the opening prompt of a conversation.

    Returns:
        The prompt, on one line.
    """
    text = text.strip()
    head = text.split(" ", 1)[0].rstrip(",.:;")
    plain = head.isalpha() and head not in names
    if plain and head.lower() in _IMPERATIVE and rng.random() < 0.1:
        lead = expand(_FIRST_LEADS if first else _LEADS, rng, {}).replace(" ,", ",")
        text = f"{lead.strip()} {text[0].lower()}{text[1:]}"
    if rng.random() < 0.01:
        text = _misspell(text, rng)
    if plain:
        lower = rng.random() < 0.18
        text = (text[0].lower() if lower else text[0].upper()) + text[1:]
    if text[-1] not in ".?!" and rng.random() < 0.72:
        text += "."
    return text
