"""Choosing among candidates by what they do."""

import pytest

import jaxformer as jf
from jaxformer.errors import UserError
from jaxformer.synthesis.candidates import candidate_seed, choose

BEFORE = "nums = [3, 1, 2]\n"


@pytest.mark.parametrize(
    ("candidates", "logprobs", "chosen"),
    [
        # Two ways to the same variables beat a likelier third one.
        (["x = sorted(nums)", "x = max(nums)", "x = [1, 2, 3]"], [-3.0, -0.1, -2.0], 2),
        # What raises or does not parse is dropped, however likely and often it is.
        (["x = nums[9]", "x = nums[9]", "x = (", "x = 1"], [-0.1, -0.1, -0.1, -9.0], 3),
        # Without agreement the likeliest counts.
        (["x = 1", "x = 2", "x = 3"], [-3.0, -1.0, -2.0], 1),
        # What is printed is seen, too.
        (["print(1)", "print(2)", "print(2)"], [-0.1, -3.0, -2.0], 2),
        # So are the attributes of objects, and changes of what was there.
        (
            ["class A:\n    pass\na = A()\na.n = 1", "class A:\n    n = 0\na = A()\na.n = 2",
             "class A:\n    pass\na = A()\na.n = 2"],
            [-0.1, -3.0, -2.0], 2,
        ),
        (["nums.sort()", "nums = nums[::-1]", "nums = sorted(nums)"], [-3.0, -0.1, -2.0], 2),
        # If all raise, one that parses at least; if none does, the likeliest.
        (["x = (", "x = nums[9]", "y = nums[9]"], [-0.1, -3.0, -2.0], 2),
        (["x = (", "y = ("], [-3.0, -2.0], 1),
        # Variables may be large.
        (
            ["x = [0] * 200_000", "import numpy as np\nx = np.zeros((1000, 1000))", "x = 0",
             "import numpy as np\nx = np.full((1000, 1000), 0.0)"],
            [-9.0, -5.0, -0.1, -4.0], 3,
        ),
        (["x = {*'abcdefgh'}", "x = 8", "x = {*'hgfedcba'}"], [-3.0, -0.1, -2.0], 2),
        # Exiting is not an end to go on from.
        (["import sys\nsys.exit(3)", "x = 1"], [-0.1, -5.0], 1),
    ],
)  # fmt: skip
def test_agreement_then_likelihood(candidates: list[str], logprobs: list[float], chosen: int):
    assert choose([BEFORE + code for code in candidates], logprobs) == chosen


def test_a_session_draws_and_chooses():
    model = jf.load("nano")
    session = jf.Session(model, temperature=1.0, candidates=6, seed=3)
    turn = session.ask("Make a list called nums with 3, 1 and 2.")
    session.ask("Sort the list nums.")
    assert turn.error is None
    # The first candidate of a turn is what a session without candidates draws.
    plain = jf.Session(model, temperature=1.0, seed=3)
    drawn = {
        jf.Session(model, temperature=1.0, seed=candidate_seed(3, i)).ask(turn.prompt).code
        for i in range(6)
    }
    assert plain.ask(turn.prompt).code in drawn
    assert turn.code in drawn
    assert candidate_seed(3, 0) == 3
    with pytest.raises(UserError, match="one candidate"):
        jf.Session(model, candidates=0)
