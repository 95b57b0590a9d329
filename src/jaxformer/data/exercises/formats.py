"""Putting values into text: widths, decimals, templates, joined lines."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from random import Random
from typing import Any

from jaxformer.data.exercises import picks
from jaxformer.data.exercises.operations import Do, Params, Value, register


def _width(_: Any, rng: Random) -> Params:
    return {"k": rng.choice((4, 5, 6, 8, 10, 12))}


def _fill(_: Any, rng: Random) -> Params:
    return {"k": rng.choice((8, 10, 12, 15)), "v": rng.choice("*-.=_")}


def _label(_: Any, rng: Random) -> Params:
    word = rng.choice(
        ("Total", "Result", "Answer", "Value", "Score", "Count", "Sum", "Price", "Number", "Size")
    )
    return {"l": (word, word)}


def _unit(_: Any, rng: Random) -> Params:
    unit = rng.choice(("km", "kg", "m", "cm", "%", "EUR", "points", "years", "apples", "items"))
    return {"u": (unit, unit)}


def _pair(held: list) -> bool:
    return len(str(held[0])) + len(str(held[1])) < 40


register(
    Value("float", "f'{{a}:.2f}'", "{A} [with|to] two decimal[s| places][ as text| as a string|]|{A} formatted with [2|two] decimal places", verbs="format {a} with two decimal places|format {a} to 2 decimals", names="text shown formatted", weight=5),
    Value("float", "f'{{a}:.1f}'", "{A} [with|to] one decimal[ place|][ as text|]|{A} formatted with one decimal", verbs="format {a} with one decimal place", names="text shown formatted", weight=2.5),
    Value("float", "f'{{a}:.0%}'", "{A} as a percentage without decimals", names="percent share", test=lambda v: 0 <= v <= 1, weight=3),
    Value("num", "f'${{a}:.2f}'", "{A} as [dollars|a price] with two decimals, like $3.50|{A} with a dollar sign and two decimals", names="price text", test=lambda v: v >= 0, weight=2.5),
    Value("int", "f'{{a}:,}'", "{A} with commas [between thousands|as thousands separators]|{A} formatted with thousands separators", verbs="format {a} with thousands separators", names="text shown", test=lambda v: v >= 1000, weight=5),
    Value("int", "str({a}).zfill({k})", "{A} padded with zeros to {k} digits|{A} with leading zeros to a width of {k}", verbs="pad {a} with leading zeros to {k} digits", names="padded code text", pick=_width, test=lambda v: 0 <= v < 1000, weight=3),
    Value("int", "f'{{a}:>{k}}'", "{A} right-aligned in {k} [characters|columns]", names="aligned padded", pick=_width, test=lambda v: abs(v) < 1000, weight=1.5),
    Value("num", "str({a})", "{A} as a string|the string form of {a}", verbs="convert {a} to a string|turn {a} into a string", names="text as_text", weight=2.5),
    Value("num", "f'{l}: {{a}}'", "the text '{l}: ' followed by {a}|a string with '{l}: ' and {a}", names="line text message", pick=_label, weight=4),
    Value("num", "f'{{a}} {u}'", "{A} followed by ' {u}'|the text made of {a}, a space and '{u}'", names="text line", pick=_unit, weight=3),
    Value("word", "{a}.center({k}, {v})", "{A} centred in {k} characters with {v} around it", does="centre {a} in {k} characters, filled with {v}", names="centred banner", pick=_fill, test=lambda v: len(v) < 8, weight=2.5),
    Value("word", "{a}.ljust({k}, {v})", "{A} padded on the right with {v} to {k} characters", does="pad {a} on the right with {v} to {k} characters", names="padded", pick=_fill, test=lambda v: len(v) < 8, weight=2.5),
    Value("word", "{a}.rjust({k}, {v})", "{A} padded on the left with {v} to {k} characters", does="pad {a} on the left with {v} to {k} characters", names="padded", pick=_fill, test=lambda v: len(v) < 8, weight=2.5),
    Value("word", "f'Hello, {{a}}!'", "a greeting 'Hello, ' with {a} and an exclamation mark|the string 'Hello, {plain}!' with the value of {a}", names="greeting message", weight=3),
    Value("word", "f'{{a}} has {len({a})} letters'", "the sentence that says how many letters {a} has, like 'word has 4 letters'", names="sentence line", weight=2),
    Value("word num", "f'{{a}}: {{b}}'", "{A} and {b} [joined|separated] by a colon and a space|a string with {A}, a colon, a space and {b}", names="line text", test=_pair, weight=5),
    Value("word num", "f'{{a}} = {{b}}'", "{A} and {b} with ' = ' between them|the text '{{A}} = {{b}}'".replace("{{", "{").replace("}}", "}"), names="line text", test=_pair, weight=3),
    Value("word word", "f'{{a}} {{b}}'", "{A} and {b} with a space between[ them|]|{A} followed by a space and {b}", verbs="join {A} and {b} with a space", names="full both joined", test=_pair, weight=5),
    Value("word word", "f'{{a}}, {{b}}'", "{A} and {b} [separated|joined] by a comma and a space", names="both joined line", test=_pair, weight=4),
    Value("num num", "f'{{a}} + {{b}} = {{a} + {b}}'", "the addition of {A} and {b} as text, like '1 + 2 = 3'|a string showing {A} plus {b} and the result, like '1 + 2 = 3'", names="equation line", test=_pair, weight=3),
    Value("num num", "f'({{a}, {b}})'".replace("{{a}", "{{a}}").replace("{b}}", "{{b}}"), "{A} and {b} as a point in the form '(x, y)'", names="point text", test=_pair, weight=2),
    Value("nums", "', '.join(str({x}) for {x} in {a})", "the {items} [joined|separated] by commas|the {items} as one string, separated by a comma and a space", verbs="join the {items} [with|by] ', '|turn the {items} into strings and join them with ', '", names="line joined text", weight=4.5),
    Value("nums", "' '.join(str({x}) for {x} in {a})", "the {items} [joined|separated] by spaces", verbs="join the {items} with spaces", names="line joined text", weight=3.5),
    Value("nums", "''.join(str({x}) for {x} in {a})", "the {items} written one after another as a string", verbs="join the {items} [into one string|without a separator]", names="joined digits text", weight=1.5),
    Value("nums", "' + '.join(str({x}) for {x} in {a})", "the {items} [joined|separated] by ' + '", verbs="join the {items} with ' + '", names="formula sum_text", weight=2),
    Value("strs", "'\\n'.join({a})", "the {items}, one per line, as one string", verbs="join the {items} with newlines", names="lines block", weight=1.5),
    Value("strs", "[f'{{i}}. {{x}}' for {i}, {x} in enumerate({a}, 1)]".replace("{{i}}", "{{i}}"), "the {items} numbered like '1. first'|a list of the {items} with numbers in front, like '1. first'", verbs="number the {items} starting [from|at] 1, like '1. first'", names="numbered lines", weight=2.5, many=True),
    Do("strs", "print the {items} numbered from 1[, like '1. first'|]|print [each|every] {item} with its number, starting [from|at] 1", "for {i}, {x} in enumerate({a}, 1):\n    print(f'{{i}}. {{x}}')", prints=True, weight=3.5),
    Do("list", "print [each|every] {item} with its index|print the index and the value of [each|every] {item}", "for {i}, {x} in enumerate({a}):\n    print({i}, {x})", prints=True, weight=3.5),
    Do("nums", "print the {items} on one line[, separated by spaces| with spaces between them]", "print(*{a})", prints=True, weight=3),
    Do("list", "print the {items} on one line[, separated by commas| with commas between them]", "print(*{a}, sep=', ')", prints=True, weight=3),
    Do("num", "print {a} in the form '{l}: ' and the value|print '{l}: ' followed by {a}|print '{l}:' and then {a}", "print(f'{l}: {{a}}')", pick=_label, prints=True, weight=4),
    Do("word", "print {a} in a box of {v} signs: a line of them above and below|print {a} between two lines of {v} of the same length", "print({v} * len({a}), {a}, {v} * len({a}), sep='\\n')", pick=lambda _, r: {"v": r.choice("*-=#")}, prints=True, weight=1.5),
    Do("float", "print {a} [with|to] two decimal[s| places]|print {a} rounded to two decimals, keeping zeros", "print(f'{{a}:.2f}')", prints=True, weight=4),
    Do("word", "print {a} {k} times on one line[, separated by spaces|]", "print(' '.join([{a}] * {k}))", pick=picks.number(2, 4), prints=True, weight=1.5),
)  # fmt: skip
