"""Text with several lines, CSV and JSON, and files that exist in memory alone."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

import json
from random import Random

from jaxformer.data.exercises import picks, values
from jaxformer.data.exercises.forms import Step
from jaxformer.data.exercises.operations import Check, Do, Params, Value, register
from jaxformer.data.exercises.phrasing import expand
from jaxformer.data.exercises.reference import quoted
from jaxformer.data.exercises.world import Var, World

_MAKE = "[create|make|define|set up]"
_TEXT = f"{_MAKE} a [multi-line |]string {{n}} with the lines {{v}}|{_MAKE} a text {{n}} [made|consisting] of the lines {{v}}|set {{n}} to the [text|string] {{l}}|[store|put] the [text|string] {{l}} in {{n}}|let {{n}} be the [text|string] {{l}}|{{n}} = {{l}}"


def define_lines(world: World, rng: Random) -> Step:
    """Define a string of several lines: notes, CSV or key and value."""
    name = values.fresh_name(
        rng, "text", world.names, "text lines content data csv_text source log raw"
    )
    count, roll = rng.randint(2, 4), rng.random()
    if roll < 0.4:
        lines = [rng.choice(values.words()[:420]) for _ in range(count)]
    elif roll < 0.8:
        head = rng.choice(
            (["name", "age"], ["item", "price"], ["city", "people"], ["word", "count"])
        )
        rows = [[values.person(rng) if head[0] == "name" else rng.choice(values.words()[:420]), str(rng.randint(1, 90))] for _ in range(count)]  # fmt: skip
        lines = [",".join(row) for row in ([head, *rows] if roll < 0.65 else rows)]
    else:
        lines = [f"{rng.choice(values.words()[:420])}={rng.randint(1, 90)}" for _ in range(count)]
    value = "\n".join(lines)
    spoken = values.spoken([f"'{line}'" for line in lines], rng)
    slots = {"n": quoted(world, name, rng, defining=True), "v": spoken, "l": repr(value)}
    return Step(expand(_TEXT, rng, slots), f"{name} = {value!r}", (Var(name),))


def define_json(world: World, rng: Random) -> Step:
    """Define a string of JSON."""
    held = values.mapping(rng) if rng.random() < 0.7 else values.integers(rng)
    name = values.fresh_name(rng, "text", world.names, "raw text json_text payload data s")
    value = json.dumps(held)
    template = f"{_MAKE} a [JSON string|string with the JSON] {{n}} {{v}}|set {{n}} to the JSON [string|text] {{v}}|[store|put] the JSON text {{v}} in {{n}}|let {{n}} be the JSON string {{v}}"
    return Step(expand(template, rng, {"n": quoted(world, name, rng, defining=True), "v": repr(value)}), f"{name} = {value!r}", (Var(name),))  # fmt: skip


def _table(held: str) -> bool:
    rows = [line.split(",") for line in held.split("\n")]
    return len(rows) > 1 and all(len(row) == 2 for row in rows)


def _headed(held: str) -> bool:
    return _table(held) and not held.split("\n")[0].split(",")[1].isdigit()


def _bare(held: str) -> bool:
    return _table(held) and not _headed(held)


def _settings(held: str) -> bool:
    return all(line.count("=") == 1 for line in held.split("\n"))


def _json(held: str) -> bool:
    return held[:1] in '{["' and held[-1:] in '}]"' and len(held) > 2 and held[0] != '"'


def _column(held: str, rng: Random) -> Params:
    index = rng.randrange(2)
    name = held.split("\n")[0].split(",")[index]
    return {"f": (name, repr(name)), "n": (values.ordinal(index + 1), str(index))}


_IO, _CSV, _JSON = "import io", "import csv", "import json"
_ROWS = "[line.split(',') for line in {a}.split('\\n')]"
register(
    Value("lines", "{a}.split('\\n')", "the lines of {a}|a list of the lines [of|in] {a}", verbs="split {a} into lines", names="lines rows", weight=6, many=True),
    Value("lines", "len({a}.split('\\n'))", "the number of lines [in|of] {a}", verbs="count the lines [in|of] {a}", asks="how many lines does {a} have", names="count num_lines", weight=4),
    Value("lines", "{a}.split('\\n')[0]", "the first line of {a}", names="first head header", weight=3),
    Value("lines", "{a}.split('\\n')[-1]", "the last line of {a}", names="last end", weight=2.5),
    Value("lines", "max({a}.split('\\n'), key=len)", "the longest line of {a}", names="longest", weight=2),
    Value("lines", "sorted({a}.split('\\n'))", "the lines of {a} in [alphabetical|sorted] order", verbs="sort the lines of {a}", names="ordered lines", weight=2, many=True),
    Value("lines", "[len(line) for line in {a}.split('\\n')]", "the length of each line of {a}", names="lengths", weight=2, many=True),
    Value("lines", "[line for line in {a}.split('\\n') if {k} in line]", "the lines of {a} that contain {k}", names="found matches", pick=lambda v, r: picks.letter(v, r), weight=2, many=True),
    Value("lines", "{a}.upper()", "{A} in upper case", does="convert {a} to upper case", names="upper loud", weight=1.2),
    Value("lines", _ROWS, "the rows of {a} as lists of strings|{A} parsed as CSV without the csv module", verbs="split [each|every] line of {a} at the comma", names="rows table cells", test=_table, weight=4, many=True),
    Value("lines", "list(csv.reader(io.StringIO({a})))", "the rows of {a} read with the csv module", verbs="parse {a} as CSV[| with the csv module]|read the CSV text {a} into a list of rows", names="rows table", setup="import csv, io", test=_table, weight=4, many=True),
    Value("lines", "list(csv.DictReader(io.StringIO({a})))", "the rows of {a} as dictionaries", verbs="parse {a} as CSV into a list of dictionaries|read {a} with csv.DictReader into a list", names="rows records", setup="import csv, io", test=_headed, weight=4, many=True),
    Value("lines", "[line.split(',')[{n}] for line in {a}.split('\\n')]", "the {n} column of {a}", verbs="get the {n} column of {a}", names="column values", pick=_column, test=_bare, weight=4, many=True),
    Value("lines", "[line.split(',')[{n}] for line in {a}.split('\\n')[1:]]", "the values in the {f} column of {a}|the {n} column of {a} without the header", verbs="get the {f} column of {a}", names="column values", pick=_column, test=_headed, weight=5, many=True),
    Value("lines", "sum(int(line.split(',')[1]) for line in {a}.split('\\n'))", "the sum of the second column of {a}", verbs="add up the second column of {a}", names="total", test=_bare, weight=4),
    Value("lines", "sum(int(line.split(',')[1]) for line in {a}.split('\\n')[1:])", "the sum of the second column of {a}[,| without the header| leaving out the header]", verbs="add up the second column of {a}, leaving out the header", names="total", test=_headed, weight=4),
    Value("lines", "{p[0]: int(p[1]) for p in (line.split('=') for line in {a}.split('\\n'))}", "a dictionary [of|from] the names and numbers in {a}", verbs="parse {a} into a dictionary of names and whole numbers|turn the lines of {a} into a dictionary, split at the equals sign, with the values as integers", names="settings config values", test=_settings, weight=6),
    Do("lines", "print each line of {a} with its number[, starting [from|at] 1|]", "for {i}, line in enumerate({a}.split('\\n'), 1):\n    print({i}, line)", prints=True, weight=3),
    Do("lines", "print the lines of {a} in reverse order|print {a} from the last line to the first", "for line in reversed({a}.split('\\n')):\n    print(line)", prints=True, weight=2),
    Value("text", "json.loads({a})", "{A} parsed as JSON|the value that the JSON in {a} stands for", verbs="parse {a} as JSON|load the JSON in {a}|decode the JSON string {a}", names="data parsed loaded", setup=_JSON, test=_json, weight=30),
    Value("anydict", "json.dumps({a})", "{A} as JSON|the JSON [text|string] of {a}", verbs="convert {a} to JSON|turn {a} into a JSON string|dump {a} as JSON", names="text json_text dumped", setup=_JSON, weight=2.5),
    Value("anydict", "json.dumps({a}, sort_keys=True)", "{A} as JSON with sorted keys", names="text json_text", setup=_JSON, weight=1.5),
    Value("list", "json.dumps({a})", "{A} as JSON", verbs="convert {a} to a JSON string", names="text json_text", setup=_JSON, weight=0.8),
    Value("records", "json.dumps({a})", "{A} as JSON", verbs="convert {a} to a JSON string", names="text json_text", setup=_JSON, weight=1),
    Value("strs", "'\\n'.join({a})", "a text with each {item} on its own line", verbs="put each {item} on its own line of one string", names="lines text block", weight=1.2),
    Check("lines", "{k} in {a}", "{k} [occurs|is] [in|somewhere in] {a}", "does {k} occur in {a}", pick=lambda v, r: {"k": r.choice(v.replace("\n", ",").replace("=", ",").split(","))}, weight=2),
)  # fmt: skip
