"""The engine: alone or together the same, cut while growing as afterwards, true probabilities."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CodeGenForCausalLM

import jaxformer as jf
from jaxformer.generation import Request, generate
from jaxformer.model import hidden, logits
from jaxformer.transcript import TURN_STOPS, Stop, find_cut

PROMPTS = ["", "x", "def f(a):\n    ", "import os\nimport sys\n\n" * 4, "for i in range(10):\n" * 9]


def request(**changes) -> Request:
    return Request(**({"prompt": "def f(a):\n", "max_new_tokens": 24} | changes))


@settings(max_examples=6, deadline=None)
@given(
    st.lists(
        st.builds(
            Request,
            prompt=st.sampled_from(PROMPTS),
            max_new_tokens=st.integers(1, 40),
            temperature=st.sampled_from([0.0, 0.2, 0.8, 1.5]),
            top_p=st.sampled_from([0.3, 0.95, 1.0]),
            top_k=st.sampled_from([0, 5]),
            seed=st.integers(0, 2**32 - 1),
            stops=st.sampled_from([(), TURN_STOPS, (Stop("e"),)]),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_together_equals_alone(random_model, requests):
    together = generate(random_model, requests)
    for one, result in zip(requests, together, strict=True):
        [alone] = generate(random_model, [one])
        assert dataclasses.replace(result, logprobs=()) == dataclasses.replace(alone, logprobs=())
        np.testing.assert_allclose(result.logprobs, alone.logprobs, atol=1e-4)


def test_stopping_while_generating_equals_cutting_afterwards(random_model):
    free = [request(temperature=1.0, seed=seed, max_new_tokens=60) for seed in range(60)]
    wholes = generate(random_model, free)
    # In turn the protocol's rules, a second line, and something that occurs in the text wherever
    # tokens happen to end (a piece of a character apart, which is no text yet).
    stops = []
    for one, whole in zip(free, wholes, strict=True):
        inside = max(whole.raw.split("\ufffd"), key=len)[:3]
        kinds = TURN_STOPS, (Stop("\n", occurrence=2, name="second line"),), (Stop(inside),)
        stops.append(kinds[one.seed % 3])
    stopped = [dataclasses.replace(one, stops=two) for one, two in zip(free, stops, strict=True)]
    cuts = 0
    for whole, part, rules in zip(wholes, generate(random_model, stopped), stops, strict=True):
        assert whole.tokens[: len(part.tokens)] == part.tokens
        found = find_cut(whole.raw, rules)
        if found:
            cuts += 1
            assert (part.text, part.stop_reason) == (whole.raw[: found.position], found.reason)
            assert len(part.tokens) < len(whole.tokens) or part.raw == whole.raw
        else:
            assert part == whole
    assert cuts >= 20


def test_streamed_pieces_add_up_to_the_text(random_model):
    requests = [request(temperature=1.0, seed=s, stops=TURN_STOPS) for s in range(8)]
    pieces: dict[int, list[str]] = {i: [] for i in range(8)}
    results = generate(random_model, requests, lambda i, piece: pieces[i].append(piece))
    assert ["".join(pieces[i]) for i in range(8)] == [result.text for result in results]
    assert max(map(len, pieces.values())) > 1


def test_seeds_matter_and_repeat(random_model):
    texts = {
        generate(random_model, [request(temperature=1.0, seed=s)])[0].text for s in (1, 2, 3, 1)
    }
    assert len(texts) == 3
    four = jf.complete(random_model, "def", n=4, temperature=1.0, seed=7, max_new_tokens=8)
    [third] = jf.complete(random_model, "def", temperature=1.0, seed=9, max_new_tokens=8)
    assert four[2].tokens == third.tokens


def test_log_probabilities_and_perplexity_equal_transformers(random_model, random_folder):
    theirs = CodeGenForCausalLM.from_pretrained(random_folder).eval()

    def their_logprobs(ids, entries=None) -> np.ndarray:
        with torch.no_grad():
            scores = theirs(torch.tensor([ids])).logits[0, :, :entries].log_softmax(-1).numpy()
        return scores[np.arange(len(ids) - 1), ids[1:]]

    text = "import os\n\n\ndef main(path):\n    return os.listdir(path)  # é 你好\n"
    [scored] = jf.score(random_model, [text])
    want = their_logprobs(list(scored.tokens))
    assert scored.logprobs[0] is None
    np.testing.assert_allclose(np.array(scored.logprobs[1:], float), want, atol=1e-4)
    assert scored.perplexity() == pytest.approx(np.exp(-want.mean()), rel=1e-4)

    prompt = random_model.tokenizer.encode("def f(a):\n")
    [result] = generate(random_model, [request(temperature=0.0)])
    entries = random_model.tokenizer.vocab_size  # what is drawn leaves the padding rows out
    want = their_logprobs([*prompt, *result.tokens], entries)[len(prompt) - 1 :]
    np.testing.assert_allclose(result.logprobs, want, atol=1e-4)


def test_padding_rows_are_never_drawn(random_model):
    results = generate(
        random_model,
        [request(temperature=50.0, top_p=1.0, seed=s, max_new_tokens=64) for s in range(16)],
    )
    drawn = {token for result in results for token in result.tokens}
    assert len(drawn) > 400
    assert max(drawn) < random_model.tokenizer.vocab_size


def test_sampling_follows_the_distribution(random_model):
    """The share of each first token is what softmax, top-k and top-p say (chi-square)."""
    ids = np.array(random_model.tokenizer.encode("def"))
    places = np.arange(len(ids))[None]
    states, _ = hidden(random_model.params, random_model.config, ids[None], places)  # pyright: ignore
    scores = np.asarray(logits(random_model.params, states))[0, -1]
    likeliest = np.argsort(scores[: random_model.tokenizer.vocab_size])[-4:]
    count = 1024
    results = generate(
        random_model,
        [request(prompt="def", max_new_tokens=1, temperature=1.0, top_k=4, top_p=1.0, seed=s)
         for s in range(count)],
    )  # fmt: skip
    first = np.array([(*r.tokens, random_model.tokenizer.eos_token_id)[0] for r in results])
    weights = np.exp(scores[likeliest])
    expected = count * weights / weights.sum()
    seen = np.array([(first == token).sum() for token in likeliest])
    assert seen.sum() == count
    assert ((seen - expected) ** 2 / expected).sum() < 16.27  # 3 degrees, p = 0.001


def test_the_context_ends_a_completion_and_bounds_a_prompt(random_model):
    context = random_model.config.n_positions
    long = " x" * (context // 2 - 5)  # each is a token or two
    size = len(random_model.tokenizer.encode(long))
    [result] = generate(random_model, [request(prompt=long, max_new_tokens=context)])
    assert result.stop_reason in ("context", "end of text")
    assert size + len(result.tokens) <= context
    with pytest.raises(jf.UserError, match="context"):
        generate(random_model, [request(prompt=" x" * (context + 10))])
    [kept] = generate(random_model, [request(prompt=" x" * (context + 10), keep_end=True)])
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
