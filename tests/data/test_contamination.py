"""A planted benchmark problem is always caught, and ordinary code stays."""

import gzip
import json
import random

import pytest

import jaxformer as jf
from conftest import is_one_sentence, sources
from jaxformer.data.contamination import read_benchmarks

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


def test_ordinary_code_stays(benchmark):
    found = read_benchmarks([str(benchmark)], 10).find(sources(".py", 300))
    assert found == [None] * len(found)


def test_the_package_s_own_benchmark_always_counts():
    benchmarks = read_benchmarks([], 10)
    assert "held-out" in benchmarks.files
    assert len(benchmarks.problems) == 50
    for problem in benchmarks.problems:
        assert benchmarks.find([problem.texts[0]]) == [problem.name]


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
    assert len(read_benchmarks([str(tmp_path / "h.*")], 10).files) == 4  # and the package's own


@pytest.mark.parametrize(
    ("name", "content"),
    [("bad.jsonl", b'{"a": 1}\n{"a":\n'), ("bad.jsonl.gz", b"no gzip"), ("bad.txt", b"\xff\xfe")],
)
def test_bad_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(jf.UserError, match=name) as caught:
        read_benchmarks([str(tmp_path / name)], 10)
    assert is_one_sentence(str(caught.value))
    with pytest.raises(jf.UserError, match="none"):
        read_benchmarks([str(tmp_path / "none")], 10)
