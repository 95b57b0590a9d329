"""The paper in miniature: its plan, its findings, and a whole tiny study."""

import io
import itertools
import json
import math
import random
import statistics
from pathlib import Path

import pytest
from rich.console import Console
from scipy.stats import spearmanr

import jaxformer as jf
from jaxformer.cli.main import main
from jaxformer.errors import UserError
from jaxformer.evaluation import perplexities
from jaxformer.evaluation.exam import Key, Verdict
from jaxformer.evaluation.manifest import Manifest
from jaxformer.evaluation.multi_turn import MultiTurn
from jaxformer.evaluation.problems import TURNS, read_problems
from jaxformer.evaluation.report import Run
from jaxformer.evaluation.samples import Sample
from jaxformer.model import count
from jaxformer.sandbox import DEFAULT_LIMITS
from jaxformer.studies import findings as f
from jaxformer.studies import ladder as ladders
from jaxformer.studies.miniature import reproduce
from jaxformer.studies.references import reference_losses
from jaxformer.studies.yardsticks import FIRST_SEED, MADE, YARDSTICKS, write_problems

QUIET = Console(file=io.StringIO())


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Three small folders of text, one for each of the paper's stages."""
    rng = random.Random(0)
    for stage, name, line in (
        ("nl", "text{}.txt", "The {0} of the {1} is written about {0} times in this book."),
        ("multi", "code{}.js", "function f{0}(x) {{ return x + {1}; }}"),
        ("mono", "code{}.py", "def f{0}(x):\n    return x + {1}\n"),
    ):
        folder = tmp_path / "texts" / stage
        folder.mkdir(parents=True)
        for number in range(12):
            lines = [line.format(rng.randrange(10**6), rng.randrange(10**6)) for _ in range(60)]
            (folder / name.format(number)).write_text("\n".join(lines), "utf-8")
    return tmp_path / "texts"


def test_sizes_have_about_the_parameters_of_their_names():
    ladder = ladders.Ladder(sizes=("1M",), tokens=1, cases=1, data="", budget=1)
    for size in ladders.SHAPES:
        shape = ladder.recipe(size).model
        assert shape is not None
        wanted = 1e6 * float(size.removesuffix("M"))
        assert count(shape) == pytest.approx(wanted, rel=0.15)


def test_a_plan_fits_its_budget_and_is_kept(texts, tmp_path):
    rates = {"1M": 8000.0, "3M": 4000.0}
    out = tmp_path / "study"
    made = ladders.plan(out, ["3M", "1M"], 60, str(texts), 0, lambda r: rates[r.name])
    assert made.sizes == ("1M", "3M")
    seconds = sum(made.tokens / rates[size] for size in made.sizes)
    assert seconds == pytest.approx(ladders.TRAINING * 3600, rel=0.01)
    steps = {
        size: [stage.steps or 0 for stage in made.recipe(size).stages] for size in made.sizes
    }  # the same text for both
    assert steps["1M"] == steps["3M"]
    assert sum(steps["1M"]) * ladders.BATCH * ladders.CONTEXT == pytest.approx(
        made.tokens, rel=0.01
    )

    def never(_: object) -> float:
        raise AssertionError("a plan that is kept needs no measuring")

    with pytest.raises(AssertionError, match="measuring"):
        ladders.plan(out, ["1M"], 60, str(texts), 0, never)  # nothing was trained: planned anew
    (out / "training" / "1M" / "state").mkdir(parents=True)
    assert ladders.plan(out, ["1M", "3M"], 60, str(texts), 0, never) == made
    with pytest.raises(UserError, match="another budget"):
        ladders.plan(out, ["1M", "3M"], 30, str(texts), 0, never)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "nowhere"], "nowhere/nl; build the corpora"),
        (["--sizes", "2M"], "no size 2M"),
        (["--sizes", ","], "needs a size"),
        (["--budget", "nan"], "budget"),
        (["--budget", "0"], "budget"),
    ],
)
def test_bad_input_is_one_sentence(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["jaxformer", "reproduce", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert said in error
    assert not list(tmp_path.iterdir())


def test_turns_keep_as_many_cases_as_are_measured(tmp_path):
    few, whole = read_problems(write_problems("turns", 2, tmp_path)), read_problems(TURNS)
    assert [one.id for one in few] == [one.id for one in whole]
    assert all(one.cases == other.cases[:2] for one, other in zip(few, whole, strict=True))


def test_made_problems_print_their_answer_and_come_from_other_seeds(tmp_path):
    problems = read_problems(write_problems("made", 1, tmp_path))
    assert len(problems) == MADE
    exam = MultiTurn(problems)
    for problem in problems:
        key = Key(problem.id, "multi", 0, 0)
        verdict = exam.judge(key, problem.solved(0), DEFAULT_LIMITS, unprotected=False)
        assert verdict.passed, problem
        assert len(problem.prompts) >= 3
    kinds = {type(problem.expected(0)) for problem in problems}
    assert kinds >= {int, float, str, list, bool}
    years = ladders.Ladder(sizes=("1M",), tokens=10**11, cases=1, data="", budget=1)
    [read] = years.recipe("1M").stages[-1].data  # the seeds from 0 on
    assert 10**6 < (read.exercises or 0) < FIRST_SEED


def test_loss_of_references_is_that_of_the_code_alone(nano):
    """Against scoring the text piece by piece: the whole less the text before each code."""
    problems = read_problems(TURNS)[:3]
    found = reference_losses(nano, problems)
    for problem in problems:
        text, total, size = "# Import libraries.\n\nimport numpy as np\n\n", 0.0, 0
        turns = list(zip(problem.filled(0), problem.solved(0), strict=True))
        for place, (prompt, code) in enumerate(turns):
            text += f"# {prompt}\n"
            after = f"{text}{code}\n\n" + ("#" if place < len(turns) - 1 else "")
            scored = jf.generation.score(nano, [after])[0]
            inside = [
                (low, high, logprob)
                for (low, high), logprob in zip(scored.spans, scored.logprobs, strict=True)
                if low >= len(text) and logprob is not None
            ]
            total -= sum(logprob for _, _, logprob in inside)
            size += sum(len(after[low:high].encode()) for low, high, _ in inside)
            text += f"{code}\n\n"
        assert found[problem.id] == pytest.approx(total / size, rel=0.02)


def measured(size: str, stage: str, rates: list[float], losses: list[float]) -> f.Measured:
    """A model whose only sample of each problem is right or wrong."""
    samples, known = [], {}
    for number, rate in enumerate(rates):
        for mode in ("multi", "single"):
            passed = rate > 0 and mode == "multi"
            key = Key(str(number), mode, 0, 0)
            samples.append(Sample(key, (), Verdict(passed, "passed" if passed else "wrong")))
            less = math.exp(-0.1) if mode == "multi" else 1.0
            known[str(number), mode] = (10.0 - 5 * rate + 0.01 * number) * less
    manifest = Manifest.model_construct(parameters=1)
    run = Run(f"{size}-{stage}", manifest, {}, samples, known)
    found = {str(i): loss for i, loss in enumerate(losses)}
    nats = {key: math.log(value) for key, value in known.items()}
    return f.Measured(size, stage, {"turns": run}, {"turns": found}, {"turns": nats})


def test_findings_are_what_the_numbers_say():
    rng = random.Random(1)
    worse = [3.0 + rng.random() for _ in range(40)]
    better = [loss - 0.5 - 0.1 * rng.random() for loss in worse]
    before = measured("1M", "mono", [0.0] * 40, worse)
    after = measured("1M", "exercises", [float(i % 2) for i in range(40)], better)
    found = f.findings([before, after])
    by = {(one.question, one.claim.split(" of ")[0]): one for one in found}
    gain = by[f.STAGES, "hundredths"]
    expected = 100 * statistics.mean(a - b for a, b in zip(worse, better, strict=True))
    assert gain.value == pytest.approx(expected)
    assert gain.verdict == "holds"
    assert by[f.STAGES, "points"].value == pytest.approx(50)
    assert by[f.TURNS, "points"].value == pytest.approx(50)
    assert by[f.TURNS, "points"].verdict == "holds"
    # Understood a tenth of a nat better in several turns, whatever passes.
    assert by[f.TURNS, "hundredths"].value == pytest.approx(10)
    assert by[f.TURNS, "hundredths"].verdict == "holds"
    related = [one for one in found if one.question == f.PERPLEXITY and "pass rate" in one.claim]
    assert related[0].value is not None
    assert related[0].value > 0.8
    assert related[0].verdict == "holds"
    assert related[1].verdict == "cannot be told"  # no program of one turn is right
    both = [
        f.Measured(
            "1M",
            one.stage,
            {"turns": one.runs["turns"], "made": other.runs["turns"]},
            {"turns": one.losses["turns"], "made": other.losses["turns"]},
            {"turns": one.prompts["turns"], "made": other.prompts["turns"]},
        )
        for one, other in ((before, after), (after, before))  # the contrary on the second
    ]
    steps = [one for one in f.findings(both) if one.question == f.STAGES]
    verdicts = {(one.yardstick, one.verdict) for one in steps}
    assert verdicts == {("turns", "holds"), ("made", "does not hold")}
    larger = [
        measured("3M", "mono", [0.0] * 40, worse),
        measured("3M", "exercises", [1.0] * 40, better),
    ]
    sizes = [one for one in f.findings([before, after, *larger]) if one.question == f.SIZE]
    assert [one.verdict for one in sizes] == ["cannot be told", "holds"]  # losses are the same
    backwards = f.findings([after, measured("1M", "after", [0.0] * 40, worse)])
    assert {one.verdict for one in backwards if one.question == f.STAGES} == {"does not hold"}
    assert related[1].value is None


def test_without_a_right_program_the_loss_tells_what_perplexity_predicts():
    order = list(range(40))  # prompts are the less likely, the later the problem
    mixed = random.Random(3).sample(order, len(order))
    losses = {"holds": order, "does not hold": order[::-1], "cannot be told": mixed}
    for verdict, some in losses.items():
        model = measured("1M", "exercises", [0.0] * 40, [1.0 + place for place in some])
        passed, _, likely = (one for one in f.findings([model]) if one.question == f.PERPLEXITY)
        assert passed.value is None
        assert likely.verdict == verdict
        correlation, _ = spearmanr(order, some)
        assert likely.value == pytest.approx(correlation)


def test_the_surprise_of_a_prompt_is_the_mean_over_its_cases(tmp_path):
    line = '{{"version": 1, "id": "1", "mode": "multi", "case": {}, "perplexity": {}}}\n'
    cases = [math.exp(1), math.exp(3)]
    text = "".join(line.format(number, case) for number, case in enumerate(cases))
    (tmp_path / "perplexity.jsonl").write_text(text, "utf-8")
    assert perplexities.nats(tmp_path) == pytest.approx({("1", "multi"): 2})
    assert perplexities.read(tmp_path) == pytest.approx({("1", "multi"): sum(cases) / 2})


def test_a_tiny_study_from_start_to_end(texts, tmp_path, monkeypatch):
    """One size, two steps a stage, six problems; given again, nothing is done twice."""
    out = tmp_path / "study"
    ladder = ladders.plan(out, ["1M"], 1, str(texts), 0, lambda _: 100.0)
    ladder = ladder.model_copy(update={"tokens": 1})
    for name in YARDSTICKS:  # the study measures what it finds
        lines = write_problems(name, 1, out).read_text("utf-8").splitlines()[:6]
        kept = [json.loads(line) | {"max_gen_length": 12} for line in lines]
        (out / f"{name}.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in kept), "utf-8")
    page = reproduce(ladder, out, QUIET)
    text = page.read_text("utf-8")
    assert text.count("<svg") == 10
    for word in ("1M", "nl", "multi", "mono", "exercises", "Does each stage help?"):
        assert word in text
    found = json.loads((out / "findings.json").read_text("utf-8"))
    assert {one["question"] for one in found} == {f.STAGES, f.TURNS, f.PERPLEXITY}
    assert {one["yardstick"] for one in found} == set(YARDSTICKS)
    assert all(
        one["low"] <= one["value"] <= one["high"] for one in found if one["value"] is not None
    )
    manifests = [json.loads(path.read_text("utf-8")) for path in out.glob("made/*/manifest.json")]
    assert [manifest["benchmark"] for manifest in manifests] == 4 * ["made"]
    losses = [
        json.loads((out / name / f"{size}-{stage}" / "references.json").read_text("utf-8"))
        for name, size, stage in itertools.product(YARDSTICKS, ladder.sizes, ladders.SHARES)
    ]
    assert all(len(each) == 6 for each in losses)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("this was measured before")

    monkeypatch.setattr("jaxformer.studies.miniature.evaluate.of_model", never)
    monkeypatch.setattr("jaxformer.studies.miniature.reference_losses", never)
    page.unlink()
    assert reproduce(ladder, out, QUIET).read_text("utf-8") == text
