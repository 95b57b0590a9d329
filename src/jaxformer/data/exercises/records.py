"""Operations on lists of dictionaries: rows of a small table."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from random import Random
from typing import Any

from jaxformer.data.exercises import picks, values
from jaxformer.data.exercises.forms import Step, as_text
from jaxformer.data.exercises.operations import Check, Do, Params, Value, register
from jaxformer.data.exercises.phrasing import expand
from jaxformer.data.exercises.reference import quoted
from jaxformer.data.exercises.world import Var, World

_TABLES = (  # what a record is, its text field, its number fields and their ranges
    ("person", "people", "name", (("age", 18, 70), ("height", 150, 200))),
    ("student", "students", "name", (("score", 40, 100), ("grade", 1, 6))),
    ("product", "products", "name", (("price", 1, 90), ("stock", 0, 40))),
    ("book", "books", "title", (("pages", 80, 700), ("year", 1950, 2024))),
    ("city", "cities", "name", (("population", 10, 900), ("area", 5, 300))),
    ("employee", "employees", "name", (("salary", 1000, 6000), ("years", 1, 30))),
    ("player", "players", "name", (("points", 0, 50), ("level", 1, 9))),
    ("order", "orders", "item", (("quantity", 1, 9), ("price", 1, 60))),
    ("animal", "animals", "kind", (("weight", 1, 90), ("age", 1, 15))),
    ("film", "films", "title", (("rating", 1, 10), ("year", 1960, 2024))),
)
_MAKE = "[create|make|define|build|set up|initialize]"
_RECORDS = (
    f"{_MAKE} a list of dictionaries {{n}} [with|containing|holding|equal to] {{l}}|{_MAKE} a list [called|named] {{n}} [with|of] the {{ws}} {{l}}|set {{n}} to {{l}}|let {{n}} be [the list |]{{l}}|"
    "{n} = {l}|[store|put] the {ws} {l} in {n}|[store|put] [the records|these records] in {n}: {l}|given the {ws} {n} = {l}|{_MAKE} {n}, a list of {ws}: {l}|"
    "{_MAKE} a list {n} of dictionaries with the keys {f} and {g}: {l}"
).replace("{_MAKE}", _MAKE)  # fmt: skip


def define_records(world: World, rng: Random) -> Step:
    """Define a list of dictionaries with a text and one or two numbers each."""
    _, many, text, numbers = rng.choice(_TABLES)
    fields = list(numbers if rng.random() < 0.4 else numbers[:1])
    texts = [values.person(rng) if text == "name" and many in ("people", "students", "employees", "players") else rng.choice(values.words()[:420]) for _ in range(rng.randint(2, 4))]  # fmt: skip
    held: list[dict[str, Any]] = [
        {text: said, **{field: rng.randint(low, high) for field, low, high in fields}}
        for said in dict.fromkeys(texts)
    ]
    name = values.fresh_name(rng, "dict", world.names, f"{many} records rows items data")
    shown = ", ".join(
        "{" + ", ".join(f"{as_text(world, k)}: {as_text(world, v)}" for k, v in row.items()) + "}"
        for row in held
    )
    slots = {"n": quoted(world, name, rng, defining=True), "l": f"[{shown}]", "ws": many}
    slots |= {"f": as_text(world, text), "g": as_text(world, fields[0][0])}
    return Step(expand(_RECORDS, rng, slots), f"{name} = {held!r}", (Var(name),))


def _fields(held: list[dict[str, Any]]) -> tuple[str, list[str]]:
    first = held[0]
    texts = [key for key, value in first.items() if isinstance(value, str)]
    return texts[0], [key for key, value in first.items() if isinstance(value, int)]


def _number(held: list[dict[str, Any]], rng: Random) -> Params:
    """A number field `f` and the text field `g`, in prose bare or quoted."""
    text, numbers = _fields(held)
    return {"f": _named(rng.choice(numbers), rng), "g": _named(text, rng)}


def _named(field: str, rng: Random) -> tuple[str, str]:
    return (field if rng.random() < 0.75 else f"'{field}'", repr(field))


def _limit(held: list[dict[str, Any]], rng: Random) -> Params | None:
    text, numbers = _fields(held)
    field = rng.choice(numbers)
    found = picks.threshold([row[field] for row in held], rng)
    return found and {**found, "f": _named(field, rng), "g": _named(text, rng)}


def _text(held: list[dict[str, Any]], rng: Random) -> Params:
    text, numbers = _fields(held)
    row = rng.choice(held)
    return {"k": row[text], "g": _named(text, rng), "f": _named(rng.choice(numbers), rng)}


def _newcomer(held: list[dict[str, Any]], rng: Random) -> Params:
    row = {
        key: picks.another([r[key] for r in held], rng)
        if isinstance(value, str)
        else rng.randint(1, 99)
        for key, value in held[0].items()
    }
    said = " and ".join(f"{key} {value!r}" for key, value in row.items())
    return {"v": (said if rng.random() < 0.5 else repr(row), repr(row))}


def _raise(held: list[dict[str, Any]], rng: Random) -> Params:
    return {**_number(held, rng), "k": rng.randint(1, 10)}


_EACH = "[each|every] [record|entry|dictionary|row]"
register(
    Value("records", "[{x}[{f}] for {x} in {a}]", "the {f} of [each|every] [record|entry] in {a}|a list of all {f} values in {a}|the {f} values of {a}", verbs="collect the {f} values of {a}|make a list of the {f} of each entry in {a}", names="column picked found", pick=_number, weight=4, many=True),
    Value("records", "[{x}[{g}] for {x} in {a}]", "the {g} of [each|every] [record|entry] in {a}|a list of all {g}s in {a}|all the {g}s in {a}", verbs="collect the {g}s of {a}|get the {g} of every entry in {a}", names="names titles texts", pick=_number, weight=5, many=True),
    Value("records", "len({a})", "the number of [records|entries] in {a}|the length of {a}", asks="how many [records|entries] are in {a}", names="count size n", weight=2.5),
    Value("records", "sum({x}[{f}] for {x} in {a})", "the [sum|total] of [the |all ]{f} values in {a}|the total {f} of {a}|the total {f}", verbs="add up the {f} of [all records|every entry] in {a}|add up all {f} values in {a}", names="total sum_all", pick=_number, weight=5),
    Value("records", "sum({x}[{f}] for {x} in {a}) / len({a})", "the [average|mean] {f} [of|in] {a}|the average of the {f} values in {a}", asks="what is the average {f} in {a}", names="average mean avg", pick=_number, weight=4),
    Value("records", "max({x}[{f}] for {x} in {a})", "the [highest|largest|maximum] {f} in {a}", names="highest largest", pick=_number, weight=3),
    Value("records", "min({x}[{f}] for {x} in {a})", "the [lowest|smallest|minimum] {f} in {a}", names="lowest smallest", pick=_number, weight=2.5),
    Value("records", "max({a}, key=lambda {x}: {x}[{f}])", "the [record|entry] with the [highest|largest] {f} in {a}|the entry of {a} that has the highest {f}", names="best top winner", pick=_number, weight=3.5),
    Value("records", "max({a}, key=lambda {x}: {x}[{f}])[{g}]", "the {g} of the [record|entry] with the [highest|largest] {f} in {a}|the {g} that has the highest {f} in {a}", asks="[which|what] {g} has the [highest|largest] {f} in {a}", names="best top winner", pick=_number, weight=4.5),
    Value("records", "min({a}, key=lambda {x}: {x}[{f}])[{g}]", "the {g} of the [record|entry] with the [lowest|smallest] {f} in {a}", asks="[which|what] {g} has the [lowest|smallest] {f} in {a}", names="worst smallest", pick=_number, weight=3.5),
    Value("records", "sorted({a}, key=lambda {x}: {x}[{f}])", "{A} sorted by {f}|the [records|entries] of {a} [sorted|ordered] by {f}", does="sort {a} by {f}|sort the [records|entries] in {a} by {f}|order {a} by {f}", names="ordered sorted_rows", pick=_number, inplace="{a}.sort(key=lambda {x}: {x}[{f}])", weight=5),
    Value("records", "sorted({a}, key=lambda {x}: {x}[{f}], reverse=True)", "{A} sorted by {f} [in descending order|from highest to lowest]", does="sort {a} by {f} in descending order|sort {a} by {f}, highest first", names="ranking ordered", pick=_number, weight=3.5),
    Value("records", "sorted({a}, key=lambda {x}: {x}[{g}])", "{A} sorted by {g}", does="sort {a} by {g}|sort {a} alphabetically by {g}", names="ordered sorted_rows", pick=_number, weight=3),
    Value("records", "[{x} for {x} in {a} if {x}[{f}] > {k}]", "the [records|entries] [of|in] {a} [with|that have|having] a {f} [above|over|greater than|of more than] {k}|the [records|entries] of {a} whose {f} is [above|over|greater than] {k}", does="keep only the [records|entries] of {a} with a {f} [above|over] {k}", verbs="filter {a} to [entries|records] with a {f} above {k}", names="filtered selected big", pick=_limit, weight=4, many=True),
    Value("records", "[{x}[{g}] for {x} in {a} if {x}[{f}] > {k}]", "the {g}s of [records|entries] in {a} [with a|whose] {f} [above|over|greater than] {k}|the {g} of every entry in {a} with a {f} [above|over] {k}", names="found chosen names", pick=_limit, weight=5, many=True),
    Value("records", "[{x}[{g}] for {x} in {a} if {x}[{f}] < {k}]", "the {g}s of [records|entries] in {a} with a {f} [below|under|less than] {k}", names="found chosen low", pick=_limit, weight=3, many=True),
    Value("records", "sum({x}[{f}] > {k} for {x} in {a})", "the number of [records|entries] in {a} with a {f} [above|over|greater than] {k}|how many entries of {a} have a {f} over {k}", verbs="count the [records|entries] in {a} with a {f} [above|over] {k}", asks="how many [records|entries] in {a} have a {f} [above|over] {k}", names="count how_many", pick=_limit, weight=3),
    Value("records", "{{x}[{g}]: {x}[{f}] for {x} in {a}}", "a dictionary [from each {g} to its {f}|mapping each {g} to its {f}|with {g} as key and {f} as value] for {a}", verbs="build a dictionary that maps each {g} in {a} to its {f}|turn {a} into a dictionary from {g} to {f}", names="lookup mapping table", pick=_number, weight=4),
    Value("records", "next({x} for {x} in {a} if {x}[{g}] == {k})", "the [record|entry] in {a} [whose {g} is|with the {g}] {k}", verbs="find the [record|entry] in {a} [whose {g} is|with the {g}] {k}", names="found entry match", pick=_text, weight=3),
    Value("records", "next({x}[{f}] for {x} in {a} if {x}[{g}] == {k})", "the {f} of {k} in {a}|the {f} of the [record|entry] with the {g} {k}", asks="what is the {f} of {k}[ in {a}|]", verbs="look up the {f} of {k} in {a}", names="found value", pick=_text, weight=4),
    Value("records", "{a}[0]", "the first [record|entry] [of|in] {a}", names="first head", weight=2),
    Value("records", "{a}[-1][{g}]", "the {g} of the last [record|entry] in {a}", names="last", pick=_number, weight=2),
    Check("records", "any({x}[{g}] == {k} for {x} in {a})", "[any|some] [record|entry] in {a} has the {g} {k}", "does any [record|entry] in {a} have the {g} {k}", pick=_text, weight=2),
    Check("records", "all({x}[{f}] > {k} for {x} in {a})", "[all|all the] [records|entries] in {a} have a {f} above {k}", "do all [records|entries] in {a} have a {f} above {k}", pick=_limit, weight=2),
    Do("records", "[add|append] a[ new|] [record|entry|dictionary] with {v} to {a}|[add|append] {v} to {a}", "{a}.append({v})", pick=_newcomer, changes=True, weight=4),
    Do("records", "[increase|raise] the {f} of [every|each] [record|entry] in {a} by {k}|add {k} to the {f} of [every|each] [record|entry] in {a}", "for {x} in {a}:\n    {x}[{f}] += {k}", pick=_raise, changes=True, weight=3),
    Do("records", "remove the [record|entry] with the {g} {k} from {a}|delete the [record|entry] whose {g} is {k} from {a}", "{a} = [{x} for {x} in {a} if {x}[{g}] != {k}]", pick=_text, test=lambda v: len(v) > 2, changes=True, weight=2),
    Do("records", "set the {f} of {k} to {v} in {a}|change the {f} of the [record|entry] with the {g} {k} in {a} to {v}", "for {x} in {a}:\n    if {x}[{g}] == {k}:\n        {x}[{f}] = {v}", pick=lambda v, r: {**_text(v, r), "v": r.randint(1, 99)}, changes=True, weight=2),
    Do("records", f"print the {{g}} of {_EACH} in {{a}}[| on its own line|, one per line]|loop over {{a}} and print each {{g}}", "for {x} in {a}:\n    print({x}[{g}])", pick=_number, prints=True, weight=4),
    Do("records", f"print the {{g}} and {{f}} of {_EACH} in {{a}}[, one per line|]|for {_EACH} in {{a}} print the {{g}} and the {{f}}", "for {x} in {a}:\n    print({x}[{g}], {x}[{f}])", pick=_number, prints=True, weight=3),
    Do("records", f"print {_EACH} in {{a}} as '{{g_}}: {{f_}}'", "for {x} in {a}:\n    print(f\"{{x}[{g}]}: {{x}[{f}]}\")", pick=lambda v, r: {**(p := _number(v, r)), "g_": (p["g"][1][1:-1],) * 2, "f_": (p["f"][1][1:-1],) * 2}, prints=True, weight=1.5),
)  # fmt: skip
