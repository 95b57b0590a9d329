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
    for seed in range(50):
        drawn = another_text("  Big old  TREE ", Random(seed))
        match = re.fullmatch(r"  (\w+) (\w+)  (\w+) ", drawn)
        assert match, drawn
        first, second, third = match.groups()
        assert first.istitle()
        assert second.islower()
        assert third.isupper()
    assert another_text("2024-03-01", Random(1)) == "2024-03-01"


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
    ],
)
def test_what_would_be_unclear_in_words_keeps_its_brackets(prompt: str, code: str):
    assert {said(prompt, code, Random(seed)) for seed in range(30)} == {prompt}
