"""Building a data set: every document accounted for, the same bytes however it was interrupted."""

import collections
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import jaxformer as jf
from conftest import is_one_sentence, sources
from jaxformer.checkpoints.hub import find
from jaxformer.data import build as build_module
from jaxformer.data import languages
from jaxformer.data.atomic import alone
from jaxformer.data.build import build
from jaxformer.data.manifest import Manifest, digest, read_manifest
from jaxformer.data.recipe import CorpusRecipe, read_recipe
from jaxformer.data.shards import open_tokens, shard_path
from jaxformer.data.sources import files as source_files
from jaxformer.data.survey import survey
from jaxformer.data.tasks import Crew, crew
from jaxformer.tokenizer import load

RULES = "encoding size generated mean_line_length longest_line digits parses secrets emails"
NOTHING = dict.fromkeys(RULES.split(" "), False)
CONSOLE = Console(file=io.StringIO())


@pytest.fixture(scope="module")
def two() -> Iterator[Crew]:
    """Two processes."""
    with crew(2) as hired:
        yield hired


def recipe(source: dict, **settings) -> CorpusRecipe:
    return CorpusRecipe.model_validate({"name": "corpus", "sources": [source], **settings})


def records(path: Path, texts: list[str]) -> dict:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"text": text, "language": "python"}) + "\n" for text in texts]
    path.write_text("".join(lines))
    return {"kind": "jsonl", "path": str(path)}


def documents(folder: Path) -> list[str]:
    """Return the texts of all documents of a data set, in its order."""
    manifest, tokenizer = read_manifest(folder), load(folder / "tokenizer")
    texts = []
    for number in range(len(manifest.rows)):
        with np.load(shard_path(folder, number, "npz")) as index:
            bounds = index["documents"]
        ids = np.fromfile(shard_path(folder, number, "tokens"), manifest.dtype).tolist()
        for start, end in pairwise(bounds):
            assert ids[end - 1] == tokenizer.eos_token_id
            texts.append(tokenizer.decode(ids[start : end - 1]))
    return texts


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def small_units(monkeypatch):
    """Many units, ranges and shards of little text."""
    monkeypatch.setattr(source_files, "UNIT_BYTES", 40_000)
    monkeypatch.setattr(build_module, "RANGE_BYTES", 200_000)
    monkeypatch.setattr(build_module, "SHARD_BYTES", (100_000, 100_000))


@pytest.mark.parametrize("packing", ["cut", "fit"])
def test_every_document_is_in_the_shards_once_in_another_order(tmp_path, small_units, packing, two):
    texts = list(dict.fromkeys(text.replace("\r\n", "\n") for text in sources(".py", 120)))
    texts = [text for text in texts if text.strip()]
    source = records(tmp_path / "in" / "a.jsonl", texts)
    made = recipe(source, packing=packing, context=64, filters=NOTHING, duplicates={"near": False})
    manifest = build(made, tmp_path / "out", CONSOLE, two)
    assert len(manifest.rows) > 3
    got = documents(tmp_path / "out")
    assert sorted(got) == sorted(texts)
    assert got != texts
    order = [texts.index(text) for text in got]
    assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.35
    assert manifest.documents == len(texts)
    assert manifest.dtype == "uint16"
    assert not (tmp_path / "out" / "work").exists()
    assert manifest.files == {
        name: found for name, found in bytes_of(tmp_path / "out").items() if name != "manifest.json"
    }
    # Every next token within a document is in exactly one row.
    tokens = open_tokens(tmp_path / "out")
    pairs = sum(len(tokens.stretch(row).tokens) - 1 for row in range(len(tokens)))
    joints = len(texts) - len(manifest.rows)
    if packing == "cut":
        assert pairs == manifest.tokens - len(manifest.rows)
    else:
        assert manifest.tokens - len(texts) <= pairs <= manifest.tokens - len(texts) + joints


def test_each_rule_takes_what_it_should_and_the_ledger_says_so(tmp_path, two):
    folder = tmp_path / "in"
    (folder / "lib").mkdir(parents=True)
    body = "def total(values):\n    result = 0\n    for value in values:\n        result += value\n"
    other = "class Quay:\n    def __init__(self, name, depth):\n        self.name = name\n        "
    other += "self.depth = depth\n\n    def fits(self, ship):\n        return self.depth > ship\n"
    problem = "Sum up the lengths of all ropes that hang over the quay wall tonight please"
    (tmp_path / "bench.jsonl").write_text(json.dumps({"prompt": problem}))
    held = (Path(jf.__file__).parent / "embedded/benchmarks/held-out/01.txt").read_text()
    inputs = {
        "LICENSE": Path(__file__).parents[2].joinpath("LICENSE").read_text(),
        "a_first.py": body,
        "b_again.py": body,
        "c_near.py": body.replace("total", "totals")
        + "".join(f"print(total([{i}, {i + 1}]))\n" for i in range(40)),
        "d_near.py": body + "".join(f"print(total([{i}, {i + 1}]))\n" for i in range(40)),
        "e_quay.py": other,
        "f_long.py": other + "x = '" + "y" * 1001 + "'\n" + "z = 1\n" * 200,
        "g_wide.py": "x = '" + "y" * 200 + "'\n",
        "h_hex.py": "0x" + "0123456789abcdef" * 5 + "\n",
        "i_two.py": "print 'two'\n",
        "j_made.py": "# Generated by a machine. DO NOT EDIT.\n" + other,
        "k_bench.py": other + f"# {problem}\n",
        "l_held.py": other + "".join(f"# {line}\n" for line in held.splitlines()),
        "m_empty.py": "",
        "n_what.xyz": other,
        "o_secret.py": "KEY = '"
        + "AKIA"
        + "J4XQ7LKD"
        + "2VZM9TRB"
        + "'\nMAIL = 'ann@harbour.se'\n"
        + other,
        "lib/p.rs": 'fn main() {\n    println!("quay");\n}\n',
    }
    for name, text in inputs.items():
        (folder / name).write_text(text)
    (folder / "q_bytes.py").write_bytes(b"x = '\xff'\n")
    (folder / "r.py.gz").write_bytes(gzip.compress(b"x = 1\n" * 99)[:-9])
    made = recipe(
        {"kind": "folder", "path": str(folder), "name": "harbour", "exclude": ["LICENSE"]},
        context=32,
        languages=["python"],
        contamination={"benchmarks": [str(tmp_path / "bench.jsonl")]},
    )
    manifest = build(made, tmp_path / "out", CONSOLE, two)
    table = pq.read_table(tmp_path / "out" / "ledger.parquet")
    ledger = {row["path"]: row for row in table.to_pylist()}
    verdicts = {path: row["verdict"] for path, row in ledger.items()}
    assert verdicts == {
        "a_first.py": "kept",
        "b_again.py": "duplicate",
        "c_near.py": "kept",
        "d_near.py": "near duplicate",
        "e_quay.py": "kept",
        "f_long.py": "longest_line",
        "g_wide.py": "mean_line_length",
        "h_hex.py": "digits",
        "i_two.py": "parses",
        "j_made.py": "generated",
        "k_bench.py": "benchmark",
        "l_held.py": "benchmark",
        "m_empty.py": "empty",
        "n_what.xyz": "language",
        "o_secret.py": "kept",
        "lib/p.rs": "language",
        "q_bytes.py": "encoding",
        "r.py.gz": "damaged",
    }
    assert ledger["b_again.py"]["detail"] == "of a_first.py"
    assert ledger["d_near.py"]["detail"] == "of c_near.py"
    assert ledger["k_bench.py"]["detail"] == "bench.jsonl:1"
    assert ledger["l_held.py"]["detail"] == "held-out/01.txt"
    assert ledger["a_first.py"]["license"] == "Apache-2.0"
    counts = collections.Counter(verdicts.values())
    account = manifest.accounts["harbour"]
    assert {verdict: count.documents for verdict, count in account.items()} == counts
    for verdict, count in account.items():
        assert count.bytes == sum(r["bytes"] for r in ledger.values() if r["verdict"] == verdict)
    kept = documents(tmp_path / "out")
    assert body in kept
    [secret] = [text for text in kept if "KEY" in text]
    assert "AKIA" not in secret
    assert "harbour.se" not in secret
    assert sum(row["tokens"] or 0 for row in ledger.values()) == manifest.tokens
    assert set(manifest.benchmarks) == {"held-out", "turns.jsonl", "bench.jsonl"}


def test_the_language_is_named_first_and_conversations_are_marked(tmp_path):
    path = tmp_path / "in.jsonl"
    turns = [{"prompt": "Set x to 1.", "code": "x = 1"}, {"prompt": "Print x.", "code": "print(x)"}]
    plain = {"text": "package main\n\nfunc main() {\n}\n", "language": "go"}
    path.write_text(json.dumps({"turns": turns}) + "\n" + json.dumps(plain) + "\n")
    made = recipe(
        {"kind": "jsonl", "path": str(path)}, context=128, language_prefix=True, infilling=True
    )
    manifest = build(made, tmp_path / "out", CONSOLE)
    texts = documents(tmp_path / "out")
    header = "# Import libraries.\n\nimport numpy as np\n\n"
    talk = header + "# Set x to 1.\nx = 1\n\n# Print x.\nprint(x)\n\n"
    assert sorted(texts) == sorted([talk, languages.prefix("go") + plain["text"]])
    assert manifest.conversations
    marks = np.fromfile(shard_path(tmp_path / "out", 0, "prompts"), np.uint8)
    ids = np.fromfile(shard_path(tmp_path / "out", 0, "tokens"), np.uint16)
    tokenizer = load(tmp_path / "out" / "tokenizer")
    words = tokenizer.decode(ids[marks == 1].tolist())
    assert words == f"{header} Set x to 1.\n Print x.\n"
    assert tokenizer.vocab_size == load(find("nano")).vocab_size + 3


def test_a_tokenizer_may_be_learnt_from_the_corpus(tmp_path, two):
    source = records(tmp_path / "a.jsonl", sources(".py", 40))
    for name in ("one", "two"):
        build(recipe(source, vocab_size=600, context=64), tmp_path / name, CONSOLE, two)
    assert load(tmp_path / "one" / "tokenizer").vocab_size == 600
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_the_same_recipe_gives_the_same_bytes_on_any_number_of_workers(tmp_path, small_units, two):
    source = records(tmp_path / "a.jsonl", sources(".py", 60) * 2)
    made = recipe(source, context=64)
    build(made, tmp_path / "one", CONSOLE)
    build(made, tmp_path / "two", CONSOLE, two)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    before = bytes_of(tmp_path / "one")
    build(made, tmp_path / "one", CONSOLE, two)  # is built already
    assert bytes_of(tmp_path / "one") == before
    build(made.model_copy(update={"seed": 1}), tmp_path / "three", CONSOLE, two)
    shuffled = documents(tmp_path / "three")
    assert sorted(shuffled) == sorted(documents(tmp_path / "one"))
    assert shuffled != documents(tmp_path / "one")


def test_ray_gives_the_same_bytes(tmp_path, small_units, two):
    source = records(tmp_path / "a.jsonl", sources(".py", 30))
    made = recipe(source, context=64)
    build(made, tmp_path / "cores", CONSOLE, two)
    with crew(2, "ray") as cluster:
        build(made, tmp_path / "ray", CONSOLE, cluster)
    assert bytes_of(tmp_path / "cores") == bytes_of(tmp_path / "ray")


RUN = """
import sys
from pathlib import Path
from rich.console import Console
from jaxformer.data import build as module
from jaxformer.data.recipe import read_recipe
from jaxformer.data.sources import files
from jaxformer.data.tasks import crew
if __name__ == "__main__":
    files.UNIT_BYTES, module.RANGE_BYTES, module.SHARD_BYTES = 40_000, 200_000, (9, 100_000)
    with crew(2) as hired:
        module.build(read_recipe(sys.argv[1]), Path(sys.argv[2]), Console(stderr=True), hired)
"""


def started(folder: Path, toml: Path, out: Path) -> subprocess.Popen:
    (folder / "run.py").write_text(RUN)
    command = [sys.executable, str(folder / "run.py"), str(toml), str(out)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)


def group_lives(group: int) -> bool:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[2] == str(group) and fields[0] != "Z":
            return True
    return False


@pytest.fixture
def toml(tmp_path) -> Path:
    records(tmp_path / "in" / "a.jsonl", sources(".py", 110) + sources(".py", 30))
    path = tmp_path / "corpus.toml"
    path.write_text(
        f'name = "corpus"\ncontext = 64\nvocab_size = 500\n'
        f'[[sources]]\nkind = "jsonl"\npath = "{tmp_path}/in/*.jsonl"\n'
    )
    return path


MARKS = (
    "work/plan.json",
    "work/ranges.json",
    "work/exact/*.npy",
    "work/encoder.json",
    "work/units/*.index.npy",
    "work/shards.json",
)
"""What each stage of a build leaves behind, in order."""


def killed(process: subprocess.Popen, folder: Path, mark: str, delay: float) -> bool:
    """Kill a build some time after the mark occurs; say whether it was still at work then."""
    while process.poll() is None and not any(folder.glob(mark)):
        time.sleep(0.001)
    time.sleep(delay)
    ended = process.poll()
    process.kill()
    process.wait()
    patience = time.monotonic() + 10
    while group_lives(process.pid) and time.monotonic() < patience:
        time.sleep(0.01)
    assert not group_lives(process.pid), "a worker outlives its killed parent"
    assert ended in (0, None)
    return ended is None


def test_killed_anywhere_and_resumed_it_gives_the_same_bytes(tmp_path, toml):
    assert started(tmp_path, toml, tmp_path / "whole").wait(100) == 0
    rng = random.Random(0)
    kills = dict.fromkeys(MARKS, 0)
    for out in map(str, range(5)):
        folder = tmp_path / out
        for mark in sorted(rng.sample(MARKS, 3), key=MARKS.index):
            process = started(tmp_path, toml, folder)
            kills[mark] += killed(process, folder, mark, rng.uniform(0, 0.05))
        assert started(tmp_path, toml, folder).wait(100) == 0
        assert bytes_of(folder) == bytes_of(tmp_path / "whole")
    assert sum(kills.values()) >= 10, kills
    assert sum(count > 0 for count in kills.values()) >= 4, "the kills hit different stages"


def test_a_killed_worker_ends_the_build_in_one_sentence(tmp_path, toml):
    process = started(tmp_path, toml, tmp_path / "out")
    killed = False
    for _ in range(2000):
        time.sleep(0.005)
        if (tmp_path / "out" / "work" / "plan.json").exists():
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            os.kill(int(children[0]), signal.SIGKILL)
            killed = True
        if killed or process.poll() is not None:
            break
    assert killed
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"UserError: A worker process was killed" in errors
    process = started(tmp_path, toml, tmp_path / "out")
    assert process.wait(100) == 0


def test_two_builds_do_not_share_a_folder(tmp_path, toml, two):
    (tmp_path / "out" / "work").mkdir(parents=True)
    with alone(tmp_path / "out", "build"), pytest.raises(jf.UserError, match="Another build"):
        build(read_recipe(toml), tmp_path / "out", CONSOLE, two)


def test_a_full_disk_ends_in_one_sentence_and_what_was_built_stays(tmp_path, toml, two):
    script = tmp_path / "limited.py"
    script.write_text(
        "import resource, sys\n"
        "from jaxformer.cli.main import main\n"
        "if __name__ == '__main__':\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n"
        f"    sys.argv[1:] = ['data', 'build', {str(toml)!r}, '--out', {str(tmp_path)!r}]\n"
        "    main()\n"
    )
    limited = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=100, check=False
    )
    assert limited.returncode == 2, limited.stderr
    last = limited.stderr.strip().splitlines()[-1]
    assert last.startswith(f"jaxformer: There is no room for {tmp_path / 'corpus'}: ")
    assert last.endswith("; make some and give the same command again.")
    assert "Traceback" not in limited.stderr
    made = read_recipe(toml)
    build(made, tmp_path / "corpus", CONSOLE, two)
    build(made, tmp_path / "fresh", CONSOLE, two)
    assert bytes_of(tmp_path / "corpus") == bytes_of(tmp_path / "fresh")


def test_what_vanishes_midway_is_counted(tmp_path, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.py").write_text(f"x = {number}\nprint(x)\n")
    real = build_module._run_stages

    def run_stages(*arguments):
        (folder / "3.py").unlink()
        real(*arguments)

    monkeypatch.setattr(build_module, "_run_stages", run_stages)
    made = recipe({"kind": "folder", "path": str(folder), "name": "in"}, context=16)
    manifest = build(made, tmp_path / "out", CONSOLE)
    account = manifest.accounts["in"]
    assert account["unreadable"].documents == 1
    assert account["kept"].documents == 4
    ledger = pq.read_table(tmp_path / "out" / "ledger.parquet").to_pylist()
    [gone] = [row for row in ledger if row["verdict"] == "unreadable"]
    assert gone["path"] == "3.py"
    assert "No such file" in gone["detail"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sources": [{"kind": "folder", "path": "/none/here"}]}, "/none/here"),
        ({"tokenizer": "/none/tokenizer"}, "/none/tokenizer"),
        ({"contamination": {"benchmarks": ["/none/bench.jsonl"]}}, "bench.jsonl"),
        ({"languages": ["go"]}, "No document of corpus is left"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(tmp_path, change, complaint):
    source = records(tmp_path / "a.jsonl", ["x = 1\n"])
    made = CorpusRecipe.model_validate({"name": "corpus", "sources": [source]} | change)
    with pytest.raises(jf.UserError, match=complaint) as caught:
        build(made, tmp_path / "out", CONSOLE)
    assert is_one_sentence(str(caught.value))
    with pytest.raises(jf.UserError, match="no finished data set"):
        open_tokens(tmp_path / "out")


def test_a_folder_may_be_built_anew_by_the_same_workers(tmp_path, two):
    for texts in (["alpha = 1\n", "beta = 2\n"], ["gamma = 3\n", "delta = 4\n", "eps = 5\n"]):
        source = records(tmp_path / "a.jsonl", texts)
        build(recipe(source, context=16), tmp_path / "out", CONSOLE, two)
        assert sorted(documents(tmp_path / "out")) == sorted(texts)
        shutil.rmtree(tmp_path / "out")


def test_a_wrong_tokenizer_is_found_first_and_mended(tmp_path):
    source = records(tmp_path / "a.jsonl", ["x = 1\n", "y = 2\n"])
    with pytest.raises(jf.UserError, match="/none/tokenizer"):
        build(recipe(source, tokenizer="/none/tokenizer"), tmp_path / "out", CONSOLE)
    assert not list((tmp_path / "out" / "work" / "units").iterdir())
    assert build(recipe(source), tmp_path / "out", CONSOLE).documents == 2


def test_empty_shards_do_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr(build_module, "SHARD_BYTES", (4, 4))
    source = records(tmp_path / "a.jsonl", [f"x = {i}\n" for i in range(9)])
    manifest = build(recipe(source, context=4), tmp_path / "out", CONSOLE)
    assert 0 in manifest.rows
    tokens = open_tokens(tmp_path / "out")
    assert sum(len(tokens.stretch(row).tokens) - 1 for row in range(len(tokens))) > 9
    assert survey(tmp_path / "out").documents == 9


def test_the_commit_of_a_checkout_is_in_the_manifest(tmp_path):
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "a.py").write_text("x = 1\n")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(checkout), *command], check=True)
    source = {"kind": "git", "path": str(checkout), "name": "mine"}
    manifest = build(recipe(source, context=16), tmp_path / "out", CONSOLE)
    head = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    commit = subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    assert manifest.commits == {"mine": [commit]}


class Odd(Exception):
    """Goes into another process but not out of it."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def fail(folder: Path, number: int) -> None:
    if number == 1:
        raise Odd(1, 2)
    if number == 2:
        raise jf.UserError("The second piece is wrong.")


def test_errors_of_workers_arrive_and_the_crew_goes_on(tmp_path):
    with crew(2) as hired:
        with pytest.raises(RuntimeError, match="Odd"):
            list(hired.do(fail, tmp_path, [0, 1, 3]))
        with pytest.raises(jf.UserError, match="second piece"):
            list(hired.do(fail, tmp_path, [0, 2, 3]))
        assert sorted(hired.do(fail, tmp_path, [*range(3, 30)])) == [*range(3, 30)]


def test_another_recipe_does_not_touch_a_data_set(tmp_path):
    source = records(tmp_path / "a.jsonl", ["x = 1\n", "y = 2\n"])
    build(recipe(source, context=16), tmp_path / "out", CONSOLE)
    before = bytes_of(tmp_path / "out")
    with pytest.raises(jf.UserError, match="another recipe"):
        build(recipe(source, context=32), tmp_path / "out", CONSOLE)
    assert bytes_of(tmp_path / "out") == before


def test_damage_is_named(tmp_path):
    source = records(tmp_path / "a.jsonl", [f"x = {i}\n" for i in range(50)])
    out = tmp_path / "out"
    manifest = build(recipe(source, context=16), out, CONSOLE)
    assert manifest == Manifest.model_validate_json((out / "manifest.json").read_text())
    tokens = shard_path(out, 0, "tokens")
    assert digest(tokens) == manifest.files[tokens.name]
    os.truncate(tokens, tokens.stat().st_size - 2)
    with pytest.raises(jf.UserError, match=r"shard-00000\.tokens"):
        open_tokens(out).stretch(0)
    (out / "manifest.json").write_text('{"version": 1}')
    with pytest.raises(jf.UserError, match="name"):
        open_tokens(out)
