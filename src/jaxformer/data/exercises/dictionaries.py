"""Operations on dictionaries."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

from jaxformer.data.exercises import picks
from jaxformer.data.exercises.operations import Check, Do, Value, register


def _two(held: dict) -> bool:
    return len(held) >= 2


register(
    Value("anydict", "{a}[{k}]", "the value [of|for|under|stored under|at] [|the key ]{k} in {a}|the value of {k} [from|in] {a}|{plain}\x01{k}\x02|the [entry|value] for {k} in {a}", verbs="look up {k} in {a}|look up the value of {k} in {a}|get {k} from {a}",
          asks="what is the value of {k} in {a}|what is stored under {k} in {a}", names="value found entry item", pick=picks.key, weight=8),
    Value("anydict", "{a}.get({k}, 0)", "the value of {k} in {a}, or 0 if it is [missing|not there]|the value for {k} in {a} with 0 as the default", verbs="get {k} from {a}, using 0 if it is missing", names="value found", pick=picks.maybe_key, test=lambda v: all(not isinstance(x, str) for x in v.values()), weight=1.5),
    Value("anydict", "list({a})", "the keys of {a}|a list of the keys [of|in] {a}|all [the |]keys in {a}|the list of keys of {a}", verbs="collect the keys of {a}", asks="what are the keys of {a}", names="keys key_list names", alias="the keys", weight=4.5, many=True),
    Value("anydict", "list({a}.values())", "the values of {a}|a list of the values [of|in] {a}|all [the |]values in {a}|the list of values of {a}", verbs="collect the values of {a}", names="values value_list vals", alias="the values", weight=4.5, many=True),
    Value("anydict", "list({a}.items())", "the items of {a} as a list|a list of the key-value pairs [of|in] {a}", names="pairs items", weight=1, many=True),
    Value("anydict", "len({a})", "the number of [entries|keys|items|pairs] in {a}|the length of {a}|the size of {a}|how many [entries|keys] {a} has", verbs="count the [entries|keys] in {a}", asks="how many [keys|entries|items] [are in {a}|does {a} have]", names="count size n length", alias="the count", weight=3.5),
    Value("numdict", "sum({a}.values())", "the sum of [the |all |all the ]values [in|of] {a}|the total of [the |all ]values in {a}|the total of {a}'s values", verbs="add up [the |all |all the ]values [in|of] {a}|sum the values [in|of] {a}", asks="what do the values in {a} add up to", names="total sum_values s", alias="the total", weight=6),
    Value("numdict", "sum({a}.values()) / len({a})", "the [average|mean] of the values [in|of] {a}|the [average|mean] value in {a}", asks="what is the average value in {a}", names="average mean avg", alias="the average", weight=3.5),
    Value("numdict", "max({a}.values())", "the [largest|highest|maximum|biggest] value in {a}", asks="what is the [highest|largest] value in {a}", names="highest largest top max_value", weight=3.5),
    Value("numdict", "min({a}.values())", "the [smallest|lowest|minimum] value in {a}", asks="what is the [lowest|smallest] value in {a}", names="lowest smallest min_value", weight=3),
    Value("numdict", "max({a}, key={a}.get)", "the key with the [largest|highest|maximum|biggest] value [in|of] {a}|the key that has the highest value in {a}", asks="[which|what] key [of {a} |in {a} |]has the [highest|largest|biggest] value", names="best top winner max_key", weight=4.5, test=_two),
    Value("numdict", "min({a}, key={a}.get)", "the key with the [smallest|lowest|minimum] value [in|of] {a}", asks="[which|what] key [of {a} |in {a} |]has the [lowest|smallest] value", names="worst lowest min_key", weight=3.2, test=_two),
    Value("anydict", "sorted({a})", "the keys of {a} [in sorted order|sorted alphabetically|in alphabetical order]|a sorted list of the keys [of|in] {a}|the sorted keys of {a}", verbs="sort the keys of {a}", names="sorted_keys keys ordered", alias="the sorted keys", weight=3, many=True),
    Value("numdict", "sorted({a}.values())", "the values of {a} [in sorted order|sorted|in ascending order]|a sorted list of the values [of|in] {a}", verbs="sort the values of {a}", names="sorted_values ordered", weight=2.2, many=True),
    Value("numdict", "sorted({a}, key={a}.get)", "the keys of {a} sorted by [their |]value[|s]", verbs="sort the keys of {a} by [their |]value[|s]", names="ordered by_value ranking", weight=2.5, many=True, test=_two),
    Value("numdict", "sorted({a}, key={a}.get, reverse=True)", "the keys of {a} sorted by [their |]value[|s] [in descending order|from highest to lowest]", names="ranking by_value ordered", weight=1.5, many=True, test=_two),
    Value("numdict", "dict(sorted({a}.items(), key=lambda p: p[1]))", "{A} sorted by value", does="sort {a} by [its |]value[|s]", names="sorted_dict ordered", weight=2, test=_two),
    Value("anydict", "dict(sorted({a}.items()))", "{A} sorted by key", does="sort {a} by [its |]key[|s]", names="sorted_dict ordered", weight=1.5, test=_two),
    Value("numdict", "{k: v for k, v in {a}.items() if v > {t}}", "the entries of {a} [with|having] [a value|values] [greater|larger|more] than {t}|the [items|pairs] of {a} whose value is [greater than|above|over] {t}", does="keep only the entries of {a} with a value [greater than|above|over] {t}",
          verbs="filter {a} to [get |]the entries with [a value|values] [greater than|above] {t}", names="filtered high big", pick=picks.value_limit, weight=3, many=True),
    Value("numdict", "[k for k, v in {a}.items() if v > {t}]", "the keys of {a} [with|that have] a value [greater than|above|over] {t}|the keys in {a} whose value is [greater than|more than|over|above] {t}", asks="which keys in {a} have a value [greater than|above|over] {t}",
          names="high keys found", pick=picks.value_limit, weight=3, many=True),
    Value("numdict", "sum(v > {t} for v in {a}.values())", "the number of values in {a} [greater than|above|over] {t}", verbs="count the values in {a} [greater than|above|over] {t}|count how many values in {a} are greater than {t}", asks="how many values in {a} are [greater than|above|over] {t}",
          names="count num_high", pick=picks.value_limit, weight=2),
    Value("numdict", "{k: v * 2 for k, v in {a}.items()}", "{A} with [all|all its] values doubled|{A} with [every|each] value doubled", does="double [every|each] value [in|of] {a}|double all [the |]values [in|of] {a}", names="doubled", weight=2),
    Value("numdict", "{k: v + {t} for k, v in {a}.items()}", "{A} with {t} added to [every|each] value", does="add {t} to [every|each] value [in|of] {a}|increase [every|each] value [in|of] {a} by {t}|increase all [the |]values [in|of] {a} by {t}", names="increased updated", pick=lambda _, r: {"t": r.randint(1, 10)}, weight=2),
    Value("anydict", "{v: k for k, v in {a}.items()}", "{A} with keys and values swapped|{A} inverted|the inverse of {a}", verbs="invert {a}|swap the keys and values of {a}", names="inverted swapped reverse_dict", weight=2, test=lambda v: len(set(v.values())) == len(v)),
    Value("anydict", "max({a}, key=len)", "the longest key [in|of] {a}", asks="which key of {a} is the longest", names="longest longest_key", weight=1.2, test=_two),
    Value("anydict", "', '.join({a})", "the keys of {a} joined [by|with] [commas|a comma and a space]", verbs="join the keys of {a} with ', '", names="joined line", weight=1.2),
    Check("anydict", "{k} in {a}", "{k} is [in|a key of|a key in] {a}|{a} [has|contains] [the|a] key {k}|the key {k} [is in|exists in] {a}", "is {k} [in|a key of|a key in] {a}|does {a} [have|contain] [the|a] key {k}", "found has_key exists present", pick=picks.maybe_key, weight=4),
    Check("numdict", "{a}[{k}] > {t}", "the value of {k} in {a} is [greater|more] than {t}", "is the value of {k} in {a} greater than {t}", "bigger is_high", pick=picks.key_and_threshold, weight=1.2),
    Check("numdict", "all(v > {t} for v in {a}.values())", "all values in {a} are [greater than|above|over] {t}", "are all values in {a} [greater than|above|over] {t}", "all_high", pick=picks.value_limit, weight=0.6),
    Do("anydict", "add [|the key |a key |an entry |a new entry ]{k} with [the |]value {v} to {a}|add {k}: {v} to {a}|add {k} with {v} to {a}|add {k} to {a} with [the |]value {v}|insert {k} with value {v} into {a}|put {k} with [the |]value {v} [in|into] {a}|in {a}, set {k} to {v}|set {plain}\x01{k}\x02 to {v}|add the pair {k}: {v} to {a}|add a new key {k} to {a} with [the |]value {v}|store {v} under {k} in {a}|store {v} under the key {k} in {a}", "{a}[{k}] = {v}", pick=picks.entry, weight=9, changes=True),
    Do("anydict", "[change|update|set] the value of {k} [in {a} |]to {v}|[change|update|set] {k} in {a} to {v}|[set|change] {plain}\x01{k}\x02 to {v}|update {a} so that {k} is {v}|replace the value of {k} in {a} [by|with] {v}", "{a}[{k}] = {v}", pick=picks.update, weight=4.5, changes=True),
    Do("anydict", "[remove|delete] [|the key |the entry ]{k} from {a}|[remove|delete] the entry for {k} [from|in] {a}|delete {plain}\x01{k}\x02|drop {k} from {a}", "del {a}[{k}]", pick=picks.key, test=_two, weight=4.5, changes=True),
    Do("numdict", "[increase|raise] the value of {k} in {a} by {v}|add {v} to the value of {k} in {a}|increase {plain}\x01{k}\x02 by {v}|increment {k} in {a} by {v}|add {v} to {plain}\x01{k}\x02", "{a}[{k}] += {v}", pick=picks.bump, weight=3.5, changes=True),
    Do("numdict", "[decrease|lower|reduce] the value of {k} in {a} by {v}|subtract {v} from the value of {k} in {a}|subtract {v} from {plain}\x01{k}\x02", "{a}[{k}] -= {v}", pick=picks.bump, weight=2, changes=True),
    Do("numdict", "double the value of {k} in {a}", "{a}[{k}] *= 2", pick=picks.key, weight=1, changes=True),
    Do("numdict numdict", "update {A} with {b}|add all entries of {b} to {A}|merge {b} into {A}", "{a}.update({b})", weight=4, changes=True),
    Value("anydict anydict", "{**{a}, **{b}}", "{A} and {b} merged", verbs="[merge|combine] {A} and {b}", names="merged combined", weight=4),
    Do("anydict", "[print|show] [each|every] key and [its |]value [of|in] {a}[| on its own line|, one pair per line]|[loop over|go through|iterate over] {a} and print each key [and|with its] value|for [each|every] [key|entry] in {a}[,|] print the key and [its|the] value|print [all |]the keys and values of {a}[, one pair per line|]", "for k, v in {a}.items():\n    print(k, v)", prints=True, weight=5),
    Do("anydict", "[print|show] [each|every] key and value of {a} [in the form|as|like] 'key: value'|[loop over|go through] {a} and print 'key: value' for each [entry|pair]|print [each|every] entry of {a} as 'key: value'", "for k, v in {a}.items():\n    print(f'{k}: {v}')", prints=True, weight=3),
    Do("anydict", "[print|show] [each|every] key [of|in] {a}[| on its own line|, one per line]|[loop over|go through] the keys of {a} and print [them|each one]|for [each|every] key in {a}[,|] print it", "for k in {a}:\n    print(k)", prints=True, weight=3),
    Do("anydict", "[print|show] [each|every] value [of|in] {a}[| on its own line|, one per line]|[loop over|go through] the values of {a} and print [them|each one]|for [each|every] value in {a}[,|] print it", "for v in {a}.values():\n    print(v)", prints=True, weight=2.5),
    Do("numdict", "print the keys [of|in] {a} [with|that have] a value [greater than|above|over] {t}[, one per line|, each on its own line]", "for k, v in {a}.items():\n    if v > {t}:\n        print(k)", pick=picks.value_limit, prints=True, weight=2),
    Do("anydict", "[print|show] the keys of {a} in [sorted|alphabetical] order, one per line", "for k in sorted({a}):\n    print(k)", prints=True, weight=1.2),
)  # fmt: skip
