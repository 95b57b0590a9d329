"""A matrix of which only rows are looked up, left where it lies: mostly in a checkpoint's file."""

import mmap
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

ALIGNMENT = 64
"""Bytes. JAX uses memory that begins at a multiple of these as it is, and copies other memory."""
STORED = ("float32", "float16", "bfloat16")
"""Dtypes that can stay as they are."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["values"],
    meta_fields=["start", "width", "stored", "form"],
)
@dataclass(frozen=True, eq=False)
class Rows:
    """The embedding of a packed model.

    Attributes:
        values: All rows behind each other, `[start + rows · width]`; bits of two bytes as uint16,
            because XLA would widen all of them on a CPU to look some up.
        start: Where the first row begins.
        width: Values of a row.
        stored: Their dtype, one of `STORED`.
        form: The model's, one of `packing.FORMATS`: all but float32 take rows in bfloat16.
    """

    values: jax.Array
    start: int
    width: int
    stored: str
    form: str

    def __getitem__(self, tokens: jax.Array) -> jax.Array:
        """Look tokens `[…]` up: float32 `[…, width]`."""

        def row(token: jax.Array) -> jax.Array:
            first = self.start + token * self.width
            return jax.lax.dynamic_slice(self.values, (first,), (self.width,))

        found = jax.vmap(row)(tokens.reshape(-1)).reshape(*tokens.shape, self.width)
        if self.stored == "bfloat16":
            found = jax.lax.bitcast_convert_type(found.astype(jnp.uint32) << 16, jnp.float32)
        elif self.stored == "float16":
            found = jax.lax.bitcast_convert_type(found, jnp.float16).astype(jnp.float32)
        return found if self.form == "float32" else jax.lax.reduce_precision(found, 8, 7)


def rows(form: str, matrix: np.ndarray) -> Rows:
    """Make a matrix `[rows, width]` ready.

    What is mapped from a file stays there, if it can be used as it lies: rows behind each other, at
    places that suit their dtype, one of `STORED`. The file must then not be written over in place.
    """
    if matrix.dtype.name not in STORED:
        matrix = matrix.astype(np.float32)
    values = _mapped(matrix)
    if values is None:
        values = np.ascontiguousarray(matrix).reshape(-1)
    start = len(values) - matrix.size
    bits = values if values.itemsize == 4 else values.view(np.uint16)
    return Rows(jax.device_put(bits), start, matrix.shape[1], matrix.dtype.name, form)


def _mapped(matrix: np.ndarray) -> np.ndarray | None:
    """Return a matrix that is mapped from a file with what lies before it, back to an `ALIGNMENT`.

    None if it is not mapped, or not as it is to be used.
    """
    mapping: Any = matrix
    while not isinstance(mapping, mmap.mmap):
        if mapping is None:
            return None
        mapping = getattr(mapping, "base", None)
    address = matrix.ctypes.data
    if not matrix.flags.c_contiguous or address % matrix.itemsize:
        return None
    whole = np.frombuffer(mapping, np.uint8)
    first = address - whole.ctypes.data  # maps begin with a page, so there is an aligned place
    return whole[first - address % ALIGNMENT : first + matrix.nbytes].view(matrix.dtype)
