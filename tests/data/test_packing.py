"""Packing loses nothing, and a batch is a function of seed and step."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxformer.data.corpus import keep, python_sources
from jaxformer.data.packing import Document, batch, pack
from jaxformer.data.stages import conversation_document, plain_documents
from jaxformer.transcript import Turn

lengths = st.lists(st.integers(1, 70), min_size=1, max_size=30)


def numbered(sizes: list[int]) -> list[Document]:
    """Return documents of which no two tokens are the same."""
    ends = np.cumsum(sizes)
    return [Document(range(end - n, end), [0.5] * n) for end, n in zip(ends, sizes, strict=True)]


@given(lengths, st.integers(4, 32))
def test_every_next_token_is_a_target_once(sizes, context):
    documents = numbered(sizes)
    rows = pack(documents, context)
    got = sorted(
        (int(t), int(n), float(w))
        for t, n, w in zip(
            rows.tokens[rows.positions >= 0],
            rows.targets[rows.positions >= 0],
            rows.weights[rows.positions >= 0],
            strict=True,
        )
    )
    want = [(a, a + 1, 0.5) for d in documents for a in list(d.ids)[:-1]]
    assert got == sorted(want)
    assert not rows.weights[rows.positions < 0].any()


@given(lengths, st.integers(4, 32))
def test_positions_and_segments_tell_documents_apart(sizes, context):
    rows = pack(numbered(sizes), context)
    for tokens, positions, segments in zip(rows.tokens, rows.positions, rows.segments, strict=True):
        for segment in set(segments[positions >= 0]):
            inside = (segments == segment) & (positions >= 0)
            np.testing.assert_array_equal(positions[inside], np.arange(inside.sum()))
            np.testing.assert_array_equal(np.diff(tokens[inside]), 1)


@given(st.integers(1, 20), st.integers(1, 7), st.integers(0, 5))
def test_an_epoch_visits_every_row_once(count, size, seed):
    rows = pack([Document(range(5 * i, 5 * i + 5), [1.0] * 5) for i in range(count)], 4)
    steps = [batch(rows, size, seed, step) for step in range(2 * count)]
    firsts = np.concatenate([step.tokens[:, 0] for step in steps])[: 2 * count]
    for epoch in (firsts[:count], firsts[count:]):
        assert sorted(epoch) == sorted(rows.tokens[:, 0])
    again = batch(rows, size, seed, count)
    np.testing.assert_array_equal(again.tokens, steps[count].tokens)


def test_rows_are_nearly_full():
    rng = np.random.default_rng(0)
    rows = pack(numbered(rng.integers(60, 200, 2000).tolist()), 256)
    assert (rows.positions >= 0).mean() > 0.93


def test_code_counts_fully_and_prompts_less(small_tokenizer):
    turns = [Turn("Set x to 1.", "x = 1"), Turn("Print x twice.", "print(x)\nprint(x)")]
    document = conversation_document(turns, small_tokenizer, 0.25)
    heavy = [i for i, w in zip(document.ids, document.weights, strict=True) if w == 1.0]
    assert small_tokenizer.decode(heavy) == "#x = 1\n\n#print(x)\nprint(x)\n\n<|endoftext|>"
    assert set(document.weights) == {0.25, 1.0}


def test_plain_documents_end_with_the_end_of_text(small_tokenizer):
    [document] = plain_documents(["x = 1\n"], small_tokenizer)
    assert small_tokenizer.decode(document.ids) == "x = 1\n<|endoftext|>"


def test_the_papers_filters():
    assert keep("x = 1\n" * 10)
    assert not keep("")
    assert not keep("def f(:\n")
    assert not keep("x = '" + "y" * 1000 + "'\n" + "x = 1\n" * 100)  # a line over 1,000
    assert not keep(("x = '" + "y" * 120 + "'\n") * 5)  # lines of 100 in the mean
    assert not keep("0x0123456789abcdef0123456789abcdef\n" * 20)  # digits


def test_sources_are_distinct_bounded_and_repeatable():
    first, again = list(python_sources(0.3, 1)), list(python_sources(0.3, 1))
    assert first == again
    assert len(set(first)) == len(first)
    assert 0.3e6 <= sum(map(len, first)) < 1.5e6
    assert first != list(python_sources(0.3, 2))
