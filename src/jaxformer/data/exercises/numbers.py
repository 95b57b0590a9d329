"""Operations on numbers: arithmetic, conditions and small loops."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from random import Random
from typing import Any

from jaxformer.data.exercises import picks
from jaxformer.data.exercises.operations import Check, Do, Params, Value, register


def _two(held: list) -> bool:
    return abs(held[0]) < 10**6 and abs(held[1]) < 10**6


def _divides(held: list) -> bool:
    return held[1] != 0 and _two(held)


def _small(held: int) -> bool:
    return 1 <= held <= 12


def _positive(held: float) -> bool:
    return held > 0


def _natural(held: int) -> bool:
    return held >= 0


def _percent(_: Any, rng: Random) -> Params:
    k = rng.choice((5, 10, 15, 20, 25, 30, 50))
    return {"k": k, "p": (str(k), str(100 + k)), "m": (str(k), str(100 - k))}


register(
    Value("num num", "{a} + {b}", "the sum of {A} and {b}|{A} plus {b}|{A} and {b} added together|{A} + {b}|the total of {A} and {b}|{A} added to {b}",
          verbs="add {A} and {b}|sum {A} and {b}|add {A} and {b} together|add up {A} and {b}|add the [two |]numbers {A} and {b}",
          asks="what is {A} plus {b}|what is the sum of {A} and {b}|what is {A} + {b}|what do {A} and {b} add up to|how much is {A} plus {b}", names="total sum_xy s result sum_ab added", alias="the sum", test=_two, weight=14),
    Value("num num", "{a} - {b}", "the difference [between|of] {A} and {b}|{A} minus {b}|{A} - {b}|the result of subtracting {b} from {A}",
          verbs="subtract {b} from {A}", asks="what is {A} minus {b}|what is the difference between {A} and {b}|how much [bigger|more] is {A} than {b}", names="difference diff result minus", alias="the difference", test=_two, weight=9),
    Value("num num", "{a} * {b}", "the product of {A} and {b}|{A} times {b}|{A} multiplied by {b}|{A} * {b}", verbs="multiply {A} [by|with] {b}|multiply {A} and {b}|multiply {A} and {b} together",
          asks="what is {A} times {b}|what is the product of {A} and {b}|what is {A} multiplied by {b}", names="product prod result area", alias="the product", test=_two, weight=10),
    Value("num num", "{a} / {b}", "the quotient of {A} and {b}|{A} divided by {b}|{A} / {b}|the ratio of {A} to {b}|the result of dividing {A} by {b}", verbs="divide {A} by {b}", asks="what is {A} divided by {b}",
          names="quotient ratio result", alias="the quotient", test=_divides, weight=6),
    Value("int int", "{a} // {b}", "the integer [quotient|division] of {A} [and|by] {b}|the whole[-number| number] part of {A} divided by {b}|how many times {b} fits into {A}|{A} // {b}|the floor of {A} divided by {b}",
          verbs="integer[-| ]divide {A} by {b}|divide {A} by {b} using integer division|floor divide {A} by {b}|do an integer division of {A} by {b}", names="quotient whole result", test=_divides, weight=3),
    Value("int int", "{a} % {b}", "the remainder of {A} divided by {b}|{A} modulo {b}|the remainder when {A} is divided by {b}|{A} mod {b}|{A} % {b}|the remainder of dividing {A} by {b}",
          verbs="take {A} modulo {b}", asks="what is the remainder of {A} divided by {b}|what is left over when {A} is divided by {b}", names="remainder rest mod", alias="the remainder", test=_divides, weight=4),
    Value("int int", "{a} ** {b}", "{A} to the power of {b}|{A} raised to the power {b}|{A} to the power {b}", verbs="raise {A} to the power [of |]{b}", names="power result", test=lambda v: abs(v[0]) <= 12 and 0 <= v[1] <= 6, weight=8),
    Value("num num", "({a} + {b}) / 2", "the average of {A} and {b}|the mean of {A} and {b}|the [midpoint|value halfway] between {A} and {b}", verbs="average {A} and {b}", names="average avg mean", alias="the average", test=_two, weight=4),
    Value("num num", "max({a}, {b})", "the [larger|bigger|maximum|greater] of {A} and {b}|the maximum of {A} and {b}|the [larger|bigger] of the two numbers {A} and {b}", asks="which is [larger|bigger|greater], {A} or {b}|which of {A} and {b} is [larger|bigger]",
          names="larger maximum biggest bigger largest", alias="the larger number", weight=4),
    Value("num num", "min({a}, {b})", "the [smaller|minimum|lower|lesser] of {A} and {b}|the minimum of {A} and {b}", asks="which is smaller, {A} or {b}|which of {A} and {b} is smaller", names="smaller minimum smallest", alias="the smaller number", weight=3.5),
    Value("num num", "abs({a} - {b})", "the absolute difference [of|between] {A} and {b}|the distance between {A} and {b}|the absolute value of {A} minus {b}", names="distance gap difference", test=_two, weight=3),
    Value("num num", "{a} ** 2 + {b} ** 2", "the sum of the squares of {A} and {b}|{A} squared plus {b} squared", verbs="add the squares of {A} and {b}", names="total squares_sum", test=_two, weight=2),
    Value("num num", "2 * ({a} + {b})", "the perimeter of a rectangle with sides {A} and {b}|two times the sum of {A} and {b}|twice the sum of {A} and {b}", names="perimeter result", test=_two, weight=2),
    Value("num num", "{a} * {b}", "the area of a rectangle with [sides|width and height] {A} and {b}|the area of a rectangle {A} by {b}", names="area rectangle_area", alias="the area", test=_two, weight=2.5),
    Value("int int", "math.gcd({a}, {b})", "the greatest common divisor of {A} and {b}|the gcd of {A} and {b}", names="divisor gcd_value common", setup="import math", weight=1.5),
    Value("int int", "list(range({a}, {b} + 1))", "a list of [the |all ]numbers from {A} to {b}[| inclusive]|the numbers from {A} to {b}", names="numbers span range_list", test=lambda v: 2 < v[1] - v[0] < 12, weight=4, many=True),
    Value("num num", "{a} / {b} * 100", "the percentage that {A} is of {b}|{A} as a percentage of {b}|what percent {A} is of {b}", asks="what percent of {b} is {A}", names="percent percentage", test=_divides, weight=1.5),
    Value("num num num", "{a} + {b} + {c}", "the sum of {A}, {b} and {c}|{A} plus {b} plus {c}|the total of {A}, {b} and {c}", verbs="add {A}, {b} and {c}[| together]|add up {A}, {b} and {c}", asks="what is {A} plus {b} plus {c}", names="total sum_all s", alias="the sum", weight=14),
    Value("num num num", "max({a}, {b}, {c})", "the [largest|biggest|maximum|greatest] of {A}, {b} and {c}", asks="which is the [largest|biggest] of {A}, {b} and {c}", names="largest maximum", weight=7),
    Value("num num num", "min({a}, {b}, {c})", "the [smallest|minimum] of {A}, {b} and {c}", names="smallest minimum", weight=5),
    Value("num num num", "({a} + {b} + {c}) / 3", "the [average|mean] of {A}, {b} and {c}", names="average avg mean", weight=7),
    Value("num num num", "{a} * {b} * {c}", "the product of {A}, {b} and {c}|{A} times {b} times {c}", verbs="multiply {A}, {b} and {c}[| together]", names="product volume", test=lambda v: all(abs(n) < 999 for n in v), weight=6),
    Value("num num num", "{a} * {b} + {c}", "{A} times {b} plus {c}", names="result total", test=lambda v: all(abs(n) < 999 for n in v), weight=3),
    Value("num num num", "({a} + {b}) * {c}", "the sum of {A} and {b}[,|] multiplied by {c}|the sum of {A} and {b} times {c}", verbs="add {A} and {b} and multiply the [result|sum] by {c}", names="result product", weight=3),
    Value("num num num", "[{a}, {b}, {c}]", "a list of {A}, {b} and {c}|a list [containing|with] {A}, {b} and {c}", verbs="put {A}, {b} and {c} [in|into] a list", names="numbers values", weight=4),
    Value("num num", "[{a}, {b}]", "a list of {A} and {b}|a list [containing|with] {A} and {b}", verbs="put {A} and {b} [in|into] a list", names="pair numbers values", weight=1.5),
    Do("num num", "swap {A} and {b}|swap the values of {A} and {b}|exchange {A} and {b}|exchange the values of {A} and {b}|switch {A} and {b}", "{a}, {b} = {b}, {a}", weight=4),
    Do("num num", "increase {A} by {b}|increase {A} by the value of {b}", "{a} += {b}", weight=2.5, changes=True),
    Do("num num", "subtract {b} from {A}, changing {A}|decrease {A} by {b}|reduce {A} by {b}", "{a} -= {b}", weight=2, changes=True),
    Check("num num", "{a} > {b}", "{A} is [greater|larger|bigger|more] than {b}|{A} exceeds {b}", "is {A} [greater|larger|bigger] than {b}", "bigger is_greater larger greater", weight=5),
    Check("num num", "{a} < {b}", "{A} is [less|smaller] than {b}", "is {A} [less|smaller] than {b}", "smaller is_less less", weight=3),
    Check("num num", "{a} == {b}", "{A} and {b} are [equal|the same]|{A} is equal to {b}|{A} equals {b}", "are {A} and {b} [equal|the same]|is {A} equal to {b}", "equal same", weight=3),
    Check("int int", "{a} % {b} == 0", "{A} is [divisible by|a multiple of] {b}|{b} divides {A}[| evenly]", "is {A} [divisible by|a multiple of] {b}|does {b} divide {A}", "divisible divides", test=_divides, weight=3),
    Check("num num", "{a} + {b} > {k}", "the sum of {A} and {b} is [greater|more|larger] than {k}|{A} plus {b} is [over|greater than] {k}", "is the sum of {A} and {b} greater than {k}", pick=picks.number(10, 100), weight=1.5),
    Check("num", "{a} == {k}", "{A} is equal to {k}|{A} equals {k}|{A} is {k}", "is {A} equal to {k}", "equal same", pick=picks.threshold, weight=1),
    Value("num", "{a} ** 0.5", "the square root of {a}", verbs="take the square root of {a}", names="root sqrt_value square_root", alias="the square root", test=_positive, weight=2.2),
    Value("int", "math.factorial({a})", "the factorial of {a}|{A} factorial", names="factorial fact", setup="import math", test=_small, weight=2.5),
    Value("int", "sum(int({x}) for {x} in str({a}))", "the sum of the digits of {a}|the digit sum of {a}", verbs="add up the digits of {a}|sum the digits of {a}", names="digit_sum total", alias="the digit sum", test=_natural, weight=2.2),
    Value("int", "len(str({a}))", "the number of digits [in|of] {a}|how many digits {a} has", verbs="count the digits of {a}", asks="how many digits does {a} have", names="digits num_digits", test=_natural, weight=1.8),
    Value("int", "str({a})[::-1]", "the digits of {a} in reverse order", names="reversed_digits backwards", test=_natural, weight=0.6),
    Value("int", "[int({x}) for {x} in str({a})]", "the digits of {a}[| as a list]|a list of the digits of {a}", verbs="split {a} into its digits", names="digits digit_list", test=lambda v: v > 99, weight=2, many=True),
    Value("int", "list(range(1, {a} + 1))", "[a list of |a list with |]the numbers from 1 to {a}", names="numbers nums upto", test=_small, weight=3, many=True),
    Value("int", "sum(range(1, {a} + 1))", "the sum of [all |the |all the ]numbers from 1 to {a}|the sum of [the |]integers from 1 to {a}", verbs="add up [all |][the |]numbers from 1 to {a}", names="total s sum_to_n", test=lambda v: 2 <= v <= 1000, weight=2.5),
    Value("int", "[{i} ** 2 for {i} in range(1, {a} + 1)]", "the squares [of the numbers |]from 1 to {a}|a list of the squares of [the numbers |]1 to {a}", names="squares", test=_small, weight=1.5, many=True),
    Value("int", "[{a} * {i} for {i} in range(1, {k} + 1)]", "the first {kw} multiples of {a}", names="multiples table", pick=picks.number(3, 6), weight=1.3, many=True),
    Value("int", "[{i} for {i} in range(1, {a} + 1) if {a} % {i} == 0]", "[a list of |all |]the divisors of {a}", names="divisors factors", test=lambda v: 4 <= v <= 120, weight=1.8, many=True),
    Value("num", "{a} * {k} / 100", "{k} percent of {a}|{k}% of {a}", asks="what is {k}[%| percent] of {a}", names="part percent tax tip share", pick=_percent, weight=2.5),
    Value("num", "{a} * {p} / 100", "{A} plus {k}[%| percent]|{A} increased by {k}[%| percent]", does="increase {a} by {k}[%| percent]", names="increased raised total", pick=_percent, weight=1),
    Value("num", "{a} * {m} / 100", "{A} [reduced by|minus|with a discount of] {k}[%| percent]", does="reduce {a} by {k}[%| percent]", names="discounted reduced sale_price", pick=_percent, weight=1),
    Value("num", "{a} * 9 / 5 + 32", "{A} converted from Celsius to Fahrenheit[| (times 9/5 plus 32)]|{A} degrees Celsius in Fahrenheit", verbs="convert {a} from Celsius to Fahrenheit[| (multiply by 9/5 and add 32)]", names="fahrenheit f temp_f", weight=1),
    Value("num", "{a} * {k}", "{A} converted to {u}", verbs="convert {a} to {u} by multiplying [it |]by {k}", names="converted result", pick=lambda _, r: dict(zip("uk", r.choice(((("minutes", ""), 60), (("seconds", ""), 60), (("hours", ""), 24), (("cents", ""), 100), (("centimeters", ""), 100), (("meters", ""), 1000), (("grams", ""), 1000), (("days", ""), 7))), strict=True)), weight=1.2),
    Value("num", "{a} * {k} + {j}", "{A} times {k} plus {j}|{k} times {a} plus {j}", verbs="multiply {a} by {k} and [then |]add {j}", names="result y value", pick=lambda _, r: {"k": r.randint(2, 9), "j": r.randint(1, 20)}, weight=1.5),
    Value("num", "({a} + {j}) * {k}", "the sum of {a} and {j}, times {k}", verbs="add {j} to {a} and [then |]multiply [the result |]by {k}", names="result y value", pick=lambda _, r: {"k": r.randint(2, 9), "j": r.randint(1, 20)}, weight=1.2),
    Value("int", "{a} ** {k}", "{A} to the power of {k}|{A} raised to the power {k}", verbs="raise {a} to the power [of |]{k}", names="power result", pick=picks.number(2, 4), test=lambda v: abs(v) < 60, weight=1.5),
    Value("int", "{a} // {k}", "{A} integer divided by {k}|{A} // {k}|the integer part of {a} divided by {k}|{A} divided by {k} without the remainder", verbs="divide {a} by {k} using integer division|integer divide {a} by {k}", names="quotient whole", pick=picks.number(2, 10), weight=1.5),
    Value("int", "float({a})", "{A} as a float", verbs="convert {a} to a float", names="as_float value", weight=0.6),
    Value("num", "math.pi * {a} ** 2", "the area of a circle with radius {a}", names="area circle_area", alias="the area", setup="import math", test=_positive, weight=1.2),
    Value("num", "round({a}, {k})", "{A} rounded to {kw} decimal[s| places]", does="round {a} to {kw} decimal[s| places]", verbs="", names="rounded", pick=picks.number(1, 3), test=lambda v: isinstance(v, float), weight=4),
    Value("int", "bin({a})[2:]", "the binary [form|representation] of {a} as a string", verbs="convert {a} to binary", names="binary bits", test=_natural, weight=0.5),
    Do("int", "[increment|increase] {a} by [1|one]|increment {a}|add [1|one] to {a}", "{a} += 1", weight=2, changes=True),
    Do("int", "[decrement|decrease] {a} by [1|one]|decrement {a}|subtract [1|one] from {a}", "{a} -= 1", weight=1.5, changes=True),
    Do("num", "[set|change|update] {a} to {k}|change the value of {a} to {k}|give {a} the new value {k}|assign {k} to {a}|reassign {a} to {k}", "{a} = {k}", pick=lambda _, r: {"k": r.randint(1, 100)}, weight=2, changes=True),
    Do("int", "[print|show] the numbers from 1 to {a}[|, one per line|, each on its own line]|use a [for |]loop to print [the |]numbers 1 to {a}|loop from 1 to {a} and print each number|count from 1 to {a}, printing each number", "for {i} in range(1, {a} + 1):\n    print({i})", prints=True, test=_small, weight=3),
    Do("int", "[print|show] the numbers from {a} down to 1[|, one per line]|count down from {a} to 1[| and print each number]|use a while loop to count down from {a} to 1", "{i} = {a}\nwhile {i} > 0:\n    print({i})\n    {i} -= 1", prints=True, test=_small, weight=2.5),
    Do("int", "[print|show] the multiplication table of {a} [up to|from 1 to] {k}|print the first {k} multiples of {a}[, one per line|, each on its own line]", "for {i} in range(1, {k} + 1):\n    print({a} * {i})", prints=True, pick=picks.number(3, 10), weight=1.5),
    Do("int", "print {p} {a} times|print the word {p} {a} times|repeat {a} times: print {p}", "for {i} in range({a}):\n    print({p})", prints=True, pick=lambda v, r: {"p": picks.text(v, r)["k"]}, test=_small, weight=1.3),
    Do("num", "if {a} is [positive|greater than 0] print 'positive', if it is [negative|less than 0] print 'negative', otherwise print 'zero'|print 'positive', 'negative' or 'zero' depending on [the sign of |]{a}", "if {a} > 0:\n    print('positive')\nelif {a} < 0:\n    print('negative')\nelse:\n    print('zero')", prints=True, weight=1.5),
    Do("num num", "print {A} and {b}|[print|show] both {A} and {b}|print {A} and {b} on one line", "print({a}, {b})", prints=True, weight=3),
    Do("num num", "print {A} and {b} on [separate|two] lines, using one print|print {A} and {b}, each on its own line", "print({a}, {b}, sep='\\n')", prints=True, weight=1),
    Do("num num", "print the [larger|bigger] of {A} and {b} using an if statement|use if and else to print the [larger|bigger] of {A} and {b}", "if {a} > {b}:\n    print({a})\nelse:\n    print({b})", prints=True, weight=1.5),
)  # fmt: skip
