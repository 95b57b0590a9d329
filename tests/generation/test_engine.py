"""The engine: alone or together the same, cut while growing as afterwards, true probabilities."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from transformers import CodeGenForCausalLM

import jaxformer as jf
from jaxformer.generation import Completion, Engine, Request, generate, perplexity
from jaxformer.model import hidden, logits
from jaxformer.transcript import TURN_STOPS, Stop, find_cut

PROMPTS = ["", "x", "def f(a):\n    ", "import os\nimport sys\n\n" * 4, "for i in range(10):\n" * 9]


@pytest.fixture(params=["packed_model", "random_model"], ids=["kernels", "plain"], scope="module")
def either(request: pytest.FixtureRequest):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def model(packed_model):
    return packed_model


def request(**changes) -> Request:
    return Request(**({"prompt": "def f(a):\n", "max_new_tokens": 24} | changes))


def assert_same(one: Completion, other: Completion) -> None:
    """The same tokens, of probabilities that rounding tells apart at most."""
    assert dataclasses.replace(one, logprobs=()) == dataclasses.replace(other, logprobs=())
    np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-4)


ASKED = st.builds(
    Request,
    prompt=st.sampled_from(PROMPTS),
    max_new_tokens=st.integers(1, 40),
    temperature=st.sampled_from([0.0, 0.2, 0.8, 1.5]),
    top_p=st.sampled_from([0.3, 0.95, 1.0]),
    top_k=st.sampled_from([0, 5]),
    seed=st.integers(0, 2**32 - 1),
    stops=st.sampled_from([(), TURN_STOPS, (Stop("e"),)]),
)


@settings(max_examples=4, deadline=None)
@given(
    st.lists(ASKED, min_size=2, max_size=8),
    st.sampled_from([1, 3, 16]),
    st.sampled_from([1, 8]),
    st.sampled_from([0.0, 3e5, 1e9]),
)
def test_together_equals_alone(either, requests, rows, chunk, memory):
    engine = Engine(either, rows=rows, chunk=chunk, memory=memory)
    for one, result in zip(requests, engine.generate(requests), strict=True):
        [alone] = Engine(either, rows=1, memory=0).generate([one])
        assert_same(result, alone)


@settings(max_examples=6, deadline=None)
@given(st.data())
def test_turns_forks_and_turns_taken_back_are_not_read_again(model, data):
    """Conversations that grow, branch and go back, against engines that know none."""
    engine = Engine(model, rows=4, memory=data.draw(st.sampled_from([5e5, 1e9])))
    known = ["def f(a):\n" * 9]
    for turn in range(6):
        history = data.draw(st.sampled_from(known))
        prompt = f"{history}\n# step {turn}\n"
        asked = request(prompt=prompt, temperature=0.8, seed=turn, keep_end=True)
        [result] = engine.generate([asked])
        [fresh] = generate(model, [asked])
        assert_same(result, fresh)
        known.append(prompt + result.text)
    assert engine.counters.finished == 6
    assert engine.counters.hits > 0.3


@settings(max_examples=6, deadline=None)
@given(
    st.lists(ASKED, min_size=1, max_size=2),
    st.sampled_from([2, 5, 8]),
    st.sampled_from(["", "for i in range(10):\n    total += i\n" * 4]),
)
def test_guessed_tokens_change_nothing(either, requests, chunk, before):
    asked = [dataclasses.replace(one, prompt=before + one.prompt) for one in requests]
    fast = Engine(either, chunk=chunk, memory=0).generate(asked)
    plain = Engine(either, chunk=chunk, memory=0, speculate=False).generate(asked)
    for one, other in zip(fast, plain, strict=True):
        assert_same(one, other)


def test_what_repeats_itself_is_guessed(random_model):
    """Of a text in a loop, whatever the weights."""
    [again] = random_model.tokenizer.encode("a")
    bias = random_model.params["lm_head_bias"].at[again].set(1e3)  # it writes that token for ever
    params = random_model.params | {"lm_head_bias": bias}
    model = dataclasses.replace(random_model, params=params)
    engine, plain = Engine(model, memory=0), Engine(model, memory=0, speculate=False)
    asked = Request("ab ab ab ab " * 8, max_new_tokens=60, temperature=0.0)
    assert engine.generate([asked]) == plain.generate([asked])
    assert plain.counters.guessed_tokens == 0
    assert engine.counters.acceptance > 0.8
    assert engine.counters.accepted_tokens > 20


def test_speculative_and_plain_sampling_draw_from_the_same_distribution(nano):
    """Other seeds for each, guesses in play: the counts of the first tokens (chi-square)."""
    prompt = "nums = [1, 2, 3, 4, 5]\n" * 5 + "nums = ["
    counts = []
    for first, speculate in ((0, True), (10_000, False)):
        engine, seen = Engine(nano, chunk=4, memory=1e8, speculate=speculate), Counter()
        for seed in range(first, first + 400):
            [done] = engine.generate(
                [
                    request(
                        prompt=prompt,
                        max_new_tokens=3,
                        temperature=4.0,
                        seed=seed,
                        top_k=3,
                        top_p=1.0,
                    )
                ]
            )
            seen[done.tokens[:3]] += 1
        assert (engine.counters.guessed_tokens > 100) == speculate
        rejected = engine.counters.guessed_tokens - engine.counters.accepted_tokens
        assert (rejected > 10) == speculate
        counts.append(seen)
    kinds = [
        kind for kind in set(counts[0]) | set(counts[1]) if counts[0][kind] + counts[1][kind] >= 20
    ]
    rest = [400 - sum(seen[kind] for kind in kinds) for seen in counts]
    pairs = [(counts[0][kind], counts[1][kind]) for kind in kinds]
    pairs += [(rest[0], rest[1])] * (sum(rest) > 0)
    statistic = sum((a - b) ** 2 / (a + b) for a, b in pairs)
    assert len(pairs) >= 4
    assert statistic < chi2.ppf(0.999, len(pairs) - 1)


def test_samples_of_one_prompt_are_read_once(model):
    engine = Engine(model, rows=8, memory=0)
    many = [request(seed=seed, temperature=1.0) for seed in range(8)]
    engine.generate(many)
    size = len(model.tokenizer.encode(many[0].prompt))
    assert engine.counters.prompt_tokens == 8 * size
    assert engine.counters.reused_tokens == 7 * size


def test_ten_thousand_requests_of_which_many_are_cancelled_leave_nothing(packed_model):
    rng = np.random.default_rng(0)
    engine = Engine(packed_model, rows=16, chunk=8, memory=1e6)
    alive: set[int] = set()
    done = asked = 0
    while asked < 10_000 or alive:
        for _ in range(rng.integers(0, 30)):
            if asked < 10_000:
                prompt = "x = 1\n" * int(rng.integers(1, 12))
                new = int(rng.integers(1, 9))
                alive.add(engine.submit(request(prompt=prompt, max_new_tokens=new, seed=asked)))
                asked += 1
        for number in [n for n in alive if rng.random() < 0.1]:
            engine.cancel(number)
            alive.remove(number)
        finished = engine.step()
        assert alive.issuperset(finished)
        alive -= finished.keys()
        done += len(finished)
    counters = engine.counters
    assert counters.finished == done > 5_000
    assert counters.finished + counters.cancelled == 10_000
    assert counters.cancelled > 1_000
    assert engine.step() == {}
    assert engine.idle
    assert counters.occupancy > 0.5


def test_an_interrupt_leaves_the_engine_usable(model):
    def interrupt(_: int, piece: str) -> None:
        raise KeyboardInterrupt

    engine = Engine(model)
    long = request(temperature=1.0, max_new_tokens=60)
    with pytest.raises(KeyboardInterrupt):
        engine.generate([long, dataclasses.replace(long, seed=1)], interrupt)
    assert engine.idle
    [after] = engine.generate([long])
    [fresh] = generate(model, [long])
    assert_same(after, fresh)


def test_what_the_first_token_completes_outlives_what_fails_behind_it(model, monkeypatch):
    engine, pieces = Engine(model), {}
    short = request(temperature=1.0, max_new_tokens=1)
    long = request(temperature=1.0, max_new_tokens=20, seed=1)
    numbers = [
        engine.submit(one, lambda n, piece: pieces.update({n: piece})) for one in (short, long)
    ]

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("jaxformer.generation.engine.decode", fail)
        with pytest.raises(MemoryError):
            engine.step()
    found = {}
    while numbers[1] not in found:
        found |= engine.step()
    for number, one in zip(numbers, (short, long), strict=True):
        [alone] = generate(model, [one])
        assert_same(found[number], alone)
    assert pieces[numbers[0]] == found[numbers[0]].text
    assert engine.counters.new_tokens == 1 + len(found[numbers[1]].tokens)


def test_callers_that_cancel_or_raise_lose_nothing_of_others(packed_model):
    engine = Engine(packed_model, rows=4)
    long = request(temperature=1.0, max_new_tokens=60)
    other = engine.submit(dataclasses.replace(long, seed=5))

    def raise_at_last(_: int, piece: str) -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        engine.generate([long], raise_at_last)
    with pytest.raises(jf.UserError, match="cancelled"):
        engine.generate([long], lambda *_: [engine.cancel(n) for n in range(9)])  # pyright: ignore
    assert engine.idle
    again = engine.submit(dataclasses.replace(long, seed=6))
    found = {}
    while again not in found:
        found |= engine.step()
    assert_same(found[again], generate(packed_model, [dataclasses.replace(long, seed=6)])[0])
    assert other not in found
    for rows, chunk in ((0, 8), (8, 0)):
        with pytest.raises(jf.UserError, match="row and a token"):
            Engine(packed_model, rows=rows, chunk=chunk)


def test_stopping_while_generating_equals_cutting_afterwards(packed_model):
    free = [request(temperature=1.0, seed=seed, max_new_tokens=40) for seed in range(1000)]
    wholes = generate(packed_model, free)
    # In turn the protocol's rules, a second line, and something that occurs in the text wherever
    # tokens happen to end (a piece of a character apart, which is no text yet).
    stops = []
    for one, whole in zip(free, wholes, strict=True):
        inside = max(whole.raw.split("\ufffd"), key=len)[:3]
        kinds = TURN_STOPS, (Stop("\n", occurrence=2, name="second line"),), (Stop(inside),)
        stops.append(kinds[one.seed % 3])
    stopped = [dataclasses.replace(one, stops=two) for one, two in zip(free, stops, strict=True)]
    cuts = 0
    for whole, part, rules in zip(wholes, generate(packed_model, stopped), stops, strict=True):
        assert whole.tokens[: len(part.tokens)] == part.tokens
        found = find_cut(whole.raw, rules)
        if found:
            cuts += 1
            assert (part.text, part.stop_reason) == (whole.raw[: found.position], found.reason)
            assert len(part.tokens) < len(whole.tokens) or part.raw == whole.raw
        else:
            assert_same(part, whole)
    assert cuts >= 300


def test_streamed_pieces_add_up_to_the_text(model):
    requests = [request(temperature=1.0, seed=s, stops=TURN_STOPS) for s in range(8)]
    pieces: dict[int, list[str]] = {i: [] for i in range(8)}
    results = generate(model, requests, lambda i, piece: pieces[i].append(piece))
    assert ["".join(pieces[i]) for i in range(8)] == [result.text for result in results]
    assert max(map(len, pieces.values())) > 1


def test_seeds_matter_and_repeat(model):
    texts = {generate(model, [request(temperature=1.0, seed=s)])[0].text for s in (1, 2, 3, 1)}
    assert len(texts) == 3
    four = jf.complete(model, "def", n=4, temperature=1.0, seed=7, max_new_tokens=8)
    [third] = jf.complete(model, "def", temperature=1.0, seed=9, max_new_tokens=8)
    assert four[2].tokens == third.tokens


def test_log_probabilities_and_perplexity_equal_transformers(either, random_folder):
    theirs = CodeGenForCausalLM.from_pretrained(random_folder).eval()

    def their_logprobs(ids, entries=None) -> np.ndarray:
        with torch.no_grad():
            scores = theirs(torch.tensor([ids])).logits[0, :, :entries].log_softmax(-1).numpy()
        return scores[np.arange(len(ids) - 1), ids[1:]]

    text = "import os\n\n\ndef main(path):\n    return os.listdir(path)  # é 你好\n"
    [scored] = jf.score(either, [text])
    want = their_logprobs(list(scored.tokens))
    assert scored.logprobs[0] is None
    np.testing.assert_allclose(np.array(scored.logprobs[1:], float), want, atol=1e-4)
    assert scored.perplexity() == pytest.approx(np.exp(-want.mean()), rel=1e-4)

    prompt = either.tokenizer.encode("def f(a):\n")
    [result] = generate(either, [request(temperature=0.0)])
    entries = either.tokenizer.vocab_size  # what is drawn leaves the padding rows out
    want = their_logprobs([*prompt, *result.tokens], entries)[len(prompt) - 1 :]
    np.testing.assert_allclose(result.logprobs, want, atol=1e-4)


def test_scores_of_many_texts_are_those_of_each(model):
    texts = [
        "",
        "x",
        "def f(a):\n    return a\n",
        "import os\n" * 70,
        *(f"a{i} = {i}\n" * (i % 9) for i in range(40)),
    ]
    together = jf.score(model, texts)
    for text, one in zip(texts, together, strict=True):
        [alone] = jf.score(model, [text])
        assert (one.tokens, one.spans) == (alone.tokens, alone.spans)
        assert one.logprobs[:1] == ((None,) if one.tokens else ())
        np.testing.assert_allclose(one.logprobs[1:], alone.logprobs[1:], atol=1e-4)  # pyright: ignore
    known = [logprob for one in together for logprob in one.logprobs[1:]]
    assert perplexity(model, texts) == pytest.approx(np.exp(-np.mean(known)))  # pyright: ignore


def test_padding_rows_are_never_drawn(model):
    results = generate(
        model,
        [request(temperature=50.0, top_p=1.0, seed=s, max_new_tokens=64) for s in range(16)],
    )
    drawn = {token for result in results for token in result.tokens}
    assert len(drawn) > 400
    assert max(drawn) < model.tokenizer.vocab_size


def test_sampling_follows_the_distribution(either, random_model):
    """The share of each first token is what softmax, top-k and top-p say (chi-square)."""
    ids = np.array(either.tokenizer.encode("def"))
    places = np.arange(len(ids))[None]
    states, _ = hidden(random_model.params, random_model.config, ids[None], places)  # pyright: ignore
    scores = np.asarray(logits(random_model.params, states))[0, -1]
    likeliest = np.argsort(scores[: either.tokenizer.vocab_size])[-4:]
    count = 1024
    results = generate(
        either,
        [request(prompt="def", max_new_tokens=1, temperature=1.0, top_k=4, top_p=1.0, seed=s)
         for s in range(count)],
    )  # fmt: skip
    first = np.array([(*r.tokens, either.tokenizer.eos_token_id)[0] for r in results])
    weights = np.exp(scores[likeliest])
    expected = count * weights / weights.sum()
    seen = np.array([(first == token).sum() for token in likeliest])
    assert seen.sum() == count
    assert ((seen - expected) ** 2 / expected).sum() < 16.27  # 3 degrees, p = 0.001


def test_the_context_ends_a_completion_and_bounds_a_prompt(model):
    context = model.config.n_positions
    long = " x" * (context // 2 - 5)  # each is a token or two
    size = len(model.tokenizer.encode(long))
    [result] = generate(model, [request(prompt=long, max_new_tokens=context)])
    assert result.stop_reason in ("context", "end of text")
    assert size + len(result.tokens) <= context
    with pytest.raises(jf.UserError, match="context"):
        generate(model, [request(prompt=" x" * (context + 10))])
    [kept] = generate(model, [request(prompt=" x" * (context + 10), keep_end=True)])
    assert kept.tokens


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"top_k": -1},
        {"max_new_tokens": 0},
        {"seed": -1},
    ],
)
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(jf.UserError, match=next(iter(wrong))):
        request(**wrong)
