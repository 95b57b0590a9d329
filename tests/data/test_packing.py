"""Packing loses nothing, and rows tell documents apart."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxformer.data.corpus import python_sources
from jaxformer.data.documents import Document, conversation
from jaxformer.data.packing import cut, fit
from jaxformer.data.prepare import prepare
from jaxformer.data.rows import Rows, Stretch, row
from jaxformer.transcript import Turn

lengths = st.lists(st.integers(1, 70), min_size=1, max_size=30)


def rows_of(sizes: list[int], context: int, fitted: bool) -> list[Rows[np.ndarray]]:
    """Return rows of documents of which no two tokens are the same."""
    ends = np.cumsum(sizes)
    order, rows = (
        fit(sizes, context) if fitted else ([*range(len(sizes))], cut(sum(sizes), context))
    )
    stream = np.concatenate([np.arange(ends[i] - sizes[i], ends[i]) for i in order])
    starts = np.cumsum([0, *(sizes[i] for i in order)])[:-1]
    return [
        row(Stretch(stream[a:b], starts[(starts >= a) & (starts < b)] - a), context)
        for a, b in rows
    ]


@given(lengths, st.integers(4, 32), st.booleans())
def test_every_next_token_is_a_target_once(sizes, context, fitted):
    got = sorted(
        (int(token), int(target))
        for made in rows_of(sizes, context, fitted)
        for token, target in zip(
            made.tokens[made.weights > 0], made.targets[made.weights > 0], strict=True
        )
    )
    ends = np.cumsum(sizes)
    want = [(n, n + 1) for n in range(ends[-1] - 1) if n + 1 not in ends]
    assert got == want


@given(lengths, st.integers(4, 32), st.booleans())
def test_positions_and_segments_tell_documents_apart(sizes, context, fitted):
    document = np.repeat(np.arange(len(sizes)), sizes)
    for made in rows_of(sizes, context, fitted):
        inside = made.positions >= 0
        assert not made.weights[~inside].any()
        tokens, segments = made.tokens[inside], made.segments[inside]
        for segment in set(segments):
            mine = tokens[segments == segment]
            assert len(set(document[mine])) == 1
            np.testing.assert_array_equal(
                made.positions[inside][segments == segment], np.arange(len(mine))
            )
        assert len(set(segments)) == len(set(document[tokens]))


@given(lengths, st.integers(4, 32))
def test_a_document_that_fits_is_never_divided(sizes, context):
    order, rows = fit(sizes, context)
    start = 0
    for number in order:
        end = start + sizes[number]
        if 1 < sizes[number] <= context + 1:
            assert any(a <= start and end <= b for a, b in rows)
        start = end


def test_fitted_rows_are_nearly_full():
    _, rows = fit(np.random.default_rng(0).integers(60, 200, 2000).tolist(), 256)
    assert (rows[:, 1] - rows[:, 0] - 1).mean() > 0.93 * 256


def test_without_masks_a_row_is_one_text():
    made = row(Stretch(np.arange(9), np.array([3])), 10, mask_documents=False)
    assert made.positions[0].tolist() == [*range(8), -1, -1]
    assert made.segments[0].tolist() == [0] * 10
    assert made.weights[0].tolist() == [1.0] * 8 + [0.0] * 2
    masked = row(Stretch(np.arange(9), np.array([3])), 10)
    assert masked.positions[0].tolist() == [0, 1, 2, 0, 1, 2, 3, 4, -1, -1]
    assert masked.weights[0].tolist() == [1, 1, 0, 1, 1, 1, 1, 1, 0, 0]


def test_code_counts_fully_and_prompts_less(small_tokenizer, tmp_path):
    small_tokenizer.save(tmp_path / "tokenizer")
    turns = (Turn("Set x to 1.", "x = 1"), Turn("Print x twice.", "print(x)\nprint(x)"))
    documents = [Document("y = 2\n", "a"), conversation(turns, "b")]
    tokens = prepare(iter(documents), tmp_path / "tokenizer", 256, tmp_path / "out")
    assert len(tokens) == 1
    made = row(tokens.stretch(0), 256, prompt_weight=0.25)
    heavy = made.targets[0][made.weights[0] == 1.0]
    end = "<|endoftext|>"
    assert small_tokenizer.decode(heavy) == f" = 2\n{end}#x = 1\n\n#print(x)\nprint(x)\n\n{end}"
    assert set(made.weights[0]) == {0.0, 0.25, 1.0}
    again = prepare(iter(()), tmp_path / "tokenizer", 256, tmp_path / "out")
    np.testing.assert_array_equal(again.stretch(0).tokens, tokens.stretch(0).tokens)


def test_sources_are_distinct_bounded_and_repeatable():
    first, again = list(python_sources(0.3, 1)), list(python_sources(0.3, 1))
    assert first == again
    texts = [document.text for document in first]
    assert len(set(texts)) == len(texts)
    assert 0.3e6 <= sum(map(len, texts)) < 1.5e6
    assert first != list(python_sources(0.3, 2))
