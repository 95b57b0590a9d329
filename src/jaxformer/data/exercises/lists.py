"""Operations on lists: reductions, items and slices, order, and combining."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from jaxformer.data.exercises import picks
from jaxformer.data.exercises.operations import Check, Do, Value, register


def _full(held: list) -> bool:
    return len(held) >= 3


def _some(held: list) -> bool:
    return len(held) >= 1


def _repeats(held: list) -> bool:
    return len(set(held)) < len(held) or len(held) % 3 == 0


def _equal_lengths(held: list) -> bool:
    return len(held[0]) == len(held[1]) > 0


_ORDERED = "[in|in] [ascending|increasing] order|from [smallest|lowest] to [largest|highest]"
_REVERSED = "in [descending|decreasing|reverse] order|from [largest|highest] to [smallest|lowest]"

register(
    Value(
        "nums", "sum({a})",
        "the [sum|total] of {them}|the sum of {them}|the total of {them}|the {items} added [up|together]",
        verbs="sum {them}|add up {them}|add [all|all the] {items} [together|up]|total {them}|"
        "sum up {them}|add together {them}",
        asks="what is the [sum|total] of {them}|what do {them} add up to|what is the sum of {them}",
        names="total sum_nums s sum_of_nums total_sum the_sum", alias="the sum", test=_some, weight=9,
    ),
    Value(
        "nums", "sum({a}) / len({a})",
        "the [average|mean|average value|mean value|arithmetic mean] of {them}|the average of {them}|"
        "the average {item}|the mean of {them}",
        verbs="average {them}",
        asks="what is the [average|mean] of {them}|what is the average {item}",
        names="average avg mean mean_value average_value", alias="the average", test=_some, weight=6,
    ),
    Value(
        "list", "len({a})",
        "the [number|count] of {items}|the length of {a}|the size of {a}|how many {items} there are|"
        "the number of [elements|items|entries] in {a}|{A} length|how long {a} is",
        verbs="count the {items}|count how many {items} there are",
        asks="how many {items} are there|how long is {a}|what is the length of {a}|"
        "how many [elements|items|{bares}] [are in {a}|does {a} have|does {a} contain]",
        names="count n length size num_items how_many", alias="the length", weight=6,
    ),
    Value(
        "nums", "max({a})",
        "the [largest|biggest|maximum|highest|greatest|max] {item}|the [maximum|max] of {them}|"
        "the [largest|biggest|highest] of {them}|the maximum [value|element] [in|of] {a}",
        asks="[what|which] is the [largest|biggest|highest|maximum|greatest] {item}|"
        "which {item} is the [largest|biggest|highest]",
        names="largest maximum biggest max_value highest top max_num", alias="the maximum",
        test=_some, weight=6,
    ),
    Value(
        "nums", "min({a})",
        "the [smallest|minimum|lowest|least|min] {item}|the [minimum|min] of {them}|"
        "the [smallest|lowest] of {them}|the minimum [value|element] [in|of] {a}",
        asks="[what|which] is the [smallest|lowest|minimum] {item}|which {item} is the [smallest|lowest]",
        names="smallest minimum min_value lowest least min_num", alias="the minimum", test=_some,
        weight=5,
    ),
    Value(
        "nums", "max({a}) - min({a})",
        "the difference between the [largest|biggest|highest|maximum] and [the |][smallest|lowest|minimum] "
        "{item}|the range of {a}|the range (max minus min) of {a}|the [max|maximum] minus the "
        "[min|minimum] of {a}|the spread of {them}|the gap between the largest and smallest {items}",
        verbs="subtract the [smallest|minimum|lowest] {bare} from the [largest|maximum|highest] {bare} in {a}",
        names="difference spread value_range diff gap", alias="the difference", test=_full, weight=2.5,
    ),
    Value(
        "nums", "max({a}) + min({a})",
        "the sum of the [largest|maximum] and [the |][smallest|minimum] {items}|"
        "the largest plus the smallest {item}", names="total both extremes", test=_full, weight=0.6,
    ),
    Value(
        "ints", "math.prod({a})",
        "the product of {them}|the product of {them}|the {items} multiplied together",
        verbs="multiply {them} together|multiply [all|all the] {items}|multiply together {them}",
        names="product prod result", alias="the product", setup="import math",
        test=lambda v: 2 <= len(v) <= 6, weight=3,
    ),
    Value(
        "nums", "sorted({a})[len({a}) // 2]", "the median [of {them}|{item}]|the middle value of {a} when sorted",
        names="median med middle", alias="the median", test=lambda v: len(v) % 2 == 1, weight=2,
    ),
    Value(
        "ints", "sum({x} ** 2 for {x} in {a})", "the sum of [the |]squares of {them}|the sum of the squared {items}",
        verbs="add up the squares of {them}|square each {item} and add them up",
        names="sum_of_squares total squares_sum", alias="the sum", weight=2,
    ),
    Value(
        "nums", "sorted({a})[-2]", "the second [largest|biggest|highest|greatest] {item}",
        names="second_largest second runner_up", test=lambda v: len(set(v)) == len(v) > 2, weight=2,
    ),
    Value(
        "nums", "sorted({a})[1]", "the second [smallest|lowest] {item}",
        names="second_smallest second", test=lambda v: len(set(v)) == len(v) > 2, weight=1,
    ),
    Value(
        "nums", "sorted({a}, reverse=True)[:{k}]",
        "the {kw} [largest|biggest|highest|greatest] {items}|the top {kw} {items}|"
        "the {kw} [largest|biggest|highest] of {them}",
        names="largest top biggest top_values highest", pick=picks.part, weight=2.5, many=True,
    ),
    Value(
        "nums", "sorted({a})[:{k}]",
        "the {kw} [smallest|lowest] {items}|the {kw} [smallest|lowest] of {them}",
        names="smallest lowest bottom", pick=picks.part, weight=1.5, many=True,
    ),
    Value(
        "nums", "{a}.index(max({a}))", "the [index|position] of the [largest|biggest|maximum|highest] {item}",
        asks="[where|at which index] is the [largest|biggest] {item}", names="max_index position index idx",
        test=_full, weight=1.5,
    ),
    Value(
        "nums", "{a}.index(min({a}))", "the [index|position] of the [smallest|minimum|lowest] {item}",
        names="min_index position index idx", test=_full, weight=1,
    ),
    Value(
        "list", "{a}.count({k})",
        "the number of times {k} [appears|occurs|is found] in {a}|how many times {k} [appears|occurs|is] in {a}|"
        "the number of occurrences of {k} in {a}|the count of {k} in {a}|the number of {k}s in {a}",
        verbs="count [how many times {k} appears in {a}|the occurrences of {k} in {a}|{k} in {a}]|"
        "count how often {k} [occurs|appears] in {a}",
        asks="how many times does {k} [appear|occur] in {a}|how often does {k} [appear|occur] in {a}|"
        "how many times is {k} in {a}",
        names="count times occurrences n", alias="the count", pick=picks.member, weight=3,
    ),
    Value(
        "list", "{a}.index({k})", "the [index|position] of {k} in {a}",
        verbs="find [where {k} is in {a}|the index of {k} in {a}]",
        asks="[where is|at what index is|what is the index of] {k} in {a}",
        names="index position idx pos", alias="the index", pick=picks.present, weight=2,
    ),
    Check(
        "list", "{k} in {a}", "{k} is [in|an element of|one of the {items}|present in|found in|contained in] {a}|"
        "{a} [contains|has|includes] [|the {bare} ]{k}", "is {k} in {a}|does {a} [contain|include|have] {k}|"
        "is {k} one of the {items}", "found present has_it is_in contains", pick=picks.member, weight=3.5,
    ),
    Check(
        "list", "{k} not in {a}", "{k} is [not in|missing from] {a}|{a} does not contain {k}",
        "is {k} missing from {a}", "missing absent", pick=picks.member, weight=0.6,
    ),
    Check(
        "list", "len({a}) > {k}", "{a} [has|contains] more than {kw} [elements|items|{bares}]|"
        "the length of {a} is greater than {k}", "does {a} have more than {kw} [elements|items]",
        pick=picks.number(2, 7), weight=0.8,
    ),
    Check(
        "list", "len(set({a})) == len({a})",
        "all [the |]{items} are [different|unique|distinct]|{a} has no duplicates",
        "are all [the |]{items} [different|unique|distinct]", "unique all_different", weight=0.7,
    ),
    Check(
        "list", "len(set({a})) < len({a})", "{a} [has|contains] [duplicates|duplicate values|repeated {bares}]",
        "does {a} [have|contain] [any |][duplicates|repeated values]", "has_duplicates dup", weight=0.7,
    ),
    Check(
        "list", "{a} == sorted({a})", "{a} is [sorted|in ascending order|already sorted]",
        "is {a} [sorted|in ascending order|already sorted]", "is_sorted ordered", weight=0.8,
    ),
    Check(
        "list", "{a} == {a}[::-1]", "{a} [is a palindrome|reads the same backwards]",
        "is {a} a palindrome|does {a} read the same backwards", "is_palindrome same", weight=0.5,
    ),
    Check(
        "list", "{a}[0] == {a}[-1]", "the first and [the |]last {items} are [equal|the same]",
        "are the first and last {items} [equal|the same]", "same equal", test=_full, weight=0.4,
    ),
    Check(
        "nums", "sum({a}) > {k}", "the sum of {them} is [greater|more|larger] than {k}|{them} add up to more than {k}",
        "is the sum of {them} [greater than|more than|over] {k}", pick=picks.number(10, 120), weight=1.2,
    ),
    Check(
        "any any", "{a} == {b}", "{A} [is equal to|equals|is the same as] {b}|{A} and {b} are [equal|the same]",
        "are {A} and {b} [equal|the same]|is {A} equal to {b}", "equal same are_equal", test=lambda v: type(v[0]) is type(v[1]), weight=0.15,
    ),
)  # fmt: skip

# Items and slices.
register(
    Value(
        "list", "{a}[0]", "the first {item}|the first [element|item|value|entry] of {a}",
        verbs="take the first {item}", names="first first_item head start", alias="the first element",
        test=_some, weight=3,
    ),
    Value(
        "list", "{a}[-1]", "the last {item}|the [last|final] [element|item|value|entry] of {a}",
        verbs="take the last {item}", names="last last_item tail end_item", alias="the last element",
        test=_some, weight=3,
    ),
    Value(
        "list", "{a}[{n}]", "the {n} {item}|the {n} [element|item|value] of {a}",
        asks="what is the {n} {item}", names="item element picked", pick=picks.position, weight=3,
    ),
    Value(
        "list", "{a}[{k}]",
        "the [{bare}|element|item|value] at [index|index|position] {k} [of|in] {a}|{plain}\x01{k}\x02|the {item} at index {k}",
        names="item element picked", pick=picks.position, weight=2,
    ),
    Value(
        "list", "{a}[-2]", "the second[-| to |-to-]last {item}|the {item} before the last one|the last but one {item}",
        names="item second_last", test=_full, weight=0.7,
    ),
    Value(
        "list", "{a}[len({a}) // 2]", "the middle [element|item|{bare}] of {a}|the middle {item}",
        names="middle mid", test=lambda v: len(v) % 2 == 1 and len(v) > 2, weight=1.2,
    ),
    Value(
        "list", "{a}[:{k}]", "the first {kw} {items}|the first {kw} {items}|the first {kw} [elements|items] of {a}",
        verbs="take the first {kw} {items}|slice {a} to get the first {kw} {bares}",
        does="keep only the first {kw} {items}", names="first_part start head firsts", pick=picks.part,
        weight=3, many=True,
    ),
    Value(
        "list", "{a}[-{k}:]", "the last {kw} {items}|the last {kw} {items}|the final {kw} [elements|items] of {a}",
        verbs="take the last {kw} {items}", does="keep only the last {kw} {items}",
        names="last_part tail ending lasts", pick=picks.part, weight=2.5, many=True,
    ),
    Value(
        "list", "{a}[1:]", "all [|the ]{items} [except|but] the first[| one]|everything [in {a} |]except the first {bare}|{A} without the first {bare}",
        names="rest tail others", test=_full, weight=1.3, many=True,
    ),
    Value(
        "list", "{a}[:-1]", "all [|the ]{items} [except|but] the last[| one]|{A} without the last {bare}",
        names="rest without_last front", test=_full, weight=1.3, many=True,
    ),
    Value(
        "list", "{a}[1:-1]", "{A} without the first and [|the ]last {bares}|all {items} except the first and [the |]last",
        names="middle inner", test=_full, weight=0.8, many=True,
    ),
    Value(
        "list", "{a}[::2]", "every [second|other] {item}|every [second|other] {bare} of {a}[, starting with the first|]|"
        "the {items} at even [indices|indexes|positions]",
        names="every_second alternate skipped", test=_full, weight=2,
    ),
    Value(
        "list", "{a}[1::2]", "the {items} at odd [indices|indexes|positions]|every second {item}, starting from the second",
        names="odd_positions alternate", test=_full, weight=1,
    ),
    Value(
        "list", "{a}[{j}:{k}]",
        "the {items} from index {j} [to|up to] [index |]{k} (not included)|the slice [of {a} |]from {j} to {k}"
        "|the slice of {a} from index {j} to {k}|{plain}\x01{j}:{k}\x02|the {items} from index {j} to index {l}[| inclusive]|"
        "the {items} at indices {j} to {l}",
        names="part slice_part section middle", pick=picks.cut, weight=1.6, many=True,
    ),
    Value(
        "nums", "{a}[0] + {a}[-1]", "the sum of the first and [|the ]last {items}|the first {bare} plus the last {bare} of {a}",
        names="total ends", alias="the sum", test=_full, weight=1,
    ),
    Value(
        "nums", "sum({a}[:{k}])", "the sum of the first {kw} {items}|the total of the first {kw} {items}",
        verbs="add up the first {kw} {items}", names="total partial", pick=picks.part, alias="the sum", weight=1.2,
    ),
    Value(
        "nums", "sum({a}[-{k}:])", "the sum of the last {kw} {items}", verbs="add up the last {kw} {items}",
        names="total partial", pick=picks.part, alias="the sum", weight=0.8,
    ),
    Value(
        "nums", "{a}[-1] - {a}[0]", "the difference between the last and [|the ]first {items}|the last {item} minus the first",
        names="difference change", alias="the difference", test=_full, weight=0.7,
    ),
    Do(
        "list", "[get|take|store|save] the first {item} in {r} and remove it from {name}",
        "{r} = {a}.pop(0)", makes="first head item", test=_full, weight=0.5,
    ),
)  # fmt: skip

# Order.
register(
    Value(
        "list", "sorted({a})", f"{{A}} sorted|{{A}} [sorted {_ORDERED}]|the sorted {{items}}|"
        "a sorted [copy|version] of {a}|the {items} in [sorted|ascending|increasing] order|the sorted version of {a}",
        does=f"sort {{them}}|sort {{a}}|sort {{a}} [{_ORDERED}]|sort {{them}} [{_ORDERED}]|order {{a}} [{_ORDERED}]|"
        "put {a} in [ascending|sorted|increasing] order|arrange {them} in ascending order",
        names="sorted_list ordered sorted_nums in_order", alias="the sorted list", inplace="{a}.sort()",
        test=_full, weight=8,
    ),
    Value(
        "list", "sorted({a}, reverse=True)", f"{{A}} sorted [{_REVERSED}]|the {{items}} in [descending|decreasing] order",
        does=f"sort {{a}} [{_REVERSED}]|sort {{them}} [{_REVERSED}]|order {{a}} [{_REVERSED}]|"
        f"arrange {{them}} [{_REVERSED}]|put {{a}} in descending order",
        names="descending sorted_desc ordered sorted_list", alias="the sorted list",
        inplace="{a}.sort(reverse=True)", test=_full, weight=5,
    ),
    Value(
        "strs", "sorted({a})", "{A} [sorted alphabetically|in alphabetical order]|the {items} in alphabetical order|"
        "an alphabetically sorted list of the {items}",
        does="sort {them} alphabetically|sort {a} alphabetically|sort {a} in alphabetical order|"
        "[put|arrange] {them} in alphabetical order|alphabetize {a}",
        names="sorted_words alphabetical ordered sorted_list", alias="the sorted list", inplace="{a}.sort()",
        test=_full, weight=5,
    ),
    Value(
        "strs", "sorted({a}, reverse=True)", "{A} [sorted|] in reverse alphabetical order",
        does="sort {them} in reverse alphabetical order|sort {a} from z to a", names="backwards reverse_sorted",
        alias="the sorted list", inplace="{a}.sort(reverse=True)", test=_full, weight=1.2,
    ),
    Value(
        "strs", "sorted({a}, key=len)", "{A} sorted by [|word |their ]length|the {items} sorted by [|their ]length|"
        "the {items} from shortest to longest|the {items} ordered by length",
        does="sort {them} by [|their |word ]length|sort {a} by length[|, shortest first]|order {them} by length|"
        "sort {them} from shortest to longest", names="by_length sorted_words ordered",
        alias="the sorted list", inplace="{a}.sort(key=len)", test=_full, weight=4,
    ),
    Value(
        "strs", "sorted({a}, key=len, reverse=True)", "{A} sorted by length[, longest first| in descending order]",
        does="sort {them} by length[, longest first| in descending order]|sort {them} from longest to shortest",
        names="by_length longest_first", alias="the sorted list", inplace="{a}.sort(key=len, reverse=True)",
        test=_full, weight=1.5,
    ),
    Value(
        "strs", "sorted({a}, key=lambda {x}: {x}[-1])", "{A} sorted by [the|their] last letter",
        does="sort {them} by [their|the] last [letter|character]", names="by_last sorted_words",
        alias="the sorted list", inplace="{a}.sort(key=lambda {x}: {x}[-1])",
        test=lambda v: _full(v) and all(v), weight=1.2,
    ),
    Value(
        "nums", "sorted({a}, key=abs)", "{A} sorted by absolute value|the {items} ordered by absolute value",
        does="sort {them} by [|their ]absolute value", names="by_abs sorted_abs", alias="the sorted list",
        inplace="{a}.sort(key=abs)", test=lambda v: _full(v) and min(v) < 0, weight=2.5,
    ),
    Value(
        "ints", "sorted({a}, key=lambda {x}: {x} % 10)", "{A} sorted by [the|their] last digit",
        does="sort {them} by [their|the] last digit", names="by_digit sorted_nums", alias="the sorted list",
        inplace="{a}.sort(key=lambda {x}: {x} % 10)", test=lambda v: _full(v) and min(v) >= 0, weight=0.6,
    ),
    Value(
        "list", "{a}[::-1]", "{A} reversed|{A} in reverse[| order]|the reverse of {a}|a reversed copy of {a}|the {items} in reverse order|{A} backwards",
        does="reverse {a}|reverse {a}|reverse the order of {them}|reverse {them}|flip {a}|put {a} in reverse order",
        names="reversed_list rev backwards reversed_nums", alias="the reversed list", inplace="{a}.reverse()",
        test=_full, weight=5,
    ),
    Value(
        "list", "list(dict.fromkeys({a}))", "{A} without duplicates|the [unique|distinct] {items}|"
        "the {items} without [duplicates|repeats]|the unique {items}, keeping [the|their] order",
        does="remove [the |all |any |]duplicates from {a}|remove duplicate {items}|remove the duplicates [from|in] {a}"
        "[, keeping the order|]|drop the repeated {items}|deduplicate {a}",
        names="unique distinct uniques no_duplicates", alias="the unique list", test=_repeats, weight=3, many=True,
    ),
    Value(
        "list", "len(set({a}))", "the number of [unique|distinct|different] {items}|how many [different|distinct] {items} there are",
        verbs="count the [unique|distinct|different] {items}",
        asks="how many [unique|distinct|different] {items} are there", names="num_unique unique_count distinct",
        alias="the count", test=_repeats, weight=2.2,
    ),
    Value(
        "list", "sorted(set({a}))", "the [unique|distinct] {items} in sorted order|the sorted unique {items}|"
        "the [unique|distinct] {items}, sorted", names="unique_sorted uniques", test=_repeats, weight=1.2, many=True,
    ),
    Value(
        "list", "{a}[1:] + {a}[:1]", "{A} rotated [left by one|one place to the left|by one position to the left]",
        does="rotate {a} [left by one|one [step|place] to the left|to the left by one position]|move the first {bare} of {a} to the end", names="rotated shifted", test=_full, weight=0.9,
    ),
    Value(
        "list", "{a}[-1:] + {a}[:-1]", "{A} rotated [right by one|one place to the right]",
        does="rotate {a} [right by one|one [step|place] to the right]|move the last {bare} of {a} to the [front|beginning|start]",
        names="rotated shifted", test=_full, weight=0.8,
    ),
    Value(
        "list", "{a} * {k}", "{A} repeated {kw} times", does="repeat {a} {kw} times", names="repeated many",
        pick=picks.number(2, 3), test=lambda v: len(v) < 5, weight=0.8,
    ),
)  # fmt: skip
