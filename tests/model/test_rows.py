"""The embedding that stays in its file: against reading it, and what becomes of the file."""

import contextlib
import gc
import os
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxformer.model import native
from jaxformer.model.native.rows import STORED, Rows

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
    assert made.values.nbytes == 32  # not the rows, but where they are


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


def in_a_file(folder: Path) -> tuple[Rows, Path]:
    """Rows in a file, and the file."""
    path = folder / "weights"
    matrix("float32", (40, 16)).tofile(path)
    return native.rows("float32", np.memmap(path, np.float32, "r", 0, (40, 16))), path


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.with_name("new").replace(path)])
def test_a_file_that_is_replaced_or_removed_is_read_on(tmp_path, change):
    made, path = in_a_file(tmp_path)
    path.with_name("new").write_bytes(bytes(40 * 16 * 4))
    change(path)
    np.testing.assert_array_equal(found(made, np.arange(40)), matrix("float32", (40, 16)))


def test_a_file_that_is_cut_off_is_an_error(tmp_path):
    made, path = in_a_file(tmp_path)
    os.truncate(path, 100)
    with pytest.raises(Exception, match="can no longer be read"):
        found(made, np.arange(40))


def test_a_file_is_open_as_long_as_it_is_of_use(tmp_path):
    made, path = in_a_file(tmp_path)
    copy = replace(made, values=made.values + 0)
    file, same = int(made.values[0]), path.stat().st_ino
    assert os.fstat(file).st_ino == same
    del made
    gc.collect()
    with contextlib.suppress(OSError):
        assert os.fstat(file).st_ino != same
    with pytest.raises(Exception, match="can no longer be read"):  # a copy does not keep it open
        found(copy, np.arange(40))


def test_another_file_of_the_same_name_is_not_taken_for_it(tmp_path):
    path, values = tmp_path / "weights", matrix("float32", (40, 16))
    values.tofile(path)
    mapped = np.memmap(path, np.float32, "r", 0, (40, 16))
    path.unlink()
    other = values.copy()
    other[20, 3] = 7
    other.tofile(path)
    made = native.rows("float32", mapped)
    np.testing.assert_array_equal(found(made, np.arange(40)), values)


def test_tokens_out_of_range_become_the_nearest(tmp_path):
    made, _ = in_a_file(tmp_path)
    ends = matrix("float32", (40, 16))[[0, 39]]
    np.testing.assert_array_equal(found(made, np.array([-5, 99])), ends)
