"""The commands, as a user runs them."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoTokenizer

COMMAND = [sys.executable, "-m", "jaxformer.cli.main"]


def run(*arguments: str | Path, stdin: str = "", status: int = 0) -> str:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("steps") / "steps.txt"
    path.write_text("#! a note\nSet x to 3.\n\nPrint x.\n")
    return path


def test_synthesize_gives_the_documented_json(steps):
    report = json.loads(run("synthesize", steps, "--json"))
    assert list(report) == ["turns", "program", "output", "status"]
    keys = ["prompt", "code", "raw", "stop_reason", "perplexity"]
    assert [list(turn) for turn in report["turns"]] == [keys, keys]
    assert [turn["code"] for turn in report["turns"]] == ["x = 3", "print(x)"]
    assert (report["output"], report["status"]) == ("3\n", "ok")
    assert report["program"].endswith("# Set x to 3.\nx = 3\n\n# Print x.\nprint(x)\n")
    assert all(1 < turn["perplexity"] < 1e4 for turn in report["turns"])


def test_synthesize_prints_plain_text_when_piped(steps):
    out = run("synthesize", "-", stdin=steps.read_text())
    assert "[1] Set x to 3.\nx = 3\n    (prompt perplexity " in out
    assert out.endswith("Output:\n3\n")
    assert "\x1b" not in out
    assert out == run("synthesize", steps)


def test_a_terminal_gets_colours_and_the_code_as_it_is_written(steps):
    main, secondary = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "synthesize", str(steps)],
        stdout=secondary,
        env=os.environ | {"TERM": "xterm-256color"},
    ) as process:
        os.close(secondary)
        seen = b""
        while True:
            try:
                piece = os.read(main, 65536)
            except OSError:  # the terminal closed
                break
            if not piece:
                break
            seen += piece
    assert process.returncode == 0
    assert b"\x1b[1m" in seen
    assert seen.count(b"Set x to 3.") >= 2  # drawn again as the code grew


def test_chat_obeys_its_commands(tmp_path):
    saved = tmp_path / "program.py"
    out = run(
        "chat",
        stdin=f"Set x to 3.\nPrint x.\n/undo\n/fork\nPrint x.\n/save {saved}\n/fork 1\n/show\n"
        "/nonsense\n/undo\n/undo\n/retry\n/help\n/quit\n",
    )
    assert saved.read_text().endswith("# Print x.\nprint(x)\n")
    assert "Took back: Print x." in out
    assert "On branch 2 of 2." in out
    assert "There is no command /nonsense" in out
    assert "There is no turn to take back" in out
    assert out.count("\n3\n") == 2  # the program ran after each 'Print x.'


def test_complete(random_folder):
    out = run("complete", "def f(x):", "-m", random_folder, "--max-new-tokens", "8")
    assert out.startswith("def f(x):")
    many = json.loads(
        run("complete", "-", "-n", "3", "--temperature", "1", "-m", random_folder, "--json",
            "--max-new-tokens", "8", stdin="import os")
    )  # fmt: skip
    assert many["prompt"] == "import os"
    assert len({completion["text"] for completion in many["completions"]}) == 3


def test_export_and_a_draft(tmp_path):
    """In int8 `nano` is a draft of itself as it was."""
    report = json.loads(run("export", "nano", tmp_path / "int8", "--dtype", "int8", "--json"))
    assert report["largest_logit_difference"] == 0
    assert report["bytes"] == sum(file.stat().st_size for file in (tmp_path / "int8").iterdir())
    asked = ("complete", "def f(a):\n    return", "--temperature", "0", "--json")
    assert run(*asked, "--draft", tmp_path / "int8") == run(*asked)


def test_perplexity(steps, random_folder, tmp_path):
    report = json.loads(run("perplexity", steps, "-m", random_folder, "--json"))
    assert [row["prompt"] for row in report["prompts"]] == ["Set x to 3.", "Print x."]
    assert report["prompts"][0]["multi"] == pytest.approx(report["prompts"][0]["single"])
    source = tmp_path / "source.py"
    source.write_text("import os\n\nprint(os.name)\n")
    text = json.loads(run("perplexity", "--text", source, "-m", random_folder, "--json"))
    assert "".join(token["text"] for token in text["tokens"]) == source.read_text()
    assert text["tokens"][0]["logprob"] is None


def test_inspect():
    report = json.loads(run("inspect", "16B", "--json"))
    assert 16.0e9 < report["parameters"] < 16.2e9
    assert report["memory_bytes"]["inference_bfloat16"] > 2 * report["parameters"]
    assert report["shapes"]["blocks.33.q"] == [6144, 6144]
    assert "6,831,104" in run("inspect", "nano")


def test_tokenizer_train(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.py").write_text("def hello(name):\n    return name\n" * 50)
    (tmp_path / "text" / "b.bin").write_bytes(b"\xff\xfe\x00")
    out = run(
        "tokenizer", "train", tmp_path / "text", "--vocab-size", "300", "--out", tmp_path / "t"
    )
    assert "300 entries from 1 files (1 that are no UTF-8 text left out)" in out
    theirs = AutoTokenizer.from_pretrained(tmp_path / "t")
    assert theirs.decode(theirs("def hello():\n    x").input_ids) == "def hello():\n    x"


@pytest.mark.parametrize("command", ["", "synthesize", "chat", "complete", "tokenizer train"])
def test_help_has_examples(command):
    out = run(*command.split(), "--help")
    assert "jaxformer" in out
    assert not command or "Example" in out
