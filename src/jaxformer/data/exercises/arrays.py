"""Operations on numpy arrays and matrices; `np` is there in every program."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from random import Random

import numpy as np

from jaxformer.data.exercises import picks, values
from jaxformer.data.exercises.forms import Step
from jaxformer.data.exercises.operations import Check, Do, Params, Value, register
from jaxformer.data.exercises.phrasing import expand
from jaxformer.data.exercises.reference import quoted
from jaxformer.data.exercises.world import Var, World

_MAKE = "[create|make|define|build|set up|initialize]"
_NP = "[numpy array|numpy array|array|NumPy array|np array]"
_ARRAY = (
    f"{_MAKE} [a|the] {_NP} {{n}} [with|from|containing|holding|of|with the values|with the elements] {{v}}|"
    f"{_MAKE} a {_NP} [called|named] {{n}} [with|from|containing|that holds] {{v}}|set {{n}} to [a|the] {_NP} [of|with|from] {{v}}|let {{n}} be [a|the] {_NP} {{l}}|"
    f"[store|put] {{v}} in a {_NP} [called|named|] {{n}}|{{n}} = {_NP} [of|with] {{v}}|turn the list {{l}} into a {_NP} [called|named] {{n}}|convert {{l}} to a {_NP} and [call it|store it in|save it as] {{n}}|"
    "use np.array to make {n} from {l}|given the {n} array {l}|I need {n}, a numpy array [with|of] {v}"
)
_RANGED = (
    ("the numbers from 0 to {e}|the integers 0 to {e}|0 up to {e}", "np.arange({e1})"),
    ("the numbers from {j} to {k}|the integers from {j} through {k}|all integers between {j} and {k} inclusive", "np.arange({j}, {k1})"),
    ("the even numbers from 0 to {ev}|every even number up to {ev}", "np.arange(0, {ev1}, 2)"),
    ("{c} zeros", "np.zeros({c})"),
    ("{c} ones", "np.ones({c})"),
    ("{c} evenly spaced [numbers|values|points] [from|between] 0 [to|and] {top}|{c} equally spaced points from 0 to {top}", "np.linspace(0, {top}, {c})"),
    ("the number {j} repeated {c} times|{c} copies of {j}", "np.full({c}, {j})"),
)  # fmt: skip
_GRID = (
    f"{_MAKE} [a|the] [2D numpy array|numpy matrix|two-dimensional array|matrix as a numpy array|2D array] {{n}} [with the rows|from|with|equal to|of] {{l}}|"
    "set {n} to the [numpy matrix|2D numpy array] {l}|let {n} be the [numpy matrix|2D array] {l}|[store|put] the [matrix|2D array] {l} in a numpy array [called|named|] {n}|"
    "make {l} a numpy array [called|named] {n}|define the matrix {n} = {l} with numpy"
)
_GRIDS = (
    ("an identity matrix of size {r}|the {r} by {r} identity matrix|a {r}x{r} identity matrix", "np.eye({r})"),
    ("a {r} by {c} matrix of zeros|a {r}x{c} array of zeros", "np.zeros(({r}, {c}))"),
    ("a {r} by {c} matrix of ones|a {r}x{c} array filled with ones", "np.ones(({r}, {c}))"),
    ("the numbers from 0 to {last} in {r} rows and {c} columns|a {r}x{c} matrix with the numbers 0 to {last}|the integers 0 to {last} arranged in a {r} by {c} grid", "np.arange({rc}).reshape({r}, {c})"),
    ("the numbers 1 to {rc} as a {r} by {c} matrix|the numbers from 1 to {rc} in {r} rows of {c}", "np.arange(1, {rc1}).reshape({r}, {c})"),
)  # fmt: skip


def define_array(world: World, rng: Random) -> Step:
    """Define a one-dimensional array, from values or by a rule."""
    name = values.fresh_name(rng, "nums", world.names, "arr a x data values v numbers array")
    label = quoted(world, name, rng, defining=True)
    if rng.random() < 0.75:
        held = values.integers(rng) if rng.random() < 0.8 else values.reals(rng)
        parts = [repr(value) for value in held]
        said = repr(held) if rng.random() < 0.5 else values.spoken(parts, rng)
        prompt = expand(_ARRAY, rng, {"n": label, "v": said, "l": repr(held)})
        return Step(prompt, f"{name} = np.array({held!r})", (Var(name),))
    j, c = rng.randint(1, 9), rng.randint(3, 8)
    numbers = {"e": c + 3, "e1": c + 4, "j": j, "k": j + c, "k1": j + c + 1, "ev": 2 * c, "ev1": 2 * c + 1, "c": c, "top": rng.choice((1, 10, 100))}  # fmt: skip
    return _by_rule(world, rng, name, _RANGED, numbers, _NP)


def define_matrix(world: World, rng: Random) -> Step:
    """Define a two-dimensional array."""
    name = values.fresh_name(rng, "nums", world.names, "m mat matrix grid A B M table")
    label = quoted(world, name, rng, defining=True)
    r, c = rng.randint(2, 3), rng.randint(2, 4)
    if rng.random() < 0.7:
        held = [[rng.randint(0, 9) for _ in range(c)] for _ in range(r)]
        return Step(expand(_GRID, rng, {"n": label, "l": repr(held)}), f"{name} = np.array({held!r})", (Var(name),))  # fmt: skip
    numbers = {"r": r, "c": c, "rc": r * c, "rc1": r * c + 1, "last": r * c - 1}
    return _by_rule(world, rng, name, _GRIDS, numbers, "")


def _by_rule(
    world: World, rng: Random, name: str, rules: tuple, numbers: dict[str, int], noun: str
) -> Step:
    said, code = rng.choice(rules)
    slots = {key: str(value) for key, value in numbers.items()}
    for key, value in slots.items():
        code = code.replace(f"{{{key}}}", value)
    slots |= {"n": quoted(world, name, rng, defining=True), "S": expand(said, rng, slots)}
    of = f"a {noun} of " if noun else ""
    forms = f"[create|make|define|build] {{n}} as {of}{{S}}|set {{n}} to {of}{{S}}|[store|save] {of}{{S}} in {{n}}|let {{n}} be {of}{{S}}|[create|make] {of}{{S}} and call it {{n}}|{{n}} should be {of}{{S}}"
    return Step(expand(forms + ("[ using numpy| with numpy|]" if not noun else ""), rng, slots), f"{name} = {code}", (Var(name),))  # fmt: skip


def _full(held: np.ndarray) -> bool:
    return held.size >= 3


def _whole(held: np.ndarray) -> bool:
    return held.dtype.kind == "i"


def _same(held: list) -> bool:
    return held[0].shape == held[1].shape


def _square(held: np.ndarray) -> bool:
    return held.shape[0] == held.shape[1]


def _limit(held: np.ndarray, rng: Random) -> Params | None:
    return picks.threshold(held.ravel().tolist(), rng)


def _cell(held: np.ndarray, rng: Random) -> Params:
    row, column = (rng.randrange(size) for size in held.shape)
    return {"j": row, "k": column}


def _row(held: np.ndarray, rng: Random) -> Params:
    index = rng.randrange(len(held))
    return {"n": (values.ordinal(index + 1), str(index)), "k": index}


def _column(held: np.ndarray, rng: Random) -> Params:
    index = rng.randrange(held.shape[1])
    return {"n": (values.ordinal(index + 1), str(index)), "k": index}


def _reshaped(held: np.ndarray, rng: Random) -> Params | None:
    ways = [n for n in range(2, held.size) if held.size % n == 0]
    if not ways:
        return None
    rows = rng.choice(ways)
    return {"j": rows, "k": held.size // rows}


def _small(held: np.ndarray, rng: Random) -> Params | None:
    return {"k": rng.randint(1, min(4, len(held) - 1))} if len(held) > 2 else None


def _many(held: np.ndarray) -> bool:
    return held.size >= 3 and len(set(held.ravel().tolist())) > 1


_K = picks.number(2, 10)
_ITEMS = "[elements|values|numbers|entries]"

register(
    # one dimension
    Value("array", "{a}.sum()", f"the sum of {{a}}|the sum of [the|all|all the] {_ITEMS} [in|of] {{a}}|the total of {{a}}", verbs=f"add up [the|all|all the] {_ITEMS} [of|in] {{a}}|sum {{a}}", asks=f"what do the {_ITEMS} of {{a}} add up to", names="total s sum_all", weight=5),
    Value("array", "{a}.mean()", f"the [mean|average] of {{a}}|the [mean|average] [value|of the {_ITEMS}] [in|of] {{a}}", verbs="average {a}|take the mean of {a}", names="mean average avg m", weight=5),
    Value("array", "{a}.max()", "the [largest|maximum|biggest] [value|element|number] [in|of] {a}|the maximum of {a}", names="largest maximum top", weight=4),
    Value("array", "{a}.min()", "the [smallest|minimum|lowest] [value|element|number] [in|of] {a}|the minimum of {a}", names="smallest minimum low", weight=3),
    Value("array", "round({a}.std(), 2)", "the standard deviation of {a} rounded to [2|two] [decimals|decimal places|digits]", names="deviation std sd", test=_many, weight=3),
    Value("array", "round({a}.var(), 2)", "the variance of {a} rounded to [2|two] [decimals|decimal places]", names="variance var", test=_many, weight=1.5),
    Value("array", "np.median({a})", "the median of {a}|the middle value of {a}", names="median med", test=_full, weight=3),
    Value("array", "{a}.argmax()", "the [index|position] of the [largest|maximum|biggest] [value|element] [in|of] {a}", asks="at which [index|position] is the largest value of {a}", names="index place best", weight=3),
    Value("array", "{a}.argmin()", "the [index|position] of the [smallest|minimum] [value|element] [in|of] {a}", names="index place worst", weight=2),
    Value("array", "len({a})", f"the length of {{a}}|the number of {_ITEMS} [in|of] {{a}}|the size of {{a}}", asks=f"how many {_ITEMS} does {{a}} have|how long is {{a}}", names="size n length count", weight=3),
    Value("array", "{a}.shape", "the shape of {a}", names="shape dims", weight=2),
    Value("array", "np.sort({a})", "{A} sorted|a sorted copy of {a}|{A} in ascending order", does="sort {a}|sort {a} in [ascending|increasing] order", names="ordered sorted_arr", weight=4),
    Value("array", "np.sort({a})[::-1]", "{A} in descending order|{A} sorted from largest to smallest", does="sort {a} in [descending|decreasing] order", names="ordered ranked", weight=2.5),
    Value("array", "{a}[::-1]", "{A} reversed|{A} in reverse order", does="reverse {a}|flip {a}", names="flipped backwards rev", weight=3),
    Value("array", "{a} ** 2", f"the squares of the {_ITEMS} [of|in] {{a}}|{{A}} squared|the square of [each|every] element of {{a}}", does=f"square {{a}}|square [each|every] [element|value] of {{a}}|square all {_ITEMS} of {{a}}", names="squares squared", weight=3.5, many=True),
    Value("array", "{a} * {k}", "{A} times {k}|{A} multiplied by {k}|{A} with [each|every] [element|value] multiplied by {k}", does=f"multiply {{a}} by {{k}}|multiply [each|every] [element|value] of {{a}} by {{k}}|scale {{a}} by {{k}}|multiply all {_ITEMS} of {{a}} by {{k}}", names="scaled product", pick=_K, weight=5),
    Value("array", "{a} + {k}", "{A} plus {k}|{A} with {k} added to [each|every] element", does="add {k} to {a}|add {k} to [each|every|all] [element|elements|value] of {a}|increase [every|each] value of {a} by {k}", names="shifted more", pick=_K, weight=4),
    Value("array", "{a} - {k}", "{A} minus {k}|{A} with {k} subtracted from [each|every] element", does="subtract {k} from {a}|subtract {k} from [each|every] [element|value] of {a}", names="shifted less", pick=_K, weight=2.5),
    Value("array", "{a} / {k}", "{A} divided by {k}", does="divide {a} by {k}|divide [each|every] [element|value] of {a} by {k}", names="parts scaled", pick=picks.number(2, 5), weight=2),
    Value("array", "{a} - {a}.mean()", "the deviations of {a} from its mean|{A} minus its mean|{A} centred around zero", does="subtract the mean of {name} from it|centre {a} by subtracting its mean", names="centred deviations", weight=2, test=_many),
    Value("array", "{a} / {a}.max()", "{A} divided by its [maximum|largest value]|{A} scaled so that the [maximum|largest value] is 1", does="divide {a} by its maximum|normalize {a} by its largest value", names="normalized scaled", weight=2, test=lambda v: v.max() > 0),
    Value("array", "np.cumsum({a})", "the [cumulative|running] [sum|sums|total] of {a}", verbs="compute running totals of {a}", names="running totals cumulative", weight=3),
    Value("array", "np.diff({a})", f"the differences between [consecutive|neighbouring|successive] {_ITEMS} of {{a}}", verbs="subtract each [element|value] of {a} from the next one", names="steps differences", weight=2, many=True),
    Value("array", "np.unique({a})", "the [unique|distinct|different] [values|elements|numbers] [in|of] {a}", verbs="remove [the duplicates|repeated values] from {a}", names="unique distinct", weight=3, many=True),
    Value("array", "{a}[{a} > {k}]", f"the {_ITEMS} of {{a}} [greater|larger|bigger] than {{k}}|the {_ITEMS} of {{a}} [above|over|that exceed] {{k}}", does=f"keep only the {_ITEMS} of {{a}} [greater than|above] {{k}}", verbs=f"select the {_ITEMS} of {{a}} [greater than|above] {{k}}|filter {{a}} to values above {{k}}", names="big large selected above", pick=_limit, weight=5, many=True),
    Value("array", "{a}[{a} < {k}]", f"the {_ITEMS} of {{a}} [smaller|less|lower] than {{k}}|the {_ITEMS} of {{a}} below {{k}}", does=f"keep only the {_ITEMS} of {{a}} below {{k}}", names="low small below", pick=_limit, weight=3, many=True),
    Value("array", "{a}[{a} % 2 == 0]", "the even [numbers|values|elements] [of|in] {a}", does="keep only the even [numbers|values] of {a}", names="evens even", test=_whole, weight=3, many=True),
    Value("array", "{a}[{a} % 2 == 1]", "the odd [numbers|values|elements] [of|in] {a}", names="odds odd", test=_whole, weight=2, many=True),
    Value("array", "({a} > {k}).sum()", f"the number of {_ITEMS} [in|of] {{a}} [greater than|above|over] {{k}}|how many {_ITEMS} of {{a}} are [greater than|above] {{k}}", verbs=f"count the {_ITEMS} of {{a}} [greater than|above] {{k}}", asks=f"how many {_ITEMS} of {{a}} are [greater than|above] {{k}}", names="count how_many", pick=_limit, weight=3),
    Value("array", "{a} > {k}", f"[a boolean array|a mask] of which {_ITEMS} of {{a}} are [greater than|above] {{k}}|whether each [element|value] of {{a}} is greater than {{k}}, as an array", names="mask flags above", pick=_limit, weight=2),
    Value("array", "np.where({a} > {k}, 1, 0)", "an array with 1 where {a} is [greater than|above] {k} and 0 elsewhere", names="flags ones indicator", pick=_limit, weight=1.5),
    Value("array", "np.where({a} < 0, 0, {a})", "{A} with negative [values|numbers] replaced by [0|zero]", does="set the negative [values|elements] of {a} to [0|zero]|replace negative [values|numbers] in {a} [with|by] [0|zero]", names="clipped positive", test=lambda v: (v < 0).any(), weight=2),
    Value("array", "np.clip({a}, {j}, {k})", "{A} [clipped|limited] to the range [from |]{j} to {k}|{A} clipped between {j} and {k}", does="clip {a} [between {j} and {k}|to the range {j} to {k}]|limit the values of {a} to between {j} and {k}", names="clipped limited", pick=lambda v, r: picks.span(v.tolist(), r), weight=1.5),
    Value("array", "{a}[:{k}]", f"the first {{kw}} {_ITEMS} of {{a}}", verbs=f"take the first {{kw}} {_ITEMS} of {{a}}", names="first head start", pick=_small, weight=3, many=True),
    Value("array", "{a}[-{k}:]", f"the last {{kw}} {_ITEMS} of {{a}}", verbs=f"take the last {{kw}} {_ITEMS} of {{a}}", names="last tail end", pick=_small, weight=2.5, many=True),
    Value("array", "{a}[::2]", "every [second|other] [element|value] of {a}", names="every_second half", test=_full, weight=2),
    Value("array", "{a}[0]", "the first [element|value|number] of {a}", names="first head", weight=2),
    Value("array", "{a}[-1]", "the last [element|value|number] of {a}", names="last end", weight=2),
    Value("array", "{a}.tolist()", "{A} as a [plain |Python |]list", verbs="convert {a} to a [Python |]list|turn {a} [back |]into a list", names="as_list plain items", weight=2.5),
    Value("array", "{a}.reshape({j}, {k})", "{A} reshaped to {j} rows and {k} columns|{A} as a {j} by {k} matrix", does="reshape {a} [to|into] [{j} rows and {k} columns|a {j}x{k} matrix|{j} by {k}]", names="grid matrix reshaped", pick=_reshaped, weight=3),
    Value("array", "np.append({a}, {k})", "{A} with {k} appended|{A} with {k} added at the end", does="append {k} to {a}|add the [value|element] {k} at the end of {a}", names="longer extended", pick=picks.number(1, 50), weight=2.5),
    Value("array", "np.round({a}, 1)", "{A} rounded to one decimal[ place|]", does="round {a} to [1|one] decimal[ place|]", names="rounded", test=lambda v: v.dtype.kind == "f", weight=2),
    Value("array", "np.abs({a})", "the absolute values of {a}", does="take the absolute value of each element of {a}", names="absolute sizes", test=lambda v: (v < 0).any(), weight=2, many=True),
    Value("array", "int((np.diff({a}) > 0).sum())", "how many times a value of {a} is larger than the one before[ it|]|the number of increases from one [element|value] to the next in {a}", names="rises increases", weight=1),
    Value("array array", "{a} + {b}", "the [element-wise |elementwise |]sum of {A} and {b}|{A} plus {b}", verbs="add {A} and {b}[| element by element]", names="sums total added", test=_same, weight=5),
    Value("array array", "{a} * {b}", "the element-wise product of {A} and {b}|{A} times {b} element by element", verbs="multiply {A} and {b} element by element", names="products", test=_same, weight=3),
    Value("array array", "{a} - {b}", "{A} minus {b}|the element-wise difference of {A} and {b}", verbs="subtract {b} from {A}", names="difference diff", test=_same, weight=3),
    Value("array array", "{a} @ {b}", "the dot product of {A} and {b}", verbs="take the dot product of {A} and {b}", names="dot product", test=_same, weight=3),
    Value("array array", "np.concatenate([{a}, {b}])", "{A} and {b} [joined|concatenated|put together]", verbs="[concatenate|join] {A} and {b}", names="joined all_values", weight=3),
    Check("array", "({a} > {k}).all()", f"all {_ITEMS} of {{a}} are [greater than|above] {{k}}", f"are all {_ITEMS} of {{a}} [greater than|above] {{k}}", pick=_limit, weight=1.5),
    Check("array", "({a} > {k}).any()", "any [element|value] of {a} is [greater than|above] {k}", "is any [element|value] of {a} [greater than|above] {k}", pick=_limit, weight=1.5),
    Check("array", "{k} in {a}", "{k} is [in|an element of] {a}|{a} contains {k}", "does {a} contain {k}|is {k} in {a}", pick=lambda v, r: picks.member(v.tolist(), r), test=_whole, weight=1.5),
    Do("array", "set the first [element|value] of {a} to {k}|change the first [element|value] of {a} to {k}", "{a}[0] = {k}", pick=picks.number(0, 50), changes=True, weight=2),
    Do("array", "set [all |the |]values of {a} [above|greater than] {k} to {k}|cap {a} at {k}", "{a}[{a} > {k}] = {k}", pick=_limit, changes=True, weight=1.5),
    Do("array", f"print each [element|value] of {{a}} on its own line|print the {_ITEMS} of {{a}}, one per line|loop over {{a}} and print each [element|value]", "for {x} in {a}:\n    print({x})", prints=True, weight=2),
    # two dimensions
    Value("matrix", "{a}.shape", "the shape of {a}|the [size|dimensions] of {a} as a tuple", asks="what is the shape of {a}", names="shape dims", weight=4),
    Value("matrix", "{a}.shape[0]", "the number of rows [of|in] {a}", asks="how many rows does {a} have", names="rows num_rows", weight=3),
    Value("matrix", "{a}.shape[1]", "the number of columns [of|in] {a}", asks="how many columns does {a} have", names="columns num_cols", weight=3),
    Value("matrix", "{a}.sum()", f"the sum of all [the |]{_ITEMS} [in|of] {{a}}|the total of {{a}}", verbs=f"add up all [the |]{_ITEMS} of {{a}}", names="total s", weight=4),
    Value("matrix", "{a}.mean()", f"the [mean|average] of all [the |]{_ITEMS} [in|of] {{a}}", names="mean average", weight=3),
    Value("matrix", "{a}.max()", "the [largest|maximum] [value|element|entry] [in|of] {a}", names="largest maximum", weight=3),
    Value("matrix", "{a}.T", "the transpose of {a}|{A} transposed", does="transpose {a}", names="transposed flipped", weight=5),
    Value("matrix", "{a}.sum(axis=1)", "the sum of each row of {a}|the row sums of {a}|the sums of the rows of {a}", verbs="add up each row of {a}|sum {a} along its rows", names="row_sums sums", weight=4, many=True),
    Value("matrix", "{a}.sum(axis=0)", "the sum of each column of {a}|the column sums of {a}|the sums of the columns of {a}", verbs="add up each column of {a}", names="column_sums col_sums", weight=4, many=True),
    Value("matrix", "{a}.mean(axis=1)", "the [mean|average] of each row of {a}|the row [means|averages] of {a}", names="row_means averages", weight=3, many=True),
    Value("matrix", "{a}.mean(axis=0)", "the [mean|average] of each column of {a}|the column [means|averages] of {a}", names="column_means averages", weight=3, many=True),
    Value("matrix", "{a}.max(axis=1)", "the [largest|maximum] [value|element] of each row of {a}", names="row_max highest", weight=2.5, many=True),
    Value("matrix", "{a}.max(axis=0)", "the [largest|maximum] [value|element] of each column of {a}", names="column_max highest", weight=2.5, many=True),
    Value("matrix", "{a}[{n}]", "the {n} row of {a}", verbs="get the {n} row of {a}", names="row line", pick=_row, weight=4),
    Value("matrix", "{a}[:, {n}]", "the {n} column of {a}", verbs="get the {n} column of {a}", names="column col", pick=_column, weight=4),
    Value("matrix", "{a}[{j}, {k}]", "the [element|value|entry] of {a} [at|in] row {j}[,| and] column {k}|the [element|entry] at position ({j}, {k}) of {a}", names="entry element cell", pick=_cell, weight=3),
    Value("matrix", "{a}.flatten()", "{A} flattened[| to one dimension]|all {_ITEMS} of {a} as a one-dimensional array".replace("{_ITEMS}", _ITEMS), does="flatten {a}|flatten {a} [into|to] one dimension", names="flat flattened", weight=3.5),
    Value("matrix", "{a}.diagonal()", "the [main |]diagonal of {a}|the [elements|entries] on the diagonal of {a}", names="diagonal diag", test=_square, weight=3, many=True),
    Value("matrix", "np.trace({a})", "the trace of {a}|the sum of the [main |]diagonal of {a}", names="trace", test=_square, weight=2.5),
    Value("matrix", "round(np.linalg.det({a}), 2)", "the determinant of {a} rounded to [2|two] [decimals|decimal places]", names="det determinant", test=_square, weight=2),
    Value("matrix", "{a} * {k}", "{A} times {k}|{A} multiplied by {k}", does="multiply {a} by {k}|multiply [each|every] [element|entry] of {a} by {k}", names="scaled", pick=_K, weight=3.5),
    Value("matrix", "{a} + {k}", "{A} with {k} added to [each|every] [element|entry]", does="add {k} to [each|every] [element|entry] of {a}", names="shifted", pick=_K, weight=2.5),
    Value("matrix", "({a} > {k}).sum()", f"the number of {_ITEMS} [in|of] {{a}} [greater than|above] {{k}}", verbs=f"count the {_ITEMS} of {{a}} [greater than|above] {{k}}", names="count", pick=_limit, weight=2),
    Value("matrix", "{a}[{a} > {k}]", f"the {_ITEMS} of {{a}} [greater than|above] {{k}}", names="big selected", pick=_limit, weight=2, many=True),
    Value("matrix", "{a}.tolist()", "{A} as a [nested list|list of lists]", verbs="convert {a} to a [nested list|list of lists]", names="nested rows", weight=1.5),
    Value("matrix", "{a}[::-1]", "{A} with [its|the] rows in reverse order", does="reverse the order of the rows of {a}|flip {a} upside down", names="flipped", weight=1.5),
    Value("matrix", "{a}[:, ::-1]", "{A} with [its|the] columns in reverse order", does="reverse the order of the columns of {a}", names="mirrored", weight=1.2),
    Value("matrix", "{a} @ {a}", "the matrix product of {A} with itself", verbs="multiply the matrix {name} [by|with] itself", names="square product", test=_square, weight=2),
    Value("matrix", "np.sort({a}, axis=1)", "{A} with each row sorted", does="sort each row of {a}", names="sorted_rows", weight=1.5),
    Value("matrix matrix", "{a} + {b}", "the sum of {A} and {b}", verbs="add {A} and {b}", names="total sums", test=_same, weight=4),
    Value("matrix matrix", "{a} @ {b}", "the matrix product of {A} and {b}", verbs="multiply the matrices {A} and {b}", names="product", test=lambda v: v[0].shape[1] == v[1].shape[0], weight=4),
    Value("matrix matrix", "np.vstack([{a}, {b}])", "{A} stacked on top of {b}", verbs="stack {A} and {b} vertically", names="stacked", test=lambda v: v[0].shape[1] == v[1].shape[1], weight=2),
    Do("matrix", "set the [element|entry|value] of {a} at row {j}[,| and] column {k} to {v}|change the entry in row {j}, column {k} of {a} to {v}", "{a}[{j}, {k}] = {v}", pick=lambda v, r: {**_cell(v, r), "v": r.randint(0, 20)}, changes=True, weight=2.5),
    Do("matrix", "print each row of {a}[| on its own line]|print the rows of {a} one by one|loop over the rows of {a} and print each", "for {x} in {a}:\n    print({x})", prints=True, weight=2.5),
    # between lists and arrays
    Value("nums", "np.array({a})", "{A} as a numpy array", verbs="convert {a} [to|into] a numpy array|turn {a} into a numpy array", names="arr array", weight=2),
    Value("nums", "np.mean({a})", "the mean of {a} using numpy|the [mean|average] of {a} with np.mean", names="mean average", test=lambda v: len(v) > 1, weight=1.2),
    Value("rows", "np.array({a})", "{A} as a numpy array", verbs="convert {a} [to|into] a numpy [array|matrix]", names="matrix arr", test=lambda v: len({len(row) for row in v}) == 1, weight=2.5),
)  # fmt: skip
