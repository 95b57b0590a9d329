"""Weights in 8 or 4 bits: matrices as small integers with scales.

Activations, embeddings, LayerNorms and biases stay as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

GROUP = 32
"""Inputs that share a scale at 4 bits."""
SLICE = 1024
"""Outputs that are quantised at one time, which bounds the memory for it."""


@partial(jax.tree_util.register_dataclass, data_fields=["values", "scales"], meta_fields=["bits"])
@dataclass(frozen=True, eq=False)
class Quantised:
    """A matrix `[in, out]` as integers times scales.

    Attributes:
        values: int8 `[in, out]`; from -127 to 127 at 8 bits, from -8 to 7 at 4.
        scales: float32 `[out]` at 8 bits; float16 `[in / 32, out]` (rounded up) at 4.
        bits: 8 or 4.
    """

    values: jax.Array | np.ndarray
    scales: jax.Array | np.ndarray
    bits: int

    @property
    def shape(self) -> tuple[int, ...]:
        """`[in, out]`."""
        return self.values.shape

    @property
    def nbytes(self) -> int:
        """Memory, where two 4-bit values share a byte."""
        return self.values.size * self.bits // 8 + self.scales.nbytes


Matrix = jax.Array | np.ndarray | Quantised
"""`[in, out]`."""


def quantise(matrix: Matrix, bits: int) -> Quantised:
    """Round a matrix `[in, out]` to 8 bits with a scale per output, or 4 with one per 32 inputs.

    What is quantised to as many bits stays as it is.
    """
    if isinstance(matrix, Quantised):
        return matrix if matrix.bits == bits else quantise(dequantise(matrix), bits)
    array = np.asarray(matrix)
    values = np.empty(array.shape, np.int8)
    groups = -(-array.shape[0] // GROUP)
    scales = np.empty(array.shape[1:], np.float32)
    if bits == 4:
        scales = np.empty((groups, array.shape[1]), np.float16)
    step = _eight if bits == 8 else _four
    for start in range(0, array.shape[1], SLICE):
        columns = slice(start, start + SLICE)
        values[:, columns], scales[..., columns] = step(array[:, columns].astype(np.float32))
    return Quantised(jnp.asarray(values), jnp.asarray(scales), bits)


def outputs_of(matrix: Matrix, first: int, last: int) -> Matrix:
    """Return some outputs of a matrix `[in, out]`."""
    if isinstance(matrix, Quantised):
        part = (slice(None), slice(first, last))
        return Quantised(matrix.values[part], matrix.scales[..., first:last], matrix.bits)
    return np.asarray(matrix[:, first:last])


def beside(matrices: Sequence[Matrix]) -> Matrix:
    """Return one matrix `[in, out]` with the outputs of several, quantised alike."""
    first = matrices[0]
    if not isinstance(first, Quantised):
        return np.concatenate([np.asarray(matrix) for matrix in matrices], axis=1)
    parts = [(m.values, m.scales) for m in matrices if isinstance(m, Quantised)]
    values, scales = (np.concatenate(each, axis=-1) for each in zip(*parts, strict=True))
    return Quantised(values, scales, first.bits)


def _eight(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scales = np.abs(matrix).max(axis=0) / 127
    return np.rint(matrix / np.where(scales > 0, scales, 1)), scales


def _four(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantise groups of inputs, each with the best of a few scales.

    The value of largest size becomes -8, the one end that reaches further (as in llama.cpp's
    Q4_0), or a little more than that: what it loses the others may gain.
    """
    rows, columns = matrix.shape
    padded = np.pad(matrix, ((0, -rows % GROUP), (0, 0))).reshape(-1, GROUP, columns)
    place = np.abs(padded).argmax(axis=1, keepdims=True)
    largest = np.take_along_axis(padded, place, axis=1)
    best = np.full(largest.shape, np.inf, np.float32)
    values, scales = np.zeros_like(padded), np.zeros(largest.shape, np.float16)
    for reach in (8.0, 7.6, 7.2, 8.6):
        scale = (largest / -reach).astype(np.float16)
        wide = scale.astype(np.float32)
        found = np.clip(np.rint(padded / np.where(wide == 0, 1, wide)), -8, 7)
        error = np.square(found * wide - padded).sum(axis=1, keepdims=True)
        better = error < best
        values, scales = np.where(better, found, values), np.where(better, scale, scales)
        best = np.minimum(best, error)
    return values.reshape(-1, columns)[:rows], scales[:, 0]


def dequantise(matrix: Quantised, dtype: jnp.dtype | type = jnp.float32) -> jax.Array:
    """Return the matrix `[in, out]` that the integers stand for."""
    values, scales = jnp.asarray(matrix.values), jnp.asarray(matrix.scales, jnp.float32)
    if matrix.bits == 4:
        scales = jnp.repeat(scales, GROUP, axis=0)[: len(values)]
    return (values * scales).astype(dtype)


def multiply(x: jax.Array, matrices: Sequence[jax.Array | Quantised]) -> list[jax.Array]:
    """Multiply `[…, in]` by each matrix `[in, out]`, in the dtype of `x`."""
    return [_product(x, matrix) for matrix in matrices]


def _product(x: jax.Array, matrix: jax.Array | Quantised) -> jax.Array:
    if not isinstance(matrix, Quantised):
        return x @ matrix
    if matrix.bits == 8:  # the scales wait: the integers are read as they are
        return (x @ matrix.values.astype(x.dtype)) * matrix.scales.astype(x.dtype)
    return x @ dequantise(matrix, x.dtype)
