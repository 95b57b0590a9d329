"""Changes of one number or word, and the lists, loops and functions made of them."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from dataclasses import dataclass

from jaxformer.data.exercises import picks, values
from jaxformer.data.exercises.operations import Do, Pick, Value, register


@dataclass(frozen=True)
class Change:
    """A way to turn one item into another.

    Attributes:
        kinds: The kind of list and of single value it applies to; a single value may be empty.
        expr: The expression on `{x}`.
        verb: The imperative, with `{o}` for what it is done to.
        each: How a list reads after it ("{A} with every number doubled"), or empty.
        nouns: How the items read ("the squares of {them}"), or empty.
        done: The participle for one item ("doubled"), or empty.
        names: Names for the resulting list.
        names_one: Names for the single result.
        pick: Draws the parameters.
        weight: How often it is chosen.
        inplace: The plain way to change a single variable, if not by assignment.
    """

    kinds: tuple[str, str]
    expr: str
    verb: str
    each: str
    nouns: str
    done: str
    names: str
    names_one: str
    pick: Pick | None = None
    weight: float = 1.0
    inplace: str = ""


_small = picks.number(2, 10)
CHANGES = [
    Change(("nums", "num"), "{x} * 2", "double {o}|multiply {o} by [2|two]", "[doubled|multiplied by 2]",
           "[the doubles of|twice] {them}|the doubled {items}", "doubled|times two|multiplied by 2|times 2", "doubled doubles twice",
           "doubled double twice", weight=3, inplace="{a} *= 2"),
    Change(("nums", "num"), "{x} * 3", "triple {o}|multiply {o} by [3|three]", "[tripled|multiplied by 3]",
           "the tripled {items}", "tripled|times three|times 3", "tripled triples", "tripled triple", weight=1.5, inplace="{a} *= 3"),
    Change(("nums", "num"), "{x} ** 2", "square {o}", "squared", "the squares of {them}|the squared {items}|the square of each {item}",
           "squared", "squares squared", "squared square", weight=3, inplace="{a} **= 2"),
    Change(("ints", "int"), "{x} ** 3", "cube {o}", "cubed", "the cubes of {them}|the cube of [each|every] {item}", "cubed",
           "cubes cubed", "cubed cube", weight=1, inplace="{a} **= 3"),
    Change(("nums", "num"), "{x} + {k}", "add {k} to {o}|increase {o} by {k}", "[increased by {k}|plus {k}]", "", "plus {k}|increased by {k}",
           "increased added plus shifted", "increased bigger", _small, 3, "{a} += {k}"),
    Change(("nums", "num"), "{x} - {k}", "subtract {k} from {o}|decrease {o} by {k}|reduce {o} by {k}", "[decreased by {k}|minus {k}]", "",
           "minus {k}|decreased by {k}", "decreased reduced lowered", "decreased smaller", _small, 2, "{a} -= {k}"),
    Change(("nums", "num"), "{x} * {k}", "multiply {o} by {k}", "[multiplied by {k}|times {k}]", "", "times {k}|multiplied by {k}",
           "multiplied scaled times_k", "product scaled", _small, 3, "{a} *= {k}"),
    Change(("nums", "num"), "{x} / 2", "halve {o}|divide {o} by [2|two]", "[halved|divided by 2]", "the halves of {them}|half of each {item}",
           "halved|divided by 2", "halves halved", "half halved", weight=1.5, inplace="{a} /= 2"),
    Change(("nums", "num"), "{x} / {k}", "divide {o} by {k}", "divided by {k}", "", "divided by {k}", "divided quotients", "quotient divided",
           _small, 1.5, "{a} /= {k}"),
    Change(("nums", "num"), "-{x}", "negate {o}|flip the sign of {o}|change the sign of {o}", "negated", "the negated {items}",
           "negated", "negated negatives", "negated opposite", weight=1),
    Change(("nums", "num"), "abs({x})", "take the absolute value of {o}", "[made positive|replaced by its absolute value]",
           "the absolute values of {them}|the absolute value of [each|every] {item}", "", "absolutes abs_values", "absolute magnitude", weight=1.5),
    Change(("ints", "int"), "{x} % {k}", "take {o} modulo {k}", "modulo {k}",
           "the remainders of {them} [divided by|modulo|when divided by] {k}|the remainder of [each|every] {item} divided by {k}", "modulo {k}",
           "remainders mods", "remainder rest mod", _small, 1.2),
    Change(("ints", "int"), "str({x})", "convert {o} to [a string|text]|turn {o} into a string", "converted to a string",
           "the {items} as strings|the {items} converted to strings", "", "strings texts as_strings", "text as_string s", weight=1.5),
    Change(("ints", "int"), "{x} // 10", "drop the last digit of {o}|integer divide {o} by 10", "without its last digit", "", "", "shortened", "shortened",
           weight=0.2),
    Change(("floats", "float"), "round({x})", "round {o} to the nearest [integer|whole number]|round {o}", "rounded",
           "the rounded {items}|the {items} rounded to whole numbers", "rounded", "rounded rounded_list", "rounded", weight=6),
    Change(("floats", "float"), "round({x}, {k})", "round {o} to {kw} decimal places|round {o} to {k} decimals", "rounded to {k} decimal places",
           "the {items} rounded to {k} decimals", "rounded to {k} decimal places", "rounded", "rounded", picks.number(1, 2), 6),
    Change(("floats", "float"), "int({x})", "convert {o} to an [integer|int]|turn {o} into an integer", "converted to an integer", "the {items} as integers",
           "", "whole integers", "whole as_int", weight=3),
    Change(("strs", "str"), "{x}.upper()", "[convert|change] {o} to upper[ |]case|uppercase {o}|make {o} upper[ |]case|put {o} in capital letters|make {o} all caps",
           "[in upper case|in uppercase|converted to uppercase]", "the {items} in [upper case|uppercase|capital letters]|the uppercase {items}",
           "in [upper case|uppercase|capital letters]", "upper uppercase upper_words caps", "upper shout upper_text loud", weight=4),
    Change(("strs", "str"), "{x}.lower()", "[convert|change] {o} to lower[ |]case|lowercase {o}|make {o} lower[ |]case", "[in lower case|in lowercase|converted to lowercase]",
           "the {items} in [lower case|lowercase]|the lowercase {items}", "in [lower case|lowercase]", "lower lowercase lower_words", "lower lower_text small", weight=3),
    Change(("strs", "str"), "{x}.capitalize()", "capitalize {o}|make the first letter of {o} [upper case|a capital]", "capitalized", "the capitalized {items}",
           "capitalized", "capitalized caps", "capitalized", weight=1.7),
    Change(("strs", "str"), "{x}.title()", "convert {o} to title case|put {o} in title case", "in title case", "the {items} in title case", "in title case",
           "titles titled", "title_text titled", weight=1.2),
    Change(("strs", "str"), "{x}.swapcase()", "swap the case of [the letters in |]{o}", "with its case swapped", "", "with swapped case", "swapped", "swapped", weight=0.5),
    Change(("strs", "str"), "len({x})", "", "replaced by its length", "the lengths of {them}|the length of [each|every] {item}|the {bare} lengths of {a}|"
           "the number of [letters|characters] in [each|every] {item}", "", "lengths sizes word_lengths", "", weight=4),
    Change(("strs", "str"), "{x}[::-1]", "reverse {o}|spell {o} backwards|write {o} backwards|turn {o} around", "reversed", "the {items} spelled backwards|the reverse of [each|every] {item}",
           "reversed|backwards|in reverse", "reversed_words backwards flipped", "reversed_text backwards rev flipped", weight=2.5),
    Change(("strs", "word"), "{x}[0]", "", "replaced by its first letter", "the first letters of {them}|the first [letter|character] of [each|every] {item}|the initials of {them}",
           "", "initials first_letters firsts", "", weight=2.5),
    Change(("strs", "word"), "{x}[-1]", "", "", "the last letters of {them}|the last [letter|character] of [each|every] {item}", "", "last_letters endings lasts", "", weight=1.2),
    Change(("strs", "word"), "{x}[:{k}]", "", "cut to {k} letters", "the first {kw} letters of [each|every] {item}", "", "short prefixes starts", "", picks.number(2, 3), 1),
    Change(("strs", "str"), "{x} + {k}", "[add|append] {k} to [the end of |]{o}", "followed by {k}", "", "followed by {k}", "extended with_suffix", "extended longer",
           lambda _, r: {"k": r.choice(("!", "?", "s", ".", "-x", "_1", "er", "!!", "able", "ing"))}, 1.5),
    Change(("strs", "str"), "{k} + {x}", "[add|put] {k} [in front of|before] {o}|prefix {o} with {k}|prepend {k} to {o}", "with {k} in front", "", "with {k} in front",
           "prefixed labeled", "prefixed longer", lambda _, r: {"k": r.choice(("un", "re", "Mr. ", "my_", "> ", "the ", "#", "pre", "x_"))}, 1.2),
    Change(("strs", "str"), "{x} * {k}", "repeat {o} {kw} times", "repeated {kw} times", "", "repeated {kw} times", "repeated", "repeated many echo", picks.number(2, 4), 1.5),
    Change(("strs", "str"), "{x}.replace({k}, {v})", "replace [every|all|each] {k} [with|by] {v} in {o}", "with {k} replaced by {v}", "", "with {k} replaced by {v}",
           "replaced changed", "replaced changed new_text", lambda v, r: picks.two_letters("".join(v), r), 1.5),
]  # fmt: skip

_NUMERIC = {"nums", "ints", "floats"}
_EVERY = "[every|each] {item}|every {item}|each {item}|[all|all of the|all the] {items}|each of the {items}|[every|each] {bare} [in|of] {a}"


def _each(phrase: str, target: str) -> str:
    return phrase.replace("{o}", f"[{target}]")


def _add_list(row: Change) -> None:
    nouns = [part for part in (row.nouns,) if part]
    if row.each:
        nouns.append(f"{{A}} with [each|every] [{{bare}}|element|item] {row.each}")
        nouns.append(f"a list [of|with] [each|every] {{item}} {row.each}")
    if row.done:
        nouns.append(f"the {{items}} [{row.done}]")
    does = ""
    if row.verb:
        does = _each(row.verb, _EVERY)
    register(
        Value(
            row.kinds[0], f"[{row.expr} for {{x}} in {{a}}]", "|".join(nouns), does=does, names=row.names, pick=row.pick,
            alias=f"the {row.names.split()[0]} list" if row.done in ("doubled", "squared", "tripled") else "", weight=row.weight, many=True,
            verbs="" if row.verb else "|".join(f"[get|collect|find|list] {part}" for part in nouns),
        )
    )  # fmt: skip
    if not row.done:
        return
    base = "[print|show|display|output]"
    after = "[, one per line|, each on its own line|]"
    register(
        Do(
            row.kinds[0],
            f"{base} [each|every] {{item}} [{row.done}]{after}|for [each|every] {{item}}[,|] print it [{row.done}]|"
            f"[loop over|go through|iterate over|loop through] {{a}} and print [each|every] {{bare}} [{row.done}]|"
            f"use a [for |]loop to print [each|every] {{item}} [{row.done}]",
            f"for {{x}} in {{a}}:\n    print({row.expr})", pick=row.pick, weight=row.weight * 0.4, prints=True,
        )
    )  # fmt: skip


def _add_single(row: Change) -> None:
    if not row.names_one:
        return
    nouns = f"{{A}} [{row.done}]" if row.done else row.nouns.replace("[each|every] {item}", "{a}")
    if row.names[:4] in ("abso", "rema"):
        nouns = {
            "abso": "the absolute value of {a}",
            "rema": "the remainder of {a} divided by {k}|the remainder when {a} is divided by {k}|{A} modulo {k}|{A} mod {k}",
        }[row.names[:4]]
    elif not row.done:
        nouns = ""
    elif row.kinds[1] in ("num", "int", "float") and row.expr == "{x} * 2":
        nouns += "|twice {a}|the double of {a}"
    elif row.expr == "{x} ** 2":
        nouns += "|the square of {a}"
    elif row.expr == "{x} / 2":
        nouns = "half of {a}|{A} divided by [2|two]"
    register(
        Value(
            row.kinds[1], row.expr.replace("{x}", "{a}"), nouns, does=_each(row.verb, "{a}") if row.verb else "",
            names=row.names_one, pick=row.pick, inplace=row.inplace, weight=row.weight * 0.6,
        )
    )  # fmt: skip


for _row in CHANGES:
    _add_list(_row)
    _add_single(_row)

register(
    Value(
        "strs", "[int({x}) for {x} in {a}]", "the {items} as [integers|ints|numbers]|the {items} converted to integers",
        does="convert [every|each] {item} to [an integer|an int|a number]|turn the {items} into [integers|numbers]", names="numbers ints nums_list",
        test=lambda v: bool(v) and all(w.lstrip("-").isdigit() for w in v), weight=12, many=True,
    ),
    Value(
        "ints", "[sum({a}[:{i} + 1]) for {i} in range(len({a}))]", "the [running|cumulative] [totals|sums] of {them}|a list of [running|cumulative] [totals|sums] of {a}",
        names="running cumulative totals", test=lambda v: len(v) > 2, weight=1.5, many=True,
    ),
    Value(
        "ints", "[{a}[{i}] + {a}[{i} + 1] for {i} in range(len({a}) - 1)]", "the sums of [neighbouring|adjacent|neighboring|consecutive] {items}",
        names="pair_sums sums", test=lambda v: len(v) > 2, weight=1, many=True,
    ),
    Value(
        "ints", "[{a}[{i} + 1] - {a}[{i}] for {i} in range(len({a}) - 1)]",
        "the differences between [neighbouring|adjacent|neighboring|consecutive] {items}", names="diffs differences steps_list", test=lambda v: len(v) > 2, weight=1.2, many=True,
    ),
    Value(
        "list", "list(enumerate({a}))", "a list of [(index, value)|index and value] pairs [of|from] {a}", verbs="enumerate {a} into a list", names="indexed enumerated", weight=0.6,
    ),
    Value(
        "list", "[{x} for {x} in {a} if {a}.count({x}) > 1]", "the {items} that [appear|occur] more than once", asks="which {items} [appear|occur] more than once",
        names="repeated dups", test=lambda v: len(set(v)) < len(v), weight=1.2, many=True,
    ),
    Value("list", "set({a})", "the set of {them}", does="", verbs="convert {a} to a set|turn {a} into a set|make a set from {a}", names="unique as_set s", weight=0.6,
          test=lambda v: bool(v) and not isinstance(v[0], str)),
    Value("list", "tuple({a})", "{A} as a tuple", verbs="convert {a} to a tuple|turn {a} into a tuple", names="t as_tuple", weight=0.6),
    Value(
        "list", "{{x}: {a}.count({x}) for {x} in {a}}", "a dictionary [of|with] how often each {item} [appears|occurs]|the [counts|frequencies] of {them} as a dictionary",
        verbs="count how [often|many times] each {item} [appears|occurs]|build a dictionary [with|of] the count of each {item}", names="counts freq frequencies", alias="the dictionary", weight=1.6,
    ),
    Value(
        "strs", "{{x}: len({x}) for {x} in {a}}", "a dictionary [mapping|that maps|from] each {item} to its length|a dictionary with the {items} as keys and their lengths as values",
        verbs="map each {item} to its length in a dictionary|build a dictionary [from|mapping] each {item} to its length", names="lengths length_of sizes", alias="the dictionary", weight=1.8,
    ),
    Value(
        "ints", "{{x}: {x} ** 2 for {x} in {a}}", "a dictionary [mapping|that maps] each {item} to its square", verbs="map each {item} to its square in a dictionary", names="squares square_of",
        alias="the dictionary", weight=1,
    ),
)  # fmt: skip

_JOINERS = (("' '", "a space|spaces"), ("', '", "a comma and a space|', '"), ("','", "a comma|commas"), ("'-'", "a dash|dashes|a hyphen|'-'"), ("''", "nothing|no separator"), ("' - '", "' - '"), ("' and '", "' and '"), ("'_'", "an underscore|underscores"))  # fmt: skip
for _code, _said in _JOINERS:
    register(
        Value(
            "strs", f"{_code}.join({{a}})", f"the {{items}} [joined|separated] [by|with] [{_said}]|{{A}} joined [by|with] [{_said}]|the {{items}} with [{_said}] between them",
            verbs=f"join {{them}} [with|using|by] [{_said}]|join {{a}} [with|using] [{_said}]|join {{them}} into [one|a single] string [separated by|with] [{_said}]",
            names="joined line sentence combined", alias="the joined string", weight=2.5 if _code in ("' '", "', '", "'-'") else 0.7,
        )
    )  # fmt: skip
    register(
        Do(
            "nums", f"print the {{items}} [separated by|with] [{_said}]|print {{them}} on one line[,|] separated by [{_said}]",
            f"print(*{{a}}, sep={_code})" if _code != "' '" else "print(*{a})", prints=True, weight=0.8 if len(_code) < 5 else 0.3,
        )
    )  # fmt: skip
register(
    Value(
        "strs", "max({a}, key=len)", "the longest {item}|the longest {item}|the {item} with the most letters", asks="[which|what] is the longest {item}|which {item} is [the |]longest",
        names="longest longest_word", alias="the longest word", test=bool, weight=4,
    ),
    Value(
        "strs", "min({a}, key=len)", "the shortest {item}|the {item} with the fewest letters", asks="[which|what] is the shortest {item}|which {item} is [the |]shortest",
        names="shortest shortest_word", alias="the shortest word", test=bool, weight=3,
    ),
    Value(
        "strs", "len(max({a}, key=len))", "the length of the longest {item}", asks="how long is the longest {item}", names="longest_length max_len", test=bool, weight=1.2,
    ),
    Value(
        "strs", "sum(len({x}) for {x} in {a})", "the total number of [letters|characters] in {them}|the total length of {them}|the sum of the lengths of {them}",
        asks="how many [letters|characters] are there in [total|all] in {a}", verbs="count [all |]the [letters|characters] in {them}", names="total_letters total letters total_length", weight=1.8,
    ),
    Value(
        "strs", "min({a})", "the {item} that comes first [alphabetically|in alphabetical order]|the alphabetically first {item}", names="first_word first", test=bool, weight=0.8,
    ),
    Value(
        "strs", "max({a})", "the {item} that comes last [alphabetically|in alphabetical order]", names="last_word last", test=bool, weight=0.6,
    ),
    Value(
        "nums", "max({a}, key=abs)", "the {item} with the largest absolute value", names="largest_abs biggest", test=lambda v: min(v, default=0) < 0, weight=1,
    ),
    Value(
        "nums", "min({a}, key=lambda {x}: abs({x} - {k}))", "the {item} closest to {k}|the {item} nearest to {k}", asks="which {item} is closest to {k}", names="closest nearest",
        pick=picks.threshold, test=bool, weight=1,
    ),
    Value("rows", "[{x} for {i} in {a} for {x} in {i}]", "{A} flattened[| into one list]|a flat list of all [numbers|elements] in {a}", verbs="flatten {a}|flatten {a} into [one|a single] list", names="flat flattened flat_list", weight=8),
    Value("rows", "{a}[{k}]", "the {n} [row|inner list] of {a}", names="row inner", pick=lambda v, r: {"n": (values.ordinal(p := r.randint(1, len(v))), ""), "k": (str(p - 1), str(p - 1))}, weight=4),
    Value("rows", "[sum({x}) for {x} in {a}]", "the sum of each [row|inner list] [of|in] {a}|the row sums of {a}", names="row_sums sums", weight=5, test=lambda v: all(type(n) is int for r in v for n in r)),
    Value("rows", "len({a})", "the number of [rows|inner lists] in {a}", names="rows count", weight=2),
    Value("rows", "sum(sum({x}) for {x} in {a})", "the sum of all [numbers|elements] in {a}|the total of all [rows|inner lists] of {a}", names="total total_sum", weight=4, test=lambda v: all(type(n) is int for r in v for n in r)),
    Value("pairs", "[{x}[0] for {x} in {a}]", "the first [element|item|part] of each pair in {a}", names="firsts lefts", weight=2, many=False),
    Value("pairs", "dict({a})", "a dictionary from {a}", verbs="[convert|turn] {a} [to|into] a dictionary", names="d mapping", weight=2, test=lambda v: all(len(p) == 2 for p in v)),
    Do("pairs", "print each pair [in|of] {a}[| on its own line]|loop over {a} and print each pair", "for {x} in {a}:\n    print({x})", prints=True, weight=2),
    Do("rows", "print each [row|inner list] [in|of] {a}[| on its own line]|loop over {a} and print each [row|inner list]", "for {x} in {a}:\n    print({x})", prints=True, weight=4),
)  # fmt: skip
