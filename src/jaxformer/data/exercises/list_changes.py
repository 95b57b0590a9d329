"""Operations that change a list, or bring two lists together."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from jaxformer.data.exercises import picks
from jaxformer.data.exercises.operations import Do, Value, register


def _full(held: list) -> bool:
    return len(held) >= 3


def _equal_lengths(held: list) -> bool:
    return len(held[0]) == len(held[1]) > 0


def _short(held: list) -> bool:
    return len(held[0]) + len(held[1]) < 14


_END = "[|| at the end| to the end]"

register(
    Do(
        "list", "[append|add] {k} to {a}|append {k} to {a}|add [the {bare}|the value|the element] {k} to {a}|"
        "add {k} [to|at] the end of {a}|append [the {bare} |]{k} to the end of {a}|put {k} at the end of {a}|"
        "push {k} onto {a}", "{a}.append({k})", pick=picks.newcomer, weight=6, changes=True,
    ),
    Do(
        "list", "[append|add] {k} and {v} to {a}|extend {a} with {k} and {v}|extend {a} [with|by] {k}, {v}|add the {bares} {k} and {v} to {a}|add {k} and {v} to the end of {a}", "{a}.extend([{k}, {v}])",
        pick=picks.newcomers, weight=2, changes=True,
    ),
    Do(
        "list", "insert {k} at the [beginning|start|front] of {a}|add {k} [to|at] the [front|beginning|start] of {a}|"
        "put {k} at the [start|front|beginning] of {a}|prepend {k} to {a}|insert {k} [at index 0 of|at position 0 in] {a}",
        "{a}.insert(0, {k})", pick=picks.newcomer, weight=2.5, changes=True,
    ),
    Do(
        "list", "insert {v} at [index|position] {k} [of|in] {a}|insert {v} into {a} at [index|position] {k}|"
        "put {v} [in|into] {a} at index {k}|add {v} at index {k} [of|to] {a}", "{a}.insert({k}, {v})",
        pick=picks.place, weight=1.8, changes=True,
    ),
    Do(
        "list", "remove {k} from {a}|remove [the {bare}|the value|the element] {k} from {a}|delete {k} from {a}|"
        "remove the first [occurrence of |]{k} from {a}|take {k} out of {a}|drop {k} from {a}", "{a}.remove({k})",
        pick=picks.present, weight=3.5, changes=True, test=_full,
    ),
    Do(
        "list", "remove the [first|first] {item}|[delete|drop] the first [element|item|{bare}] [of|from|in] {a}|"
        "pop the first [element|item] [of|from|off] {a}", "{a}.pop(0)", weight=1.8, changes=True, test=_full,
    ),
    Do(
        "list", "remove the last {item}|[delete|drop] the last [element|item|{bare}] [of|from|in] {a}|"
        "pop the last [element|item] [of|from|off] {a}|pop {a}", "{a}.pop()", weight=2.2, changes=True, test=_full,
    ),
    Do(
        "list", "[remove|delete] the [element|item|{bare}|value] at [index|position] {k} [of|from|in] {a}|"
        "[remove|delete] the {n} [element|item|{bare}] [of|from|in] {a}|delete index {k} of {a}", "del {a}[{n}]",
        pick=lambda v, r: None if (p := picks.position(v, r)) is None else {**p, "n": (p["n"][0], p["n"][1])},
        weight=1.8, changes=True, test=_full,
    ),
    Do(
        "list", "pop the last [element|item|{bare}] [of|from|off] {a} and [store|save|keep] it [in|as] {r}|"
        "remove the last {item} and [store|save|keep] it [in|as] {r}|{r} = the {bare} popped from the end of {a}",
        "{r} = {a}.pop()", makes="last popped item", weight=1, test=_full,
    ),
    Do(
        "list", "change the [first|first] {item} to {k}|set the first [element|item|{bare}] of {a} to {k}|replace the first {item} [with|by] {k}",
        "{a}[0] = {k}", pick=picks.newcomer, weight=1.6, changes=True, test=_full,
    ),
    Do(
        "list", "[change|set] the last [element|item|{bare}] of {a} to {k}|replace the last {item} [with|by] {k}",
        "{a}[-1] = {k}", pick=picks.newcomer, weight=1.3, changes=True, test=_full,
    ),
    Do(
        "list", "[change|set] the {n} [element|item|{bare}] of {a} to {v}|replace the {n} {item} [with|by] {v}|"
        "change the {n} {item} to {v}", "{a}[{n}] = {v}", pick=picks.place, weight=1.6, changes=True,
    ),
    Do(
        "list", "[change|set] the [element|item|{bare}|value] at [index|position] {k} [of|in] {a} to {v}|"
        "replace the [element|item|{bare}] at index {k} of {a} [with|by] {v}|set {plain}\x01{k}\x02 to {v}|"
        "[set|change] index {k} of {a} to {v}", "{a}[{k}] = {v}", pick=picks.place, weight=1.4, changes=True,
    ),
    Do(
        "list", "swap the first and [|the ]last {items}|[swap|exchange] the first and last [elements|items] of {a}",
        "{a}[0], {a}[-1] = {a}[-1], {a}[0]", weight=1.8, changes=True, test=_full,
    ),
    Value(
        "list", "[{v} if {x} == {k} else {x} for {x} in {a}]", "{A} with [every|each] {k} replaced [by|with] {v}",
        does="replace every {k} in {a} [with|by] {v}|[change|turn] every {k} in {a} [into|to] {v}",
        names="replaced new_list", pick=picks.once, weight=1.6,
    ),
    Value(
        "ints", "[0 if {x} < 0 else {x} for {x} in {a}]", "{A} with [the |all |]negative numbers replaced [by|with] [0|zero]",
        does="replace [the|all|all the] negative {items} [with|by] [0|zero]|set the negative {items} to [0|zero]",
        names="clipped nonnegative", test=lambda v: min(v, default=0) < 0, weight=1.5,
    ),
    Do(
        "list", "empty {a}|clear {a}|remove [all|all the|every] [elements|items] from {a}", "{a}.clear()", weight=0.2, changes=True,
    ),
    Value(
        "list", "{a}.copy()", "a copy of {a}", verbs="copy {a}|make a copy of {a}", names="copied backup duplicate copy_list",
        weight=1,
    ),
)  # fmt: skip

for _kind in ("ints", "floats", "strs"):
    register(
        Value(
            f"{_kind} {_kind}", "{a} + {b}", "{A} and {b} [joined|combined|put together|concatenated]|"
            "the concatenation of {A} and {b}|{A} plus {b}|{A} followed by {b}|"
            "all [elements|items] of {A} and {b}[ together|]",
            verbs="[combine|join|concatenate|merge] {A} and {b}|[combine|concatenate|merge] {A} with {b}|"
            "[concatenate|combine|merge|join] the [two |]lists {A} and {b}",
            names="combined merged joined all_items", alias="the combined list", test=_short, weight=6,
        ),
        Do(
            f"{_kind} {_kind}", "extend {A} with {b}|add [all|all the] [elements|items] of {b} to {A}|append [the items of|everything in] {b} to {A}",
            "{a}.extend({b})", test=_short, weight=1.5, changes=True,
        ),
        Value(
            f"{_kind} {_kind}", "[{x} for {x} in {a} if {x} in {b}]", "the [elements|items|values] [|that are ]in both {A} and {b}|"
            "the [elements|items] of {A} that are also in {b}|the common [elements|items] of {A} and {b}|"
            "the [elements|values] {A} and {b} have in common", asks="which [elements|items] are in both {A} and {b}",
            names="common shared both", test=lambda v: bool(set(v[0]) & set(v[1])), weight=4, many=True,
        ),
        Value(
            f"{_kind} {_kind}", "[{x} for {x} in {a} if {x} not in {b}]", "the [elements|items|values] of {A} [that are |]not in {b}|"
            "the [elements|items] [in|from] {A} but not [in|from] {b}", asks="which [elements|items] of {A} are not in {b}",
            names="only_first missing difference", test=lambda v: set(v[0]) != set(v[1]), weight=3, many=True,
        ),
        Value(
            f"{_kind} {_kind}", "list(zip({a}, {b}))", "[the |a list of |][pairs|tuples] [from|of|made from] {A} and {b}|a list of pairs of {A} and {b}",
            verbs="zip {A} and {b}[| together| into a list of pairs| into a list of tuples]|pair [up |]the [elements|items] of {A} and {b}|"
            "zip {A} with {b}", names="pairs zipped paired", test=_equal_lengths, weight=2.5, many=True,
        ),
        Value(
            f"{_kind} {_kind}", "len({a}) + len({b})", "the [combined|total] length of {A} and {b}|"
            "the total number of [elements|items] in {A} and {b}", names="total_length count", weight=1,
        ),
    )  # fmt: skip

_EACH = "[element by element|elementwise|element-wise|pairwise|item by item]"
register(
    Value(
        "nums nums", "[{x} + {y} for {x}, {y} in zip({a}, {b})]", f"the {_EACH.split('|')[0][1:]} sum of {{A}} and {{b}}|"
        "the elementwise sum of {A} and {b}|the sums of [corresponding|matching] [elements|items] of {A} and {b}",
        verbs=f"add {{A}} and {{b}} {_EACH}|add [the |]corresponding elements of {{A}} and {{b}}", names="sums added total_list",
        test=_equal_lengths, weight=6,
    ),
    Value(
        "nums nums", "[{x} * {y} for {x}, {y} in zip({a}, {b})]", "the elementwise product of {A} and {b}|"
        "the products of [corresponding|matching] [elements|items] of {A} and {b}",
        verbs=f"multiply {{A}} and {{b}} {_EACH}|multiply [the |]corresponding elements of {{A}} and {{b}}", names="products multiplied",
        test=_equal_lengths, weight=4,
    ),
    Value(
        "nums nums", "[{x} - {y} for {x}, {y} in zip({a}, {b})]", "the differences [between|of] corresponding elements of {A} and {b}",
        verbs=f"subtract {{b}} from {{A}} {_EACH}", names="differences diffs", test=_equal_lengths, weight=3,
    ),
    Value(
        "nums nums", "sum({x} * {y} for {x}, {y} in zip({a}, {b}))", "the dot product of {A} and {b}|the sum of the products of {A} and {b}",
        names="dot dot_product total", test=_equal_lengths, weight=3,
    ),
    Value(
        "nums nums", "sum({a}) + sum({b})", "the [sum|total] of [both lists, {A} and {b}|{A} and {b} [together|taken together]]|the combined sum of {A} and {b}",
        verbs="add up all [the |]numbers of both lists, {A} and {b}", names="grand_total combined", weight=1.2,
    ),
    Value(
        "nums nums", "sum({a}) - sum({b})", "the difference between the [sum|total] of {A} and the [sum|total] of {b}|the sum of {A} minus the sum of {b}",
        names="difference diff", weight=2,
    ),
    Value(
        "nums nums", "max(max({a}), max({b}))", "the largest number [in|of] [both lists|{A} and {b}]", names="largest maximum",
        test=lambda v: bool(v[0] and v[1]), weight=1.2,
    ),
    Value(
        "strs list", "dict(zip({a}, {b}))", "a dictionary [with {A} as keys and {b} as values|from {A} and {b}|mapping {A} to {b}|"
        "that maps each [element|item] of {A} to [the matching|the corresponding] [element|item] of {b}]",
        verbs="[build|make|create] a dictionary from {A} and {b}|zip {A} and {b} into a dictionary|"
        "combine {A} and {b} into a dictionary|use {A} as keys and {b} as values [of|for] a dictionary",
        names="mapping d lookup table pairs_dict", alias="the dictionary", test=_equal_lengths, weight=9,
    ),
)  # fmt: skip
