"""The MTPB schema: what is read, and what is said of wrong files."""

import json
from pathlib import Path

import pytest

from jaxformer.errors import UserError
from jaxformer.evaluation.benchmarks import open_exam
from jaxformer.evaluation.exam import Key
from jaxformer.evaluation.multi_turn import MultiTurn
from jaxformer.evaluation.problems import read_problems
from jaxformer.transcript import HEADER

GOOD = {
    "id": "7", "name": "sum", "description": "", "category": "x",
    "prompts": ["Set a to {a}.", "Print a plus {b}."],
    "inputs": [{"a": 1, "b": 2}, {"a": 3, "b": 4}], "outputs": [3, 7],
    "solution": ["a = {a!r}", "print(a + {b!r})"],
}  # fmt: skip


def write(path: Path, *records: dict) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def test_the_protocol_is_the_papers(tmp_path: Path):
    exam = MultiTurn(read_problems(write(tmp_path / "p.jsonl", GOOD)), ("multi", "single"))
    assert len(exam.keys(3)) == 2 * 2 * 3
    key = Key("7", "multi", 1, 0)
    first, second = exam.step(key, []), exam.step(key, ["a = 3"])
    assert first is not None
    assert second is not None
    assert first.text == HEADER + "# Set a to 3.\n"
    assert second.text == HEADER + "# Set a to 3.\na = 3\n\n# Print a plus 4.\n"
    assert second.max_new_tokens == 256
    assert exam.step(key, ["a = 3", "print(a + 4)"]) is None
    single = exam.step(key._replace(mode="single"), [])
    assert single is not None
    assert single.text == HEADER + "# Set a to 3.\n# Print a plus 4.\n"


def test_with_reference_history_only_the_last_turn_is_asked_for(tmp_path: Path):
    exam = MultiTurn(read_problems(write(tmp_path / "p.jsonl", GOOD)), history="reference")
    key = Key("7", "multi", 0, 0)
    step = exam.step(key, [])
    assert step is not None
    assert step.text == HEADER + "# Set a to 1.\na = 1\n\n# Print a plus 2.\n"
    assert exam.step(key, ["print(3)"]) is None
    assert exam.program(key, ["print(3)"]).endswith("a = 1\n\n# Print a plus 2.\nprint(3)\n")


def test_more_outputs_than_inputs_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = write(tmp_path / "p.jsonl", {**GOOD, "outputs": [3, 7, 9]})
    [problem] = read_problems(path)
    assert [expected for _, expected in problem.cases] == [3, 7]
    assert "3 outputs for 2 inputs" in caplog.text


def test_a_repeated_input_counts_once_but_for_the_published_scorer(tmp_path: Path):
    """The others keep their numbers, so that samples can be scored by either."""
    one, two = GOOD["inputs"]
    again = {**GOOD, "inputs": [one, {**one, "a": 1.0}, one, two], "outputs": [3, 3, 3, 7]}
    path = write(tmp_path / "p.jsonl", again)
    cases = {}
    for scorer in ("fixed", "reference"):
        exam = open_exam("mtpb", path, scorer=scorer)
        cases[scorer] = [key.case for key in exam.keys(1)]
        last = exam.step(Key("7", "multi", 3, 0), ["a = 3"])
        assert last is not None
        assert last.prompt == "Print a plus 4."
        assert exam.repeats(Key("7", "multi", 2, 0)) is (scorer == "fixed")
    assert cases == {"fixed": [0, 1, 3], "reference": [0, 1, 2, 3]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompts": []}, "line 2: prompts"),
        ({"prompts": "one"}, "line 2: prompts"),
        ({"prompts": ["{c}"], "solution": None}, "line 2: prompts.0: .*KeyError"),
        ({"prompts": ["{", "x"]}, "line 2: prompts.0"),
        ({"outputs": [3]}, "line 2: outputs: 1 for 2 inputs"),
        ({"solution": ["x"]}, "line 2: solution"),
        ({"max_gen_length": 0}, "line 2: max_gen_length"),
        ({"id": "7"}, "line 2: id: 7"),
    ],
)
def test_wrong_fields_are_named_with_file_and_line(tmp_path: Path, change: dict, said: str):
    path = write(tmp_path / "bad.jsonl", GOOD, {**GOOD, "id": "8"} | change)
    with pytest.raises(UserError, match=rf"bad.jsonl, {said}"):
        read_problems(path)


def test_a_solution_is_needed_for_reference_history(tmp_path: Path):
    path = write(tmp_path / "p.jsonl", {**GOOD, "solution": None})
    with pytest.raises(UserError, match="Problem 7 comes without a solution"):
        MultiTurn(read_problems(path), history="reference")
