"""Weights in the order in which the kernels read them (`csrc/products.h`)."""

import contextlib
import mmap
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from jaxformer.model.native.rows import rows
from jaxformer.model.parameters import Params
from jaxformer.model.quantisation import GROUP, SLICE, Matrix, beside, outputs_of, quantise

PANEL = 32
"""Outputs side by side."""
FORMATS = ("float32", "bfloat16", "int8", "int4")
"""In the order of `Format` in `csrc/calls.h`."""
PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
STEP = {"float32": 1, "bfloat16": 2, "int8": 4, "int4": GROUP}
"""Inputs of an output that lie next to each other."""


@partial(jax.tree_util.register_dataclass, data_fields=["panels", "scales"], meta_fields=["format"])
@dataclass(frozen=True, eq=False)
class Packed:
    """A matrix, or several side by side, each filled up to whole panels.

    Attributes:
        panels: `[panels, steps, …]`; float32, uint16 (the bits of bfloat16) or uint8.
        scales: float32, of each output at 8 bits; otherwise empty.
        format: One of `FORMATS`.
    """

    panels: jax.Array
    scales: jax.Array
    format: str


def pack(form: str, *matrices: Matrix) -> Packed:
    """Pack matrices `[in, out]` with the same inputs in one of `FORMATS`.

    Quantised ones must be of the same bits.
    """
    step = STEP[form]
    steps = -(-matrices[0].shape[0] // step)
    starts = np.cumsum([0, *(-(-matrix.shape[1] // PANEL) for matrix in matrices)])
    shape, dtype = {
        "float32": ((steps, PANEL), np.float32),
        "bfloat16": ((steps, PANEL, 2), np.uint16),
        "int8": ((steps, PANEL, 4), np.uint8),
        "int4": ((steps, PANEL * (GROUP // 2 + 2)), np.uint8),
    }[form]
    panels = _room((int(starts[-1]), *shape), dtype)
    scales = np.zeros(PANEL * starts[-1] if form == "int8" else 0, np.float32)
    for matrix, start in zip(matrices, starts, strict=False):
        for first in range(0, matrix.shape[1], SLICE):
            found, of_outputs = _pack(form, outputs_of(matrix, first, first + SLICE))
            place = start + first // PANEL
            panels[place : place + len(found)] = found
            scales[PANEL * place :][: len(of_outputs)] = of_outputs
    return Packed(jax.device_put(panels), jnp.asarray(scales), form)  # panels without a copy


def _pack(form: str, matrix: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return panels, and scales of outputs."""
    none = np.zeros(0, np.float32)
    if form == "float32":
        wide = np.asarray(matrix, np.float32)
        return _in_steps(wide, 1)[:, 0].transpose(1, 0, 2), none
    if form == "bfloat16":
        bits = np.asarray(matrix).astype(ml_dtypes.bfloat16).view(np.uint16)
        return _in_steps(bits, 2).transpose(2, 0, 3, 1), none
    if form == "int8":
        whole = quantise(matrix, 8)
        offset = np.asarray(whole.values).view(np.uint8) ^ 128
        return _in_steps(offset, 4).transpose(2, 0, 3, 1), np.asarray(whole.scales)
    whole = quantise(matrix, 4)
    values = _in_steps(np.asarray(whole.values) + 8, GROUP).view(np.uint8)
    groups, _, panels, _ = values.shape
    # Of each eight inputs the first four are low halves of bytes, the others high ones.
    halves = values.reshape(groups, 4, 2, 4, panels, PANEL)
    both = halves[:, :, 0] | (halves[:, :, 1] << 4)
    both = both.transpose(3, 0, 1, 4, 2).reshape(panels, groups, -1)
    scales = _in_steps(np.asarray(whole.scales), 1)[:, 0].transpose(1, 0, 2)
    return np.concatenate([both, np.ascontiguousarray(scales).view(np.uint8)], axis=-1), none


def _in_steps(matrix: np.ndarray, step: int) -> np.ndarray:
    """Return `[steps, step, panels, PANEL]`, filled up with zeros."""
    rows, columns = matrix.shape
    padded = np.pad(matrix, ((0, -rows % step), (0, -columns % PANEL)))
    return padded.reshape(-1, step, padded.shape[1] // PANEL, PANEL)


def reordered(matrix: Packed, outputs: np.ndarray) -> Packed:
    """Return the matrix with its first outputs in another order: `outputs[i]` becomes the i-th."""
    before, places = np.asarray(matrix.panels), np.arange(len(outputs))
    panels = _room(before.shape, before.dtype)
    np.copyto(panels, before)
    for to, origin in zip(*(_lanes(matrix.format, x) for x in (panels, before)), strict=True):
        to[places // PANEL, places % PANEL] = origin[outputs // PANEL, outputs % PANEL]
    scales = np.array(matrix.scales)
    if len(scales):
        scales[places] = scales[outputs]
    return Packed(jax.device_put(panels), jnp.asarray(scales), matrix.format)


def _lanes(form: str, panels: np.ndarray) -> list[np.ndarray]:
    """Return views `[panels, PANEL, …]` that together are the panels."""
    if form != "int4":
        return [np.moveaxis(panels, 2, 1)]
    count, groups, _ = panels.shape
    values, scales = panels[..., : PANEL * GROUP // 2], panels[..., PANEL * GROUP // 2 :]
    return [
        np.moveaxis(values.reshape(count, groups, 4, PANEL, 4), 3, 1),
        np.moveaxis(scales.reshape(count, groups, PANEL, 2), 2, 1),
    ]


def _room(shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
    """Return memory on large pages where there are any: these are read faster."""
    count = int(np.prod(shape))
    memory = mmap.mmap(-1, max(count * np.dtype(dtype).itemsize, 1), **PRIVATE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype, count).reshape(shape)


def is_packed(params: Params) -> bool:
    """Whether the matrices of these parameters are packed."""
    return isinstance(params["lm_head"], Packed)


def pack_block(form: str, block: Params) -> Params:
    """Pack the matrices of a block; what is added to products or scales them becomes float32.

    They are taken out of the block one by one, so that what is mapped of a file is let go of.
    """
    alone = {name: pack(form, block.pop(name)) for name in ("fc_out", "out")}
    qkv = beside([block.pop(name) for name in ("q", "k", "v")])
    return {
        "in": pack(form, qkv, block.pop("fc_in")),
        **alone,
        "fc_in_bias": _wide(block["fc_in_bias"]),
        "fc_out_bias": _wide(block["fc_out_bias"]),
        "ln": jax.tree.map(_wide, block["ln"]),
    }


def pack_rest(params: Params) -> Params:
    """Make parameters whose matrices are packed ready."""
    return params | {
        "lm_head_bias": _wide(params["lm_head_bias"]),
        "ln_f": jax.tree.map(_wide, params["ln_f"]),
    }


def pack_params(form: str, params: Params) -> Params:
    """Pack all of a parameter tree, which stays as it is."""
    embedding = rows(form, np.asarray(params["embedding"]))
    blocks = [pack_block(form, dict(block)) for block in params["blocks"]]
    head = pack(form, params["lm_head"])
    return pack_rest(params | {"embedding": embedding, "blocks": blocks, "lm_head": head})


def _wide(x: jax.Array) -> jax.Array:
    return jax.device_put(np.asarray(x, np.float32))
