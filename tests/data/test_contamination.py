"""A planted benchmark problem is always caught, and ordinary code stays."""

import gzip
import io
import json
import random

import pyarrow.parquet as pq
import pytest
from rich.console import Console

import jaxformer as jf
from conftest import is_one_sentence, sources
from jaxformer.data.build import build
from jaxformer.data.contamination import read_benchmarks
from jaxformer.data.recipe import CorpusRecipe
from jaxformer.evaluation.problems import TURNS, read_problems

# Problems written for this test.
PROBLEMS = [
    {
        "id": "1",
        "prompts": [
            "Assign the list of buoys {buoys} to a variable named 'harbour'.",
            "Sort the harbour by the distance of each buoy from the lighthouse and keep the order.",
            "Print how many buoys are nearer to the lighthouse than to the quay.",
        ],
        "inputs": [{"buoys": [3, 1, 4]}, {"buoys": [2]}],
        "outputs": [2, 1],
    },
    {
        "task": "b",
        "prompt": "def tide_table(moons):\n    '''Return the tides of every moon, the highest one "
        "first, and leave out those below the quay.'''\n",
        "solution": "    return sorted((m.tide for m in moons if m.tide > QUAY), reverse=True)\n",
    },
    {"text": "Count all the gulls twice."},
]


@pytest.fixture
def benchmark(tmp_path):
    path = tmp_path / "harbour.jsonl"
    path.write_text("".join(json.dumps(problem) + "\n" for problem in PROBLEMS))
    return path


def planted(problem: dict, rng: random.Random) -> str:
    """Return one of the texts of a problem as it may stand in somebody's file."""
    texts = [v for v in problem.values() if isinstance(v, str) and len(v.split()) > 4]
    if "prompts" in problem:
        case = rng.choice(problem["inputs"])
        texts.append("\n".join(f"# {p.format(**case)}\nx = 1" for p in problem["prompts"]))
        texts.append(" ".join(problem["prompts"]))
    text = rng.choice(texts)
    if rng.random() < 0.5:
        text = text.upper()
    if rng.random() < 0.5:
        text = text.replace(" ", "\n    # ")
    return text


def test_planted_problems_are_always_caught(benchmark):
    benchmarks = read_benchmarks([str(benchmark)], 10)
    host = sources(".py", 20)
    for seed in range(400):
        rng = random.Random(seed)
        number = rng.randrange(len(PROBLEMS))
        lines = rng.choice(host).split("\n")
        lines.insert(rng.randrange(len(lines) + 1), planted(PROBLEMS[number], rng))
        texts = ["x = 1\n", "\n".join(lines), rng.choice(host)]
        assert benchmarks.find(texts) == [None, f"harbour.jsonl:{number + 1}", None]


def test_prompts_with_code_between_them_are_caught(tmp_path):
    prompts = ["Count the gulls on the roof.", "Print how many of them sleep.", "Stop."]
    (tmp_path / "gulls.jsonl").write_text(json.dumps({"prompts": prompts}))
    benchmarks = read_benchmarks([str(tmp_path / "gulls.jsonl")], 10)
    code = "".join(f"# {prompt}\nvalue = {i}\n\n" for i, prompt in enumerate(prompts))
    assert benchmarks.find([f"import numpy\n\n{code}"]) == ["gulls.jsonl:1"]
    assert benchmarks.find([f"# {prompts[0]}\nx = 1\n"]) == [None]  # one alone is no problem


def test_own_problems_as_conversations_are_caught(tmp_path):
    source = tmp_path / "talks.jsonl"
    held_out = [
        problem.texts[1:]
        for problem in read_benchmarks([], 10).problems
        if problem.name.startswith("held-out")
    ]
    turns = [problem.filled(0) for problem in read_problems(TURNS)]
    talks = [
        {"turns": [{"prompt": p, "code": f"v = {i}"} for i, p in enumerate(prompts) if p]}
        for prompts in [*held_out, *turns]
    ]
    source.write_text("".join(json.dumps(talk) + "\n" for talk in talks))
    made = CorpusRecipe.model_validate(
        {"name": "talks", "sources": [{"kind": "jsonl", "path": str(source)}]}
    )
    with pytest.raises(jf.UserError, match="No document of talks is left"):
        build(made, tmp_path / "out", Console(file=io.StringIO()))
    ledger = pq.read_table(tmp_path / "out" / "ledger.parquet").to_pylist()
    assert [row["verdict"] for row in ledger] == ["benchmark"] * (250 + 192)


def test_ordinary_code_stays(benchmark):
    found = read_benchmarks([str(benchmark)], 10).find(sources(".py", 300))
    assert found == [None] * len(found)


def test_the_package_s_own_benchmark_always_counts():
    benchmarks = read_benchmarks([], 10)
    assert set(benchmarks.files) == {"held-out", "turns.jsonl"}
    assert len(benchmarks.problems) == 250 + 192
    found = {
        problem.name: benchmarks.find([max(problem.texts, key=len)])[0]
        for problem in benchmarks.problems
    }
    # Two authors began a problem with the same ten words, and the first that has them is named.
    alike = {"98": "129", "205": "105", "221": "173"}
    alike = {f"held-out/{one}.txt": f"held-out/{other}.txt" for one, other in alike.items()}
    assert found == {problem.name: problem.name for problem in benchmarks.problems} | alike


def test_numbers_in_a_row_are_no_overlap(tmp_path):
    """Such as a matrix of zeros and ones that stands in somebody's tests, too."""
    inputs = [{"grid": "[[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]"}]
    problem = {"prompts": ["Set the grid of the 9 lighthouses to {grid}."], "inputs": inputs}
    (tmp_path / "grid.jsonl").write_text(json.dumps(problem))
    benchmarks = read_benchmarks([str(tmp_path / "grid.jsonl")], 10)
    numbers = "x = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])\n"
    planted = "# set the grid of the 9 lighthouses to 0, 1, 0\n"
    assert benchmarks.find([numbers, planted]) == [None, "grid.jsonl:1"]


def test_numbers_beside_words_do_not_hide_them(tmp_path):
    short = {"prompt": "Find the lonely heron of a list.", "input": str(list(range(1, 12)))}
    two = {"prompts": ["Add 3, 4, 5 and 6 to bag.", "Take 3, 4, 5 and 6 from bag."]}
    (tmp_path / "p.jsonl").write_text(json.dumps(short) + "\n" + json.dumps(two) + "\n")
    benchmarks = read_benchmarks([str(tmp_path / "p.jsonl")], 10)
    code = "".join(f"# {prompt}\nx = 1\n" for prompt in two["prompts"])
    texts = [f"# {short['prompt']}\n", code, "x = [3, 4, 5, 6]\ny = [1, 2, 3, 4, 5, 6, 7]\n"]
    assert benchmarks.find(texts) == ["p.jsonl:1", "p.jsonl:2", None]


def test_odd_templates_and_characters_do_no_harm(tmp_path):
    prompts = ["Use {a.real} and {a:99999999999} and {b!r} and {} of the nine lighthouses, {a}."]
    problem = {"prompts": prompts, "inputs": [{"a": 7}, "no case"], "odd": "\ud800 lone"}
    (tmp_path / "odd.jsonl").write_text(json.dumps(problem))
    benchmarks = read_benchmarks([str(tmp_path / "odd.jsonl")], 10)
    text = "# Use {a.real} and {a:99999999999} and {b!r} and {} of the nine lighthouses, 7."
    assert benchmarks.find([text]) == ["odd.jsonl:1"]


def test_files_in_other_forms(benchmark, tmp_path):
    zipped, whole, plain = (tmp_path / name for name in ("h.jsonl.gz", "h.json", "h.txt"))
    zipped.write_bytes(gzip.compress(benchmark.read_bytes()))
    whole.write_text(json.dumps(PROBLEMS))
    plain.write_text(PROBLEMS[1]["prompt"])
    for path in (zipped, whole, plain):
        benchmarks = read_benchmarks([str(path)], 10)
        [found] = benchmarks.find([PROBLEMS[1]["prompt"]])
        assert found is not None
        assert found.startswith(path.name)
    own = set(read_benchmarks([], 10).files)
    assert len(set(read_benchmarks([str(tmp_path / "h.*")], 10).files) - own) == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bad.jsonl", b'{"a": 1}\n{"a":\n'),
        ("deep.json", b"[" * 100_000),
        ("bad.jsonl.gz", b"no gzip"),
        ("torn.jsonl.gz", gzip.compress(b"{}\n" * 900, mtime=0)[:-12]),
        ("bad.txt", b"\xff\xfe"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(jf.UserError, match=name) as caught:
        read_benchmarks([str(tmp_path / name)], 10)
    assert is_one_sentence(str(caught.value))
    with pytest.raises(jf.UserError, match="none"):
        read_benchmarks([str(tmp_path / "none")], 10)
