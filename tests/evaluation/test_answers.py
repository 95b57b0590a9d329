"""Both scorers on hand-made programs."""

import numpy as np
import pytest
from scorer_programs import CASES, Case

from jaxformer.evaluation.multi_turn import judge_answer
from jaxformer.synthesis import observe
from jaxformer.transcript import HEADER


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_both_scorers_give_their_verdicts(case: Case):
    found = observe.run(HEADER + case.program)
    assert judge_answer(found, case.expected, "fixed").passed is case.fixed, found
    found = observe.run(HEADER + case.program, "published")
    assert judge_answer(found, case.expected, "published").passed is case.published, found


@pytest.mark.parametrize(
    "program",
    [
        "class A:\n    def __eq__(self, x):\n        return True\n    def __repr__(self):\n"
        "        return '7'\nprint(A())",
        'import os\nos.write(1, b\'\\n[["int", ["int", "0x7"], "7", {}], {}]\')',
        "class L(list):\n    def __eq__(self, x):\n        return True\nprint(L([1]))",
    ],
)
def test_a_program_cannot_pass_but_by_its_answer(program: str):
    found = observe.run(program)
    assert not judge_answer(found, 7, "fixed").passed
    assert not judge_answer(found, [2], "fixed").passed


def test_random_programs_repeat_themselves():
    program = """
import random
print([random.random(), np.random.rand(), np.random.default_rng().random()])
"""
    runs = [observe.run(HEADER + program).answer for _ in range(2)]
    assert runs[0] == runs[1] is not None
    seeded = observe.run(HEADER + "print(np.random.default_rng(5).integers(10**9))").answer
    assert seeded is not None
    assert seeded.plain == np.random.default_rng(5).integers(10**9)


@pytest.mark.parametrize(
    "program",
    [
        "import atexit\natexit.register(print, 'bye')\nprint(7)",
        "class Tram:\n    def __del__(self):\n        print('bye')\ntram = Tram()\nprint(7)",
        'def f():\n    """Go\n    from and to text.\n    import if needed.\n    """\nprint(7)',
        "from decimal import Decimal\nprint(Decimal('3.50') * 2)",
        "from fractions import Fraction\nprint(Fraction(14, 2))",
    ],
)
def test_a_right_answer_counts_whatever_stands_around_it(program: str):
    assert judge_answer(observe.run(program), 7, "fixed").passed


def test_exact_numbers_are_numbers():
    found = observe.run("from decimal import Decimal\nprint([Decimal('2.50'), Decimal('NaN')])")
    assert found.answer is not None
    assert not judge_answer(found, [2.5, 0], "fixed").passed
    found = observe.run("from fractions import Fraction\nprint({'half': Fraction(1, 2)})")
    assert judge_answer(found, {"half": 0.5}, "fixed").passed


def test_what_is_no_plain_data_comes_out_by_its_name():
    found = observe.run("x = []\nx.append(x)\nprint(x)\nclass Tram: pass\nprint(Tram())")
    assert found.status == "ok"
    assert found.answer is not None
    assert found.answer.plain == observe.Opaque("Tram")
    assert judge_answer(found, 1, "fixed").message == "Tram"
