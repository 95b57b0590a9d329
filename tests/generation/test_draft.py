"""A smaller model that writes ahead: it changes nothing, and is asked only while it pays."""

import dataclasses

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxformer as jf
from conftest import is_one_sentence
from jaxformer.checkpoints import Model, save_pretrained
from jaxformer.generation import Completion, Engine, Request
from jaxformer.model import CodeGenConfig, init

KINDS = ["itself", "alike", "stranger", "short-sighted"]


@pytest.fixture(scope="module")
def drafts(random_folder, random_model, tmp_path_factory) -> dict[str, str]:
    """Folders of models that agree with the random one always, often, never, and for 40 tokens."""
    out, tokenizer = tmp_path_factory.mktemp("drafts"), random_model.tokenizer
    config, params = random_model.config, random_model.params
    keys = iter(jax.random.split(jax.random.key(1), 100))
    near = jax.tree.map(lambda x: x + 0.001 * jax.random.normal(next(keys), x.shape), params)
    save_pretrained(out / "alike", config, near, tokenizer)
    small = CodeGenConfig(**(config.model_dump() | {"n_embd": 32, "n_layer": 1}))
    save_pretrained(out / "stranger", small, init(small, jax.random.key(2)), tokenizer)
    short = CodeGenConfig(**(config.model_dump() | {"n_positions": 40}))
    save_pretrained(out / "short-sighted", short, params, tokenizer)
    return {kind: str(out / kind) for kind in KINDS} | {"itself": str(random_folder)}


def model_with(random_folder, draft: str | None, packed: bool) -> Model:
    loaded = jf.load(str(random_folder), packed=packed)
    return dataclasses.replace(loaded, draft=draft and jf.load(draft, packed=packed))


@pytest.fixture(scope="module")
def models(random_folder, drafts) -> dict[tuple[str, bool], Model]:
    return {
        (kind, packed): model_with(random_folder, drafts.get(kind), packed)
        for kind in ("none", *KINDS)
        for packed in (True, False)
    }


def assert_same(one: Completion, other: Completion) -> None:
    assert dataclasses.replace(one, logprobs=()) == dataclasses.replace(other, logprobs=())
    np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-4)


ASKED = st.builds(
    Request,
    prompt=st.sampled_from(["", "def f(a):\n    ", "import os\nimport sys\n\n" * 4]),
    max_new_tokens=st.integers(1, 60),
    temperature=st.sampled_from([0.0, 0.4, 1.2]),
    top_p=st.sampled_from([0.5, 0.95, 1.0]),
    top_k=st.sampled_from([0, 5]),
    seed=st.integers(0, 2**32 - 1),
)


@pytest.mark.parametrize("packed", [True, False], ids=["kernels", "plain"])
@settings(max_examples=4, deadline=None)
@given(
    st.lists(ASKED, min_size=1, max_size=2),
    st.sampled_from(KINDS),
    st.sampled_from([2, 5, 8]),
    st.sampled_from([0, 1e8]),
)
def test_a_draft_changes_no_token(models, packed, requests, kind, chunk, memory):
    engine = Engine(models[kind, packed], chunk=chunk, memory=memory)
    plain = Engine(models["none", packed], chunk=chunk, memory=0, speculate=False)
    for _ in range(2):  # the second time prompts are known
        for one, other in zip(engine.generate(requests), plain.generate(requests), strict=True):
            assert_same(one, other)


def test_turns_go_on_with_a_draft(models):
    """Histories that grow by what was written, as in a session."""
    engine, plain = (Engine(models[kind, True]) for kind in ("alike", "none"))
    prompt = "def f(a):\n"
    for turn in range(4):
        asked = [Request(prompt, max_new_tokens=30, seed=turn, temperature=0.4, keep_end=True)]
        [one], [other] = engine.generate(asked), plain.generate(asked)
        assert_same(one, other)
        prompt += f"{one.text}\n# step {turn}\n"


@pytest.mark.parametrize(
    ("kind", "least", "most", "asked"),
    [("itself", 0.97, 1.0, 0.8), ("alike", 0.3, 0.9, 0.5), ("stranger", 0.0, 0.3, 0.0)],
)
def test_guesses_follow_how_much_the_two_agree(models, kind, least, most, asked):
    """Given a draft that costs next to nothing, as 350M costs beside 16B."""
    engine = Engine(models[kind, True], rows=1)
    assert engine._draft
    engine._draft.cost = 0.02
    for seed in range(12):
        engine.generate([Request("x = ", max_new_tokens=60, temperature=0.3, seed=seed)])
    assert least <= engine._draft.agreement <= most
    guessed = engine.counters.guessed_tokens / engine.counters.new_tokens
    assert guessed > asked if asked else guessed < 0.5


def test_a_draft_as_large_as_the_model_is_not_asked_for_long(models):
    """Of the same size and always right it saves nothing."""
    engine = Engine(models["itself", True], rows=1)
    for seed in range(4):
        engine.generate([Request("x = ", max_new_tokens=60, temperature=1.0, seed=seed)])
    assert engine.counters.guessed_tokens < 0.2 * engine.counters.new_tokens


@pytest.mark.parametrize("dtype", ["bfloat16", "int8", "int4"])
def test_a_draft_in_fewer_bits(random_folder, drafts, dtype):
    plain = jf.load(str(random_folder), dtype=dtype)
    fast = jf.load(str(random_folder), dtype=dtype, draft=drafts["alike"])
    engine, other = Engine(fast), Engine(plain)
    assert engine._draft
    engine._draft.cost = 0.02
    asked = [Request("def f(a):\n", max_new_tokens=50, temperature=0.3, seed=3)]
    assert_same(*engine.generate(asked), *other.generate(asked))
    assert engine.counters.guessed_tokens > 0


def test_after_an_exception_and_a_cancelled_request_it_goes_on(models):
    engine, plain = Engine(models["alike", True]), Engine(models["none", True])
    asked = [Request("x = ", max_new_tokens=50, temperature=0.3, seed=seed) for seed in (1, 2)]

    def stop(_: int, __: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.generate(asked, stop)
    kept, dropped = (engine.submit(one) for one in asked)
    engine.step()
    engine.cancel(dropped)
    done: dict[int, Completion] = {}
    while kept not in done:
        done |= engine.step()
    assert done[kept] == plain.generate(asked[:1])[0]
    assert engine.idle


def test_a_draft_of_another_family_is_refused(random_folder):
    with pytest.raises(jf.UserError) as caught:
        jf.load(str(random_folder), draft="nano")
    assert "nano" in str(caught.value)
    assert is_one_sentence(str(caught.value))
