"""Whole runs of tiny models: stages, data, figures, exports, and what goes wrong."""

import io
import itertools
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM

import jaxformer as jf
from conftest import is_one_sentence
from jaxformer.checkpoints.hub import find
from jaxformer.cli.main import main
from jaxformer.data.build import build
from jaxformer.data.documents import conversation
from jaxformer.data.exercises import conversations, programs, texts
from jaxformer.data.loader import Loader
from jaxformer.data.recipe import CorpusRecipe
from jaxformer.data.rows import Rows, row
from jaxformer.model import hidden, logits
from jaxformer.tokenizer import load as load_tokenizer
from jaxformer.training import Options, Recipe, train
from jaxformer.training.sources import languages_of, open_sources
from jaxformer.training.watch import Watch
from jaxformer.transcript import Turn, render

QUIET = Console(file=io.StringIO())
SHAPE = {
    "vocab_size": 4096,
    "n_positions": 64,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "rotary_dim": 8,
}
STAGE = {"name": "only", "steps": 6, "batch": 4, "learning_rate": 3e-3, "warmup": 1}
EXERCISES = [{"exercises": 60}]
TURNS = [("Set x to {n}.", "x = {n}"), ("Print x.", "print(x)")]


def recipe(data: Any = EXERCISES, stage: Any = (), **changes: Any) -> Recipe:
    """A tiny model and one stage, unless the changes say otherwise."""
    values = {
        "name": "tiny",
        "context": 32,
        "tokenizer": "nano",
        "precision": "float32",
        "held_out": 4,
        "stages": [{**STAGE, "data": data, **dict(stage)}],
    }
    values |= {} if "from" in changes else {"model": SHAPE}
    return Recipe.model_validate(values | changes)


def records(out: Path, file: str = "metrics.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / file).read_text().splitlines()]


def refused(made: Recipe, out: Path, options: Options | None = None, **more: Any) -> str:
    """Return the sentence that a run ends with."""
    with pytest.raises(jf.UserError) as caught:
        train(made, out, QUIET, options or Options(), **more)
    sentence = str(caught.value)
    assert is_one_sentence(sentence), sentence
    return sentence


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what is compiled, as many runs here compute the same."""
    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Text in every form that a recipe takes."""
    folder = tmp_path_factory.mktemp("inputs")
    package = Path(jf.__file__).parent
    (folder / "code").mkdir()
    (folder / "code" / "manifest.json").write_text('{"name": "not ours"}')
    for name in ("transcript.py", "strict.py", "tokenizer/tokenizer.py"):
        shutil.copy(package / name, folder / "code")
    names = ("quay", "pier", "mole", "dock", "berth", "wharf", "lock")
    methods = "".join(
        f"    int {name}(int depth) {{\n        return depth * {n} + this.{name};\n    }}\n"
        for n, name in enumerate(names, 2)
    )
    (folder / "code" / "Harbour.java").write_text(f"public class Harbour {{\n{methods}}}\n")
    shutil.copytree(folder / "code", folder / "checkout")
    git = ["git", "-C", str(folder / "checkout"), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *command], check=True)
    (folder / "checkout" / "untracked.py").write_text("x = 1\n")
    talks = [
        {"turns": [{"prompt": p.format(n=n), "code": c.format(n=n)} for p, c in TURNS]}
        for n in range(40)
    ]
    (folder / "talks.jsonl").write_text("".join(json.dumps(talk) + "\n" for talk in talks))
    texts = [path.read_text() for path in sorted((package / "sandbox").glob("*.py"))]
    documents = [{"text": text, "language": "python"} for text in texts]
    (folder / "documents.jsonl").write_text("".join(json.dumps(d) + "\n" for d in documents))
    source = {"kind": "folder", "path": str(folder / "code")}
    for name, settings in {
        "set": {"context": 64},
        "short": {"context": 16},
        "own": {"context": 64, "vocab_size": 500},
    }.items():
        values = {"name": name, "sources": [source], **settings}
        build(CorpusRecipe.model_validate(values), folder / name, QUIET)
    return folder


@pytest.fixture(scope="module")
def finished(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    """A run of two stages that wrote down all it can."""
    code = str(inputs / "code")
    data = {
        "one": [code, {"path": str(inputs / "set"), "weight": 3}],
        "two": [code, str(inputs / "talks.jsonl"), str(inputs / "documents.jsonl")],
    }
    steps = {"one": 14, "two": 4}
    stages = [{**STAGE, "name": n, "data": data[n], "steps": steps[n]} for n in ("one", "two")]
    made, out = recipe(stages=stages), tmp_path_factory.mktemp("finished")
    options = Options(
        report_every=1,
        evaluate_every=2,
        samples=("def ",),
        trackers=("tensorboard", "wandb"),
        profile=2,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        assert train(made, out, QUIET, options) == out / "codegen-tiny-two"
    return made, out


def test_each_stage_goes_on_from_the_last_one_s_weights(finished):
    made, out = finished
    stages = [record["stage"] for record in records(out)]
    assert stages == sorted(stages)
    code = f"held_out/{made.stages[0].data[0].path}"
    held = {(r["stage"], r["step"]): r[code] for r in records(out) if code in r}
    assert held["two", 0] == held["one", 14] < held["one", 0]
    samples = {(r["stage"], r["step"]): r["text"] for r in records(out, "samples.jsonl")}
    assert samples["two", 0] == samples["one", 14] != samples["one", 0]
    assert list(samples) == list(held)
    assert list(held) == [("one", n) for n in range(0, 15, 2)] + [("two", n) for n in (0, 2, 4)]


def test_a_finished_run_says_so_and_another_recipe_is_refused(finished):
    made, out = finished
    said = io.StringIO()
    train(made, out, Console(file=said, width=500))
    assert said.getvalue() == f"{out / 'codegen-tiny-two'} is finished already.\n"
    other = made.model_copy(update={"seed": 1, "held_out": 5})
    assert "in which seed, held_out differs; choose another --out" in refused(other, out)


def test_one_stage_of_a_recipe(finished, tmp_path):
    made, _ = finished
    out = tmp_path / "run"
    assert "no stage three; it has one, two" in refused(made, out, only="three")
    assert "goes on from one, and one is not finished" in refused(made, out, only="two")
    short = [stage.model_dump() | {"steps": 2} for stage in made.stages]
    made = made.model_copy(update={"stages": recipe(stages=short).stages})
    for name in ("one", "two"):
        assert train(made, out, QUIET, only=name) == out / f"codegen-tiny-{name}"
        assert (out / f"codegen-tiny-{name}" / "README.md").exists()
        assert name == "two" or not (out / "state" / "two").exists()


def test_the_held_out_loss_is_that_of_the_held_out_rows_by_language(finished):
    made, out = finished
    model = jf.load(str(out / "codegen-tiny-two"), packed=False)
    sums: dict[str, list[float]] = {}
    for source in open_sources(made, made.stages[1], out / "tokenizer", out, QUIET):
        assert len(source.held_out) == 4
        languages = languages_of(source)
        for number in range(4):
            one = Rows(*map(jnp.asarray, row(source.held_out.stretch(number), 32)))
            states, _ = hidden(
                model.params, model.config, one.tokens, one.positions, segments=one.segments
            )
            chances = jax.nn.log_softmax(logits(model.params, states))
            origins = source.held_out.origins(number)
            for place in np.flatnonzero(one.weights[0]):
                loss = -float(chances[0, place, one.targets[0, place]])
                language = languages[origins[place + 1]]
                for name in (source.name, f"{source.name}: {language}"):
                    sums.setdefault(f"held_out/{name}", []).append(loss)
    last = next(r for r in reversed(records(out)) if "loss" not in r)
    assert last.keys() - {"stage", "step"} == sums.keys()
    for name, losses in sums.items():
        assert last[name] == pytest.approx(np.mean(losses), abs=2e-5)


def test_held_out_rows_are_never_read_and_weights_hold(finished):
    made, out = finished
    sources = open_sources(made, made.stages[0], out / "tokenizer", out, QUIET)
    loader = Loader([(s.train, w) for s, w in zip(sources, (1, 3), strict=True)], 4, 32)
    places = [place for step in range(300) for place in loader.places(step)]
    assert np.mean([source for source, _ in places]) == pytest.approx(0.75, abs=0.01)
    for number, source in enumerate(sources):
        read = {row for chosen, row in places if chosen == number}
        assert read == set(range(len(source.train)))
        kept = {source.held_out.stretch(n).tokens.tobytes() for n in range(4)}
        assert not kept & {source.train.stretch(n).tokens.tobytes() for n in read}


def test_prompts_count_as_the_recipe_says(inputs, tmp_path):
    made = recipe([str(inputs / "talks.jsonl")], {"prompt_weight": 0.25})
    folder = tmp_path / "tokenizer"
    load_tokenizer(Path(jf.__file__).parent / "embedded" / "nano").save(folder)
    [source] = open_sources(made, made.stages[0], folder, tmp_path, QUIET)
    batch = Loader([(source.train, 1.0)], 8, 32, prompt_weight=0.25).batch(0)
    counts = dict(zip(*np.unique(batch.weights, return_counts=True), strict=True))
    assert counts.keys() == {0.0, 0.25, 1.0}
    talk = conversation(tuple(Turn(p, c) for p, c in TURNS), "here")
    code = load_tokenizer(folder).decode(batch.targets[batch.weights == 1.0].tolist())
    assert "print(x)" in code
    assert "Print x" in talk.text
    assert "Print x" not in code


def test_conversations_come_with_texts_and_programs_without(tmp_path):
    """A row's tokens say what they are: the transcript of just these, in some order."""
    tokenizer = load_tokenizer(find("nano"))
    for source, made in (
        ({"exercises": 64, "first_seed": 3}, [*conversations(3, 64), *texts(3, 4)]),
        ({"programs": 50, "first_seed": 4}, [*programs(4, 50)]),
    ):
        shape = SHAPE | {"n_positions": 512}
        asked = recipe([source], context=512, held_out=0, model=shape)
        [opened] = open_sources(
            asked, asked.stages[0], find("nano"), tmp_path / str(len(made)), QUIET
        )
        rows = [opened.train.stretch(n).tokens.tolist() for n in range(len(opened.train))]
        read = "".join(tokenizer.decode(row) for row in rows)
        for one in made:
            assert (one if isinstance(one, str) else render(one.turns)) in read
    assert [source.name for source in asked.stages[0].data] == ["50 programs"]


def test_a_run_goes_on_that_was_begun_before_a_key_came(tmp_path):
    made = recipe()
    finished = train(made, tmp_path, QUIET)
    saved = json.loads((tmp_path / "recipe.json").read_text())
    del saved["stages"][0]["data"][0]["programs"], saved["optimizer"]
    (tmp_path / "recipe.json").write_text(json.dumps(saved))
    assert train(made, tmp_path, QUIET) == finished
    saved["seed"] = 5
    (tmp_path / "recipe.json").write_text(json.dumps(saved))
    assert "in which seed differs" in refused(made, tmp_path)


def test_a_stage_may_be_added_to_a_run(tmp_path):
    """A run that gets its second stage later ends with the weights of one that had both."""
    first = recipe()
    second = first.stages[0].model_copy(update={"name": "second", "steps": 3})
    both = first.model_copy(update={"stages": (*first.stages, second)})
    train(first, tmp_path / "grown", QUIET)
    grown = train(both, tmp_path / "grown", QUIET)
    assert grown.name == "codegen-tiny-second"
    at_once = train(both, tmp_path / "at once", QUIET)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (grown, at_once)]
    assert weights[0] == weights[1]
    assert "in which stages differs" in refused(first, tmp_path / "grown")
    before = first.stages[0].model_copy(update={"name": "before"})
    changed = both.model_copy(update={"stages": (before, *both.stages)})
    assert "in which stages differs" in refused(changed, tmp_path / "grown")


@pytest.mark.parametrize("name", ["checkout", "set"])
def test_a_model_learns_from(inputs, tmp_path, name):
    made = recipe([str(inputs / name)])
    train(made, tmp_path, QUIET, Options(report_every=1))
    losses = [record["loss"] for record in records(tmp_path) if "loss" in record]
    assert losses[-1] < losses[0]
    assert (tmp_path / "data" / "only-1").exists() == (name == "checkout")
    if name == "checkout":
        import pyarrow.parquet as pq

        ledger = pq.read_table(tmp_path / "data" / "only-1" / "ledger.parquet")
        assert "untracked.py" not in ledger.column("path").to_pylist()


def test_records_that_do_not_say_their_language_are_read(tmp_path):
    kinds = ["harbour", "orchard", "violin", "glacier", "lantern"]
    texts = [
        f"A note on the {kind}: {kind} number {n} stands alone.\n" for n, kind in enumerate(kinds)
    ]
    lines = [json.dumps({"text": text}) + "\n" for text in texts]
    (tmp_path / "notes.jsonl").write_text("".join(lines))
    made = recipe([str(tmp_path / "notes.jsonl")])
    made = made.model_copy(update={"held_out": 0})
    [opened] = open_sources(made, made.stages[0], find("nano"), tmp_path, QUIET)
    assert opened.tokens >= 5 * len(texts)


def test_what_is_not_read_of_longer_rows_is_said_and_not_counted(inputs, tmp_path):
    said = io.StringIO()
    path = str(inputs / "set")
    opened = {}
    for context in (32, 48):
        made = recipe([path], context=context, tokenizer=path + "/tokenizer")
        [opened[context]] = open_sources(
            made, made.stages[0], Path(path) / "tokenizer", tmp_path, Console(file=said, width=500)
        )
    [line] = said.getvalue().splitlines()
    assert "64 tokens, the last 16 are not read" in line
    assert opened[48].tokens == opened[32].tokens * 3 // 4
    assert len(opened[32].train) + 4 == 2 * (len(opened[48].train) + 4)


@pytest.mark.parametrize(
    ("data", "changes", "complaint"),
    [
        ("absent", {}, "There is no data .*absent; build it"),
        ("absent", {"tokenizer": None}, "There is no data .*absent; build it"),
        ("talks.jsonl", {"tokenizer": None}, "names no tokenizer"),
        ("own", {}, r"another tokenizer \(500 entries\) than this run's \(4,096\); build it again"),
        ("short", {}, "have 16 tokens, but the recipe's context is 32; build it again"),
        ("set", {"held_out": 500}, "rows of 32 tokens, of which 500 are to be held out; set a"),
        ("set", {"context": 65}, "context is 65, but the model sees only 64"),
    ],
)
def test_data_that_will_not_do_is_one_sentence(inputs, tmp_path, data, changes, complaint):
    made = recipe([str(inputs / data)]).model_copy(update=changes)
    assert re.search(complaint, refused(made, tmp_path))
    # Nothing was begun, and so another recipe may have the folder.
    other = recipe([str(inputs / "absent")], seed=7)
    assert "There is no data" in refused(other, tmp_path)
    assert Recipe.model_validate_json((tmp_path / "recipe.json").read_text()) == other


def test_metrics_have_these_fields(finished):
    _, out = finished
    steps = [record for record in records(out) if "loss" in record]
    assert [(r["stage"], r["step"]) for r in steps] == [
        *(("one", n) for n in range(1, 15)),
        *(("two", n) for n in range(1, 5)),
    ]
    fields = ["stage", "step", "loss", "gradient_norm", "learning_rate", "tokens_per_second"]
    assert all(list(record) == fields for record in steps)
    assert max(record["learning_rate"] for record in steps) == pytest.approx(3e-3)


def test_the_rate_leaves_out_what_is_no_step(tmp_path, monkeypatch):
    clock = itertools.count(100.0)  # each look at it takes a second
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    with Watch(
        tmp_path,
        stage="s",
        start=0,
        total=4,
        tokens=1000,
        flops=1.0,
        peak=None,
        console=Console(file=io.StringIO()),
    ) as watch:
        next(clock)  # of the steps
        with watch.paused():
            for _ in range(50):
                next(clock)
        watch.steps(2, {"loss": 1.0})
    [record] = records(tmp_path)
    assert record["tokens_per_second"] == round(2_000 / 3, 1)  # the steps took one, two looks two


def test_tensorboard_shows_the_same_figures(finished):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, out = finished
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    for stage, offset in (("one", 0), ("two", 14)):
        steps = [r for r in records(out) if r["stage"] == stage and "loss" in r]
        shown = events.Scalars(f"{stage}/loss")
        assert [event.step for event in shown] == [offset + r["step"] for r in steps]
        np.testing.assert_allclose([event.value for event in shown], [r["loss"] for r in steps])
    assert any(tag.startswith("two/held_out/") for tag in events.Tags()["scalars"])


def test_wandb_goes_on_in_the_same_run(finished):
    _, out = finished
    written = (out / "wandb" / "id").read_text()
    files = sorted(out.glob(f"wandb/offline-run-*/run-{written}.wandb"))
    assert len(files) == len(list(out.glob("wandb/offline-run-*"))) == 2
    for stage, file in zip(("one", "two"), files, strict=True):
        assert f"{stage}/loss".encode() in file.read_bytes()


def test_a_profile_is_a_trace(finished):
    _, out = finished
    assert list((out / "profile").rglob("*.xplane.pb"))


def test_the_model_folder_loads_in_transformers_and_has_a_card(finished):
    made, out = finished
    for stage in made.stages:
        folder = out / f"codegen-tiny-{stage.name}"
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        ours = jf.load(str(folder), packed=False)
        tokens = np.random.default_rng(0).integers(0, 4000, (2, 30))
        positions = jnp.arange(30)[None].repeat(2, 0)
        states, _ = hidden(ours.params, ours.config, jnp.asarray(tokens), positions)
        with torch.no_grad():
            wanted = theirs(torch.tensor(tokens)).logits.numpy()
        np.testing.assert_allclose(logits(ours.params, states), wanted, atol=1e-4)
    card = (out / "codegen-tiny-two" / "README.md").read_text()
    last = next(r for r in reversed(records(out)) if "loss" not in r)
    for name, loss in last.items():
        if name.startswith("held_out/"):
            assert f"| {name.removeprefix('held_out/')} | {loss:.4f} |" in card
    for stage in made.stages:
        data = ", ".join(str(source.path) for source in stage.data)
        assert f"| {stage.name} | {data} | {stage.steps} |" in card
    written = (out / "codegen-tiny-two" / "recipe.json").read_text()
    assert Recipe.model_validate_json(written) == made


def test_a_run_of_no_numbers_stops_and_stops_again_and_goes_on_if_told(tmp_path):
    made = recipe(stage={"learning_rate": 1e30, "warmup": 0, "steps": 4})
    want = "The batch of step 2 of stage only has the loss "
    for _ in range(2):
        sentence = refused(made, tmp_path, Options(report_every=1))
        assert sentence.startswith(want)
        assert "60 exercises rows " in sentence
        assert "--skip-bad" in sentence
        assert [p.name for p in (tmp_path / "state" / "only").glob("[0-9]*")] == ["1"]
    assert [r["step"] for r in records(tmp_path) if "loss" in r and "bad" not in r] == [1]
    out = train(made, tmp_path, QUIET, Options(report_every=1, skip_bad=True))
    bad = {r["step"]: r for r in records(tmp_path) if "bad" in r}
    assert list(bad) == [2, 3, 4]
    assert all(len(r["rows"]["60 exercises"]) == 4 for r in bad.values())
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text().replace('"nan"', "")
    assert out.exists()


HALVES = Options(save_every=3, keep=2, report_every=1)


def half_done(whole: Path, out: Path, stage: str = "only") -> None:
    """Make a run that ended in the middle of a stage of six steps, of one that went on."""
    shutil.copytree(whole, out)
    shutil.rmtree(out / f"codegen-tiny-{stage}")
    shutil.rmtree(out / "state" / stage / "6")
    assert (out / "state" / stage / "3").exists()


def tensors(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    train(recipe(), out, QUIET, HALVES)
    return out


def weights(out: Path) -> bytes:
    return (out / "codegen-tiny-only" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("layers", ["scan", "unroll"])
def test_layers_may_be_laid_out_in_another_way_when_resumed(undisturbed, tmp_path, layers):
    out = tmp_path / "run"
    shutil.copytree(undisturbed, out)
    for other in (layers, "scan", "unroll"):
        shutil.rmtree(out / "codegen-tiny-only")
        train(recipe(), out, QUIET, Options(layers=other))
        assert weights(out) == weights(undisturbed)


def test_the_other_half_may_be_laid_out_in_another_way(undisturbed, tmp_path):
    half_done(undisturbed, tmp_path / "run")
    folder = train(recipe(), tmp_path / "run", QUIET, Options(layers="scan"))
    got, want = tensors(folder), tensors(undisturbed / folder.name)
    for name, tensor in want.items():
        np.testing.assert_allclose(got[name], tensor, atol=2e-5, err_msg=name)


def test_a_full_disk_is_one_sentence_and_afterwards_the_bits_are_the_same(undisturbed, tmp_path):
    toml = tmp_path / "tiny.toml"
    shape = "".join(f"{name} = {value}\n" for name, value in SHAPE.items())
    stage = "".join(f"{name} = {json.dumps(value)}\n" for name, value in STAGE.items())
    toml.write_text(
        'name = "tiny"\ncontext = 32\ntokenizer = "nano"\nprecision = "float32"\nheld_out = 4\n'
        f"[model]\n{shape}[[stages]]\n{stage}data = [{{ exercises = 60 }}]\n"
    )
    script = (
        "import resource, sys\n"
        "from jaxformer.cli.main import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
        "main()\n"
    )
    out = tmp_path / "run"
    command = ["train", str(toml), "--out", str(out), "--save-every", "2"]
    limited = subprocess.run(
        [sys.executable, "-c", script, *command],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=os.environ | {"COLUMNS": "300"},
    )
    assert limited.returncode == 2, limited.stderr
    assert "Traceback" not in limited.stderr
    [sentence] = re.findall(r"jaxformer: .*", limited.stderr)
    assert sentence.startswith(f"jaxformer: A checkpoint could not be saved in {out / 'state'}")
    assert sentence.endswith(
        ": the disk is full; make room, then the same command goes on from the last one."
    )
    assert is_one_sentence(sentence)
    assert "Saved" not in limited.stderr
    train(recipe(), out, QUIET)
    assert weights(out) == weights(undisturbed)


def test_a_disk_that_is_full_at_the_export_leaves_the_checkpoint(undisturbed, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(undisturbed, out)
    shutil.rmtree(out / "codegen-tiny-only")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, before[1]))
    try:
        sentence = refused(recipe(), out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sentence.startswith(f"{out / 'codegen-tiny-only'} could not be written: ")
    left = {path.name for path in undisturbed.iterdir()} - {"codegen-tiny-only"}
    assert {path.name for path in out.iterdir()} == left
    train(recipe(), out, QUIET)
    assert weights(out) == weights(undisturbed)


@pytest.mark.parametrize("how", ["shorter", "zeros", "gone"])
@pytest.mark.parametrize("what", ["d", "manifest.ocdbt", "_METADATA"])
def test_a_damaged_checkpoint_is_one_sentence(undisturbed, tmp_path, what, how):
    out = tmp_path / "run"
    shutil.copytree(undisturbed, out)
    shutil.rmtree(out / "codegen-tiny-only")
    folder = out / "state" / "only" / "6"
    for path in (folder / "default").rglob(what):
        for file in path.iterdir() if path.is_dir() else [path]:
            size = file.stat().st_size
            file.write_bytes(file.read_bytes()[: size // 2] if how == "shorter" else bytes(size))
            if how == "gone":
                file.unlink()
    sentence = refused(recipe(), out)
    assert sentence.startswith(f"The checkpoint {folder} cannot be read (")
    assert sentence.endswith("; remove it to go on from the one before, or from the start.")


def test_muon_trains_and_resumes(tmp_path):
    made = recipe(optimizer="muon")
    train(made, tmp_path / "whole", QUIET, HALVES)
    losses = [record["loss"] for record in records(tmp_path / "whole") if "loss" in record]
    assert losses[-1] < losses[0]
    half_done(tmp_path / "whole", tmp_path / "half")
    train(made, tmp_path / "half", QUIET)
    assert weights(tmp_path / "half") == weights(tmp_path / "whole")


def test_lora_in_two_stages_adds_up_and_resumes(tmp_path):
    names = "one", "two"
    made = recipe(
        **{"from": "nano", "tokenizer": None},
        stages=[{**STAGE, "name": name, "data": EXERCISES, "warmup": 0} for name in names],
        lora={"rank": 2},
    )
    folder = train(made, tmp_path / "whole", QUIET, HALVES)
    [name] = (key for key in records(tmp_path / "whole")[0] if key.startswith("held_out/"))
    looks = {(r["stage"], r["step"]): r[name] for r in records(tmp_path / "whole") if name in r}
    assert looks["two", 0] == pytest.approx(looks["one", 6], rel=1e-5)
    assert len({looks["one", 0], looks["one", 6], looks["two", 6]}) == 3

    half_done(tmp_path / "whole", tmp_path / "half", "two")
    resumed = train(made, tmp_path / "half", QUIET, HALVES)
    got, want = tensors(resumed), tensors(folder)
    assert all(np.array_equal(got[name], want[name]) for name in want)
    base, first = tensors(find("nano")), tensors(tmp_path / "whole" / "codegen-tiny-one")
    changed = {name for name in want if not np.array_equal(want[name], first[name])}
    assert changed == {name for name in want if not np.array_equal(base[name], first[name])}
    assert all("qkv_proj" in name for name in changed)


@pytest.mark.parametrize(("precision", "merge"), [("float32", True), ("bfloat16", False)])
def test_lora_from_nano_learns_a_folder_of_code(inputs, tmp_path, precision, merge):
    programs = tmp_path / "programs"
    programs.mkdir()
    lines = ["Make a list called nums with the numbers 3, 1 and 2.", "Print nums."]
    (programs / "one.txt").write_text("\n".join([*lines, "#! prints: [3, 1, 2]"]))
    made = recipe(
        [str(inputs / "code")],
        {"steps": 8, "learning_rate": 1e-2},
        **{"from": "nano", "tokenizer": None, "context": 128},
        precision=precision,
        lora={"rank": 4, "merge": merge},
    )
    options = Options(evaluate_every=8, programs=programs)
    folder = train(made, tmp_path / "run", QUIET, options)
    looks = [r for r in records(tmp_path / "run") if "loss" not in r]
    name = f"held_out/{inputs / 'code'}"
    assert [r["step"] for r in looks] == [0, 8]
    assert looks[1][name] < looks[0][name]
    assert looks[0]["pass_rate"] == 1.0
    assert "LoRA of rank 4 (alpha 16) on q, v" in (folder / "README.md").read_text()
    if merge:
        assert jf.complete(jf.load(str(folder)), "def ", max_new_tokens=4)
    else:
        described = json.loads((folder / "adapter_config.json").read_text())
        assert described["peft_type"] == "LORA"
        assert (folder / "adapter_model.safetensors").exists()
        assert not (folder / "model.safetensors").exists()


def run_main(arguments: str, monkeypatch, capsys) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["jaxformer", *arguments.split()])
    with pytest.raises(SystemExit) as caught:
        main()
    said = capsys.readouterr()
    return int(caught.value.code or 0), said.out + said.err


def test_help_shows_examples(monkeypatch, capsys):
    status, text = run_main("train --help", monkeypatch, capsys)
    assert status == 0
    assert "jaxformer train recipes/350M.toml --mesh 1x8x1 --track tensorboard" in text


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ("--layers both", "--layers both is not known; use auto, scan or unroll."),
        ("--track paper", "--track paper is not known; use tensorboard or wandb."),
        ("--mesh 2x2", "'2x2' is no mesh; write three numbers"),
        ("--mesh 2x2x1", "4 places, but there are 1 devices"),
        ("--hosts here", "The hosts here could not be joined"),
        ("--kernel best", "best"),
        ("--accumulate 3", "in 3 parts"),
        ("--stage three", "no stage three; it has only"),
        ("--set only.stepz=3", "did you mean steps"),
        ("--keep 0", "--keep"),
    ],
)
def test_a_wrong_flag_is_one_sentence(tmp_path, monkeypatch, capsys, flags, complaint):
    toml = tmp_path / "tiny.toml"
    toml.write_text(
        'name = "tiny"\nsize = "1M"\ntokenizer = "nano"\ncontext = 32\n[[stages]]\nname = "only"\n'
        "data = [{ exercises = 60 }]\nsteps = 2\nbatch = 4\nwarmup = 1\n"
    )
    status, text = run_main(f"train {toml} --out {tmp_path}/run {flags}", monkeypatch, capsys)
    assert status == 2, text
    assert complaint in text
    assert "Traceback" not in text
    assert is_one_sentence(text.strip().splitlines()[-1].removesuffix(" See 'jaxformer --help'."))
