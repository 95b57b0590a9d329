"""`jaxformer data inspect`, as a user runs it."""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

from conftest import is_one_sentence
from jaxformer.data.build import build
from jaxformer.data.recipe import CorpusRecipe
from jaxformer.data.survey import survey
from jaxformer.tokenizer import Tokenizer

EVIL = 'x = "\x1b[2J\x1b]0;title\x07[bold]:smile: <script>alert(1)</script>\u202e"\n'
NAME = "[red]\x1b[31m\n.py"


@pytest.fixture(scope="module")
def folder(small_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of hostile documents: two kept, one duplicate, one that is no Python."""
    here = tmp_path_factory.mktemp("inspected")
    small_tokenizer.save(here / "tokenizer")
    (here / "code").mkdir()
    for name, text in {
        NAME: EVIL,
        "b.py": "\n".join(f"y{n} = {n}" for n in range(40)) + "\n",
        "copy.py": EVIL,
        "two.py": "print 'x'\n",
    }.items():
        (here / "code" / name).write_text(text, "utf-8")
    recipe = CorpusRecipe.model_validate(
        {
            "name": "hostile",
            "tokenizer": str(here / "tokenizer"),
            "context": 64,
            "sources": [{"kind": "folder", "path": str(here / "code"), "license": "MIT"}],
        }
    )
    build(recipe, here / "data", Console(quiet=True))
    return here / "data"


def inspect(*arguments: str | Path, status: int = 0, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "jaxformer.cli.main", "data", "inspect", *map(str, arguments)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def test_the_terminal_shows_everything_and_obeys_nothing(folder):
    shown = inspect(folder, COLUMNS="200")
    for control in ("\x1b", "\x07", "\u202e"):
        assert control not in shown
    assert "\\x1b[2J\\x1b]0;title\\x07[bold]:smile: <script>alert(1)</script>\\x202e" in shown
    assert "[red]\\x1b[31m\\n.py" in shown
    for part in ("hostile", "Losses", "parses", "duplicate", "Languages", "Sources", "Licences"):
        assert part in shown
    assert ["MIT", "2"] in [line.split()[:2] for line in shown.splitlines()]
    assert "… 26 more lines" in shown
    assert shown.count("── document") >= 2
    assert "█" in shown


def test_colours_are_the_only_control_sequences(folder):
    shown = inspect(folder, COLUMNS="200", FORCE_COLOR="1", TERM="xterm-256color")
    assert re.findall(r"\x1b\[[\d;]*m", shown)
    assert "\x1b" not in re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert "[red]\\x1b[31m\\n.py" in re.sub(r"\x1b\[[\d;]*m", "", shown)


def test_json_is_the_survey(folder):
    report = json.loads(inspect(folder, "--json", "--samples", "1", "--seed", "3"))
    assert report == asdict(survey(folder, samples=1, seed=3))
    assert [loss["rule"] for loss in report["losses"]] == ["parses", "duplicate"]


def test_the_page_is_written(folder, tmp_path):
    target = tmp_path / "page.html"
    assert inspect(folder, "--html", target) == f"{target}\n"
    html = target.read_text("utf-8")
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["absent"], "absent is no finished data set"),
        (["{data}", "--samples", "-1"], "--samples"),
        (["{data}", "--html", "{data}/no/page.html"], "cannot be read or written"),
        (["{cut}"], "ledger.parquet is damaged"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(arguments, sentence, folder, tmp_path):
    cut = tmp_path / "cut"
    cut.mkdir()
    for path in folder.iterdir():
        (cut / path.name).symlink_to(path)
    (cut / "ledger.parquet").unlink()
    (cut / "ledger.parquet").write_bytes((folder / "ledger.parquet").read_bytes()[:-9])
    shown = inspect(*(part.format(data=folder, cut=cut) for part in arguments), status=2)
    assert sentence in shown
    assert shown.count("\n") == 1
    assert is_one_sentence(shown.strip()) or "See 'jaxformer --help'" in shown
