"""Small algorithms and loops, written out: what people ask for by name."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from itertools import pairwise

from jaxformer.data.exercises import picks
from jaxformer.data.exercises.operations import Check, Do, Value, register


def _small(held: int) -> bool:
    return 2 <= held <= 40


def _natural(held: int) -> bool:
    return 1 < held < 2000


def _pair(held: list) -> bool:
    return all(0 < value < 1000 for value in held)


def _some(held: list) -> bool:
    return len(held) >= 3


def _plain(held: str) -> bool:
    return held.isalpha() and held.islower()


_MATH = "import math"
_COUNTER = "from collections import Counter"
_TOOLS = "import itertools"
_STATS = "import statistics"
_RE = "import re"

register(
    # whole numbers
    Value("int int", "math.gcd({a}, {b})", "the greatest common divisor of {A} and {b}|the gcd of {A} and {b}|the largest number that divides both {A} and {b}", names="gcd divisor common", setup=_MATH, test=_pair, weight=5),
    Value("int int", "{a} * {b} // math.gcd({a}, {b})", "the least common multiple of {A} and {b}|the lcm of {A} and {b}", names="lcm multiple", setup=_MATH, test=_pair, weight=3),
    Value("int int", "divmod({a}, {b})", "the quotient and [the |]remainder of {A} divided by {b}[ as a tuple| as a pair|]", names="parts both", test=_pair, weight=2),
    Value("int", "[d for d in range(1, {a} + 1) if {a} % d == 0]", "the divisors of {a}|all [divisors|factors] of {a}|a list of the [divisors|factors] of {a}", verbs="find all [divisors|factors] of {a}|list the divisors of {a}", names="divisors factors", test=_natural, weight=4, many=True),
    Value("int", "sum(1 for d in range(1, {a} + 1) if {a} % d == 0)", "the number of [divisors|factors] of {a}", verbs="count the divisors of {a}", asks="how many [divisors|factors] does {a} have", names="count num_divisors", test=_natural, weight=2),
    Value("int", "sum(d for d in range(1, {a}) if {a} % d == 0)", "the sum of the proper divisors of {a}", names="divisor_sum total", test=_natural, weight=1.2),
    Value("int", "[p for p in range(2, {a} + 1) if all(p % d for d in range(2, p))]", "[the|all] prime numbers up to {a}|a list of the primes up to {a}|all primes not greater than {a}", verbs="find all prime numbers up to {a}", names="primes", test=_small, weight=3.5, many=True),
    Value("int", "sum(int(d) for d in str({a}))", "the sum of the digits of {a}|the digit sum of {a}", verbs="add up the digits of {a}", names="digit_sum total", test=lambda v: v >= 10, weight=4),
    Value("int", "[int(d) for d in str({a})]", "[the|a list of the] digits of {a}", verbs="split {a} into its digits", names="digits", test=lambda v: v >= 10, weight=3, many=True),
    Value("int", "int(str({a})[::-1])", "the digits of {a} in reverse[ order| as a number]|{A} with its digits reversed", does="reverse the digits of {a}", names="reversed_number flipped", test=lambda v: v >= 10, weight=2.5),
    Value("int", "len(str({a}))", "the number of digits [in|of] {a}", asks="how many digits does {a} have", names="num_digits digits", test=lambda v: v >= 0, weight=2.5),
    Value("int", "bin({a})[2:]", "{A} in binary|the binary [form|representation] of {a}[ without the prefix|]", verbs="convert {a} to binary|write {a} in binary", names="binary bits", test=lambda v: v >= 0, weight=3.5),
    Value("int", "hex({a})[2:]", "{A} in hexadecimal|the hexadecimal [form|representation] of {a}", verbs="convert {a} to hexadecimal", names="hexadecimal hex_text", test=lambda v: v >= 0, weight=1.5),
    Value("int", "bin({a}).count('1')", "the number of ones in the binary [form|representation] of {a}", names="ones bits", test=lambda v: v >= 0, weight=1.5),
    Value("word", "int({a}, 2)", "the number that the binary string {a} stands for|{A} read as a binary number", verbs="convert {a} from binary[ to a number|]", names="number decimal", test=lambda v: bool(v) and set(v) <= {"0", "1"}, weight=5),
    Value("int", "math.factorial({a})", "the factorial of {a}|{a} factorial", verbs="compute the factorial of {a}", names="factorial fact", setup=_MATH, test=lambda v: 0 <= v <= 12, weight=3),
    Value("int", "math.isqrt({a})", "the integer square root of {a}|the largest whole number whose square is at most {a}", names="root isqrt", setup=_MATH, test=lambda v: v >= 0, weight=1.2),
    Value("int int", "math.comb({a}, {b})", "the number of ways to choose {b} out of {a}|{a} choose {b}", names="ways combinations", setup=_MATH, test=lambda v: 0 <= v[1] <= v[0] <= 20, weight=2.5),
    Value("num num", "round(math.hypot({a}, {b}), 2)", "the [length of the hypotenuse|hypotenuse] of a right triangle with the sides {A} and {b}, rounded to two decimals", names="hypotenuse", setup=_MATH, test=lambda v: v[0] > 0 and v[1] > 0, weight=2),
    Check("int", "{a} > 1 and all({a} % d for d in range(2, {a}))", "{a} is [prime|a prime number]", "is {a} [prime|a prime number|a prime]", names="is_prime prime", test=_natural, weight=4),
    Check("int", "str({a}) == str({a})[::-1]", "{a} reads the same backwards|{a} is a palindrome", "does {a} read the same backwards", names="palindrome", test=lambda v: v >= 10, weight=1.5),
    Check("int", "sum(d for d in range(1, {a}) if {a} % d == 0) == {a}", "{a} is a perfect number", "is {a} a perfect number", names="perfect", test=_natural, weight=1),
    # loops over a number
    Do("int", "compute the factorial of {a} with a loop and [store it in|call it] {r}|use a loop to calculate the factorial of {a} and save it [in|as] {r}", "{r} = 1\nfor {i} in range(1, {a} + 1):\n    {r} *= {i}", makes="fact factorial product", test=lambda v: 1 <= v <= 12, weight=3),
    Do("int", "add up the numbers from 1 to {a} with a loop and store the [sum|total] in {r}|use a loop to sum [all |the ]numbers from 1 to {a} into {r}", "{r} = 0\nfor {i} in range(1, {a} + 1):\n    {r} += {i}", makes="total s sum_all", test=lambda v: 1 <= v <= 1000, weight=3),
    Do("int", "create a list {r} [with|of] the first {a} Fibonacci numbers[| starting with 0 and 1]|build the first {a} Fibonacci numbers in a list {r}", "{r} = [0, 1]\nwhile len({r}) < {a}:\n    {r}.append({r}[-1] + {r}[-2])", makes="fib fibs sequence", test=lambda v: 2 <= v <= 20, weight=3.5),
    Do("int", "count how often {a} can be halved before it is [odd|no longer even] and store [it|the count] in {r}", "{r} = 0\n{x} = {a}\nwhile {x} % 2 == 0:\n    {x} //= 2\n    {r} += 1", makes="halvings count", test=lambda v: v > 0 and v % 2 == 0, weight=1.2),
    Do("int", "make a list {r} with the Collatz sequence [that starts with|starting at|of] {a}|store the Collatz sequence of {a} in {r}", "{r} = [{a}]\nwhile {r}[-1] != 1:\n    {x} = {r}[-1]\n    {r}.append({x} // 2 if {x} % 2 == 0 else 3 * {x} + 1)", makes="collatz sequence steps", test=lambda v: 2 <= v <= 20, weight=1.5),
    Do("int", "print the multiplication table of {a} [from|for] 1 to {k}|print {a} times 1 to {k}, [one per line|each on its own line]", "for {i} in range(1, {k} + 1):\n    print({a} * {i})", pick=picks.number(3, 10), prints=True, weight=2.5),
    Do("int", "count down from {a} to 1 and print each number|print the numbers from {a} down to 1[, one per line|]", "for {i} in range({a}, 0, -1):\n    print({i})", test=lambda v: 2 <= v <= 12, prints=True, weight=3),
    Do("int", "print Fizz for multiples of 3, Buzz for multiples of 5, FizzBuzz for both and otherwise the number, [for|from] 1 to {a}", "for {i} in range(1, {a} + 1):\n    if {i} % 15 == 0:\n        print('FizzBuzz')\n    elif {i} % 3 == 0:\n        print('Fizz')\n    elif {i} % 5 == 0:\n        print('Buzz')\n    else:\n        print({i})", test=lambda v: 3 <= v <= 20, prints=True, weight=1.2),
    Do("int", "print a triangle of stars with {a} rows|print {a} rows of stars, one more [star |]in each row", "for {i} in range(1, {a} + 1):\n    print('*' * {i})", test=lambda v: 2 <= v <= 8, prints=True, weight=2),
    # lists
    Do("nums", "use a loop to add up {a} and store the [sum|total|result] in {r}|add up the {items} with a [for |]loop, storing the [sum|total] in {r}|loop over {a} and add each {bare} to {r}, starting [from|at] 0", "{r} = 0\nfor {x} in {a}:\n    {r} += {x}", makes="total s sum_all", weight=3),
    Do("nums", "use a loop to find the largest {item} and store it in {r}|find the maximum of {a} with a loop and [store|save] it [in|as] {r}", "{r} = {a}[0]\nfor {x} in {a}:\n    if {x} > {r}:\n        {r} = {x}", makes="largest biggest best", test=_some, weight=2.5),
    Do("ints", "use a loop to count the even {items} and store the count in {r}|count the even {items} with a loop, in {r}", "{r} = 0\nfor {x} in {a}:\n    if {x} % 2 == 0:\n        {r} += 1", makes="count evens num_even", weight=2),
    Do("ints", "use a loop to collect the even {items} in a [new |]list {r}|loop over {a} and append the even {bares} to a new list {r}", "{r} = []\nfor {x} in {a}:\n    if {x} % 2 == 0:\n        {r}.append({x})", makes="evens even_numbers", weight=2.5),
    Do("nums", "use a loop to build a list {r} with the square of [each|every] {item}", "{r} = []\nfor {x} in {a}:\n    {r}.append({x} ** 2)", makes="squares squared", weight=2),
    Do("strs", "use a loop to build a list {r} with the length of [each|every] {item}", "{r} = []\nfor {x} in {a}:\n    {r}.append(len({x}))", makes="lengths sizes", weight=2),
    Do("strs", "count how often [each|every] {item} occurs and store the counts in a dictionary {r}|build a dictionary {r} with the number of occurrences of each {item}", "{r} = {}\nfor {x} in {a}:\n    {r}[{x}] = {r}.get({x}, 0) + 1", makes="counts freq tally", pool="dict", weight=4),
    Do("ints", "count how often [each|every] {item} occurs and store the counts in a dictionary {r}|build a dictionary {r} that maps each {item} to how often it occurs", "{r} = {}\nfor {x} in {a}:\n    {r}[{x}] = {r}.get({x}, 0) + 1", makes="counts freq tally", pool="dict", weight=2.5),
    Do("strs", "group the {items} by their first letter in a dictionary {r}|build a dictionary {r} from each first letter to the list of {bares} of {name} that begin with it", "{r} = {}\nfor {x} in {a}:\n    {r}.setdefault({x}[0], []).append({x})", makes="groups by_letter", pool="dict", test=lambda v: all(v), weight=2.5),
    Do("strs", "group the {items} by [their |]length in a dictionary {r}", "{r} = {}\nfor {x} in {a}:\n    {r}.setdefault(len({x}), []).append({x})", makes="groups by_length", pool="dict", weight=2),
    Do("ints", "sort {a} with bubble sort|sort {a} by repeatedly swapping neighbours that are in the wrong order", "for {i} in range(len({a})):\n    for {y} in range(len({a}) - 1 - {i}):\n        if {a}[{y}] > {a}[{y} + 1]:\n            {a}[{y}], {a}[{y} + 1] = {a}[{y} + 1], {a}[{y}]", changes=True, test=_some, weight=2),
    Do("ints", "find two different positions in {a} whose {bares} add up to {k} and store [them|the two positions] in {r}", "{r} = next(({i}, {y}) for {i} in range(len({a})) for {y} in range({i} + 1, len({a})) if {a}[{i}] + {a}[{y}] == {k})", makes="pair positions", pick=lambda v, r: {"k": sum(r.sample(v, 2))} if len(v) > 2 else None, weight=1.5),
    Value("nums", "list(itertools.accumulate({a}))", "the running [sums|totals|total] of {a}|the cumulative sums of {a}", verbs="compute the running total of {a}", names="running totals sums", setup=_TOOLS, weight=2.5),
    Value("list", "list(itertools.combinations({a}, 2))", "all pairs of {items}|all [combinations|pairs] of two {items}", names="pairs combos", setup=_TOOLS, test=lambda v: 2 <= len(v) <= 4, weight=2, many=True),
    Value("ints", "Counter({a}).most_common(1)[0][0]", "the most [common|frequent] {item}|the {bare} that occurs most often in {a}", names="mode most_common common", setup=_COUNTER, test=lambda v: len(v) > 2 and sorted(map(v.count, v))[-1] > 1, weight=4),
    Value("strs", "Counter({a}).most_common(1)[0][0]", "the most [common|frequent] {item}|the {bare} that occurs most often in {a}", names="mode most_common common", setup=_COUNTER, test=lambda v: len(v) > 2 and max(map(v.count, v)) > 1, weight=3),
    Value("strs", "dict(Counter({a}))", "a dictionary [with|of] the number of times each {item} occurs|the counts of the {items} as a dictionary", verbs="count [each|every] {item} with Counter", names="counts tally", setup=_COUNTER, weight=2.5),
    Value("nums", "statistics.median({a})", "the median of {them}|the median {item}", names="median med", setup=_STATS, test=_some, weight=2.5),
    Value("nums", "round(statistics.stdev({a}), 2)", "the [sample |]standard deviation of {a} rounded to two decimals", names="deviation sd", setup=_STATS, test=lambda v: len(set(v)) > 2, weight=1.5),
    Value("nums", "statistics.mode({a})", "the mode of {a}", names="mode", setup=_STATS, test=lambda v: len(v) > 2, weight=1),
    Value("list", "[{a}[{i}:{i} + {k}] for {i} in range(0, len({a}), {k})]", "{A} split into [chunks|pieces|groups] of {k}|the {items} in groups of {k}", verbs="split {a} into [chunks|groups|pieces] of {k}|cut {a} into pieces of length {k}", names="chunks groups pieces", pick=picks.number(2, 3), test=lambda v: len(v) >= 4, weight=3, many=True),
    Value("list", "{a}[{k}:] + {a}[:{k}]", "{A} rotated [to the left |left ]by {k}", does="rotate {a} [to the left |left ]by {k}[| places| positions]", names="rotated", pick=picks.number(1, 2), test=_some, weight=2.5),
    Value("list", "{a}[-{k}:] + {a}[:-{k}]", "{A} rotated [to the right|right] by {k}", does="rotate {a} [to the right|right] by {k}[| places| positions]", names="rotated", pick=picks.number(1, 2), test=_some, weight=2),
    Value("ints", "[{x} for {i}, {x} in enumerate({a}) if {i} == 0 or {x} != {a}[{i} - 1]]", "{A} without [consecutive|neighbouring] duplicates", does="remove consecutive duplicates from {a}", names="compact cleaned", test=lambda v: any(p == q for p, q in pairwise(v)), weight=2),
    Value("nums", "[{y} - {x} for {x}, {y} in zip({a}, {a}[1:])]", "the differences between [neighbouring|consecutive|adjacent] {items}|the difference of each {bare} in {a} from the one before it", names="differences steps", test=_some, weight=2.5, many=True),
    Value("nums", "max({y} - {x} for {x}, {y} in zip({a}, {a}[1:]))", "the largest [increase|step] from one {bare} of {a} to the next", names="largest_step jump", test=_some, weight=1.2),
    Value("rows", "[list({x}) for {x} in zip(*{a})]", "the transpose of {a}|{A} transposed|{A} with rows and columns swapped", does="transpose {a}|swap the rows and columns of {a}", names="transposed columns", test=lambda v: len({len(row) for row in v}) == 1, weight=4),
    Value("rows", "[{y} for {x} in {a} for {y} in {x}]", "{A} flattened|all [elements|numbers] of {a} in one [flat |]list", does="flatten {a}[| into one list]", verbs="combine the rows of {a} into one list", names="flat flattened", weight=4),
    Value("rows", "[sum({x}) for {x} in {a}]", "the sum of each row of {a}|the row sums of {a}", verbs="add up each row of {a}", names="row_sums sums", weight=3.5, many=True),
    Value("rows", "[max({x}) for {x} in {a}]", "the largest [number|element] of each row of {a}", names="row_max largest", weight=2, many=True),
    Value("rows", "[sum({x}) for {x} in zip(*{a})]", "the sum of each column of {a}|the column sums of {a}", names="column_sums", test=lambda v: len({len(row) for row in v}) == 1, weight=2.5, many=True),
    Value("rows", "sum({a}[{i}][{i}] for {i} in range(len({a})))", "the sum of the [main |]diagonal of {a}", names="diagonal_sum trace", test=lambda v: all(len(row) == len(v) for row in v), weight=2),
    Value("rows", "sum(map(sum, {a}))", "the sum of all [numbers|elements] in {a}|the total of all rows of {a}", names="total", weight=2.5),
    # strings
    Value("word", "''.join(chr((ord({y}) - 97 + {k}) % 26 + 97) for {y} in {a})", "{A} with each letter shifted by {k}[| places in the alphabet]|the Caesar cipher of {a} with shift {k}", does="shift each letter of {a} by {k} places in the alphabet", verbs="encrypt {a} with a Caesar cipher [of|with] shift {k}", names="shifted secret cipher", pick=picks.number(1, 13), test=_plain, weight=3),
    Value("str", "Counter({a}).most_common(1)[0][0]", "the most [common|frequent] [letter|character] [in|of] {a}", asks="which [letter|character] occurs most often in {a}", names="most_common top letter", setup=_COUNTER, test=lambda v: len(v) > 3 and sorted(map(v.count, set(v)))[-1] > 1 and " " not in v, weight=3),
    Do("str", "count [each|every] [letter|character] of {a} in a dictionary {r}|build a dictionary {r} with the count of each [letter|character] in {a}", "{r} = {}\nfor {y} in {a}:\n    {r}[{y}] = {r}.get({y}, 0) + 1", makes="counts freq letters", pool="dict", test=lambda v: len(v) < 14, weight=3.5),
    Do("text", "count [each|every] word of {a} in a dictionary {r}|build a dictionary {r} with how often each word occurs in {a}|store the word counts of {a} in a dictionary {r}", "{r} = {}\nfor {x} in {a}.split():\n    {r}[{x}] = {r}.get({x}, 0) + 1", makes="counts freq word_counts", pool="dict", weight=4),
    Do("word", "reverse {a} with a loop and store it in {r}|use a loop to build {a} backwards in {r}", "{r} = ''\nfor {y} in {a}:\n    {r} = {y} + {r}", makes="backwards flipped", pool="word", weight=2),
    Do("str", "use a loop to count the vowels [in|of] {a} and store [the count|it] in {r}", "{r} = 0\nfor {y} in {a}:\n    if {y} in 'aeiou':\n        {r} += 1", makes="vowels count", weight=2.5),
    Value("str str", "sorted({a}) == sorted({b})", "whether {A} and {b} are anagrams[| of each other]", names="anagrams same_letters", weight=4),
    Value("str str", "sum({x} != {y} for {x}, {y} in zip({a}, {b}))", "the number of positions [in|at] which {A} and {b} differ|the Hamming distance of {A} and {b}", names="distance different", test=lambda v: len(v[0]) == len(v[1]), weight=6),
    Value("text", "''.join({x}[0].upper() for {x} in {a}.split())", "the acronym of {a}|the [initials|first letters] of the words in {a} in [upper case|capitals]", verbs="make an acronym [of|from] {a}", names="acronym initials", weight=2.5),
    Value("text", "re.findall(r'\\d+', {a})", "all [numbers|groups of digits] in {a} as strings", verbs="find all numbers in {a} with a regular expression", names="found numbers digits", setup=_RE, test=lambda v: any(c.isdigit() for c in v), weight=4, many=True),
    Value("text", "re.sub(r'[aeiou]', {v}, {a})", "{A} with [each|every] vowel replaced by {v}", does="replace [each|every] vowel [in|of] {a} [with|by] {v}[| using a regular expression]", names="masked replaced", setup=_RE, pick=lambda _, r: {"v": r.choice("*-_#.")}, test=lambda v: v.islower(), weight=2),
    Value("text", "{a}.title()", "{A} in title case|{A} with [each|every] word capitalized", does="capitalize [each|every] word [in|of] {a}", names="title titled", weight=2.5),
    Value("text", "'-'.join({a}.lower().split())", "a slug of {a}: lower case, with hyphens for spaces|{A} in lower case with hyphens instead of spaces", names="slug link", weight=2),
    Value("word", "''.join({y}.upper() if {i} % 2 == 0 else {y} for {i}, {y} in enumerate({a}))", "{A} with every [second|other] letter in upper case, starting with the first", names="mixed alternating", test=_plain, weight=1.5),
    Value("word", "[{a}[:{i}] for {i} in range(1, len({a}) + 1)]", "all prefixes of {a}", names="prefixes starts", test=lambda v: 2 < len(v) < 7, weight=1.5, many=True),
    Value("word", "[{a}[{i}:{i} + 2] for {i} in range(len({a}) - 1)]", "[the|all] pairs of neighbouring letters of {a}|the bigrams of {a}", names="bigrams pairs", test=lambda v: 2 < len(v) < 9, weight=1.5, many=True),
)  # fmt: skip
