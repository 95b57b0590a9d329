"""The report: what it says is what the runs say."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from jaxformer.errors import UserError
from jaxformer.evaluation.evaluate import head
from jaxformer.evaluation.exam import Key, Mode, Verdict
from jaxformer.evaluation.figures import figures
from jaxformer.evaluation.manifest import Manifest
from jaxformer.evaluation.multi_turn import MultiTurn
from jaxformer.evaluation.problems import TURNS, read_problems
from jaxformer.evaluation.report import as_data, read_runs, render
from jaxformer.evaluation.samples import Sample, Written

EXAM = MultiTurn(read_problems(TURNS)[::16], ("multi", "single"))


def make_run(folder: Path, right: int, *, problems: str = "p", modes: tuple[Mode, ...]) -> Path:
    """A run in which the first cases of every problem are right, so many of five."""
    samples = [
        Sample(key, (Written("p", "x = '<script>'"),), Verdict(key.case < right, "passed"), "<b>&")
        for key in EXAM.keys(1)
        if key.mode in modes
    ]
    folder.mkdir()
    manifest = Manifest(
        benchmark="turns", problems=problems, model="m", weights="w", parameters=10 + right,
        dtype="float32", mode="both", engine="jaxformer", history="own", scorer="fixed",
            limits={}, tier="t",
        drawing={"samples": 1, "temperature": 0.2, "candidates": 1}, software={},
    )  # fmt: skip
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    (folder / "samples.jsonl").write_text("".join(s.line() + "\n" for s in samples))
    lines = [
        json.dumps({"id": p.id, "mode": "multi", "case": 0, "perplexity": 2.0 + i})
        for i, p in enumerate(EXAM.problems)
    ]
    (folder / "perplexity.jsonl").write_text("\n".join(lines) + "\n")
    perplexities = {(p.id, "multi"): 2.0 + i for i, p in enumerate(EXAM.problems)}
    found = head(manifest) | figures(EXAM, samples, perplexities)
    (folder / "figures.json").write_text(json.dumps(found))
    return folder


def test_rates_are_means_over_cases_and_problems(tmp_path: Path):
    run = make_run(tmp_path / "a", 2, modes=("multi", "single"))
    found = json.loads((run / "figures.json").read_text())
    assert found["multi"]["pass_rate"] == pytest.approx(0.4)
    assert found["multi"]["pass@1"] == pytest.approx(0.4)
    assert found["multi"]["interval"] == pytest.approx([0.4, 0.4])
    assert found["multi"]["problems"] == len(EXAM.problems)
    assert found["difference"]["value"] == 0
    parts = found["multi"]["by_difficulty"]
    assert sum(part["problems"] for part in parts.values()) == len(EXAM.problems)


def test_unequal_problems_weigh_the_same():
    def sample(problem: str, case: int, number: int, right: bool) -> Sample:
        key = Key(problem, "multi", case, number)
        return Sample(key, (), Verdict(right, "passed" if right else "wrong"))

    one, two = EXAM.problems[0].id, EXAM.problems[1].id
    samples = [sample(one, 0, n, True) for n in range(4)]
    samples += [sample(one, 1, n, n == 0) for n in range(4)]
    samples += [sample(two, 0, n, False) for n in range(4)]
    found = figures(EXAM, samples)["multi"]
    assert found["pass_rate"] == pytest.approx(((1 + 0.25) / 2 + 0) / 2)


def test_runs_are_compared_with_the_first(tmp_path: Path):
    first = make_run(tmp_path / "a", 2, modes=("multi", "single"))
    second = make_run(tmp_path / "b", 3, modes=("multi",))
    data = as_data(read_runs([first, second]))
    [compared] = data["comparisons"]
    assert (compared["run"], compared["than"], compared["mode"]) == ("b", "a", "multi")
    assert compared["value"] == pytest.approx(0.2)
    assert compared["p"] < 0.01
    assert data["runs"]["b"]["multi"]["pass_rate"] == pytest.approx(0.6)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_holds_everything_and_nothing_of_a_model_is_markup(tmp_path: Path):
    runs = [
        make_run(tmp_path / "a", 2, modes=("multi", "single")),
        make_run(tmp_path / "b", 3, modes=("multi", "single")),
    ]
    page = render(read_runs(runs))
    found = _Tags()
    found.feed(page)
    assert found.tags.count("svg") >= 5
    assert "script" not in found.tags
    assert all(link.startswith("#") for link in found.links)
    assert "&lt;b&gt;&amp;" in page
    assert "+20.00 points" in page
    assert page.count("<details>") == len(EXAM.problems)


def test_what_cannot_be_compared_is_refused(tmp_path: Path):
    first = make_run(tmp_path / "a", 2, modes=("multi",))
    other = make_run(tmp_path / "b", 2, problems="q", modes=("multi",))
    with pytest.raises(UserError, match="with other problems"):
        read_runs([first, other])
    (other / "figures.json").unlink()
    with pytest.raises(UserError, match="is not finished"):
        read_runs([other])
    with pytest.raises(UserError, match="is no run"):
        read_runs([tmp_path])
