"""Recipes: what is refused, what --set and --size change, and what a size decides."""

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxformer as jf
from conftest import is_one_sentence
from jaxformer.model import RELEASED, count
from jaxformer.tokenizer import load
from jaxformer.training import Recipe, read_recipe
from jaxformer.training.sizes import derive, model_config, shape

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
GOOD = """
name = "good"
context = 128
[model]
n_positions = 256
n_embd = 64
n_layer = 2
n_head = 4
rotary_dim = 8
[[stages]]
name = "nl"
data = ["data/nl"]
steps = 100
batch = 8
[[stages]]
name = "mono"
data = ["data/mono", { exercises = 10, weight = 2 }]
tokens = 1e6
"""
MODEL = GOOD[GOOD.index("[model]") : GOOD.index("[[stages]]")]


@pytest.fixture
def read(tmp_path: Path):
    """Write a recipe, and read it."""

    def read(text: str = GOOD, *overrides: str, size: str | None = None) -> Recipe:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return read_recipe(path, overrides, size)

    return read


def sentence(make: Any) -> str:
    with pytest.raises(jf.UserError) as refused:
        make()
    assert is_one_sentence(str(refused.value)), str(refused.value)
    return str(refused.value)


# Mistakes in the file


BAD = {
    "a misspelt key": ("steps = 100", "stepps = 100", "stages.0.stepps", "did you mean steps"),
    "a misspelt key of the model": ("n_embd", "n_emb", "model.n_emb", "did you mean n_embd"),
    "a misspelt key of the recipe": ("context", "contxt", "contxt", "did you mean context"),
    "a misspelt key of a source": ("weight", "wieght", "wieght", "did you mean weight"),
    "a wrong type": ("steps = 100", 'steps = "many"', "stages.0.steps", "integer"),
    "a wrong sign": ("batch = 8", "batch = -8", "stages.0.batch", "greater than 0"),
    "a wrong word": ('name = "good"', 'name = "good"\noptimizer = "sgd"', "optimizer", "muon"),
    "no name": ('name = "good"', "", "name", "required"),
    "a name with a slash": ('name = "good"', 'name = "a/b"', "name", "pattern"),
    "a stage's name with a slash": ('name = "nl"', 'name = "a/b"', "stages.0.name", "pattern"),
    "a name of dots": ('name = "nl"', 'name = ".."', "stages.0.name", "pattern"),
    "a name twice": ('name = "nl"', 'name = "mono"', "same name", "mono, mono"),
    "no data": ('data = ["data/nl"]', "", "stages.0.data", "required"),
    "empty data": ('["data/nl"]', "[]", "stages.0.data", "at least 1"),
    "an empty source": (
        '["data/nl"]',
        "[{}]",
        "stages.0.data.0",
        "one of path, exercises and programs",
    ),
    "a source of two kinds": (
        '["data/nl"]',
        '[{ path = "a", exercises = 1, programs = 2 }]',
        "stages.0.data.0",
        "one of path, exercises and programs",
    ),
    "no exercises": ("exercises = 10", "exercises = 0", "stages.1.data.1", "greater than 0"),
    "endless tokens": ("tokens = 1e6", "tokens = inf", "stages.1.tokens", "finite"),
    "too many tokens": ("tokens = 1e6", "tokens = 1e300", "stages.1.tokens", "less than"),
    "an endless rate": (
        "steps = 100",
        "steps = 100\nlearning_rate = inf",
        "stages.0.learning_rate",
        "finite",
    ),
    "steps and tokens": ("tokens = 1e6", "tokens = 1e6\nsteps = 1", "stages.1", "not both"),
    "a long warm-up": ("batch = 8", "batch = 8\nwarmup = 100", "stages.0", "less than steps 100"),
    "a warm-up behind the floor": (
        "batch = 8",
        "batch = 8\nwarmup = 60\nanneal = 50",
        "stages.0",
        "less than anneal 50",
    ),
    "too long a context": ("context = 128", "context = 512", "512", "256"),
    "no context": ("context = 128", "context = 1", "context", "greater than 1"),
    "heads that do not divide": ("n_head = 4", "n_head = 5", "model", "multiple of n_head 5"),
    "a model of two kinds": ("context", 'size = "2B"\ncontext', "model, size and from"),
    "no model": (MODEL, "", "model, size and from"),
    "lora without a model": (MODEL, 'size = "2B"\n[lora]\nrank = 4\n', "lora", "give from"),
    "adapters of a later stage": (
        MODEL,
        'from = "nano"\n[lora]\nrank = 4\nmerge = false\n[[stages]]\nname = "later"\n'
        'data = ["x"]\n',
        "the recipe",
        "leave one stage",
    ),
    "lora without a rank": (MODEL, 'from = "nano"\n[lora]\n', "lora.rank", "required"),
    "lora of no such matrix": (
        MODEL,
        'from = "nano"\n[lora]\nrank = 4\nmatrices = ["w"]\n',
        "lora.matrices.0",
    ),
    "no stages": (GOOD[GOOD.index("[[stages]]") :], "", "stages", "required"),
    "no TOML": ("context = 128", "context 128", "not a TOML file"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_named_with_file_and_key(read, mistake):
    before, after, *words = BAD[mistake]
    assert before in GOOD
    message = sentence(lambda: read(GOOD.replace(before, after)))
    for word in ["mine.toml", *words]:
        assert word in message


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path):
    assert "absent.toml" in sentence(lambda: read_recipe(tmp_path / "absent.toml"))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    assert "bytes.toml" in sentence(lambda: read_recipe(tmp_path / "bytes.toml"))
    assert tmp_path.name in sentence(lambda: read_recipe(tmp_path))


# --set


def test_set_changes_the_recipe_a_table_a_stage_or_all_stages(read):
    plain = read()
    assert (plain.seed, plain.stages[0].batch, plain.stages[1].batch) == (0, 8, None)
    assert read(GOOD, "seed=7").seed == 7
    assert read(GOOD, "model.n_layer=3").model.n_layer == 3
    assert [stage.batch for stage in read(GOOD, "mono.batch=16").stages] == [8, 16]
    assert [stage.batch for stage in read(GOOD, "stages.batch=4").stages] == [4, 4]
    assert read(GOOD, "seed=7", "seed=8").seed == 8
    assert read(GOOD, "nl.batch=2", "stages.warmup=3").stages[0].warmup == 3


def test_set_takes_toml_and_bare_words(read):
    assert read(GOOD, "optimizer=muon").optimizer == "muon"
    assert read(GOOD, 'optimizer = "muon"').optimizer == "muon"
    assert read(GOOD, "tokenizer=some/folder").tokenizer == "some/folder"
    assert read(GOOD, "mask_documents=false").mask_documents is False
    assert read(GOOD, "nl.learning_rate=3e-4").stages[0].learning_rate == 3e-4
    data = read(GOOD, 'nl.data=["a", {exercises = 5, first_seed = 2}]').stages[0].data
    assert [(source.path, source.exercises) for source in data] == [("a", None), (None, 5)]
    assert read(GOOD, "name=a=b".replace("a=b", "a.b")).name == "a.b"
    assert read(GOOD, "tokenizer=a=b").tokenizer == "a=b"


def test_steps_and_tokens_take_each_others_place(read):
    [_, mono] = read(GOOD, "mono.steps=5").stages
    assert (mono.steps, mono.tokens) == (5, None)
    for stage in read(GOOD, "stages.tokens=1e5").stages:
        assert (stage.steps, stage.tokens) == (None, 1e5)


def test_set_can_begin_a_table(read):
    text = GOOD.replace(MODEL, "").replace("context", 'from = "nano"\ncontext')
    lora = read(text, "lora.rank=4", 'lora.matrices=["q", "out"]').lora
    assert (lora.rank, lora.matrices) == (4, ("q", "out"))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed", ["'seed'", "key=value"]),
        ("=3", ["key=value"]),
        ("mnoo.steps=3", ["mnoo.steps", "mono"]),
        ("elsewhere.steps=3", ["elsewhere.steps", "nl, mono, stages, model, lora"]),
        ("model.sub.n_layer=3", ["model.sub.n_layer", "no such"]),
        ("mono.stepps=3", ["mine.toml", "stages.1.stepps", "steps"]),
        ("sed=3", ["mine.toml", "sed", "did you mean seed"]),
        ("seed=three", ["mine.toml", "seed", "integer"]),
        ("nl.data=data/other", ["mine.toml", "stages.0.data"]),
    ],
)
def test_a_wrong_set_is_named(read, override, words):
    message = sentence(lambda: read(GOOD, override))
    for word in words:
        assert word in message


# --size


def test_size_replaces_the_model_and_all_that_followed_from_it(read):
    recipe = read(GOOD, size="40M")
    assert (recipe.name, recipe.size, recipe.model) == ("40M", "40M", None)
    assert [stage.name for stage in recipe.stages] == ["nl", "mono"]
    assert recipe.stages[1].data == read().stages[1].data
    for stage in recipe.stages:
        assert (stage.batch, stage.steps, stage.tokens, stage.learning_rate) == (None,) * 4
    assert read(GOOD, "mono.steps=9", "name=mine", size="40M").stages[1].steps == 9


@pytest.mark.parametrize("size", ["350N", "big", "", "M", "-3M", "0M", "1K", "5000B", "3e6"])
def test_what_is_no_size_is_named(size):
    assert repr(size) in sentence(lambda: shape(size, 51200, 2048))


@settings(max_examples=150, deadline=None)
@given(
    exponent=st.floats(6.5, 11.2),
    vocabulary=st.sampled_from([512, 4096, 8192, 32000, 50295]),
    context=st.sampled_from([128, 2048, 8192]),
)
def test_a_size_gives_about_as_many_parameters(exponent, vocabulary, context):
    million = round(10**exponent / 1e6, 1)
    config = shape(f"{million}M", vocabulary, context)
    # The vocabulary alone takes so many in the narrowest model that is allowed.
    narrowest = count(shape("10K", vocabulary, context))
    if million * 1e6 > 3 * narrowest:
        assert count(config) == pytest.approx(million * 1e6, rel=0.2)
    assert vocabulary <= config.vocab_size < vocabulary + 1024
    assert config.n_positions == context
    assert config.n_embd == 64 * config.n_head


@pytest.mark.parametrize("size", RELEASED)
def test_released_sizes_are_the_released_shapes(size):
    assert shape(size, 50295, 2048) == RELEASED[size]
    assert shape(size, 50295, 512) == RELEASED[size]  # a shorter row, not a shorter model
    near = shape(f"{count(RELEASED[size]) / 1e6:.0f}M", 50295, 2048)
    assert 0.5 < near.n_layer / RELEASED[size].n_layer < 2


# What follows from the size


RATES = {"350M": 3e-4, "2B": 1.6e-4, "6B": 1.2e-4, "16B": 0.9e-4}
TOKENS = {"350M": 0.5e6, "2B": 1e6, "6B": 2e6, "16B": 2e6}


def pace_of(recipe: Recipe, number: int, config):
    return derive(recipe, recipe.stages[number], config)


@pytest.mark.parametrize("size", RELEASED)
def test_rates_and_batches_are_near_the_published(read, size):
    recipe = read(GOOD, "context=2048", size=size)
    nl, mono = (pace_of(recipe, number, RELEASED[size]) for number in (0, 1))
    assert nl.learning_rate == pytest.approx(RATES[size], rel=0.1)
    assert mono.learning_rate == pytest.approx(0.6 * nl.learning_rate)  # 1.8e-4 for 350M
    assert 0.5 <= nl.batch * 2048 / TOKENS[size] <= 2.1
    assert nl.warmup == 3000 or nl.steps < 60_000


@settings(max_examples=100, deadline=None)
@given(
    exponent=st.floats(6, 11),
    stages=st.integers(1, 4),
    context=st.sampled_from([64, 256, 2048]),
    tokens=st.none() | st.floats(1e6, 1e12),
)
def test_steps_read_the_tokens(exponent, stages, context, tokens):
    size = f"{10**exponent / 1e6:.2f}M"
    table = {"data": ["x"]} | ({"tokens": tokens} if tokens else {})
    recipe = Recipe.model_validate(
        {
            "name": "x",
            "size": size,
            "context": context,
            "stages": [table | {"name": f"s{number}"} for number in range(stages)],
        }
    )
    config = shape(size, 512, context)
    paces = [pace_of(recipe, number, config) for number in range(stages)]
    total = 0
    for pace in paces:
        row = pace.batch * context
        total += pace.steps * row
        assert pace.batch >= 8
        assert math.log2(pace.batch) % 1 == 0
        assert 0 <= pace.warmup <= pace.steps / 20
        assert pace.anneal == pace.steps
        if tokens:
            assert tokens <= pace.steps * row < tokens + row
    if not tokens:
        ideal = 20 * count(config)
        assert ideal <= total * (1 + 1e-9) < ideal + stages * paces[0].batch * context + 1
        assert all(pace.steps <= paces[0].steps for pace in paces)


def test_what_a_stage_says_is_kept(read):
    recipe = read(GOOD, "nl.learning_rate=0.5", "nl.warmup=7", "nl.anneal=90")
    nl, mono = (pace_of(recipe, number, RELEASED["350M"]) for number in (0, 1))
    assert (nl.steps, nl.batch, nl.learning_rate, nl.warmup, nl.anneal) == (100, 8, 0.5, 7, 90)
    assert mono.steps == math.ceil(1e6 / (mono.batch * 128))
    late = read(GOOD, "mono.warmup=100000")
    assert "mono" in sentence(lambda: pace_of(late, 1, RELEASED["350M"]))


def test_going_on_from_a_model_starts_at_a_later_stages_rate(read):
    text = GOOD.replace(MODEL, "").replace("context", 'from = "nano"\ncontext')
    nl, mono = (pace_of(read(text), number, RELEASED["350M"]) for number in (0, 1))
    assert nl.learning_rate == mono.learning_rate == pytest.approx(1.8e-4, rel=0.03)


# Model, tokenizer and context together


def test_a_model_takes_its_tokenizers_end_and_must_hold_all_its_entries(read, small_tokenizer):
    config = model_config(read(), small_tokenizer)
    assert config.eos_token_id == config.bos_token_id == small_tokenizer.eos_token_id
    entries = f"{small_tokenizer.vocab_size:,}"
    message = sentence(lambda: model_config(read(GOOD, "model.vocab_size=100"), small_tokenizer))
    assert entries in message
    assert "vocab_size" in message


def test_a_context_must_not_be_longer_than_that_of_the_model_gone_on_from(read, random_folder):
    text = GOOD.replace(MODEL, "").replace("context", f'from = "{random_folder}"\ncontext')
    tokenizer = load(random_folder)
    assert model_config(read(text, "context=256"), tokenizer).n_positions == 256
    message = sentence(lambda: model_config(read(text, "context=257"), tokenizer))
    assert "257" in message
    assert "256" in message


# Those that come with the software


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_can_be_read(path):
    recipe = read_recipe(path)
    assert recipe.stages
    assert read_recipe(path, ["seed=5"]).seed == 5
    # Whoever writes a key wants it: none is left to a default by another name.
    assert set(tomllib.loads(path.read_text())) <= {*Recipe.model_fields, "from"}


@pytest.mark.parametrize("size", RELEASED)
def test_released_recipes_have_the_published_settings(size):
    [path] = [path for path in RECIPES if path.stem == size]
    recipe = read_recipe(path)
    nl, *later = (pace_of(recipe, number, RELEASED[size]) for number in range(3))
    assert [stage.name for stage in recipe.stages] == ["nl", "multi", "mono"]
    assert (nl.steps, nl.anneal, nl.warmup) == (350_000, 300_000, 3000)
    assert nl.learning_rate == RATES[size]
    assert nl.batch * recipe.context == pytest.approx(TOKENS[size], rel=0.05)
    assert all(100_000 <= pace.steps <= 150_000 for pace in later)
