"""A matrix of which only rows are looked up, left where it lies: mostly in a checkpoint's file."""

import contextlib
import mmap
import os
import weakref
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxformer.model.native.library import instruction_set

STORED = ("float32", "float16", "bfloat16")
"""Dtypes that can stay as they are."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["values"],
    meta_fields=["rows", "width", "stored", "form"],
)
@dataclass(frozen=True, eq=False)
class Rows:
    """The embedding of a packed model.

    Attributes:
        values: All rows, `[rows, width]`; bits of two bytes as uint16, because XLA would widen all
            of them on a CPU to look some up. Of rows in a file, where that is: its descriptor, the
            first row's place, and the file's device and number, 64 bits each, as uint32 `[8]`. The
            file is open as long as this array itself is in use.
        rows: How many rows are in a file; None for rows in memory.
        width: Values of a row.
        stored: Their dtype, one of `STORED`.
        form: The model's, one of `packing.FORMATS`: all but float32 take rows in bfloat16.
    """

    values: jax.Array
    rows: int | None
    width: int
    stored: str
    form: str

    def __getitem__(self, tokens: jax.Array) -> jax.Array:
        """Look tokens `[…]` up: float32 `[…, width]`."""
        found = self.values[tokens] if self.rows is None else self._read(tokens, self.rows)
        if self.stored == "bfloat16":
            found = jax.lax.bitcast_convert_type(found.astype(jnp.uint32) << 16, jnp.float32)
        elif self.stored == "float16":
            found = jax.lax.bitcast_convert_type(found, jnp.float16).astype(jnp.float32)
        return found if self.form == "float32" else jax.lax.reduce_precision(found, 8, 7)

    def _read(self, tokens: jax.Array, rows: int) -> jax.Array:
        instruction_set()  # makes the kernels known to XLA
        dtype = jnp.float32 if self.stored == "float32" else jnp.uint16
        shape = jax.ShapeDtypeStruct((*tokens.shape, self.width), dtype)
        call = jax.ffi.ffi_call("jaxformer_rows", shape)
        return call(self.values, tokens.astype(jnp.int32), rows=np.int32(rows))


def rows(form: str, matrix: np.ndarray) -> Rows:
    """Make a matrix `[rows, width]` ready.

    What is mapped from a file, rows behind each other in one of the dtypes `STORED`, stays there
    and is read row by row: a map would bring up to two megabytes along with each. The file is kept
    open; it must not be written over in place.
    """
    if matrix.dtype.name not in STORED:
        matrix = matrix.astype(np.float32)
    count, width = matrix.shape
    kind = (width, matrix.dtype.name, form)
    if (place := _open(matrix)) is not None:
        values = jax.device_put(place.view(np.uint32))
        # Not at the end of the process: work may be under way.
        weakref.finalize(values, os.close, int(place[0])).atexit = False
        return Rows(values, count, *kind)
    matrix = np.ascontiguousarray(matrix)
    bits = matrix if matrix.itemsize == 4 else matrix.view(np.uint16)
    return Rows(jax.device_put(bits), None, *kind)


def _open(matrix: np.ndarray) -> np.ndarray | None:
    """Open the file that a matrix is mapped from; return where it is, as in `Rows`, uint64 `[4]`.

    None if it is not mapped, or not as it lies there.
    """
    if instruction_set() is None or not matrix.size or not matrix.flags.c_contiguous:
        return None
    whole = matrix
    while not (isinstance(whole, np.memmap) and isinstance(whole.base, mmap.mmap)):
        whole = getattr(whole, "base", None)
        if whole is None:
            return None
    start = whole.offset + matrix.ctypes.data - whole.ctypes.data
    with contextlib.suppress(OSError):  # it was taken away meanwhile
        file = os.open(str(whole.filename), os.O_RDONLY)
        try:
            # Another one may have its name by now.
            for number in {0, len(matrix) // 2, len(matrix) - 1}:
                row = matrix[number].tobytes()
                if os.pread(file, len(row), start + number * len(row)) != row:
                    raise OSError
            status = os.fstat(file)
        except OSError:
            os.close(file)
        else:
            return np.array([file, start, status.st_dev, status.st_ino], np.uint64)
    return None
