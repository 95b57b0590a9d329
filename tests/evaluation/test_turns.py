"""The package's own benchmark: right, whole, and its own."""

import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from jaxformer.data.exercises import conversations, programs
from jaxformer.data.exercises.phrasing import fill
from jaxformer.data.exercises.programs import every
from jaxformer.evaluation.exam import Key
from jaxformer.evaluation.multi_turn import MultiTurn
from jaxformer.evaluation.problems import TURNS, Problem, read_problems
from jaxformer.sandbox import DEFAULT_LIMITS
from jaxformer.transcript import TURN_STOPS, clean, find_cut

PROBLEMS = read_problems(TURNS)


def test_it_is_as_large_and_as_graded_as_the_documentation_says():
    assert len(PROBLEMS) >= 150
    assert all(len(problem.cases) == 5 for problem in PROBLEMS)
    assert all(3 <= len(problem.prompts) <= 8 for problem in PROBLEMS)
    assert min(Counter(p.difficulty for p in PROBLEMS).values()) >= 50
    assert min(Counter(p.category for p in PROBLEMS).values()) >= 15
    assert len(Counter(p.category for p in PROBLEMS)) == 8
    assert len({problem.name for problem in PROBLEMS}) == len(PROBLEMS)


@pytest.mark.parametrize("part", range(4))
def test_every_reference_solution_passes_and_survives_the_cut(part: int):
    exam = MultiTurn(PROBLEMS)

    def check(problem: Problem) -> list[str]:
        wrong = []
        for case in range(len(problem.cases)):
            codes = problem.solved(case)
            cuts = [find_cut(code, TURN_STOPS) for code in codes]
            if any(cuts) or [clean(code) for code in codes] != codes:
                wrong.append(f"{problem.id}: cut {cuts}")
            key = Key(problem.id, "multi", case, 0)
            verdict = exam.judge(key, codes, DEFAULT_LIMITS, unprotected=False)
            if not verdict.passed:
                wrong.append(f"{problem.id}, case {case}: {verdict}")
        return wrong

    with ThreadPoolExecutor() as threads:
        assert [w for found in threads.map(check, PROBLEMS[part::4]) for w in found] == []


def test_no_answer_is_found_by_printing_another_cases():
    """A constant must not solve a problem."""
    for problem in PROBLEMS:
        answers = Counter(json.dumps(problem.expected(case)) for case in range(5))
        assert answers.most_common(1)[0][1] <= 3, problem.id


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9_]+", text.lower())


def grams(text: str, n: int) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + n]) for i in range(len(found) - n + 1)}


def test_it_shares_no_eight_words_in_a_row_with_the_exercises():
    """Nor with any wording of the programs, with the first and the last values."""
    ours = {
        gram: problem.id
        for problem in PROBLEMS
        for prompt in problem.prompts
        for gram in grams(prompt, 8)
    }
    made = [
        turn.prompt
        for exercise in (*conversations(11, 3000), *programs(11, 3000))
        for turn in exercise.turns
    ]
    worded = [
        fill(prompt, {slot: values[which] for slot, values in program.values.items()})
        for program in every()
        for prompts, _ in program.turns
        for prompt in prompts
        for which in (0, -1)
    ]
    assert len(worded) > 100_000
    shared = {
        (ours[gram], " ".join(gram))
        for prompt in (*made, *worded)
        for gram in grams(prompt, 8)
        if gram in ours
    }
    assert shared == set()
