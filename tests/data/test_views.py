"""Some rows of a data set, and rows in pieces, against plain slices."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxformer.data.rows import Stretch, row
from jaxformer.data.views import Pieces, Range


@dataclass(frozen=True)
class Plain:
    """Rows in memory: of each its tokens, where documents begin, and prompts."""

    rows: list[Stretch]

    def __len__(self) -> int:
        return len(self.rows)

    def stretch(self, row: int) -> Stretch:
        return self.rows[row]

    def origins(self, row: int) -> np.ndarray:
        starts = self.rows[row].starts
        return 100 * row + np.searchsorted(starts, np.arange(len(self.rows[row].tokens)), "right")


@st.composite
def plain(draw: st.DrawFn, context: int = 24) -> Plain:
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        length = draw(st.integers(2, context + 1))
        tokens = np.array(draw(st.lists(st.integers(1, 99), min_size=length, max_size=length)))
        starts = sorted(draw(st.sets(st.integers(0, length - 1), max_size=4)))
        marks = draw(st.none() | st.just((tokens % 2).astype(np.uint8)))
        rows.append(Stretch(tokens, np.array(starts, int), marks))
    return Plain(rows)


@given(plain(), st.data())
def test_a_range_is_a_slice(base, data):
    start = data.draw(st.integers(0, len(base)))
    stop = data.draw(st.integers(start, len(base)))
    part = Range(base, start, stop)
    assert [part.stretch(n) for n in range(len(part))] == base.rows[start:stop]
    for number in range(len(part)):
        np.testing.assert_array_equal(part.origins(number), base.origins(start + number))


@given(plain(), st.sampled_from([1, 2, 3, 4]))
def test_pieces_are_slices_that_share_a_token(base, count):
    context = 24 // count
    pieces = Pieces(base, count, context)
    assert len(pieces) == count * len(base)
    for number in range(len(pieces)):
        whole, low = base.rows[number // count], number % count * context
        got, high = pieces.stretch(number), low + context + 1
        np.testing.assert_array_equal(got.tokens, whole.tokens[low:high])
        wanted = [start - low for start in whole.starts if low <= start < high]
        assert got.starts.tolist() == wanted
        if whole.prompts is None:
            assert got.prompts is None
        else:
            np.testing.assert_array_equal(got.prompts, whole.prompts[low:high])
        origins = base.origins(number // count)[low:high]
        np.testing.assert_array_equal(pieces.origins(number), origins)


@given(plain(), st.sampled_from([1, 2, 3, 4]), st.booleans())
def test_pieces_predict_what_whole_rows_do(base, count, mask):
    """Every target is there once, with the same weight; only what is seen before it is less."""
    pieces = Pieces(base, count, 24 // count)
    for number in range(len(base)):
        whole = row(base.stretch(number), 24, mask, 0.5)
        cut = [
            row(pieces.stretch(number * count + n), 24 // count, mask, 0.5) for n in range(count)
        ]
        for field in ("tokens", "targets", "weights"):
            joined = np.concatenate([getattr(piece, field) for piece in cut], axis=1)
            np.testing.assert_array_equal(joined, getattr(whole, field))
        padding = np.concatenate([piece.positions for piece in cut], axis=1) < 0
        np.testing.assert_array_equal(padding, whole.positions < 0)
