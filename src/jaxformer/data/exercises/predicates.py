"""Properties of one number or word, and everything lists do with them.

One row gives a filter, a removal, a count, a sum, a question about all or any items, a loop and a
check of a single value: the same words in every place a person may use them.
"""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from dataclasses import dataclass

from jaxformer.data.exercises import picks
from jaxformer.data.exercises.operations import Check, Do, Pick, Value, register


@dataclass(frozen=True)
class Property:
    """A property of an item.

    Attributes:
        kinds: The kind of list and the kind of single value it applies to.
        test: The condition on `{x}`.
        before: How it reads before the noun ("even"), or empty.
        after: How it reads after the noun ("greater than {k}"), or empty.
        state: How it reads after a subject, singular: "is even", "has more than {k} letters".
        states: The same in the plural.
        ask: The question about `{A}`.
        names: Names for the items that have it.
        negated: The condition for the others, written plainly.
        pick: Draws the parameters from a list.
        pick_one: Draws them from a single value.
        weight: How often it is chosen.
    """

    kinds: tuple[str, str]
    test: str
    before: str
    after: str
    state: str
    states: str
    ask: str
    names: str
    negated: str
    pick: Pick | None = None
    pick_one: Pick | None = None
    weight: float = 1.0


_ORDER = {
    ">": ("[greater|greater|larger|bigger|higher|more] than {k}|above {k}|over {k}|exceeding {k}",
          "[greater|larger|bigger|more] than {k}|above {k}|over {k}", "<=", "big large above"),
    "<": ("[less|less|smaller|lower] than {k}|below {k}|under {k}",
          "[less|smaller|lower] than {k}|below {k}|under {k}", ">=", "small low below"),
    ">=": ("[at least|greater than or equal to|no less than] {k}|that are at least {k}|{k} or more",
           "[at least|greater than or equal to] {k}|{k} or more", "<", "big high enough"),
    "<=": ("[at most|less than or equal to|not greater than] {k}|that are at most {k}|{k} or less",
           "[at most|less than or equal to] {k}|{k} or less", ">", "small low"),
}  # fmt: skip

PROPERTIES = [
    Property(
        ("ints", "int"), "{x} % 2 == 0", "even", "that are even|divisible by [2|two]",
        "is [even|an even number|divisible by 2]", "are even", "is {A} [even|an even number]",
        "evens even even_numbers", "{x} % 2 != 0", weight=3,
    ),
    Property(
        ("ints", "int"), "{x} % 2 != 0", "odd", "that are odd", "is [odd|an odd number]", "are odd",
        "is {A} [odd|an odd number]", "odds odd odd_numbers", "{x} % 2 == 0", weight=2.5,
    ),
    Property(
        ("nums", "num"), "{x} > 0", "positive", "[greater|larger] than zero|that are positive|above zero",
        "is [positive|greater than zero|above zero]", "are positive", "is {A} positive",
        "positives positive pos", "{x} <= 0",
    ),
    Property(
        ("nums", "num"), "{x} < 0", "negative", "[less|smaller] than zero|that are negative|below zero",
        "is [negative|less than zero|below zero]", "are negative", "is {A} negative",
        "negatives negative neg", "{x} >= 0",
    ),
    Property(
        ("ints", "int"), "{x} % {k} == 0", "", "[|that are ][divisible by|multiples of] {k}",
        "is [divisible by|a multiple of] {k}", "are divisible by {k}",
        "is {A} [divisible by|a multiple of] {k}|does {k} divide {A}", "divisible multiples",
        "{x} % {k} != 0", picks.divisor, picks.divisor, 2,
    ),
    Property(
        ("ints", "int"), "{j} <= {x} <= {k}", "", "between {j} and {k}[| inclusive]|from {j} to {k}",
        "is between {j} and {k}|is in the range {j} to {k}", "are between {j} and {k}",
        "is {A} between {j} and {k}", "middle in_range between", "not {j} <= {x} <= {k}",
        picks.span, picks.span, 0.7,
    ),
    Property(
        ("ints", "int"), "{x} != {k}", "", "[not equal to|different from|other than] {k}|that are not {k}",
        "is [not|not equal to|different from] {k}", "are not equal to {k}",
        "is {A} different from {k}", "others rest", "{x} == {k}", picks.present, picks.threshold, 0.6,
    ),
    Property(
        ("strs", "word"), "len({x}) > {k}", "", "[longer than|with more than|having more than] {k}"
        " [letters|characters]|that have more than {kw} [letters|characters]|"
        "whose length is [greater|more] than {k}|with [a length|length] [greater than|over|above] {k}",
        "[is longer than|has more than] {k} [letters|characters]",
        "[have more than|are longer than] {k} [letters|characters]",
        "[is {A} longer than|does {A} have more than] {k} [letters|characters]",
        "long_words long longer", "len({x}) <= {k}", picks.word_length, picks.number(3, 8), 3,
    ),
    Property(
        ("strs", "word"), "len({x}) < {k}", "", "[shorter than|with fewer than|with less than] {k} "
        "[letters|characters]|that have fewer than {kw} [letters|characters]|"
        "whose length is [less|smaller] than {k}",
        "[is shorter than|has fewer than] {k} [letters|characters]",
        "[have fewer than|are shorter than] {k} [letters|characters]",
        "[is {A} shorter than|does {A} have fewer than] {k} [letters|characters]",
        "short_words short shorter", "len({x}) >= {k}", picks.word_length, picks.number(3, 8), 1.5,
    ),
    Property(
        ("strs", "word"), "len({x}) == {k}", "{k}-letter", "[with exactly|with|of|that have] {k} "
        "[letters|characters]|of length {k}|[with a length of|whose length is] {k}",
        "has exactly {k} [letters|characters]", "have exactly {k} letters",
        "does {A} have exactly {k} [letters|characters]", "exact same_length words_of_length",
        "len({x}) != {k}", picks.word_length, picks.number(3, 8), 1.2,
    ),
    Property(
        ("strs", "str"), "{x}.startswith({k})", "", "[starting with|that start with|beginning with|"
        "that begin with|which start with] [|the letter ]{k}|whose first letter is {k}",
        "[starts|begins] with [|the letter ]{k}", "start with {k}",
        "does {A} [start|begin] with [|the letter ]{k}", "starting matches starts_with",
        "not {x}.startswith({k})", picks.initial, picks.letter, 2,
    ),
    Property(
        ("strs", "str"), "{x}.endswith({k})", "", "[ending with|that end with|ending in|that end in|"
        "which end with] [|the letter ]{k}|whose last letter is {k}",
        "ends [with|in] [|the letter ]{k}", "end with {k}", "does {A} end with [|the letter ]{k}",
        "ending matches ends_with", "not {x}.endswith({k})", picks.final, picks.letter, 1.3,
    ),
    Property(
        ("strs", "str"), "{k} in {x}", "", "[containing|that contain|with|that have|which contain] "
        "[the letter|a|an|the letter|the character] {k}|[containing|that contain|that include] {k}",
        "[contains|has|includes] [|the letter ]{k}", "contain the letter {k}",
        "does {A} [contain|include|have] [the letter|the letter|] {k}|is [|the letter ]{k} in {A}",
        "containing matches with_letter", "{k} not in {x}", picks.inside, picks.letter, 1.5,
    ),
    Property(
        ("strs", "str"), "{x}[0] in 'aeiou'", "", "[starting with|that start with|beginning with] a vowel",
        "[starts|begins] with a vowel", "start with a vowel", "does {A} start with a vowel",
        "vowel_words", "{x}[0] not in 'aeiou'", weight=0.4,
    ),
    Property(
        ("strs", "word"), "{x} == {x}[::-1]", "", "that are palindromes|that read the same backwards",
        "is a palindrome|reads the same [backwards|forwards and backwards]", "are palindromes",
        "is {A} a palindrome|does {A} read the same backwards", "palindromes is_palindrome",
        "{x} != {x}[::-1]", weight=0.4,
    ),
]  # fmt: skip
for _sign, (_after, _state, _negated, _names) in _ORDER.items():
    PROPERTIES.append(
        Property(
            ("nums", "num"), f"{{x}} {_sign} {{k}}", "", _after, f"is [{_state}]",
            f"are [{_state}]", f"is {{A}} [{_state}]", _names, f"{{x}} {_negated} {{k}}", picks.threshold, picks.threshold,
            3 if _sign in "><" else 1,
        )
    )  # fmt: skip


def _described(row: Property, base: str, inside: str) -> str:
    """Alternatives for the noun with its property, before or after it, then where."""
    out = []
    if row.before:
        out += [f"{row.before} {base} {inside}"] * 2 + [f"{row.before} {base}"]
    if row.after:
        out += [f"{base} {inside} [{row.after}]", f"{base} [{row.after}] {inside}"]
    return "[" + "|".join(out) + "]"


def _add(row: Property) -> None:
    group, single = row.kinds
    inside = "[in|in|in|from|of] {a}"
    some = _described(row, "{bares}", inside)
    one = row.state.replace("{A}", "")
    that = f"{{item}} that [{one}]"
    names = row.names
    first_name = names.split()[0]
    keep = f"[{{x}} for {{x}} in {{a}} if {row.test}]"
    register(
        Value(
            group, keep,
            nouns=f"[the|the|only the|all the|all|a list of the|the list of] {some}",
            verbs=f"[filter|select|extract|get|find|take|collect|pick|pick out|choose] "
            f"[the|only the|all|all the|] {some}|"
            f"filter {{a}} to get [only |]the {{bares}} that [{row.states}]|"
            f"filter {{a}} for {{bares}} that [{row.states}]",
            does=f"keep only [the|] {some}|keep only the {{items}} that [{row.states}]|"
            f"filter {{a}} to keep only {{bares}} that [{row.states}]|"
            f"filter {{a}}, keeping only {{bares}} that [{row.states}]",
            asks=f"which {{items}} [{row.states}]",
            names=names, pick=row.pick, weight=row.weight, many=True,
        ),
        Value(
            group, f"[{{x}} for {{x}} in {{a}} if {row.negated}]",
            does=f"[remove|drop|delete] [all|all the|every|the] {some}|"
            f"[remove|drop|delete] from {{a}} all {{bares}} that [{row.states}]|"
            f"[remove|filter out|get rid of|throw away] [the|all|all the] {{items}} that [{row.states}]",
            verbs=f"leave out the {some}",
            nouns=f"{{A}} without the {_described(row, '{bares}', '')}",
            names="rest remaining filtered", pick=row.pick, weight=row.weight * 0.45, many=True,
        ),
        Value(
            group, f"len({keep})",
            nouns=f"the [number|count] of {some}|how many {{items}} [{row.states}]",
            verbs=f"count [the|all|] {some}|count how many {{items}} [{row.states}]",
            asks=f"how many {some} are there|how many {{items}} [{row.states}]|"
            f"how many of the {{items}} [{row.states}]",
            names=f"count num_{first_name} n_{first_name} {first_name}_count", alias="the count",
            pick=row.pick, weight=row.weight * 0.9,
        ),
        Check(
            group, f"all({row.test} for {{x}} in {{a}})",
            f"[all|all the|all of the] {{items}} [{row.states}]|every {{item}} [{one}]",
            f"[do all {{items}} satisfy: {one}|is it true that every {{item}} [{one}]]",
            names=f"all_{first_name} result all_ok", pick=row.pick, weight=row.weight * 0.25,
        ),
        Check(
            group, f"any({row.test} for {{x}} in {{a}})",
            f"any {{item}} [{one}]|[at least one|some] {{item}} [{one}]|"
            f"{{a}} [contains|has] [a|any|at least one] {{bare}} that [{one}]",
            f"is there [any|a] {that}|does {{a}} [have|contain] [any|a] {{bare}} that [{one}]",
            names=f"any_{first_name} result has_{first_name}", pick=row.pick, weight=row.weight * 0.3,
        ),
        Check(
            single, row.test.replace("{x}", "{a}"), f"{{A}} [{row.state}]", f"[{row.ask}]",
            names=f"is_{first_name.rstrip('s')} result check", pick=row.pick_one,
            weight=row.weight * 0.8,
        ),
        Do(
            group,
            f"[print|show|display|output] [only|] [the|each of the|all the|all] {some}"
            "[, one per line|, each on [its own|a new|a separate] line| one by one]|"
            f"[print|show] [each|every] {that}|for [each|every] {{item}} that [{one}][,|] print it|"
            f"[go through|loop over|loop through|iterate over] {{a}} and print [each|every] "
            f"{{bare}} that [{one}]|"
            f"[loop over|loop through|go through] {{a}}[, printing only| and print only] "
            f"the {{bares}} that [{row.states}]|use a loop to print the {some}",
            f"for {{x}} in {{a}}:\n    if {row.test}:\n        print({{x}})",
            pick=row.pick, weight=row.weight * 0.5, prints=True,
        ),
        Value(
            group, f"next({{x}} for {{x}} in {{a}} if {row.test})",
            nouns=f"the first {{item}} that [{one}]|the first {{bare}} that [{one}] in {{a}}",
            names=f"first_{first_name} found first", pick=row.pick, weight=row.weight * 0.15,
        ),
    )  # fmt: skip
    if group in ("ints", "nums"):
        register(
            Value(
                group, f"sum({keep[1:-1]})",
                nouns=f"the [sum|total] of [all |all the |the |only the |]{some}",
                verbs=f"[add up|sum|sum up|total|add together] [all |all the |the |only the ]{some}",
                asks=f"what do the {some} add up to",
                names=f"{first_name}_sum total sum_{first_name}", alias="the sum", pick=row.pick,
                weight=row.weight * 0.5,
            )
        )  # fmt: skip


for _row in PROPERTIES:
    _add(_row)
