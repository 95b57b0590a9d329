"""The embedding that stays in its file: against reading it, and where its memory is."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxformer.model import native
from jaxformer.model.native.rows import ALIGNMENT, STORED

HALF = ml_dtypes.bfloat16


def matrix(stored: str, shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(stored)


def wanted(form: str, values: np.ndarray) -> np.ndarray:
    """The model's dtype first, float32 then."""
    return (values if form == "float32" else values.astype(HALF)).astype(np.float32)


def found(made, tokens: np.ndarray) -> np.ndarray:
    return np.asarray(made[tokens])


@settings(deadline=None, max_examples=60)
@given(
    stored=st.sampled_from(STORED),
    form=st.sampled_from(native.FORMATS),
    before=st.integers(0, 5000),
    skipped=st.integers(0, 3),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 70)),
)
def test_rows_in_a_file_are_what_is_read_from_it(
    tmp_path_factory, stored, form, before, skipped, shape
):
    path = tmp_path_factory.mktemp("rows") / "weights"
    values = matrix(stored, (shape[0] + skipped, shape[1]))
    path.write_bytes(bytes(before) + values.tobytes() + b"more")
    mapped = np.memmap(path, stored, "r", before, values.shape)[skipped:]
    made = native.rows(form, mapped)
    tokens = np.random.default_rng(1).integers(0, shape[0], (2, 5))
    np.testing.assert_array_equal(found(made, tokens), wanted(form, values[skipped:])[tokens])
    if not before % values.itemsize:  # else no processor could use them as they lie
        memory = mapped.ctypes.data - mapped.ctypes.data % ALIGNMENT
        assert made.values.unsafe_buffer_pointer() == memory


@pytest.mark.parametrize("form", native.FORMATS)
@pytest.mark.parametrize("stored", [*STORED, "float64"])
def test_rows_in_memory_are_taken_too(form, stored):
    values = matrix(stored, (9, 14))
    tokens = np.arange(9)
    for given_ in (values, np.asfortranarray(values), values[::-1], values[:, ::2]):
        right = wanted(form, given_.astype(np.float32) if stored == "float64" else given_)
        np.testing.assert_array_equal(found(native.rows(form, given_), tokens), right)


def test_a_transposed_map_is_not_taken_for_its_file(tmp_path):
    values = matrix("float32", (6, 16))
    values.tofile(tmp_path / "weights")
    mapped = np.memmap(tmp_path / "weights", np.float32, "r", 0, (16, 6)).T
    np.testing.assert_array_equal(
        found(native.rows("float32", mapped), np.arange(6)), values.reshape(16, 6).T
    )
