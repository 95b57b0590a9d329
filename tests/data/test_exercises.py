import contextlib
import hashlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jaxformer.data.exercises import Exercise, conversation, conversations, operations, phrasing

HEADER = "import numpy as np\n\n"
COUNT = 5000


@pytest.fixture(scope="module")
def sample() -> list[Exercise]:
    return list(conversations(5, COUNT))


def run(program: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(program, {"__name__": "exercise"})
    return out.getvalue()


def digest(seed: int, count: int) -> str:
    text = "".join(repr(exercise) for exercise in conversations(seed, count))
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_whole_program_prints_the_stated_output(sample: list[Exercise]):
    for exercise in sample[:3000]:
        program = HEADER + "\n\n".join(turn.code for turn in exercise.turns)
        assert run(program) == exercise.output, program


def test_code_keeps_the_form_of_the_transcript(sample: list[Exercise]):
    for exercise in sample:
        assert 2 <= len(exercise.turns) <= 6
        for turn in exercise.turns:
            lines = turn.code.split("\n")
            assert sum(line.startswith("print") for line in lines) <= 1, turn
            assert sum(line.startswith("def ") for line in lines) <= 1, turn
            assert not any(line.startswith(("#", "'''", '"""')) for line in lines), turn
            assert "\n\n\n" not in turn.code, turn
            assert all(line == line.rstrip() for line in lines), turn
            assert lines[0], turn
            assert lines[-1], turn


def test_prompts_are_one_clean_line(sample: list[Exercise]):
    for exercise in sample:
        for turn in exercise.turns:
            assert turn.prompt == turn.prompt.strip(), turn
            assert turn.prompt, turn
            assert turn.prompt.isprintable(), turn
            assert not re.search(r"\{[a-zA-Z]\w*\}", turn.prompt), turn


def test_backticked_names_exist_in_the_code(sample: list[Exercise]):
    for exercise in sample:
        seen = ""
        for turn in exercise.turns:
            seen += turn.code + "\n"
            for name in re.findall(r"`(\w+)", turn.prompt):
                assert re.search(rf"\b{name}\b", seen), turn


def test_numbers_of_a_prompt_appear_in_its_program(sample: list[Exercise]):
    """A definition copies what was said: no number is lost or invented."""
    for exercise in sample:
        turn = exercise.turns[0]
        if re.fullmatch(r"\w+ = \[[-\d., ]+\]", turn.code):
            said = re.findall(r"-?\d+\.?\d*", turn.prompt.rstrip("."))
            assert [n.rstrip(".") for n in said if n.rstrip(".") in turn.code], turn
            for number in re.findall(r"-?\d+(?:\.\d+)?", turn.code.split("=")[1]):
                assert number in turn.prompt, turn


def test_same_seed_same_conversation():
    assert conversation(12) == conversation(12)
    assert list(conversations(3, 50)) == list(conversations(3, 50))
    assert conversation(12) != conversation(13)


@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_same_conversations_in_another_process(hash_seed: str):
    code = "from test_exercises import digest; print(digest(8, 400))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == digest(8, 400)


def test_conversations_differ(sample: list[Exercise]):
    whole = {tuple(turn.prompt for turn in exercise.turns) for exercise in sample}
    assert len(whole) >= 0.98 * COUNT
    prompts = [turn.prompt for exercise in sample for turn in exercise.turns]
    assert len(set(prompts)) >= 0.9 * len(prompts)


def test_conversations_mostly_end_by_printing(sample: list[Exercise]):
    ends = sum("print(" in exercise.turns[-1].code for exercise in sample)
    assert 0.8 * COUNT < ends < 0.95 * COUNT


def test_there_are_many_operations():
    assert len(operations.every()) >= 850
    wordings = 0
    for operation in operations.every():
        for field in ("nouns", "verbs", "does", "asks", "clauses", "prompts"):
            template = getattr(operation, field, "")
            wordings += phrasing.alternatives(template) if template else 0
    assert wordings > 20 * len(operations.every())


def test_every_kind_of_value_is_worked_with(sample: list[Exercise]):
    """What people describe: numbers, texts, lists, tables, arrays, dates, classes, files."""
    programs = ["\n".join(turn.code for turn in exercise.turns) for exercise in sample]
    for sign in (
        "np.array(", "np.arange(", "date(", "timedelta(", "strptime(", "class ", "self.", "set(",
        "json.loads(", "csv.", "Counter(", "math.gcd(", "itertools.", "lambda", ":.2f}", "while ",
    ):  # fmt: skip
        count = sum(sign in program for program in programs)
        assert count >= COUNT / 1000, f"{sign} is in {count} of {COUNT} programs"
