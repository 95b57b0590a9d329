"""Quantised matrices in files, as the library compressed-tensors writes them (`pack-quantized`).

transformers reads them with that library. Of a weight `[out, in]` there are `weight_packed`, int32
`[out, in · bits / 32]` (rounded up) with the first value in the lowest bits and zero in the middle
of the range, `weight_scale` `[out, 1]` or `[out, in / 32]`, and `weight_shape`.
"""

from pathlib import Path
from typing import Any

import numpy as np

from jaxformer.errors import UserError
from jaxformer.model.quantisation import GROUP, Quantised

FURTHER = {
    "input_activations",
    "output_activations",
    "kv_cache_scheme",
    "sparsity_config",
    "transform_config",
    "actorder",
    "block_structure",
    "group_size",
}
"""What a description may say besides, and is not read here."""


def describe(bits: int) -> dict[str, Any]:
    """Return what `config.json` says of all matrices being quantised, as `quantization_config`."""
    grouped = {"strategy": "group", "group_size": GROUP} if bits == 4 else {"strategy": "channel"}
    weights = {"num_bits": bits, "type": "int", "symmetric": True, "dynamic": False, **grouped}
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
        "ignore": [],
    }


def bits_of(path: Path, described: Any) -> int | None:
    """Return the bits of the matrices of a folder, by its `quantization_config`; None if plain.

    Raises:
        UserError: If they are quantised in a way that this package does not read.
    """
    if described is None:
        return None
    for bits in (8, 4):
        if _same(describe(bits), described):
            return bits
    raise UserError(
        f"{path}: its weights are quantised in a way that cannot be read; only compressed-tensors' "
        f"pack-quantized form of 8 bits a channel or 4 bits a group of {GROUP} can, symmetric and "
        "with nothing ignored."
    )


def _same(wanted: Any, found: Any) -> bool:
    """Whether a description says what is wanted, and nothing besides that changes the weights."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        if any(found.get(name) for name in FURTHER - wanted.keys()):
            return False
        groups = "config_groups" not in wanted or len(found.get("config_groups") or ()) == 1
        return groups and all(_same(value, found.get(key)) for key, value in wanted.items())
    return wanted == found


def shapes(shape: tuple[int, ...], bits: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each part of a weight `[out, in]`."""
    rows, columns = shape
    groups = -(-columns // GROUP) if bits == 4 else 1
    return {"packed": (rows, -(-columns * bits // 32)), "scale": (rows, groups), "shape": (2,)}


def pack(values: np.ndarray, scales: np.ndarray, bits: int) -> dict[str, np.ndarray]:
    """Return the parts of integers `[out, in]` and their scales `[out, …]`."""
    columns = values.shape[1]
    unsigned = (values.astype(np.int16) + (1 << (bits - 1))).astype(np.uint8)
    unsigned = np.pad(unsigned, ((0, 0), (0, -columns % (32 // bits))))
    if bits == 4:
        unsigned = unsigned[:, ::2] | unsigned[:, 1::2] << 4
    return {
        "packed": np.ascontiguousarray(unsigned).view("<i4"),
        "scale": np.ascontiguousarray(scales),
        "shape": np.array(values.shape, np.int64),
    }


def unpack(packed: np.ndarray, columns: int, bits: int) -> np.ndarray:
    """Return the integers `[out, in]` of a packed weight, int8."""
    found = np.ascontiguousarray(packed).view(np.uint8)
    if bits == 4:
        found = np.stack([found & 15, found >> 4], axis=-1).reshape(len(found), -1)
    return (found[:, :columns].astype(np.int16) - (1 << (bits - 1))).astype(np.int8)


def on_disk(matrix: Quantised) -> tuple[np.ndarray, np.ndarray]:
    """Return the integers `[out, in]` and scales `[out, …]` of a matrix `[in, out]`."""
    scales = np.asarray(matrix.scales)
    return np.asarray(matrix.values).T, scales.T if matrix.bits == 4 else scales[:, None]


def in_memory(values: np.ndarray, scales: np.ndarray, bits: int) -> Quantised:
    """Return the matrix `[in, out]` of integers `[out, in]` and their scales."""
    wide = scales.astype(np.float16).T if bits == 4 else scales[:, 0].astype(np.float32)
    return Quantised(values.T, wide, bits)  # pyright: ignore[reportArgumentType]
