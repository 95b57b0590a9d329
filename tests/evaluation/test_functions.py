"""Function benchmarks: files in the forms of HumanEval, EvalPlus and MBPP, written here."""

import gzip
import json
from pathlib import Path

import pytest

from jaxformer.errors import UserError
from jaxformer.evaluation.functions import read_humaneval, read_mbpp
from jaxformer.evaluation.runner import judge_all
from jaxformer.evaluation.samples import read_completions
from jaxformer.sandbox import DEFAULT_LIMITS, Limits
from jaxformer.transcript import find_cut

PROMPT = 'def crates(eggs, size):\n    """How many crates of a size hold all eggs?"""\n'
RIGHT = "    return -(-eggs // size)\n"
TEST = """
def check(candidate):
    assert candidate(12, 6) == 2
    assert candidate(13, 6) == 3
"""
HUMANEVAL = {
    "task_id": "Own/0", "prompt": PROMPT, "entry_point": "crates",
    "canonical_solution": RIGHT, "test": TEST,
}  # fmt: skip
MBPP = {
    "task_id": 3, "text": "Write a function that doubles every number of a list.",
    "code": "def twice(xs):\n    return [2 * x for x in xs]",
    "test_list": ["assert twice([1, 2]) == [2, 4]", "assert twice([]) == []"],
    "test_setup_code": "",
}  # fmt: skip


def write(path: Path, *records: dict) -> Path:
    text = "".join(json.dumps(record) + "\n" for record in records)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, "utf-8")
    return path


COMPLETIONS = {
    RIGHT: True,
    "    return eggs // size\n": False,
    "    return eggs //\n": False,
    "    import sys\n    sys.exit(0)\n": False,
    "    import os\n    os._exit(0)\n": False,
    "    class A:\n        def __eq__(self, x):\n            return True\n    return A()\n": False,
    "    while True:\n        pass\n": False,
    "    pass\nimport builtins\nbuiltins.AssertionError = Exception\n": False,
}


@pytest.mark.parametrize("completion", COMPLETIONS)
@pytest.mark.parametrize("form", ["human-eval", "evalplus"])
def test_humaneval_completions_score_as_they_should(tmp_path: Path, completion: str, form: str):
    record = dict(HUMANEVAL)
    if form == "evalplus":
        del record["test"]
        record |= {"base_input": [[12, 6]], "plus_input": [[13, 6], [0, 5]], "atol": 0}
    exam = read_humaneval(write(tmp_path / "h.jsonl.gz", record))
    [key] = exam.keys(1)
    limits = Limits(wall_seconds=2.0)
    verdict = exam.judge(key, [completion], limits, unprotected=False)
    assert verdict.passed is COMPLETIONS[completion], verdict


@pytest.mark.parametrize(
    ("completion", "passes"),
    [
        ("def twice(xs):\n    return [x + x for x in xs]\n", True),
        ("def half(x):\n    return 2 * x\n\ndef twice(xs):\n    return list(map(half, xs))", True),
        ("def twice(xs):\n    return xs", False),
        ("def other(xs):\n    return [x + x for x in xs]", False),
        ("", False),
    ],
)
def test_mbpp_completions_score_as_they_should(tmp_path: Path, completion: str, passes: bool):
    exam = read_mbpp(write(tmp_path / "m.jsonl", MBPP))
    [key] = exam.keys(1)
    verdict = exam.judge(key, [completion], DEFAULT_LIMITS, unprotected=False)
    assert verdict.passed is passes, verdict


def test_mbpp_asks_with_the_description_and_the_first_test(tmp_path: Path):
    exam = read_mbpp(write(tmp_path / "m.jsonl", MBPP))
    step = exam.step(exam.keys(1)[0], [])
    assert step is not None
    assert step.text == (
        '"""\nWrite a function that doubles every number of a list.\n'
        'assert twice([1, 2]) == [2, 4]\n"""\n'
    )
    assert exam.step(exam.keys(1)[0], ["x"]) is None


def test_of_all_of_mbpp_the_test_split_is_taken(tmp_path: Path):
    records = [MBPP | {"task_id": number} for number in range(1, 975)]
    exam = read_mbpp(write(tmp_path / "m.jsonl", *records))
    assert [problem.id for problem in exam.problems] == [str(n) for n in range(11, 511)]


def test_a_function_ends_where_the_codex_paper_ends_it(tmp_path: Path):
    exam = read_humaneval(write(tmp_path / "h.jsonl", HUMANEVAL))
    generated = "    x = 1\n    # inside\n    return x\n\ndef other():\n    pass\n"
    cut = find_cut(generated, exam.stops)
    assert cut is not None
    assert generated[: cut.position] == "    x = 1\n    # inside\n    return x\n"


def test_samples_of_other_tools_are_read(tmp_path: Path):
    exam = read_humaneval(write(tmp_path / "h.jsonl", HUMANEVAL))
    name = HUMANEVAL["task_id"]
    samples = write(
        tmp_path / "s.jsonl",
        {"task_id": name, "completion": RIGHT},
        {"task_id": name, "solution": PROMPT + RIGHT},
        {"task_id": name, "solution": "def crates(e, s):\n    return (e + s - 1) // s\n"},
        {"task_id": name, "completion": "    return 0\n"},
    )
    found = read_completions(samples, exam)
    assert [key.sample for key, _ in found] == [0, 1, 2, 3]
    judged = judge_all(exam, found, DEFAULT_LIMITS)
    assert [sample.verdict.passed for sample in judged] == [True, True, True, False]


def test_samples_of_a_part_are_said_to_be_of_a_part(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    file = write(tmp_path / "h.jsonl", HUMANEVAL, {**HUMANEVAL, "task_id": "Own/1"})
    samples = write(tmp_path / "s.jsonl", {"task_id": "Own/1", "completion": RIGHT})
    read_completions(samples, read_humaneval(file))
    assert "no samples of 1 of 2" in caplog.text


def test_a_function_may_be_called_check(tmp_path: Path):
    problem = {**MBPP, "code": "def check(n):\n    return n > 2",
               "test_list": ["assert check(3)", "assert not check(2)"]}  # fmt: skip
    humaneval = {
        "task_id": "Own/3", "prompt": "def check(xs):\n", "entry_point": "check",
        "test": "def check(candidate):\n    assert candidate([1]) == 1\n",
    }  # fmt: skip
    exam = read_humaneval(write(tmp_path / "h.jsonl", humaneval))
    for code, passed in (("    return len(xs)\n", True), ("    return xs\n", False)):
        [key] = exam.keys(1)
        assert exam.judge(key, [code], DEFAULT_LIMITS, unprotected=False).passed is passed
    exam = read_mbpp(write(tmp_path / "m.jsonl", problem))
    for code, passed in ((problem["code"], True), ("def check(n):\n    return n > 1", False)):
        [key] = exam.keys(1)
        assert exam.judge(key, [code], DEFAULT_LIMITS, unprotected=False).passed is passed


def test_mbpp_as_one_list_is_read(tmp_path: Path):
    path = tmp_path / "sanitized.json"
    record = {**MBPP, "prompt": MBPP["text"], "test_imports": ["import math"]}
    del record["text"]
    path.write_text(json.dumps([record, {**record, "task_id": 4}], indent=1), "utf-8")
    assert [problem.id for problem in read_mbpp(path).problems] == ["3", "4"]
    path.write_text(json.dumps([record, {**record, "task_id": "x"}]), "utf-8")
    with pytest.raises(UserError, match=r"sanitized.json, object 2: task_id"):
        read_mbpp(path)


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([{**HUMANEVAL, "entry_point": 3}], "line 1: entry_point"),
        ([HUMANEVAL, HUMANEVAL], "line 2: task_id: Own/0"),
        ([{k: v for k, v in HUMANEVAL.items() if k != "test"}], "test: field required"),
        ([], "holds no problems"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, records: list[dict], said: str):
    with pytest.raises(UserError, match=said):
        read_humaneval(write(tmp_path / "h.jsonl", *records))
    with pytest.raises(UserError, match=r"other/1 .* not in the benchmark"):
        read_completions(
            write(tmp_path / "s.jsonl", {"task_id": "other/1", "completion": ""}),
            read_humaneval(write(tmp_path / "ok.jsonl", HUMANEVAL)),
        )
