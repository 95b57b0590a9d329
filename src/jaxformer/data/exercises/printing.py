"""Steps that print what is there, plainly or with a label, and steps that loop."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from random import Random
from typing import Any

from jaxformer.data.exercises import picks, values
from jaxformer.data.exercises.operations import Do, Params, Value, register

_LABELS = (
    "Total",
    "Sum",
    "Result",
    "Answer",
    "Count",
    "Value",
    "Average",
    "Number",
    "Length",
    "Max",
    "Min",
    "Name",
    "Output",
    "Final",
    "Score",
    "Price",
    "Age",
    "Words",
    "Size",
    "Largest",
    "Items",
    "List",
    "Difference",
    "Product",
    "Found",
    "The result",
    "The answer",
    "Sorted",
    "Longest",
    "Points",
)


def _label(_: Any, rng: Random) -> Params:
    roll = rng.random()
    if roll < 0.7:
        return {"k": rng.choice(_LABELS)}
    return {"k": values.letters_only(rng)}


def _colon(held: Any, rng: Random) -> Params:
    return {"k": _label(held, rng)["k"] + ":"}


def _space(held: Any, rng: Random) -> Params:
    return {"k": _label(held, rng)["k"] + rng.choice((": ", ": ", " = ", " is ", " "))}


_SHOW = "[print|print|print|print|show|display|output]"
register(
    Do("shown", f"{_SHOW} {{a}}|{_SHOW} {{a}}|{_SHOW} {{a}}|{_SHOW} {{a}}|{_SHOW} {{name}}|{_SHOW} the value of {{name}}|{_SHOW} the [contents|content] of {{name}}|print out {{a}}|show me {{a}}|{_SHOW} {{a}} [on the screen|to the screen|to the console]|"
       "what is {A}? Print it|I want to see {A}|what is the value of {name}?|[let me see|show] {name}|print the variable {name}|print the final [value of|] {name}".replace("print the final [value of|] {name}", "print the final value of {name}"),
       "print({a})", prints=True, weight=5),
    Do("plain", "print {k} followed by {A}|print {k} and then {a}|print {k} and {A}|print [the label|the text|the word|the string] {k} followed by {A}|print {A} with the label {k}|print {A} after [the label|the text] {k}|print {k} and the value of {name}|print {k} in front of {A}|print {A} preceded by {k}|print {k}, then {a}",
       "print({k}, {a})", pick=_colon, prints=True, weight=1.4),
    Do("plain", "print [a message|a line|text] [like|of the form|in the form] '{k_} <{nm}>' [with|using|showing] {A}|print {A} in the form '{k_} value'|print '{k_} ' followed by the value of {name}|using an f-string, print '{k_} ' [followed by|and then|and] {A}|"
       "use an f-string to print '{k_} ' [followed by|and then|and] {A}", "print(f'{k_} {{a}}')", pick=lambda v, r: {**_colon(v, r), "nm": ("value", "")}, prints=True, weight=1.2),
    Do("plain", "print {k} followed by the value of {name}|print {k} plus {A} as a string|print the string {k} joined [to|with] {A}", "print({k} + str({a}))", pick=_space, prints=True, weight=0.5, test=lambda v: not isinstance(v, str)),
    Do("str", "print {k} followed by {A}|print {k} plus {A}|print {k} joined with {A}", "print({k} + {a})", pick=lambda _, r: {"k": r.choice(("Hello ", "Hello, ", "Hi ", "Dear ", "Name: ", "Word: ", "Text: ", "My name is ", "Welcome, ", "Bye ", "I like "))}, prints=True, weight=1.6),
    Do("word", "print 'Hello, ' followed by {A} and an exclamation mark|greet {a} by printing 'Hello, <{nm}>!'|print the greeting 'Hello, <{nm}>!' [for|using] {a}", "print(f'Hello, {{a}}!')", pick=lambda _, r: {"nm": (r.choice(("name", "name", "value")), "")}, prints=True, weight=1),
    Do("num", "print {A} rounded to {kw} decimal[s| places]|print {A} with {kw} decimals, rounded|round {A} to {kw} decimal[s| places] and print [it|the result]", "print(round({a}, {k}))", pick=picks.number(1, 3), test=lambda v: isinstance(v, float), prints=True, weight=3),
    Do("num", "print {A} with [exactly |]two decimal[s| places]|print {A} formatted [to|with] two decimal[s| places]|format {A} [to|with] two decimal places and print it", "print(f'{{a}:.2f}')", test=lambda v: isinstance(v, float), prints=True, weight=2.5),
    Do("shown", "print the type of {a}|print what type {a} is|what is the type of {a}? Print it", "print(type({a}))", prints=True, weight=0.25),
    Do("any any", "print {A} and {b}|print {A} and {b} [on one line|on the same line|together]|print {A} followed by {b}|print both {A} and {b}|print {A}, then {b}|print {A} and {b} separated by a space|show {A} and {b}", "print({a}, {b})", prints=True, weight=0.7),
    Do("any any", "print {A} and {b}[,|] separated by a comma and a space", "print({a}, {b}, sep=', ')", prints=True, weight=0.2),
    Do("nums", "print the [sum|total] and [the |]average of {them}|print [both |]the sum and [the |]mean of {them}", "print(sum({a}), sum({a}) / len({a}))", test=bool, prints=True, weight=1),
    Do("nums", "print the [smallest|minimum|lowest] and [the |][largest|maximum|highest] {items}|print the min and [the |]max of {them}|print [both |]the minimum and [the |]maximum of {them}", "print(min({a}), max({a}))", test=bool, prints=True, weight=1.5),
    Do("nums", "print the [largest|maximum|highest] and [the |][smallest|minimum|lowest] {items}|print the max and [the |]min of {them}", "print(max({a}), min({a}))", test=bool, prints=True, weight=1),
    Do("list", "print the first and [the |]last {items}|print the first and last [elements|items] of {a}", "print({a}[0], {a}[-1])", test=bool, prints=True, weight=1.2),
    Do("any", "print {k}|print {k}|print the [text|string|message|word] {k}|show [the text |the message |]{k}|display {k}|output {k}|print the message {k} to the screen", "print({k})", pick=lambda _, r: {"k": values.sentence(r) if r.random() < 0.5 else values.word(r)}, prints=True, weight=0.4),
    Do("any", "print the numbers from {j} to {k}[|, one per line|, each on its own line]|use a [for |]loop to print [the |]numbers [from |]{j} to {k}|loop from {j} to {k} and print each number|count from {j} to {k}[|, printing each number]", "for {i} in range({j}, {e}):\n    print({i})", pick=lambda _, r: {"j": (j := r.choice((1, 1, 1, 0, 5))), "k": (k := j + r.randint(2, 9)), "e": k + 1}, prints=True, weight=0.25),
    # Loops.
    Do("list", f"{_SHOW} [each|every] {{item}}[, one per line|, each on its own line| on its own line| on a separate line| on a new line|]|for [each|every] {{item}}[,|] print it|[loop over|loop through|iterate over|go through] {{a}} and print [each|every] {{bare}}|"
       "use a [for |]loop to print [each|every] {item}|print [all [the |]|the ]{items}[, one per line|, each on its own line| one by one| line by line]|print the [elements|items] of {a} one per line|write a [for |]loop that prints [each|every] {item}",
       "for {x} in {a}:\n    print({x})", prints=True, weight=4),
    Do("list", "print [each|every] {item} [with|and] its index|print the index and value of [each|every] {item}|[loop over|go through] {a} and print [the|each] index and [the |]{bare}|for [each|every] {item}[,|] print its index and [the |its ]value|enumerate {a} and print each index and {bare}|"
       "print the index and the {bare} for each {item}", "for {i}, {x} in enumerate({a}):\n    print({i}, {x})", prints=True, weight=2),
    Do("list", "print [each|every] {item} with its [number|position], [starting|counting] from 1|number the {items} from 1 and print [them|each one]|print the {items} as a numbered list starting at 1", "for {i}, {x} in enumerate({a}, 1):\n    print({i}, {x})", prints=True, weight=1),
    Do("list", "print the {items} in reverse order, one per line|[loop over|go through] {a} [backwards|in reverse] and print [each|every] {bare}|print [each|every] {item}, starting from the last", "for {x} in reversed({a}):\n    print({x})", prints=True, weight=1),
    Do("list", "print the {items} in sorted order, one per line|[loop over|go through] the sorted {bares} of {a} and print each[| one]", "for {x} in sorted({a}):\n    print({x})", prints=True, weight=1),
    Do("strs", "print [each|every] {item} [and|with|followed by] its length|for [each|every] {item}[,|] print [it|the {bare}] and its length|[loop over|go through] {a} and print each {bare} [and|with] its length", "for {x} in {a}:\n    print({x}, len({x}))", prints=True, weight=2),
    Do("strs", "print the length of [each|every] {item}[, one per line|]|for [each|every] {item}[,|] print its length|[loop over|go through] {a} and print the length of [each|every] {bare}", "for {x} in {a}:\n    print(len({x}))", prints=True, weight=1.5),
    Do("strs", "print 'Hello' [and|followed by] [each|every] {item}|for [each|every] {item}[,|] print 'Hello' [and|followed by] the {bare}|greet [each|every] {item} by printing 'Hello' and the {bare}", "for {x} in {a}:\n    print('Hello', {x})", prints=True, weight=1),
    Do("strs", "print the {items} [joined by|separated by] {p}|print the {items} on one line[,|] separated by {p}", "print({k}.join({a}))", pick=lambda _, r: dict(zip("pk", r.choice(((("commas", ""), ","), (("a comma and a space", ""), ", "), (("spaces", ""), " "), (("dashes", ""), "-"), (("' and '", ""), " and "), (("', '", ""), ", "))), strict=True)), prints=True, weight=2),
    Do("ints", "for [each|every] {item}[,|] print 'even' if it is even[,| and] ['odd' otherwise|otherwise 'odd'|else 'odd']|[loop over|go through] {a} and print 'even' or 'odd' for [each|every] {bare}|print whether [each|every] {item} is even or odd",
       "for {x} in {a}:\n    if {x} % 2 == 0:\n        print('even')\n    else:\n        print('odd')", prints=True, weight=1.5),
    Do("ints", "print [each|every] {item} and its square|for [each|every] {item}[,|] print [it|the {bare}] and its square", "for {x} in {a}:\n    print({x}, {x} ** 2)", prints=True, weight=1.2),
    Do("nums", "print the running total of {a} after [each|every] {bare}|[loop over|go through] {a} and print the running [total|sum]", "running = 0\nfor {x} in {a}:\n    running += {x}\n    print(running)", prints=True, weight=1),
    Do("nums", "use a [for |]loop to [add up|sum] {them} in {r}|[loop over|go through] {a} and add [each|every] {bare} to {r}, starting [from|at] 0|start {r} at 0 and add [each|every] {item} to it|compute {r} by looping over {a} and adding [each|every] {bare}|set {r} to 0, then add [each|every] {item} to it",
       "{r} = 0\nfor {x} in {a}:\n    {r} += {x}", makes="total s running acc", weight=2),
    Do("ints", "use a [for |]loop to multiply {them} in {r}|start {r} at 1 and multiply it by [each|every] {item}", "{r} = 1\nfor {x} in {a}:\n    {r} *= {x}", makes="product prod", test=lambda v: len(v) < 6, weight=0.8),
    Do("ints", "use a [for |]loop to count the even {items} in {r}|set {r} to 0 and add 1 for [each|every] even {item}", "{r} = 0\nfor {x} in {a}:\n    if {x} % 2 == 0:\n        {r} += 1", makes="count evens num_even", weight=0.8),
    Do("nums", "[create|make|start with] an empty list {r} and append [each|every] {item} times {k} to it|use a [for |]loop to build a list {r} with [each|every] {item} times {k}", "{r} = []\nfor {x} in {a}:\n    {r}.append({x} * {k})", makes="scaled products new_list", pick=picks.number(2, 9), weight=1),
    Do("ints", "[create|make|start with] an empty list {r} and append [each|every] even {item} to it|use a [for |]loop to collect the even {items} in a list {r}", "{r} = []\nfor {x} in {a}:\n    if {x} % 2 == 0:\n        {r}.append({x})", makes="evens even", weight=0.8),
    Do("strs", "use a [for |]loop to collect the lengths of {them} in {r}|[create|make] an empty list {r} and append the length of [each|every] {item} to it", "{r} = []\nfor {x} in {a}:\n    {r}.append(len({x}))", makes="lengths sizes", weight=1),
)  # fmt: skip

register(
    Value("tuple", "{a}[0]", "the first [element|item|value] of {a}", names="first", weight=3),
    Value("tuple", "{a}[-1]", "the last [element|item|value] of {a}", names="last", weight=2.5),
    Value("tuple", "len({a})", "the [length|size] of {a}|the number of [elements|items] in {a}", asks="how many [elements|items] are in {a}", names="n length size", weight=2.5),
    Value("tuple", "sum({a})", "the sum of {a}|the sum of the [numbers|values] in {a}", names="total s", alias="the sum", test=lambda v: all(type(n) is int for n in v), weight=4),
    Value("tuple", "max({a})", "the largest [value|number] in {a}", names="largest", test=lambda v: all(type(n) is int for n in v), weight=3),
    Value("tuple", "list({a})", "{A} as a list", verbs="convert {a} to a list|turn {a} into a list", names="items as_list", weight=3),
    Value("tuple", "sorted({a})", "a sorted list of {a}", names="ordered", test=lambda v: all(type(n) is int for n in v), weight=2),
    Value("set", "len({a})", "the [size|number of elements] of {a}|the number of [elements|items] in {a}", asks="how many [elements|items] are in {a}", names="size n count", weight=3),
    Value("set", "sorted({a})", "a sorted list of {a}|the [elements|items] of {a} in sorted order", verbs="turn {a} into a sorted list", names="ordered as_list", weight=5),
    Value("set", "sum({a})", "the sum of {a}|the sum of the [numbers|elements] in {a}", names="total", weight=3, test=lambda v: all(type(n) is int for n in v)),
    Do("set", "add {k} to {a}", "{a}.add({k})", pick=lambda _, r: {"k": r.randint(1, 30)}, weight=4, changes=True, test=lambda v: all(type(n) is int for n in v)),
    Value("set set", "{a} & {b}", "the intersection of {A} and {b}|the elements in both {A} and {b}", names="common both", weight=4, test=lambda v: bool(v[0] & v[1]) and all(type(n) is int for s in v for n in s)),
    Value("set set", "{a} | {b}", "the union of {A} and {b}", names="union all_items", weight=4, test=lambda v: all(type(n) is int for s in v for n in s)),
    Do("empty", "[append|add] {k} and {v} to {a}|add the numbers {k} and {v} to {a}", "{a}.extend([{k}, {v}])", pick=lambda _, r: {"k": r.randint(1, 50), "v": r.randint(1, 50)}, weight=5, changes=True),
    Do("empty", "[append|add] {k} to {a}|append the [number|value] {k} to {a}", "{a}.append({k})", pick=lambda _, r: {"k": r.randint(1, 50)}, weight=4, changes=True),
    Do("empty", "[append|add] {k} to {a}|append the [word|string] {k} to {a}|add the string {k} to {a}", "{a}.append({k})", pick=lambda _, r: {"k": values.letters_only(r)}, weight=2, changes=True),
    Do("empty", "[append|add] the numbers [from 1 to|1 to|from 1 up to] {k} to {a}|use a [for |]loop to [append|add] the numbers from 1 to {k} to {a}|fill {a} with the numbers from 1 to {k}[| using a loop]", "for {i} in range(1, {k} + 1):\n    {a}.append({i})", pick=picks.number(3, 8), weight=4, changes=True),
    Do("empty", "[append|add] the squares of 1 to {k} to {a}|use a [for |]loop to [append|add] the squares [of the numbers |]from 1 to {k} to {a}", "for {i} in range(1, {k} + 1):\n    {a}.append({i} ** 2)", pick=picks.number(3, 6), weight=3, changes=True),
    Do("dictn", "add {k} with [the |]value {v} to {a}|set {k} to {v} in {a}|add the key {k} with [the |]value {v} to {a}|set {plain}\x01{k}\x02 to {v}", "{a}[{k}] = {v}", pick=lambda _, r: {"k": r.choice(values.words()), "v": r.randint(1, 50)}, test=lambda v: not v, weight=9, changes=True),
)  # fmt: skip
