"""The room's commands, alone and as part of `jaxformer`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jaxformer.sandbox import probe

ALONE = [sys.executable, "-m", "jaxformer.sandbox"]
WITHIN = [sys.executable, "-m", "jaxformer.cli.main", "sandbox"]


def call(command: list[str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *arguments], input=stdin, capture_output=True, text=True)


@pytest.mark.parametrize("command", [ALONE, WITHIN], ids=["alone", "within"])
def test_a_program_is_run_and_told_of(command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text("import sys\nprint('ä')\nprint('err', file=sys.stderr)\nsys.exit(3)")
    done = call(command, "run", str(file))
    assert (done.returncode, done.stdout) == (3, "ä\n")
    assert done.stderr.startswith("err\n[exit code 3; ")
    done = call(command, "run", str(file), "--json")
    told = json.loads(done.stdout)
    assert (told["status"], told["exit_code"], told["stderr"]) == ("exit", 3, "err\n")
    assert told["tier"] == probe().tier
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("program", "options", "status", "ending"),
    [
        ("print(6 * 7)", [], 0, ""),
        ("1 / 0", [], 1, "[uncaught exception; "),
        ("while True: pass", ["--wall", "0.3"], 124, "[more than 0.3 seconds; "),
        ("bytearray(1 << 29)", ["--memory", "100"], 1, "[more than 100 MB of memory; "),
        ("print('x' * 5000)", ["--output", "4"], 1, "[more than 4 KB of output; "),
        ("import os; os.abort()", [], 1, "[killed by signal 6; "),
    ],
)
def test_how_a_program_ends(program: str, options: list[str], status: int, ending: str) -> None:
    done = call(ALONE, "run", "-", *options, stdin=program)
    assert done.returncode == status
    assert ending in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "/no/such/file.py"], "cannot be read"),
        (["run", "-", "--wall", "inf"], "wall_seconds"),
        (["run", "-", "--memory", "0"], "memory_bytes"),
        (["run", "-", "--wal", "3"], "--wal"),
    ],
)
@pytest.mark.parametrize("command", [ALONE, WITHIN], ids=["alone", "within"])
def test_what_is_wrong_is_said(command: list[str], arguments: list[str], sentence: str) -> None:
    done = call(command, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_machine_is_described() -> None:
    done = call(ALONE, "check", "--json")
    told = json.loads(done.stdout)
    assert told["tier"] == probe().tier
    assert told["obstacles"].get(told["tier"]) is None
    assert done.returncode == (told["tier"] == "unprotected")
    lines = call(ALONE, "check").stdout.splitlines()
    assert [line.split()[:2] for line in lines if " in use " in line] == [[told["tier"], "in"]]
