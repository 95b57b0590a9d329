import contextlib
import doctest
import hashlib
import io
import os
import re
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from random import Random

import pytest

from jaxformer.data.exercises import (
    Exercise,
    conversation,
    conversations,
    diversity,
    operations,
    programs,
    texts,
    verify,
)
from jaxformer.data.exercises.forms import step
from jaxformer.data.exercises.functions import Known, calls
from jaxformer.data.exercises.programs import Program, worded
from jaxformer.data.exercises.programs import every as every_program
from jaxformer.data.exercises.world import Var, World
from jaxformer.sandbox import Pool
from jaxformer.transcript import Turn

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
        assert 2 <= len(exercise.turns) <= 8
        for turn in exercise.turns:
            lines = turn.code.split("\n")
            assert sum(line.startswith("print(") for line in lines) <= 1, turn
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


def test_functions_are_not_called_with_numbers_that_would_take_for_ever():
    """Such as a power, with a variable of nine digits."""
    drawn: set[str | None] = set()
    for seed in range(200):
        rng = Random(seed)
        world = World(rng)
        world.run("small, other, large = 3, 7, 410_338_673\ndef f(a, b):\n    return a - b")
        for name in ("large", "other", "small"):
            world.add(Var(name))
        function = Var("f", detail=Known(("int", "int"), "value"))
        world.add(function)
        for row, subject in calls(world, rng, function):
            found = step(row, world, rng, subject, "named")
            drawn.update(re.findall(r"\bf\((.*?)\)", found.code) if found else [None])
    assert {"other, small", None} <= drawn
    assert not [each for each in drawn if each and "large" in each]


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
    wordings = sum(map(diversity.phrases, operations.every()))
    assert wordings > 20 * len(operations.every())


def test_every_kind_of_value_is_worked_with(sample: list[Exercise]):
    """What people describe: numbers, texts, lists, tables, arrays, dates, classes, files."""
    codes = ["\n".join(turn.code for turn in exercise.turns) for exercise in sample]
    for sign in (
        "np.array(", "np.arange(", "date(", "timedelta(", "strptime(", "class ", "self.", "set(",
        "json.loads(", "csv.", "Counter(", "math.gcd(", "itertools.", "lambda", ":.2f}", "while ",
    ):  # fmt: skip
        count = sum(sign in code for code in codes)
        assert count >= COUNT / 1000, f"{sign} is in {count} of {COUNT} programs"


def test_programs_print_the_stated_output():
    """All of them, once or twice, with other values and names now and then."""
    count = 3 * len(every_program()) // 2
    turns = set()
    for exercise in programs(1, count):
        code = [turn.code for turn in exercise.turns]
        assert run(HEADER + "\n\n".join(code)) == exercise.output, code
        assert exercise.output.strip(), code
        for turn in exercise.turns:
            assert turn.prompt == turn.prompt.strip()
            assert turn.prompt.isprintable()
            assert len(turn.prompt) <= 240, turn
            turns.add(turn.prompt)
    assert len(every_program()) >= 3000
    assert len(turns) > 4 * len(every_program())
    assert list(programs(1, 40)) == list(programs(1, 40))


def test_programs_call_things_by_ever_other_names():
    """What a step calls a thing, its code calls it, and hardly ever what it was called before."""
    said = re.compile(r"(?:called|named|in|as) [`'\"]?(\w+)[`'\"]?(?:[:,.? ]|$)")
    names: dict[tuple[int, int], list[str]] = {}
    for number, program in enumerate(every_program()[:100]):
        for seed in range(10):
            for place, turn in enumerate(worded(program, Random(seed)).turns):
                for name in said.findall(turn.prompt):
                    if f"{name} = " in turn.code:
                        names.setdefault((number, place), []).append(name)
    often = [found for found in names.values() if len(found) > 2]
    assert len(often) > 50
    assert sum(len(set(found)) for found in often) > 0.8 * sum(map(len, often))


def test_what_is_no_name_keeps_being_said():
    """Words that say what to do, and the letters behind a backslash."""
    program = Program(
        {"m": ("average", "mean"), "n": ("n", "k")},
        (
            (("Let {n} be 4 and let six be 6.",), "{n} = 4\nsix = 6"),
            (("Take the {m} of {n} and six and name it {m}.",), "{m} = ({n} + six) / 2"),
            (("Store the largest as largest.",), "largest = max({n}, six)"),
            (("Print them on two lines.",), "print({m}, largest, sep='\\n')"),
        ),
    )
    sixes = set()
    for seed in range(60):
        first, average, largest, printed = worded(program, Random(seed)).turns
        assert re.search(r"\b(average|mean) of\b.* it (average|mean)\b", average.prompt)
        assert "the largest as largest" in largest.prompt
        assert printed.code.endswith("sep='\\n')")
        sixes.add(re.search(r"(\w+) = 6", first.code)[1])  # pyright: ignore
    assert len(sixes) > 20


def test_what_belongs_to_a_module_keeps_its_name():
    named = ("radians", "degrees", "floor", "ceil", "sqrt", "exp")  # one alone would be drawn again
    program = Program(
        {},
        (
            (
                (f"Turn 2 {', 2 '.join(f'into {name}' for name in named)}.",),
                "\n".join(("import math", *(f"{name} = math.{name}(2)" for name in named))),
            ),
            (("Print them.",), "print(radians, degrees, floor, ceil, sqrt, exp)"),
        ),
    )
    for seed in range(30):
        assert worded(program, Random(seed)).turns[1].code == program.turns[1][1]


def test_the_sandbox_finds_what_prints_something_else(sample: list[Exercise]):
    good, fails = sample[:200] + list(programs(5, 100)), (Turn("Divide.", "print(1 / 0)"),)
    bad = [Exercise((*good[7].turns, Turn("Print x.", "print('x')")), good[7].output)]
    bad.append(Exercise(fails, ""))
    with Pool() as pool:
        found = list(verify.wrong([*good[:50], bad[0], *good[50:], bad[1]], pool))
    assert [exercise for exercise, _ in found] == bad
    assert [result.status for _, result in found] == ["ok", "exception"]


def test_words_that_prompts_share_with_a_text_are_found():
    talk = Exercise((Turn("Now, print THE last of the sorted words in it.", "print(x)"),), "")
    text = "please print the last of the sorted words in capitals"
    assert diversity.overlap([talk, talk], [text]) == {"print the last of the sorted words in": 2}
    assert not diversity.overlap([talk], ["the last of the sorted words in it and more"], 10)


def test_programs_name_no_slot_that_they_lack():
    for program in every_program():
        texts_of = [text for prompts, code in program.turns for text in (*prompts, code)]
        used = {slot for text in texts_of for slot in re.findall(r"\{(\w+)\}", text)}
        assert program.values.keys() <= used, program
        assert all(len(prompts) >= 3 for prompts, _ in program.turns), program
        assert all(len(values) >= 1 for values in program.values.values())


def test_functions_with_docstrings_do_as_they_say():
    """Their examples are run by doctest, and their assertions as they stand."""
    examples = 0
    for text in texts(2, 600):
        if not text.startswith("def "):
            continue
        module = types.ModuleType("exercise")
        exec(text, module.__dict__)
        name = re.match(r"def (\w+)", text)[1]  # pyright: ignore
        module.__dict__[name].__module__ = "exercise"
        found = doctest.DocTestFinder().find(module, "exercise")
        for test in found:
            result = doctest.DocTestRunner(verbose=False).run(test, out=lambda _: None)
            assert not result.failed, text
            examples += result.attempted
    assert examples > 200


def test_explanations_print_what_they_show():
    seen = 0
    for text in texts(4, 300):
        if text.startswith("def "):
            continue
        parts = re.split(r"^(\S.*)\n\n", text, flags=re.MULTILINE)[1:]
        code = [textwrap.dedent(part).strip("\n") for part in parts[1::2]]
        if parts[-2] in ("It prints:", "The output is:", "This shows:", "Running it gives:"):
            shown = code.pop()
            assert run(HEADER + "\n\n".join(code)).strip() == shown.strip(), text
            seen += 1
    assert seen > 70
