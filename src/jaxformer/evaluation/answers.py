"""Whether an answer is what was expected: as a person sees it, and as the published scorer does."""

import math
from typing import Any

from jaxformer.synthesis.observe import Opaque, Pairs, Set, Value


def right(answer: Value, expected: Any) -> bool:
    """Tell whether an answer is what was expected, by the rules that a person would apply.

    The value counts, or else its text as it stood on the screen. Numbers within 1e-6 of each
    other, absolutely or relatively, are equal, wherever they stand; a number is no truth value.
    Tuples, arrays and other sequences are lists; a set has no order. Keys of dictionaries are
    compared as text, for JSON knows no others.

    Args:
        answer: What the program printed.
        expected: A value of JSON.
    """
    if _equal(answer.plain, expected):
        return True
    if isinstance(expected, str):
        return answer.text == expected
    return "literal" in answer.casts and _equal(answer.casts["literal"], expected)


def _equal(found: Any, expected: Any) -> bool:
    if isinstance(expected, bool) or expected is None or isinstance(expected, str):
        return type(found) is type(expected) and found == expected
    if isinstance(expected, (int, float)):
        return (
            isinstance(found, (int, float)) and not isinstance(found, bool)
            and _near(found, expected)
        )  # fmt: skip
    if isinstance(expected, dict):
        if not isinstance(found, Pairs) or len(found) != len(expected):
            return False
        named = {str(key): value for key, value in found}
        return named.keys() == expected.keys() and all(
            _equal(named[key], value) for key, value in expected.items()
        )
    if isinstance(found, Pairs) or not isinstance(found, (list, tuple)):
        return False
    if len(found) != len(expected):
        return False
    if isinstance(found, Set):
        left = list(found)
        for item in expected:
            place = next((i for i, other in enumerate(left) if _equal(other, item)), None)
            if place is None:
                return False
            del left[place]
        return True
    return all(_equal(x, y) for x, y in zip(found, expected, strict=True))


def _near(found: float, expected: float) -> bool:
    if isinstance(found, int) and isinstance(expected, int):
        return found == expected
    try:
        return math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-6)
    except OverflowError:
        return False


def right_as_published(answer: Value, expected: Any) -> bool:
    """Tell whether the published scorer finds an answer right: `check_equivalence`, step by step.

    Args:
        answer: What the program printed.
        expected: A value of JSON.
    """
    found = answer.plain
    if answer.kind == "pandas.Series":
        return _all_close(found, expected)
    if isinstance(found, Set):
        found = set(map(_hashable, found))
    elif isinstance(found, Pairs):
        found = {_hashable(key): value for key, value in found}
    elif answer.kind == "list" and found and isinstance(found[0], tuple):
        try:
            found = [list(item) for item in found]
        except TypeError:
            return False
    if type(found) is not type(expected) or answer.kind in _CAST_KINDS:
        if isinstance(expected, bool):
            return answer.text == str(expected)
        if isinstance(expected, str):
            return answer.text == expected
        name = type(expected).__name__
        if name not in answer.casts:
            return False  # the cast raised
        found = answer.casts[name]
    if isinstance(expected, float):
        return isinstance(found, float) and abs(found - expected) < 1e-6
    if isinstance(expected, (str, int, list)):
        return type(found) is type(expected) and _exactly(found, expected)
    return False  # "Unsupported type": a dictionary, or None


_CAST_KINDS = frozenset({"range", "dict_keys", "dict_values", "dict_items", "deque"})
"""Not lists for the published scorer, though they come out as such."""


def _exactly(found: Any, expected: Any) -> bool:
    """Compare as Python does: a tuple is no list, True is 1."""
    if type(found) is list and isinstance(expected, list):
        return len(found) == len(expected) and all(map(_exactly, found, expected))
    if isinstance(found, Pairs) and isinstance(expected, dict):
        pairs = {_hashable(key): value for key, value in found}
        return pairs.keys() == expected.keys() and all(
            _exactly(pairs[key], value) for key, value in expected.items()
        )
    return not isinstance(found, (list, Opaque)) and found == expected


def _all_close(found: Any, expected: Any) -> bool:
    """As `numpy.allclose`."""
    if not isinstance(expected, list) or len(found) != len(expected):
        return False
    try:
        return all(abs(x - y) <= 1e-8 + 1e-5 * abs(y) for x, y in zip(found, expected, strict=True))
    except TypeError:
        return False


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, (list, tuple)) else value
