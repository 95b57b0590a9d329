"""The tensors of a checkpoint folder, whatever their files: each mapped only when asked for."""

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import ml_dtypes
import numpy as np
import safetensors

from jaxformer.checkpoints.torch_zip import open_torch_zip
from jaxformer.errors import UserError

Tensors = dict[str, Callable[[], np.ndarray]]

_DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}


def open_tensors(folder: Path) -> Tensors:
    """List the tensors of `model.safetensors` or `pytorch_model.bin`, single or sharded.

    Raises:
        UserError: If there are none, a shard is missing, or a file is damaged.
    """
    for single, opener in (
        ("model.safetensors", _open_safetensors),
        ("pytorch_model.bin", open_torch_zip),
    ):
        index = folder / f"{single}.index.json"
        if (folder / single).exists():
            return opener(folder / single)
        if index.exists():
            tensors: Tensors = {}
            for shard in _shards(index):
                if not shard.is_file():
                    raise UserError(
                        f"{shard} is missing, though {index.name} names it; download it again."
                    )
                tensors |= opener(shard)
            return tensors
    raise UserError(f"{folder} holds no weights: no model.safetensors and no pytorch_model.bin.")


def _shards(index: Path) -> Iterable[Path]:
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} is no index of shards; download it again.") from error
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise UserError(f"{index} names a file outside its folder: {name}.")
        yield index.parent / name


def _open_safetensors(path: Path) -> Tensors:
    try:
        with safetensors.safe_open(path, "np"):
            pass  # all of the header that is used below was checked
    except safetensors.SafetensorError as error:
        raise UserError(f"{path} is truncated or damaged ({error}); download it again.") from error
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)

    def read(name: str) -> np.ndarray:
        described = header[name]
        if (kind := described["dtype"]) not in _DTYPES:
            raise UserError(f"{path}: {name} has a dtype that no model here has, {kind}.")
        dtype, shape = _DTYPES[kind], tuple(described["shape"])
        start, end = described["data_offsets"]
        if start == end:
            return np.zeros(shape, dtype)
        return np.memmap(path, dtype, "r", 8 + length + start, shape)

    return {name: partial(read, name) for name in header}
