"""Other values for programs: of the same form, and said as people say them."""

import ast
import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxformer.data.exercises.variation import another, another_text, quoted, said

WORDS = st.text("abcdefghij", min_size=2, max_size=6)
LISTS = st.one_of(
    st.lists(st.integers(-50, 50), min_size=2, max_size=6),
    st.lists(st.integers(0, 400).map(lambda n: n / 4), min_size=2, max_size=6),
    st.lists(WORDS, min_size=2, max_size=6),
)
DICTIONARIES = st.dictionaries(WORDS, st.integers(1, 99), min_size=2, max_size=5)


@given(LISTS, st.integers(0, 9))
def test_a_list_becomes_one_of_the_same_kind_and_length(items: list, seed: int):
    drawn = ast.literal_eval(another(repr(items), [repr(items)], Random(seed)))
    assert isinstance(drawn, list)
    assert len(drawn) == len(items)
    assert set(map(type, drawn)) == set(map(type, items))
    assert drawn == sorted(drawn) or items != sorted(items)


@pytest.mark.parametrize(
    "value",
    ["[4, 7, 9]", "[0.5, 2.25]", "['tea', 'oil', 'jam']", "['Ann', 'Bob']", "(3, 8)", "60"],
)
def test_what_is_drawn_differs(value: str):
    assert len({another(value, [value], Random(seed)) for seed in range(40)}) > 15


def test_keys_and_values_are_drawn_anew():
    value = "{'tea': 3, 'oil': 40}"
    drawn = [ast.literal_eval(another(value, [value], Random(seed))) for seed in range(40)]
    assert len({tuple(each) for each in drawn}) > 10
    assert len({tuple(each.values()) for each in drawn}) > 20


@pytest.mark.parametrize("value", ["{[()]}", "set()", "x + 1", "[1e-05, 2.0]", "[]", "1"])
def test_what_cannot_be_drawn_anew_does_no_harm(value: str):
    assert type(another(value, [value], Random(1))) is str


@given(DICTIONARIES, st.integers(0, 9))
def test_a_dictionary_keeps_its_form(items: dict, seed: int):
    drawn = ast.literal_eval(another(repr(items), [repr(items)], Random(seed)))
    assert len(drawn) == len(items)
    assert {*map(type, drawn), *map(type, drawn.values())} == {str, int}


def test_a_set_keeps_its_form():
    drawn = {another("{4, 9, 1}", ["{4, 9, 1}"], Random(seed)) for seed in range(20)}
    assert len(drawn) > 10
    for text in drawn:
        items = ast.literal_eval(text)
        assert isinstance(items, set)
        assert len(items) == text.count(",") + 1 <= 3


def test_where_alternatives_differ_in_length_so_may_the_new_one():
    free = {
        another("[1, 2, 3]", ["[1, 2, 3]", "[5, 6]"], Random(seed)).count(",") for seed in range(99)
    }
    assert free == {1, 2, 3, 4, 5}
    assert another("8, 9, 10", ["8, 9, 10"], Random(1)) == "8, 9, 10"


def test_a_text_keeps_its_words_case_and_spaces():
    words = set()
    for seed in range(50):
        drawn = another_text("  Big old  A TREE ", Random(seed))
        match = re.fullmatch(r"  (\w+) (\w+)  A (\w+) ", drawn)
        assert match, drawn
        first, second, third = match.groups()
        assert first.istitle()
        assert second.islower()
        assert third.isupper()
        words |= {first, second, third}
    assert len(words) > 100
    for kept in ("2024-03-01", "LFFR", "a"):
        assert another_text(kept, Random(1)) == kept


def test_only_a_text_in_quotes_is_one():
    assert quoted("w", ["a = '{w}'", "print(a.count('{w}'))"])
    assert not quoted("w", ["a = '{w}'", "{w} = 3"])
    assert not quoted("w", ["a = '{w}!'"])
    assert not quoted("w", ["print(1)"])


@pytest.mark.parametrize(
    ("prompt", "code", "pattern"),
    [
        ("Let a be [4, -8, 15].", "a = [4, -8, 15]", r"Let a be 4, -8,?( and)? 15\."),
        ("a, the list ['x', 'y']", "a = ['x', 'y']", r"a, the list (['\"]?)x\1(,| and) \1y\1"),
        ("a set s: {3, 9}", "s = {3, 9}", r"a set s: 3(,| and) 9"),
        (
            "A dict d with {'x': 1, 'y': 2}.",
            "d = {'x': 1, 'y': 2}",
            r"A dict d with (['\"]?)x\1(:| =| ->| \w+) 1(,| and) \1y\1\2 2\.",
        ),
    ],
)
def test_a_collection_is_said_in_words(prompt: str, code: str, pattern: str):
    drawn = {said(prompt, code, Random(seed)) for seed in range(60)}
    assert prompt in drawn
    assert len(drawn) > 2
    for other in drawn - {prompt}:
        assert re.fullmatch(pattern, other), other


def test_texts_that_look_like_something_else_keep_quotes():
    for items in (["7", "04"], [1, "1"], ["and", "the"], ["it's", "d"], ['say "x"', "y"]):
        for seed in range(30):
            told = said(f"Let a be {items}.", f"a = {items}", Random(seed))
            inner = told.removeprefix("Let a be ").removesuffix(".").strip("[]")
            assert list(ast.literal_eval(f"({re.sub(',? and ', ', ', inner)})")) == items, told


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("a = [4, 8]", "a = [4, 8]"),  # would be a tuple
        ("Let a be [[4, 8], [1, 2]].", "a = [[4, 8], [1, 2]]"),
        ("A dict with {'x': [4, 8]}.", "d = {'x': [4, 8]}"),
        ("Let s be {3, 9}.", "s = {3, 9}"),  # of what kind?
        ("Print it, for example [4, 8].", "print(a)"),
        ("Print a[1, 2].", "print(a[1, 2])"),
        ("Let a be [4].", "a = [4]"),
        ("Set s to {3, 9}.", "s = {3, 9}"),
        ("Make the string '[4, 8]'.", "s = '[4, 8]'"),
        ("The rows are [4, 8] and [1, 2].", "rows = [[4, 8], [1, 2]]"),
        ("A dict: x is [4, 8], y is 3.", "d = {'x': [4, 8], 'y': 3}"),
    ],
)
def test_what_would_be_unclear_in_words_keeps_its_brackets(prompt: str, code: str):
    assert {said(prompt, code, Random(seed)) for seed in range(30)} == {prompt}
