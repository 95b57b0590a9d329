"""Steps that bring values into the conversation."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from random import Random
from typing import Any

from jaxformer.data.exercises import values
from jaxformer.data.exercises.forms import Step, as_text
from jaxformer.data.exercises.phrasing import expand
from jaxformer.data.exercises.reference import plural, quoted
from jaxformer.data.exercises.world import Var, World

_MAKE = "[define|create|make|define|create|declare|initialize|set up|build]"
_NAMED = "[named|called|named|called|]"
_LIST = (
    f"{_MAKE} [a|the] list {_NAMED} {{n}} [with|containing|with the values|with values|with [the |]elements|that contains|holding|"
    "consisting of|with the items|that holds|with the {w}|of the {w}|containing the {w}|with these values:] {v}|"
    f"{_MAKE} [a|the] list {_NAMED} {{n}} [equal to|as|set to|with value|with the value|:] {{l}}|"
    f"{_MAKE} a list of {{w}} {_NAMED} {{n}} [with|containing|with the values|with values|holding] {{v}}|"
    f"{_MAKE} a list of the {{w}} {{v}} [called|named|in|and call it|and name it|and store it in|and save it as] {{n}}|"
    f"{_MAKE} a list [with|containing|of] {{v}} [called|named|and call it|and name it|and store it in|and assign it to] {{n}}|"
    f"{_MAKE} a variable {_NAMED} {{n}} [that holds|holding|equal to|with|containing|as|that contains] the list {{l}}|"
    f"{_MAKE} {{n}} [as|to be] [a list [of|with|containing] {{v}}|the list {{l}}|{{l}}]|"
    "[set|let] {n} [be|equal|=] {l}|set {n} to [|the list |be ]{l}|let {n} be [|the list |a list ]{l}|"
    "let {n} be a list [with|containing|of] [|the {w} ]{v}|let {n} be the list [with|containing] {v}|"
    "[store|put|save|keep] the [|list ]{l} in [|a variable [named|called] |a list [named|called] ]{n}|"
    "[store|put|save] the {w} {v} in a list [named|called|] {n}|[put|store] {v} [in|into] a list [named|called|] {n}|"
    "assign [|the list ]{l} to [|a variable [named|called] |the variable ]{n}|{n} = {l}|{n} is [|the list ]{l}|{n}: {l}|"
    "assign {n} [the list |the value |to ]{l}|create {n} with {v}|start with [the|a] list {n} = {l}|start with {n} = {l}|given [the list |]{n} = {l}|"
    "I have a list {n} [with|containing] {v}|we have a list {n} = {l}|use the list {n} = {l}|consider the list {n} = {l}|"
    "{n} should [be the list|be] {l}|take the list {l} and call it {n}|there is a list {n} with {v}|declare {n} = {l}|"
    f"{_MAKE} an array {_NAMED} {{n}} [with|containing|of] {{v}}|"
    "[store|put] the following {w} in {n}: {v}|create a list {n}: {v}|define list {n} = {l}|list {n} with {v}|make {n} a list [of|with|containing] {v}|make {n} the list {l}"
)
_LIST_UNNAMED = (
    f"{_MAKE} a list [with|containing|with the values|with the {{w}}|of the {{w}}|holding] {{v}}|{_MAKE} a list of {{w}}: {{v}}|make the list {{l}}|"
    f"{_MAKE} a list of {{w}} [with|containing] {{v}}"
)
_STRING = (
    f"{_MAKE} a string {_NAMED} {{n}} [with the value|with value|containing|equal to|as|with|set to|that says|holding|with the text|with the content] {{v}}|"
    f"{_MAKE} a [string |]variable {_NAMED} {{n}} [with the value|with value|containing|equal to|with|that holds|holding|and set it to|set to|with the string|containing the string|as] {{v}}|"
    f"{_MAKE} {{n}} [as|to be|equal to|with the value|with value] [|the string ]{{v}}|"
    "[set|let] {n} [be|equal|=] {v}|set {n} to [|the string |the text |be ]{v}|let {n} be [|the string |the text ]{v}|set {n} equal to {v}|"
    "[store|put|save|keep] [|the string |the text |the {w} ]{v} in [|a variable [named|called] |the variable ]{n}|assign [|the string |the {w} |the value ]{v} to [|a variable [named|called] |the variable |a string ]{n}|"
    "{n} = {v}|{n} is [|the string ]{v}|{n} is the {w} {v}|save {v} as {n}|start with [the string |]{n} = {v}|given [the string |]{n} = {v}|I have a string {n} = {v}|assign {n} [the value |the string |to ]{v}|"
    "consider the string {n} = {v}|initialize {n} [with|to] {v}|call the {w} {v} {n}|take the {w} {v} and call it {n}|the {w} is {v}, store it in {n}|put the {w} {v} in {n}|make {n} [equal to |]{v}|create the {w} {v} and name it {n}|"
    "create a {w} {v} named {n}|{n} should be {v}|define string {n} = {v}|give the variable {n} the value {v}"
)
_NUMBER = (
    f"{_MAKE} a variable {_NAMED} {{n}} [with the value|with value|equal to|with|that holds|holding|and set it to|set to|containing|as|with a value of|of value] {{v}}|"
    f"{_MAKE} a number {_NAMED} {{n}} [with the value|with value|equal to|set to] {{v}}|{_MAKE} [an integer|a variable] {_NAMED} {{n}} [with value|equal to|set to] {{v}}|"
    f"{_MAKE} {{n}} [as|to be|equal to|with the value|with value|with] {{v}}|{_MAKE} {{n}} = {{v}}|"
    "[set|let] {n} [be|equal|=] {v}|set {n} to {v}|set {n} to {v}|let {n} be {v}|set {n} equal to {v}|set the variable {n} to {v}|set the value of {n} to {v}|"
    "[store|put|save|keep] [|the number |the value ]{v} in [|a variable [named|called] |the variable ]{n}|assign [|the value |the number |the integer ]{v} to [|a variable [named|called] |the variable ]{n}|"
    "{n} = {v}|{n} is {v}|{n} equals {v}|save {v} as {n}|start with {n} = {v}|given {n} = {v}|assign {n} [the value |to |]{v}|initialize {n} [with|to|at|as] {v}|"
    "make {n} [equal to |]{v}|give {n} the value {v}|{n} should be {v}|{n} has the value {v}|take {v} and call it {n}|I have a number {n} = {v}|declare a variable {n} = {v}|call the number {v} {n}|there is a number {n} equal to {v}|a variable {n} [holds|equal to|with value] {v}"
)
_DICT = (
    f"{_MAKE} [a|the] [dictionary|dict|dictionary] {_NAMED} {{n}} [with|containing|with the entries|holding|that contains|mapping|with the pairs|with the items] {{v}}|"
    f"{_MAKE} [a|the] [dictionary|dict] {_NAMED} {{n}} [equal to|as|set to|with the value|:] {{l}}|{_MAKE} a dictionary {_NAMED} {{n}} [that maps|mapping] {{m}}|"
    f"{_MAKE} a dictionary {_NAMED} {{n}} [where|in which] {{i}}|{_MAKE} a dictionary {_NAMED} {{n}} [with|having] [the |]keys {{ks}} and [the |]values {{vs}}|"
    "set {n} to [|the dictionary ]{l}|let {n} be [|the dictionary ]{l}|[store|put] the dictionary {l} in {n}|assign [|the dictionary ]{l} to [|a variable [named|called] ]{n}|{n} = {l}|let {n} be a dictionary mapping {m}|"
    "{n} is a dictionary [mapping {m}|with {v}]|{n} = a dictionary with {v}|given the dictionary {n} = {l}|start with [the dictionary |]{n} = {l}|make {n} a dictionary [mapping {m}|with {v}]|"
    f"{_MAKE} {{n}} as [|the dictionary |a dictionary: ]{{l}}|{_MAKE} {{n}}, a dictionary [mapping {{m}}|with {{v}}]|in a dictionary {{n}}, map {{m}}|map {{m}} in a dictionary [called|named] {{n}}"
)
_SEVERAL = (
    "{_M} [two |]variables {ns} with [the |]values {vs}|{_M} [two |]variables[,|] {pe}|set {pt}|let {pb}|{_M} {pa}|{pq}|set {pq}|{pi}|let {pq}|{_M} {pq}|"
    "assign {av}|{_M} variables {pq}|{_M} a variable {pe}|{_M} the variables {pq}|given {pq}|start with {pq}|{_M} [two |]numbers {ns} with values {vs}|{_M} {ns} [with values|with the values|as|equal to] {vs}[ respectively|]|"
    "store {sv}|set {ns} to {vs}[ respectively|]|[put|store] {sv}|initialize {pt}|we have {pq}|{_M} two variables: {pq}|let {ns} be {vs}[ respectively|]"
).replace("{_M}", _MAKE)  # fmt: skip


def _literal_or_list(parts: list[str], literal: str, rng: Random) -> str:
    roll = rng.random()
    if roll < 0.3:
        return literal
    return ", ".join(parts) if roll < 0.55 else values.spoken(parts, rng)


def _word_value(world: World, value: str, quote: bool) -> str:
    return as_text(world, value) if quote or not value.isalpha() else value


def define_list(world: World, rng: Random, kind: str = "") -> Step:
    """Define a list of numbers or strings."""
    noun = ""
    kind = kind or rng.choices(("ints", "strs", "floats"), (62, 30, 8))[0]
    if kind == "strs":
        held, noun = values.strings(rng)
        quote = rng.random() < 0.6
        parts = [_word_value(world, value, quote) for value in held]
        literal = f"[{', '.join(as_text(world, value) for value in held)}]"
        what = plural(noun) if rng.random() < 0.7 else rng.choice(("strings", "words", "words"))
        default = "names" if noun == "name" else "words"
    else:
        held = values.integers(rng) if kind == "ints" else values.reals(rng)
        parts = [repr(value) for value in held]
        literal = repr(held)
        if rng.random() < 0.06:
            literal = literal.replace(" ", "")
        what = rng.choice(
            ("numbers", "numbers", "values", "integers" if kind == "ints" else "floats")
        )
        default = "nums"
    pool = "strs" if kind == "strs" else "nums"
    named = rng.random() > 0.07 or default in world.vars
    name = values.fresh_name(rng, pool, world.names) if named else default
    slots = {
        "n": quoted(world, name, rng, defining=True),
        "v": _literal_or_list(parts, literal, rng),
        "l": literal,
        "w": what,
    }
    prompt = expand(_LIST if named else _LIST_UNNAMED, rng, slots)
    return Step(prompt, f"{name} = {held!r}", (Var(name, noun=noun if noun != "word" else ""),))


def define_string(world: World, rng: Random, kind: str = "") -> Step:
    """Define a word or a sentence."""
    kind = kind or rng.choices(("text", "word"), (62, 38))[0]
    value = values.sentence(rng) if kind == "text" else values.word(rng)
    roll = rng.random()
    if roll < 0.03:
        value = f" {value} "
    elif roll < 0.07 and kind == "word":
        value = str(rng.randint(1, 999))
    name = values.fresh_name(rng, kind, world.names)
    slots = {
        "n": quoted(world, name, rng, defining=True),
        "v": as_text(world, value),
        "w": "sentence"
        if kind == "text" and rng.random() < 0.5
        else "string"
        if kind == "text"
        else "word",
    }
    return Step(expand(_STRING, rng, slots), f"{name} = {value!r}", (Var(name),))


def define_number(world: World, rng: Random) -> Step:
    """Define a number or, rarely, a truth value."""
    roll = rng.random()
    value: Any = values.integer(rng) if roll < 0.8 else values.real(rng)
    if roll > 0.97:
        value = rng.random() < 0.5
    name = values.fresh_name(rng, "num", world.names)
    slots = {"n": quoted(world, name, rng, defining=True), "v": repr(value)}
    return Step(expand(_NUMBER, rng, slots), f"{name} = {value!r}", (Var(name),))


def define_several(world: World, rng: Random) -> Step:
    """Define two or three variables at once."""
    count = 2 if rng.random() < 0.75 else 3
    kind = rng.choices(("num", "word"), (80, 20))[0]
    names: list[str] = []
    held: list[Any] = []
    scheme = rng.choice(("a b c", "x y z", "", "", "")).split()
    for position in range(count):
        taken = world.names | set(names)
        plain = scheme and kind == "num" and scheme[position] not in taken
        names.append(scheme[position] if plain else values.fresh_name(rng, kind, taken))
        if kind == "word":
            held.append(values.word(rng))
        else:
            held.append(values.integer(rng) if rng.random() < 0.85 else values.real(rng))
    shown = [quoted(world, name, rng, defining=True) for name in names]
    told = [as_text(world, value) for value in held]
    pairs = list(zip(shown, told, strict=True))
    said = values.spoken

    def each(pattern: str) -> str:
        return said([pattern.format(n, v) for n, v in pairs], rng)

    slots = {
        "ns": " and ".join(shown) if count == 2 else said(shown, rng),
        "vs": " and ".join(told) if count == 2 else said(told, rng),
        "pe": each(rng.choice(("{} equal to {}", "{} with value {}", "{} set to {}"))),
        "pt": each("{} to {}"),
        "pb": each("{} be {}"),
        "pa": each("{} as {}"),
        "pq": each("{} = {}"),
        "pi": each("{} is {}"),
        "av": said([f"{v} to {n}" for n, v in pairs], rng),
        "sv": said([f"{v} in {n}" for n, v in pairs], rng),
    }
    prompt = expand(_SEVERAL, rng, slots)
    if count == 3 or kind == "word":
        prompt = prompt.replace("two variables", "variables").replace("two numbers", "variables")
        prompt = prompt.replace(" numbers ", " variables ")
    code = "\n".join(f"{name} = {value!r}" for name, value in zip(names, held, strict=True))
    return Step(prompt, code, tuple(Var(name) for name in names))


def define_two_lists(world: World, rng: Random) -> Step:
    """Define two lists of the same kind or of matching lengths."""
    size = rng.randint(3, 5)
    mixed = rng.random() < 0.3
    strings = mixed or rng.random() < 0.25
    first: list[Any] = (
        rng.sample(values.words()[:420], size)
        if strings
        else [rng.randint(1, 20) for _ in range(size)]
    )
    second: list[Any] = [rng.randint(1, 20) for _ in range(size)]
    if strings and not mixed:
        second = rng.sample(values.words()[:420], size)
    if not mixed and rng.random() < 0.6:
        second[0] = rng.choice(first)
    one = values.fresh_name(
        rng, "strs" if strings else "nums", world.names, "a x first list1 a keys left"
    )
    two = values.fresh_name(
        rng,
        "nums" if mixed or not strings else "strs",
        world.names | {one},
        "b y second list2 b values right",
    )
    told = [f"[{', '.join(as_text(world, v) for v in held)}]" for held in (first, second)]
    n, m = (quoted(world, name, rng, defining=True) for name in (one, two))
    slots = {"n": n, "m": m, "v": told[0], "u": told[1]}
    template = (
        f"{_MAKE} [two |]lists {{n}} = {{v}} and {{m}} = {{u}}|{_MAKE} two lists[: |, ]{{n}} with {{v}} and {{m}} with {{u}}|set {{n}} to {{v}} and {{m}} to {{u}}|let {{n}} be {{v}} and {{m}} be {{u}}|"
        "{n} = {v} and {m} = {u}|{_M} a list {n} with {v} and a list {m} with {u}|define {n} as {v} and {m} as {u}|given {n} = {v} and {m} = {u}|"
        "create the lists {n} = {v} and {m} = {u}|store {v} in {n} and {u} in {m}|assign {v} to {n} and {u} to {m}"
    ).replace("{_M}", _MAKE)
    return Step(
        expand(template, rng, slots), f"{one} = {first!r}\n{two} = {second!r}", (Var(one), Var(two))
    )


def define_dict(world: World, rng: Random) -> Step:
    """Define a dictionary."""
    held = values.mapping(rng)
    name = values.fresh_name(rng, "dict", world.names)
    keys = [as_text(world, key) for key in held]
    told = [as_text(world, value) for value in held.values()]
    pairs = list(zip(keys, told, strict=True))
    literal = f"{{{', '.join(f'{k}: {v}' for k, v in pairs)}}}"
    bare = [key if key.isalpha() and rng.random() < 0.3 else keys[i] for i, key in enumerate(held)]
    slots = {
        "n": quoted(world, name, rng, defining=True),
        "l": literal,
        "v": rng.choice(
            (
                literal,
                values.spoken([f"{k}: {v}" for k, v in pairs], rng),
                values.spoken([f"{k} = {v}" for k, v in pairs], rng),
            )
        ),
        "m": values.spoken([f"{k} to {v}" for k, v in pairs], rng),
        "i": values.spoken([f"{k} is {v}" for k, v in zip(bare, told, strict=True)], rng),
        "ks": values.spoken(keys, rng),
        "vs": values.spoken(told, rng),
    }
    prompt = expand(_DICT, rng, slots).replace("mapping {", "with {")
    if "mapping" in prompt and "mapping '" in prompt and " to " not in prompt:
        prompt = prompt.replace("mapping", "with")
    return Step(prompt, f"{name} = {held!r}", (Var(name),))


_RANGES = (
    ("the numbers from {j} to {k}|the integers from {j} to {k}|numbers {j} to {k}|all numbers from {j} to {k}[| inclusive]|the numbers {j} through {k}", "list(range({j}, {e}))"),
    ("the first {c} even numbers[, starting [from|at|with] 2| starting at 2]", "list(range(2, {c2}, 2))"),
    ("the first {c} odd numbers", "list(range(1, {c2}, 2))"),
    ("the even numbers from {ev} to {et}|the even numbers between {ev} and {et}[| inclusive]", "list(range({ev}, {ee}, 2))"),
    ("the squares of [the numbers |]1 to {c}|the squares of the numbers from 1 to {c}|the first {c} [square numbers|squares]|the squares from 1 to {c} squared", "[i ** 2 for i in range(1, {c1})]"),
    ("the cubes of [the numbers |]1 to {c}|the cubes of the numbers from 1 to {c}", "[i ** 3 for i in range(1, {c1})]"),
    ("the first {c} multiples of {m}", "[i * {m} for i in range(1, {c1})]"),
    ("the numbers from 0 to {c}", "list(range({c1}))"),
    ("{c} zeros|{c} zeroes", "[0] * {c}"),
    ("the numbers from {c} down to 1", "list(range({c}, 0, -1))"),
    ("the powers of 2 from 2 to the 0 to 2 to the {c}|the powers of two with exponents 0 to {c}", "[2 ** i for i in range({c1})]"),
)  # fmt: skip


def define_range(world: World, rng: Random) -> Step:
    """Define a list by a rule: a range, squares, multiples …"""
    low, count, even = rng.randint(1, 10), rng.randint(3, 8), 2 * rng.randint(1, 6)
    high = low + rng.randint(3, 9) if rng.random() < 0.5 else 10
    if high <= low:
        low = 1
    end = even + 2 * rng.randint(2, 5)
    numbers = {"j": low, "k": high, "e": high + 1, "c": count, "c1": count + 1, "c2": 2 * count + 1,
               "ev": even, "et": end, "ee": end + 1, "m": rng.randint(2, 9)}  # fmt: skip
    weights = (6, 2, 2, 2, 3, 1, 1.5, 1, 0.7, 0.8, 0.5)
    said, expr = rng.choices(_RANGES, weights)[0]
    slots = {key: str(value) for key, value in numbers.items()}
    for key, value in slots.items():
        expr = expr.replace(f"{{{key}}}", value)
    if "first" in said and rng.random() < 0.5:
        slots["c"] = values.in_words(count)
    name = values.fresh_name(rng, "nums", world.names)
    slots["S"] = expand(said, rng, slots)
    slots["n"] = quoted(world, name, rng, defining=True)
    template = (
        f"{_MAKE} a list {_NAMED} {{n}} [with|of|containing|that contains|holding] {{S}}|{_MAKE} a list of {{S}} [called|named|and call it|and store it in] {{n}}|set {{n}} to a list of {{S}}|let {{n}} be [a|the] list of {{S}}|"
        "store {S} in a list [named|called|] {n}|{n} = [a list of |]{S}|put {S} in [a list|the list] {n}|make {n} a list of {S}|use range to create [a list |]{n} with {S}|generate a list {n} of {S}|use a list comprehension to create {n} with {S}|"
        "assign a list of {S} to {n}|fill a list {n} with {S}"
    )
    return Step(expand(template, rng, slots), f"{name} = {expr}", (Var(name),))


def define_other(world: World, rng: Random) -> Step:
    """Define an empty list, a tuple, a set or a list of lists."""
    roll = rng.random()
    name = values.fresh_name(rng, "nums", world.names)
    n = quoted(world, name, rng, defining=True)
    numbers = values.integers(rng)
    parts = values.spoken([repr(number) for number in numbers], rng)
    if roll < 0.3:
        template = f"{_MAKE} an empty list {_NAMED} {{n}}|set {{n}} to an empty list|let {{n}} be an empty list|start with an empty list {{n}}|{{n}} = []|{{n}} is an empty list|initialize {{n}} as an empty list|assign an empty list to {{n}}|{{n}} = empty list|store an empty list in {{n}}|make {{n}} an empty list"
        held: Any = []
    elif roll < 0.42:
        template = f"{_MAKE} an empty dictionary {_NAMED} {{n}}|set {{n}} to an empty dictionary|let {{n}} be an empty dictionary|start with an empty dictionary {{n}}|initialize {{n}} as an empty dictionary|make {{n}} an empty dictionary"
        held = {}
    elif roll < 0.65:
        held = tuple(numbers[: rng.randint(2, 4)])
        parts = values.spoken([repr(number) for number in held], rng)
        template = f"{_MAKE} a tuple {_NAMED} {{n}} [with|containing|with the values|of] {{v}}|set {{n}} to the tuple {{l}}|let {{n}} be [the tuple |]{{l}}|{{n}} = {{l}}|store the tuple {{l}} in {{n}}|assign the tuple {{l}} to {{n}}"
    elif roll < 0.8:
        held = sorted(set(numbers))
        parts = values.spoken([repr(number) for number in held], rng)
        template = f"{_MAKE} a set {_NAMED} {{n}} [with|containing|with the values|of] {{v}}|set {{n}} to the set {{s}}|let {{n}} be the set {{s}}|store the set {{s}} in {{n}}"
        literal = "{" + repr(held)[1:-1] + "}"
        slots = {"n": n, "v": parts, "s": literal}
        return Step(expand(template, rng, slots), f"{name} = {literal}", (Var(name),))
    else:
        held = [
            [rng.randint(1, 9) for _ in range(rng.choice((2, 2, 3)))]
            for _ in range(rng.randint(2, 3))
        ]
        template = f"{_MAKE} a [list of lists|nested list|matrix] {_NAMED} {{n}} [with|equal to|with the rows|as] {{l}}|set {{n}} to {{l}}|let {{n}} be [the nested list |the matrix |]{{l}}|{{n}} = {{l}}|store the nested list {{l}} in {{n}}"
    slots = {"n": n, "v": parts, "l": repr(held)}
    return Step(expand(template, rng, slots), f"{name} = {held!r}", (Var(name),))
