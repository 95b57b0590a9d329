"""Batches are a function of seed and step; documents are rearranged without loss."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxformer as jf
from jaxformer.data.infilling import Infilling, rearrange, rearrange_stretch
from jaxformer.data.loader import Loader
from jaxformer.data.packing import cut
from jaxformer.data.rows import Stretch
from jaxformer.data.shards import Shard, TokenSet
from jaxformer.data.views import Pieces

CONTEXT = 8


def token_set(documents: list[int], first: int = 0, shards: int = 2) -> TokenSet:
    """Return documents of such lengths, of which no two tokens are the same."""
    made, counts = [], []
    for part in range(shards):
        sizes = documents[part::shards]
        bounds = np.cumsum([0, *sizes])
        rows = cut(int(bounds[-1]), CONTEXT)
        tokens = np.arange(first, first + bounds[-1])
        first += int(bounds[-1])
        shard = Shard(tokens, None, bounds, rows, np.arange(len(sizes)))
        made.append(lambda shard=shard: shard)
        counts.append(len(rows))
    return TokenSet(made, counts)


sets = st.lists(st.lists(st.integers(2, 30), min_size=2, max_size=8), min_size=1, max_size=3)


def loader(documents: list[list[int]], **options) -> Loader:
    sources = [
        (token_set(sizes, 10_000 * number), float(number + 1))
        for number, sizes in enumerate(documents)
    ]
    return Loader(sources, context=CONTEXT, **options)


@settings(deadline=None, max_examples=40)
@given(sets, st.integers(0, 3), st.integers(0, 40), st.sampled_from([1, 2, 4]))
def test_resuming_anywhere_on_any_number_of_hosts_gives_the_same_batches(
    documents, seed, step, hosts
):
    whole = loader(documents, batch_size=4, seed=seed)
    straight = list(itertools.islice(whole.iterate(), step + 3))[step:]
    # The batch of all hosts, put together, from hosts that resume.
    shares = [
        loader(documents, batch_size=4, seed=seed, host=host, hosts=hosts).iterate(step)
        for host in range(hosts)
    ]
    for want in straight:
        parts = [next(share) for share in shares]
        for name in want._fields:
            got = np.concatenate([getattr(part, name) for part in parts])
            np.testing.assert_array_equal(got, getattr(want, name))


def test_the_state_is_a_few_bytes_and_restores():
    made = loader([[9, 9, 20], [30, 5]], batch_size=4)
    batches = made.iterate()
    for _ in range(7):
        next(batches)
    state = json.dumps(batches.get_state())
    assert len(state) < 100
    again = made.iterate()
    again.set_state(json.loads(state))
    np.testing.assert_array_equal(next(again).tokens, made.batch(7).tokens)


@settings(deadline=None)
@given(st.lists(st.integers(2, 30), min_size=2, max_size=8), st.integers(0, 5))
def test_an_epoch_reads_every_row_once_and_each_in_its_own_order(documents, seed):
    tokens = token_set(documents)
    made = Loader([(tokens, 1.0)], 1, CONTEXT, seed)
    epochs = [
        [int(made.batch(epoch * len(tokens) + i).tokens[0, 0]) for i in range(len(tokens))]
        for epoch in range(3)
    ]
    firsts = [int(tokens.stretch(row).tokens[0]) for row in range(len(tokens))]
    for epoch in epochs:
        assert sorted(epoch) == sorted(firsts)
    if len(tokens) > 8:
        assert epochs[0] != epochs[1]
    assert (
        Loader([(tokens, 1.0)], 1, CONTEXT, seed).batch(2).tokens[0, 0]
        == made.batch(2).tokens[0, 0]
    )


def test_sources_are_mixed_by_weight():
    made = loader([[20] * 9, [20] * 9], batch_size=30)
    tokens = np.concatenate([made.batch(step).tokens[:, 0] for step in range(20)])
    assert Counter((tokens >= 10_000).tolist()) == {True: 400, False: 200}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"batch_size": 6, "hosts": 4}, "evenly"), ({"batch_size": 4, "sources": []}, "no rows")],
)
def test_what_cannot_be_is_said(options, complaint):
    options = {"sources": [(token_set([9, 9]), 1.0)], "context": CONTEXT} | options
    with pytest.raises(jf.UserError, match=complaint):
        Loader(**options)


@pytest.fixture(scope="module")
def infilling(small_tokenizer) -> Infilling:
    return Infilling(small_tokenizer.with_infilling(), rate=1.0)


TEXT = "def größe(x):\n    return x * 2  # twice 🙂\n\n\nprint(größe(21))\n"


@settings(deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0]), st.booleans())
def test_the_parts_of_a_rearranged_document_are_all_of_it(infilling, seed, spm, ended):
    tokenizer = infilling.tokenizer
    made = Infilling(tokenizer, 1.0, spm)
    ids = np.array(tokenizer.encode(TEXT) + [tokenizer.eos_token_id] * ended)
    out = rearrange(ids, made, np.random.default_rng(seed)).tolist()
    assert (out[-1] == tokenizer.eos_token_id) == ended
    prefix, middle, suffix = (out.index(sentinel) for sentinel in made.sentinels)
    end = len(out) - ended
    words = tokenizer.decode
    if spm:
        assert (prefix, suffix) == (0, 1)
        # The prefix and the middle follow each other and are told apart by nothing.
        assert words(out[middle + 1 : end]) + words(out[suffix + 1 : middle]) == TEXT
    else:
        parts = words(out[1:suffix]), words(out[middle + 1 : end]), words(out[suffix + 1 : middle])
        assert prefix == 0
        assert "".join(parts) == TEXT


def test_the_rate_is_kept_and_each_document_of_a_row_is_rearranged_by_itself(infilling):
    tokenizer = infilling.tokenizer
    document = np.array([*tokenizer.encode(TEXT), tokenizer.eos_token_id], np.int32)
    stretch = Stretch(np.concatenate([document[5:], document, document[:9]]), np.array([0]))
    half = Infilling(tokenizer, 0.5)
    rng = np.random.default_rng(0)
    changed = sum(not np.array_equal(rearrange(document, half, rng), document) for _ in range(1000))
    assert 450 <= changed <= 550

    starts = np.array([len(document) - 5, 2 * len(document) - 5])
    stretch = Stretch(stretch.tokens, starts)
    out = rearrange_stretch(stretch, infilling, rng)
    assert len(out.tokens) == len(stretch.tokens)
    first, second = out.starts[:2]
    end = tokenizer.eos_token_id
    assert out.tokens[first - 1] == out.tokens[second - 1] == end
    prefix_id = infilling.sentinels[0]
    assert out.tokens[0] == out.tokens[first] == prefix_id
    assert (out.tokens[:second] == end).sum() == 2


def test_pieces_that_a_short_row_has_no_tokens_for_stay_empty(small_tokenizer):
    tokenizer = small_tokenizer.with_infilling()
    ids = tokenizer.encode("x = 1\n")
    shard = Shard(np.array(ids), None, np.array([0, len(ids)]), cut(len(ids), 64), np.array([0]))
    pieces = Pieces(TokenSet([lambda: shard], [1]), 4, 16)
    rows = Loader([(pieces, 1.0)], 4, 16, infilling=Infilling(tokenizer, 1.0)).batch(0)
    assert rows.weights.any(axis=1).sum() == 1


def test_half_a_character_at_a_row_s_end_is_left_alone(infilling):
    ids = np.array(infilling.tokenizer.encode("x = '🙂"))[:-1]
    assert "\ufffd" in infilling.tokenizer.decode(ids.tolist())
    np.testing.assert_array_equal(rearrange(ids, infilling, np.random.default_rng(0)), ids)


def test_infilling_by_the_loader_depends_on_seed_and_epoch(small_tokenizer):
    tokenizer = small_tokenizer.with_infilling()
    ids = [*tokenizer.encode(TEXT), tokenizer.eos_token_id]
    shard = Shard(np.array(ids), None, np.array([0, len(ids)]), cut(len(ids), 64), np.array([0]))
    tokens = TokenSet([lambda: shard], [1])
    made = Loader([(tokens, 1.0)], 1, 64, infilling=Infilling(tokenizer, 1.0))
    first, second = made.batch(0), made.batch(1)
    assert not np.array_equal(first.tokens, second.tokens)
    np.testing.assert_array_equal(first.tokens, made.batch(0).tokens)


def test_a_tokenizer_without_sentinels_is_refused(small_tokenizer):
    with pytest.raises(jf.UserError, match="infilling = true"):
        Infilling(small_tokenizer)
