"""Whole evaluations: the same samples however they are made, and however often they are ended."""

import functools
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

import jaxformer as jf
from jaxformer.checkpoints.hub import find
from jaxformer.errors import UserError
from jaxformer.evaluation.benchmarks import open_exam
from jaxformer.evaluation.cluster import judged_on_ray
from jaxformer.evaluation.evaluate import Setting, describe, score
from jaxformer.evaluation.exam import seed_of
from jaxformer.evaluation.manifest import Subject, open_folder, read_manifest
from jaxformer.evaluation.report import read_runs, render
from jaxformer.evaluation.runner import Drawing, Runner, complete
from jaxformer.evaluation.samples import read_completions, read_samples
from jaxformer.generation import Engine
from jaxformer.sandbox import DEFAULT_LIMITS

PROBLEMS = [
    {
        "id": "a", "prompts": ["Make a list called nums with {nums}.", "Sort the list nums.",
                               "Print the list nums."],
        "inputs": [{"nums": nums} for nums in ([3, 1, 2], [9, 5], [4, 8, 6, 7])],
        "outputs": [[1, 2, 3], [5, 9], [4, 6, 7, 8]],
    },
    {
        "id": "b", "prompts": ["Create a list called prices with {prices}.",
                               "Find the largest value in prices and store it in top.",
                               "Print top."],
        "inputs": [{"prices": prices} for prices in ([5, 9, 3], [20, 14], [7, 2, 30, 1])],
        "outputs": [9, 20, 30],
    },
]  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("problems") / "own.jsonl"
    path.write_text("".join(json.dumps(problem) + "\n" for problem in PROBLEMS), "utf-8")
    return path


@pytest.fixture(scope="module")
def nano() -> jf.Model:
    return jf.load("nano")


def write(nano: jf.Model, file: Path, folder: Path, rows: int, **drawing: float) -> bytes:
    exam = open_exam("mtpb", file, mode="both")
    folder.mkdir()
    drawn = Drawing(context=nano.config.n_positions, rows=rows, **drawing)  # pyright: ignore
    runner = Runner(exam, Engine(nano, rows=rows), drawn, DEFAULT_LIMITS)
    return complete(exam, drawn.samples, runner.judged, folder).read_bytes()


def test_one_at_a_time_or_all_together_gives_the_same_file(
    nano: jf.Model, file: Path, tmp_path: Path
):
    together = write(nano, file, tmp_path / "many", 32, samples=3, temperature=0.7)
    assert write(nano, file, tmp_path / "one", 1, samples=3, temperature=0.7) == together
    guided = write(nano, file, tmp_path / "guided", 32, candidates=3, temperature=0.7)
    assert write(nano, file, tmp_path / "alone", 1, candidates=3, temperature=0.7) == guided
    samples = read_samples(tmp_path / "many" / "samples.jsonl")
    assert len(samples) == 2 * 6 * 3
    assert 0 < sum(sample.verdict.passed for sample in samples) < len(samples)


def test_samples_are_those_of_a_session_with_the_same_seeds(
    nano: jf.Model, file: Path, tmp_path: Path
):
    write(nano, file, tmp_path / "run", 8, samples=2, temperature=0.7)
    for sample in read_samples(tmp_path / "run" / "samples.jsonl"):
        if sample.key.mode == "single":
            continue
        session = jf.Session(nano, temperature=0.7, execute=False, max_new_tokens=256)
        for number, turn in enumerate(sample.turns):
            session.seed = seed_of(0, sample.key, number)
            asked = session.ask(turn.prompt)
            assert (asked.code, asked.raw) == (turn.code, turn.raw)
        assert session.program == sample.program


def test_more_samples_keep_those_that_fewer_gave(nano: jf.Model, file: Path, tmp_path: Path):
    write(nano, file, tmp_path / "few", 4, samples=1, temperature=0.7)
    write(nano, file, tmp_path / "more", 4, samples=2, temperature=0.7)
    few = read_samples(tmp_path / "few" / "samples.jsonl")
    more = {s.key: s for s in read_samples(tmp_path / "more" / "samples.jsonl")}
    assert all(more[sample.key] == sample for sample in few)


def evaluate(file: Path, out: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "jaxformer.cli.main", "evaluate", "mtpb", "--problems"),
        *(str(file), "--mode", "both", "-n", "8", "--temperature", "0.7", "--out", str(out)),
        *("--json", *more),
    ]


def count_lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_killed_anywhere_and_resumed_it_gives_the_same_files(file: Path, tmp_path: Path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    once = subprocess.run(evaluate(file, whole), capture_output=True, check=True, text=True)
    part, kills, seen = broken / "samples.part.jsonl", 0, set()
    dice = random.Random(5)
    while kills < 10:
        process = subprocess.Popen(
            evaluate(file, broken), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        # Ten times on the way, wherever it is: behind a random number of further samples.
        lines = count_lines(part)
        until = lines + dice.randint(0, 8)
        while process.poll() is None and count_lines(part) <= until:
            if until == lines and part.exists():
                break
            time.sleep(0.01)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
            seen.add(count_lines(part))
        process.wait()
        if (broken / "figures.json").exists():  # it was done before it was killed often enough
            assert files(broken) == files(whole)
            shutil.rmtree(broken)
    assert len(seen) > 4
    if (broken / "manifest.json").exists():  # else it was killed before it began
        with part.open("a") as torn:
            torn.write('{"version": 1, "id": "a", "mo')
    again = subprocess.run(evaluate(file, broken), capture_output=True, check=True, text=True)
    assert json.loads(again.stdout) == json.loads(once.stdout)
    assert files(broken) == files(whole)
    assert set(files(whole)) == {
        "samples.jsonl", "perplexity.jsonl", "figures.json", "manifest.json"
    }  # fmt: skip


def test_interrupted_it_says_how_to_go_on(file: Path, tmp_path: Path):
    process = subprocess.Popen(evaluate(file, tmp_path), stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not count_lines(tmp_path / "samples.part.jsonl"):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    assert messages.splitlines()[-1] == "Ended; the same command goes on."
    assert "Traceback" not in messages


def test_another_run_is_not_gone_on_with(file: Path, tmp_path: Path):
    subprocess.run(evaluate(file, tmp_path), capture_output=True, check=True)
    other = subprocess.run(evaluate(file, tmp_path, "--seed", "4"), capture_output=True, text=True)
    assert other.returncode == 2
    assert "holds a run with another drawing.seed (0, now 4)" in other.stderr


def test_a_model_is_measured_wherever_its_folder_is(file: Path, tmp_path: Path):
    shutil.copytree(find("nano"), tmp_path / "models" / "mine")
    more = ("--model", str(tmp_path / "models" / "mine"))
    subprocess.run(evaluate(file, tmp_path / "mine", *more), capture_output=True, check=True)
    subprocess.run(evaluate(file, tmp_path / "nano"), capture_output=True, check=True)
    ours, theirs = (read_manifest(tmp_path / name) for name in ("mine", "nano"))
    assert (ours.model, ours.weights) == ("mine", theirs.weights)
    programs = [(tmp_path / name / "samples.jsonl").read_bytes() for name in ("mine", "nano")]
    assert programs[0] == programs[1]


def test_settings_without_samples_bind_nobody(nano: jf.Model, file: Path, tmp_path: Path):
    with pytest.raises(UserError, match="top_p"):
        Drawing(top_p=1.5)
    subject, other = Subject.of(nano, "nano"), Setting("mtpb", file, open_exam("mtpb", file))
    for name, scorer in (("one", "fixed"), ("two", "reference")):
        setting = Setting("mtpb", file, open_exam("mtpb", file), scorer=scorer)
        open_folder(tmp_path, describe(setting, subject, {"samples": 1}))
        assert read_manifest(tmp_path).scorer == scorer, name
    (tmp_path / "samples.part.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"another scorer \(\"reference\", now \"fixed\"\)"):
        open_folder(tmp_path, describe(other, subject, {"samples": 1}))
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"holds no manifest.json"):
        open_folder(tmp_path, describe(other, subject, {"samples": 1}))


def test_scored_again_samples_keep_what_they_say_and_harm_no_run(
    nano: jf.Model, file: Path, tmp_path: Path
):
    write(nano, file, tmp_path / "own", 8, samples=2, temperature=0.7)
    samples = tmp_path / "own" / "samples.jsonl"
    setting = Setting("mtpb", file, open_exam("mtpb", file, mode="both"), mode="both")
    console = Console(file=io.StringIO())
    score(setting, samples, tmp_path / "again", console=console)
    assert (tmp_path / "again" / "samples.jsonl").read_bytes() == samples.read_bytes()
    [run] = read_runs([tmp_path / "again"])
    assert run.manifest.model == "samples.jsonl"
    assert "samples.jsonl" in render([run])
    before = samples.read_bytes()
    for folder in (tmp_path / "own", tmp_path / "again"):
        with pytest.raises(UserError, match="holds a run already"):
            score(setting, samples, folder, console=console)
    assert samples.read_bytes() == before


def test_samples_with_other_turns_or_twice_are_refused(file: Path, tmp_path: Path):
    line = {"version": 1, "id": "a", "mode": "multi", "case": 0, "sample": 0, "passed": True,
            "status": "passed", "turns": [{"code": "x = 1"}] * 3}  # fmt: skip
    exam, path = open_exam("mtpb", file), tmp_path / "s.jsonl"
    for lines, said in {
        "line 1: turns: 2": [line | {"turns": line["turns"][:2]}],
        "line 1: turns: 4": [line | {"turns": [{"code": ""}] * 4}],
        "line 2: sample: 0 of a came before": [line, line],
    }.items():
        path.write_text("".join(json.dumps(each) + "\n" for each in said))
        with pytest.raises(UserError, match=lines):
            read_completions(path, exam)
    parts = [line, line | {"id": "b", "mode": "single", "turns": [{"code": "x = 1"}]}]
    path.write_text("".join(json.dumps(each) + "\n" for each in parts))
    setting = Setting("mtpb", file, open_exam("mtpb", file, mode="both"), mode="both")
    found = score(setting, path, None, console=Console(file=io.StringIO()))
    assert "difference" not in found


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["quiz"], "no benchmark quiz"),
        (["mtpb"], "--problems FILE"),
        (["turns", "--mode", "triple"], "--mode triple is not known"),
        (["turns", "--scorer", "none"], "--scorer none is not known"),
        (["turns", "--problems", "/none/x.jsonl"], "There is no file /none/x.jsonl"),
        (["turns", "--score", "/none/s.jsonl"], "There is no file /none/s.jsonl"),
        (["turns", "--timeout", "inf"], "--timeout"),
        (["turns", "--timeout", "nan"], "--timeout"),
        (["turns", "--top-p", "1.5"], "top_p"),
        (["humaneval", "--problems", "P", "--mode", "multi"], "one turn a problem"),
        (["turns", "--history", "reference", "--mode", "both"], "has no history"),
    ],
)
def test_bad_input_is_one_sentence(file: Path, arguments: list[str], said: str):
    named = [str(file) if argument == "P" else argument for argument in arguments]
    run = subprocess.run(
        [sys.executable, "-m", "jaxformer.cli.main", "evaluate", *named],
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 2
    assert said in run.stderr
    assert run.stderr.count("\n") == 1


def test_samples_that_belong_to_no_problem_are_refused(file: Path, tmp_path: Path):
    line = {"version": 1, "id": "zz", "mode": "multi", "case": 0, "sample": 0, "passed": True,
            "status": "passed", "turns": []}  # fmt: skip
    samples = tmp_path / "s.jsonl"
    samples.write_text(json.dumps(line) + "\n")
    with pytest.raises(UserError, match=r"s.jsonl, line 1: zz .* not in the benchmark"):
        read_completions(samples, open_exam("mtpb", file))


def test_a_ray_cluster_gives_the_same_file(nano: jf.Model, file: Path, tmp_path: Path):
    here = write(nano, file, tmp_path / "here", 4, samples=2, temperature=0.7)
    exam = open_exam("mtpb", file, mode="both")
    drawn = Drawing(samples=2, temperature=0.7, context=nano.config.n_positions, rows=4)

    def make() -> Runner:
        return Runner(exam, Engine(jf.load("nano"), rows=4), drawn, DEFAULT_LIMITS)

    (tmp_path / "there").mkdir()
    judged = functools.partial(judged_on_ray, make)
    assert complete(exam, 2, judged, tmp_path / "there").read_bytes() == here
