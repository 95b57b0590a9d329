"""The transcript's rules against the released sampler's own, and growing text against whole."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from jaxformer.transcript import (
    TURN_STOPS,
    Stop,
    Turn,
    ask,
    clean,
    find_cut,
    program,
    render,
    settled,
)

PIECES = [
    "print",
    "def",
    "#",
    "'",
    '"',
    "'''",
    '"""',
    "\n",
    "\n\n",
    " ",
    "x",
    "<|endoftext|>",
    "<|",
]
texts = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


def released_truncate(completion: str) -> str:
    """Cut as `truncate` of the released CodeGen sampler (BSD-3-Clause) does."""
    terminals = ["^#", re.escape("<|endoftext|>"), "^'''", '^"""', "\n\n\n"]
    prints = list(re.finditer("^print", completion, re.MULTILINE))
    if len(prints) > 1:
        completion = completion[: prints[1].start()]
    defs = list(re.finditer("^def", completion, re.MULTILINE))
    if len(defs) > 1:
        completion = completion[: defs[1].start()]
    found = [m.start() for t in terminals if (m := re.search(t, completion, re.MULTILINE))]
    return completion[: min(found)] if found else completion


def cut(text: str) -> str:
    found = find_cut(text, TURN_STOPS)
    return text[: found.position] if found else text


@settings(max_examples=2000)
@given(texts)
def test_a_turn_is_cut_where_the_released_sampler_cuts(text):
    assert cut(text) == released_truncate(text)


@settings(max_examples=1000)
@given(texts, st.lists(st.integers(0, 60), max_size=6))
def test_cutting_while_the_text_grows_equals_cutting_the_whole(text, lengths):
    shown = ""
    for length in sorted(lengths):
        part = text[:length]
        found = find_cut(part, TURN_STOPS)
        if found:
            assert part[: found.position] == cut(text)
            return
        certain = part[: settled(part, TURN_STOPS)]
        assert cut(text).startswith(certain)
        assert certain.startswith(shown)
        shown = certain


def test_reasons_are_named():
    assert find_cut("x = 1\n# next", TURN_STOPS).reason == "comment"  # pyright: ignore
    assert find_cut("print(1)\nprint(2)", TURN_STOPS).reason == "second print"  # pyright: ignore
    assert find_cut("a STOP b", [Stop("STOP")]).reason == "'STOP'"  # pyright: ignore
    assert find_cut("    print(1)\n    print(2)\n", TURN_STOPS) is None


def test_the_form_is_the_papers():
    turns = [Turn("Set x to 1.", "x = 1"), Turn("Print x.", "print(x)")]
    text = render(turns) + ask("Again.")
    assert text == (
        "# Import libraries.\n\nimport numpy as np\n\n"
        "# Set x to 1.\nx = 1\n\n# Print x.\nprint(x)\n\n# Again.\n"
    )
    assert program(turns).endswith("# Print x.\nprint(x)\n")


@given(texts)
def test_cleaned_code_never_ends_a_turn_early(text):
    code = clean(cut(text))
    assert not code.startswith("\n")
    assert code == code.rstrip()
