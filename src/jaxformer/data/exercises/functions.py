"""Writing small functions, and using them in later steps."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from jaxformer.data.exercises import values
from jaxformer.data.exercises.forms import Step, as_text
from jaxformer.data.exercises.operations import Value
from jaxformer.data.exercises.phrasing import expand, fill
from jaxformer.data.exercises.reference import quoted
from jaxformer.data.exercises.world import Var, World


@dataclass(frozen=True)
class Body:
    """A function people ask for.

    Attributes:
        args: The kinds of its arguments, separated by spaces.
        names: Names it may have.
        returns: What it returns, with `{p}`, `{q}` for its parameters.
        code: The returned expression, or a whole indented body if it starts with a space.
        gives: "value", or "bool" for a yes-or-no function.
        weight: How often it is chosen.
    """

    args: str
    names: str
    returns: str
    code: str
    gives: str = "value"
    weight: float = 1.0


BODIES = [
    Body("int", "double twice times_two", "{p} times [two|2]|[twice|double] {p}|{p} multiplied by [two|2]|{p} doubled|two times {p}|its argument [doubled|times two]", "{p} * 2", weight=3),
    Body("int", "triple thrice times_three", "{p} times [three|3]|three times {p}|{p} tripled", "{p} * 3", weight=1.5),
    Body("int", "square sq squared power2", "{p} squared|the square of {p}|{p} times itself|{p} ** 2", "{p} ** 2", weight=3),
    Body("int", "cube cubed", "{p} cubed|the cube of {p}", "{p} ** 3", weight=1.2),
    Body("int", "add_one increment plus_one inc next_num", "{p} plus [one|1]|{p} + 1|{p} increased by [one|1]", "{p} + 1", weight=1.5),
    Body("int", "add_k shift bump plus", "{p} plus {k}|{p} increased by {k}|{p} + {k}", "{p} + {k}", weight=1.5),
    Body("int", "scale times_k mult grow", "{p} times {k}|{p} multiplied by {k}", "{p} * {k}", weight=1.5),
    Body("int", "minus_k lower reduce_it", "{p} minus {k}|{p} decreased by {k}", "{p} - {k}", weight=0.8),
    Body("int", "half halve", "half of {p}|{p} divided by [two|2]", "{p} / 2", weight=1),
    Body("int", "negate opposite flip_sign", "the [negative|opposite] of {p}|minus {p}|{p} negated", "-{p}", weight=1),
    Body("int", "absolute magnitude abs_value", "the absolute value of {p}", "abs({p})", weight=0.8),
    Body("int", "linear calc formula f g", "{k} times {p} plus {j}|{p} times {k} plus {j}|{k} * {p} + {j}", "{k} * {p} + {j}", weight=1.5),
    Body("int", "last_digit ones", "the last digit of {p}", "{p} % 10", weight=0.8),
    Body("int", "factorial fact", "the factorial of {p}", "    result = 1\n    for i in range(1, {p} + 1):\n        result *= i\n    return result", weight=1.5),
    Body("int", "sum_to total_to sum_up_to", "the sum of [all |the |]numbers from 1 to {p}|the sum of the numbers 1 to {p}", "sum(range(1, {p} + 1))", weight=1.2),
    Body("int", "digit_sum sum_digits", "the sum of the digits of {p}", "sum(int(d) for d in str({p}))", weight=1),
    Body("int", "is_even even check_even", "True if {p} is even[| and False otherwise|, otherwise False]|whether {p} is even", "{p} % 2 == 0", "bool", 3),
    Body("int", "is_odd odd check_odd", "True if {p} is odd[| and False otherwise|, otherwise False]|whether {p} is odd", "{p} % 2 != 0", "bool", 1.5),
    Body("int", "is_positive positive check_positive", "True if {p} is [positive|greater than 0][| and False otherwise|, otherwise False]|whether {p} is positive", "{p} > 0", "bool", 1.2),
    Body("int", "is_big is_large big_enough above", "True if {p} is [greater|larger|bigger] than {k}[| and False otherwise]|whether {p} is [greater|larger] than {k}", "{p} > {k}", "bool", 1.5),
    Body("int", "divisible is_multiple divides", "True if {p} is [divisible by|a multiple of] {k}[| and False otherwise]|whether {p} is divisible by {k}", "{p} % {k} == 0", "bool", 1.2),
    Body("int", "parity kind even_or_odd label", "'even' if {p} is even and 'odd' otherwise|'even' if {p} is even, otherwise 'odd'|the string 'even' for even {p} and 'odd' for odd {p}", "    if {p} % 2 == 0:\n        return 'even'\n    return 'odd'", weight=1.5),
    Body("int", "sign sign_of", "1 if {p} is positive, -1 if it is negative and 0 otherwise", "    if {p} > 0:\n        return 1\n    if {p} < 0:\n        return -1\n    return 0", weight=0.6),
    Body("int int", "add plus sum_two add_numbers total", "the sum of {p} and {q}|{p} plus {q}|{p} + {q}|their sum", "{p} + {q}", weight=3),
    Body("int int", "subtract minus difference diff", "{p} minus {q}|the difference of {p} and {q}|the difference between {p} and {q}", "{p} - {q}", weight=1.5),
    Body("int int", "multiply product times mul", "the product of {p} and {q}|{p} times {q}|{p} multiplied by {q}|their product", "{p} * {q}", weight=2.5),
    Body("int int", "divide ratio", "{p} divided by {q}", "{p} / {q}", weight=0.8),
    Body("int int", "average mean_of avg middle", "the [average|mean] of {p} and {q}|their average", "({p} + {q}) / 2", weight=1.5),
    Body("int int", "power raise_to", "{p} to the power of {q}|{p} raised to the power {q}", "{p} ** {q}", weight=1),
    Body("int int", "maximum larger biggest bigger", "the [larger|bigger|maximum|greater] of {p} and {q}|the [larger|bigger] of the two|the larger one", "max({p}, {q})", weight=2),
    Body("int int", "minimum smaller smallest", "the [smaller|minimum] of {p} and {q}|the smaller of the two", "min({p}, {q})", weight=1.5),
    Body("int int", "area rectangle_area rect_area", "the area of a rectangle with sides {p} and {q}|the area of a rectangle", "{p} * {q}", weight=1.2),
    Body("int int", "perimeter rect_perimeter", "the perimeter of a rectangle with sides {p} and {q}", "2 * ({p} + {q})", weight=0.9),
    Body("int int", "distance gap abs_diff", "the absolute difference [of|between] {p} and {q}", "abs({p} - {q})", weight=0.9),
    Body("word", "shout loud upper_case yell", "{p} in [upper case|uppercase]|the uppercase version of {p}|{p} converted to upper case", "{p}.upper()", weight=1.8),
    Body("word", "reverse flip backwards reverse_string", "{p} reversed|the reverse of {p}|{p} backwards|the reversed string", "{p}[::-1]", weight=2),
    Body("word", "greet hello say_hello greeting", "'Hello, ' followed by {p}|the string 'Hello, ' plus {p}|'Hello, ' + {p}", "'Hello, ' + {p}", weight=2),
    Body("word", "welcome greet hi", "'Hi ' followed by {p}|'Hi ' plus {p}", "'Hi ' + {p}", weight=0.8),
    Body("word", "exclaim excite", "{p} followed by an exclamation mark|{p} with '!' at the end|{p} plus '!'", "{p} + '!'", weight=1),
    Body("word", "first_letter initial first_char", "the first [letter|character] of {p}", "{p}[0]", weight=1.5),
    Body("word", "last_letter last_char", "the last [letter|character] of {p}", "{p}[-1]", weight=1.3),
    Body("word", "count_vowels vowels num_vowels", "the number of vowels in {p}|how many vowels {p} has", "sum(c in 'aeiou' for c in {p})", weight=2),
    Body("word", "length size num_chars word_length", "the length of {p}|the number of [letters|characters] in {p}", "len({p})", weight=1.8),
    Body("word", "repeat twice double_word", "{p} repeated {kw} times", "{p} * {k}", weight=1),
    Body("word", "is_palindrome palindrome", "True if {p} is a palindrome[| and False otherwise]|whether {p} is a palindrome|True if {p} reads the same backwards", "{p} == {p}[::-1]", "bool", 1.5),
    Body("word", "is_long long_word", "True if {p} has more than {k} letters|whether {p} is longer than {k} letters|True if the length of {p} is greater than {k}", "len({p}) > {k}", "bool", 1.5),
    Body("word", "remove_vowels no_vowels", "{p} without [its |]vowels", "''.join(c for c in {p} if c not in 'aeiou')", weight=0.8),
    Body("text", "word_count count_words num_words", "the number of words in {p}", "len({p}.split())", weight=1.3),
    Body("text", "first_word", "the first word of {p}", "{p}.split()[0]", weight=0.8),
    Body("text", "longest_word longest", "the longest word [in|of] {p}", "max({p}.split(), key=len)", weight=0.9),
    Body("ints", "total sum_list add_all sum_all", "the sum of {p}|the sum of [its|the] elements|the sum of the numbers in {p}", "sum({p})", weight=1.5),
    Body("ints", "mean average avg", "the [mean|average] of {p}|the average of the numbers in {p}", "sum({p}) / len({p})", weight=2),
    Body("ints", "biggest largest maximum", "the [largest|biggest] [number|element] [in|of] {p}", "max({p})", weight=1.3),
    Body("ints", "spread value_range", "the difference between the largest and [the |]smallest [number|element] [in|of] {p}", "max({p}) - min({p})", weight=1),
    Body("ints", "evens only_even get_evens", "[only |]the even numbers [in|of] {p}|a list of the even numbers in {p}", "[x for x in {p} if x % 2 == 0]", weight=1.3),
    Body("ints", "double_all doubled", "a list with [each|every] [number|element] of {p} doubled", "[x * 2 for x in {p}]", weight=1),
    Body("ints", "count_even num_even", "the number of even numbers in {p}", "sum(x % 2 == 0 for x in {p})", weight=0.9),
    Body("ints", "first_last ends", "the sum of the first and last [number|element] of {p}", "{p}[0] + {p}[-1]", weight=0.6),
    Body("ints", "reverse_list backwards", "{p} [reversed|in reverse order]", "{p}[::-1]", weight=0.8),
]  # fmt: skip

_PARAMETERS = {
    "int": ("n", "n", "x", "num", "number", "value", "a"),
    "word": ("s", "s", "word", "text", "name", "string", "w"),
    "text": ("text", "s", "sentence", "line"),
    "ints": ("nums", "numbers", "lst", "values", "items", "xs"),
}
_TAKES = {
    "int": "a number",
    "word": "a string",
    "text": "a [sentence|string|text]",
    "ints": "a list[ of numbers|]",
}
_DEFINE = (
    "[write|define|create|make|implement|declare] a function [|called |named ][{f}({s})|{f}({s})|{fq}({s})] [that|which] returns {R}|"
    "[write|define|create|make] a function [called|named|] {fq} [that|which] takes [{takes} |]{s} and returns {R}|"
    "[write|define|create|make] a function {fq} with [parameter|argument] {s} [that|which] returns {R}|"
    "[write|define|create|make] a function {fq} of {s} that returns {R}|"
    "define {f}({s}) [to return|that returns|returning|which returns] {R}|define {f}({s}) as {R}|"
    "function {f}({s}) returns {R}|{f}({s}) should return {R}|I need a function {f}({s}) that returns {R}|"
    "[write|create|make] {f}({s}), a function that returns {R}|let {f}({s}) be a function that returns {R}|"
    "implement {f}({s}) returning {R}|[write|define|create] a function {fq} which, given {s}, returns {R}|add a function {f}({s}) that returns {R}"
)  # fmt: skip
_PRINTS = (
    ("int", "show_double print_double", "prints {p} times two|prints twice {p}", "print({p} * 2)"),
    ("word", "greet say_hello hello", "prints 'Hello' and {p}|prints 'Hello' followed by {p}", "print('Hello', {p})"),
    ("int", "show print_number", "prints {p}", "print({p})"),
    ("int", "show_square print_square", "prints the square of {p}", "print({p} ** 2)"),
    ("word", "shout print_upper", "prints {p} in upper case", "print({p}.upper())"),
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """A function of the conversation: its arguments, what it gives, whether signs matter to it."""

    args: tuple[str, ...]
    gives: str
    signed: bool = False


_WEIGHTS = [body.weight for body in BODIES]


@dataclass(frozen=True)
class Written:
    """A function as it was drawn: its name and parameters, what it returns in words, its code."""

    name: str
    params: tuple[str, ...]
    returns: str
    code: str
    known: Known
    slots: dict[str, str]


def write(world: World, rng: Random) -> Written:
    """Draw a function that returns something."""
    body = rng.choices(BODIES, _WEIGHTS)[0]
    kinds = tuple(body.args.split())
    name = _name(world, rng, body.names)
    params = (rng.choice(_PARAMETERS[kinds[0]]),)
    if len(kinds) == 2:
        params = rng.choice(
            (("a", "b"), ("a", "b"), ("x", "y"), ("x", "y"), ("m", "n"), ("p", "q"))
        )
    params = tuple(param + "0" if param == name else param for param in params)
    k, j = rng.randint(3, 10), rng.randint(1, 9)
    code = {"p": params[0], "q": params[-1], "k": str(k), "j": str(j)}
    slots = {**code, "kw": values.in_words(k) if rng.random() < 0.4 else str(k)}
    lines = fill(body.code, code)
    if not lines.startswith(" "):
        lines = f"    return {lines}"
    known = Known(kinds, body.gives, "abs(" in body.code or " > 0" in body.code)
    return Written(name, params, expand(body.returns, rng, slots), lines, known, slots)


def define(world: World, rng: Random) -> Step:
    """A step that writes a function."""
    if rng.random() < 0.06:
        return _define_printing(world, rng)
    made = write(world, rng)
    takes = _TAKES[made.known.args[0]] if len(made.params) == 1 else "two numbers"
    prose = {**made.slots, "s": ", ".join(made.params), "R": made.returns, "f": made.name}
    prose["fq"] = quoted(world, made.name, rng, defining=True)
    prose["takes"] = expand(takes, rng, {})
    prompt = expand(_DEFINE, rng, prose)
    if f"takes {prose['s']}" in prompt or " of " in prompt or f" {prose['s']} and" in prompt:
        prompt = prompt.replace(
            f" {prose['s']} and returns", f" {' and '.join(made.params)} and returns"
        )
    code = f"def {made.name}({prose['s']}):\n{made.code}"
    return Step(prompt, code, (Var(made.name, detail=made.known),))


def arguments(known: Known, rng: Random) -> list[Any]:
    """Draw values that a function can be called with."""
    drawn = [_ARGUMENTS[kind](rng) for kind in known.args]
    if known.signed and rng.random() < 0.4:
        drawn[0] = -drawn[0]
    if len(drawn) == 2 and isinstance(drawn[1], int):
        drawn[1] = rng.randint(1, 9)
    return drawn


def _name(world: World, rng: Random, preferred: str) -> str:
    return values.fresh_name(
        rng, "result", world.names, preferred if rng.random() < 0.9 else "f g h func calc helper"
    )


def _define_printing(world: World, rng: Random) -> Step:
    kind, names, does, code = rng.choice(_PRINTS)
    name, param = _name(world, rng, names), rng.choice(_PARAMETERS[kind])
    slots = {"p": param, "f": name, "fq": quoted(world, name, rng, defining=True)}
    slots["D"] = expand(does, rng, slots)
    prompt = expand(
        "[write|define|create] a function {f}({p}) that {D}|[write|define] a function {fq} that takes {p} and {D}",
        rng,
        slots,
    )
    line = fill(code, slots)
    return Step(
        prompt, f"def {name}({param}):\n    {line}", (Var(name, detail=Known((kind,), "print")),)
    )


def _modest(value: Any) -> bool:
    """Whether a value may be given to any function: powers and factorials must stay small."""
    if isinstance(value, list):
        return all(_modest(item) for item in value)
    return not isinstance(value, int) or abs(value) <= 60


_ARGUMENTS: dict[str, Callable[[Random], Any]] = {
    "int": lambda rng: rng.choice((rng.randint(1, 12), rng.randint(1, 12), rng.randint(0, 30))),
    "word": lambda rng: values.person(rng) if rng.random() < 0.2 else rng.choice(values.words()),
    "text": values.sentence,
    "ints": values.integers,
}
_CALL_NOUN = "the result of {F}({s})|{F}({s})|{F} of {t}|the result of {f} for {t}|the value of {F}({s})|the result of calling {f} [with|on] {t}|the result of {f} applied to {t}"
_CALL_VERB = "call {f} [with|on|with] {t}|[use|apply|run] {f} [on|with] {t}|apply {f} to {t}|call {F}({s})|[evaluate|compute] {F}({s})|call the function [with|on] {t}|call {f} with the argument[s|] {t}|use the function on {t}"


def calls(world: World, rng: Random, func: Var) -> list[tuple[Value, str | None]]:
    """Ways to use a function now: with literal arguments, with a variable or on a list."""
    known = func.detail
    name = func.name
    slots = {"f": quoted(world, name, rng), "F": name}
    literals = arguments(known, rng)
    spoken = " and ".join(as_text(world, value) for value in literals)
    literal = ", ".join(repr(value) for value in literals)
    out: list[tuple[Value, str | None]] = [
        (_call_value(name, slots, literal, spoken, literal), None)
    ]
    last = world.focus
    if len(known.args) == 1:
        kind = known.args[0]
        group = "str" if kind in ("word", "text") else kind
        out += [
            (_call_value(name, slots, "{a}", "{a}", "{name}", group), var.name)
            for var in world.find(group, _modest)[-2:]
        ]
        many = {"int": "ints", "word": "strs"}.get(kind)
        if many:
            for var in world.find(many, _modest)[-1:]:
                row = _over_list(name, slots["f"], many, known.gives)
                out += [(row, var.name)] * 3
    elif known.args == ("int", "int"):
        pair = [var.name for var in world.find("int", _modest)][-2:]
        if len(pair) == 2:
            row = _call_value(name, slots, "{a}, {b}", "{A} and {b}", "{A}, {b}", "int int")
            out += [(row, pair[0])] * 2
    return [item for item in out if item[1] is not None or last == name or rng.random() < 0.5]


def _call_value(
    name: str, slots: dict[str, str], code: str, spoken: str, shown: str, kinds: str = ""
) -> Value:
    words = {**slots, "t": _escape(spoken), "s": _escape(shown)}
    return Value(
        kinds, f"{name}({code})", fill(_CALL_NOUN, words), fill(_CALL_VERB, words),
        asks=fill("what is {F}({s})|what does {f} return for {t}|what does {F}({s}) return", words),
        names="result r answer value out", test=_modest if kinds else None,
    )  # fmt: skip


def _escape(text: str) -> str:
    """Keep the brackets of a literal from being read as alternatives."""
    return text.replace("[", "\x01").replace("]", "\x02").replace("|", "\x03")


def _over_list(name: str, label: str, kinds: str, gives: str) -> Value:
    words = {"f": label, "F": name}
    if gives == "bool":
        return Value(
            kinds, f"[{{x}} for {{x}} in {{a}} if {name}({{x}})]",
            fill("the {items} for which {f} [returns|is] True|the {items} that satisfy {f}", words),
            fill("[use {f} to filter {a}|filter {a} with {f}|filter {a} using {f}|use {f} to get the matching {items}]", words),
            does=fill("keep only the {items} for which {f} [is|returns] True", words),
            names="filtered kept matching selected", many=True,
        )  # fmt: skip
    return Value(
        kinds, f"[{name}({{x}}) for {{x}} in {{a}}]",
        fill("the results of applying {f} to [every|each] {item}|a list of {f} of [every|each] {item}|the results of {f} for [every|each] {item}", words),
        fill("apply {f} to [every|each] {item}|use {f} on [every|each] {item}|call {f} on [every|each] {item}|apply {f} to all [the |]{items}|map {f} over {a}|apply it to [every|each] {item}|apply the function to [every|each] {item}|run {f} on [all|each of] the {items}", words),
        names="results applied mapped new_list out", many=True,
    )  # fmt: skip
