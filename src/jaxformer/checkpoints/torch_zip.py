"""Reading `pytorch_model.bin` without PyTorch, and without running what a pickle asks for.

The file is a zip whose `data.pkl` describes tensors and whose other members are their raw bytes,
stored uncompressed, so each tensor can be memory-mapped where it lies.
"""

import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from jaxformer.errors import UserError

_DTYPES = {
    "DoubleStorage": np.dtype(np.float64),
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}


@dataclass(frozen=True, slots=True)
class _StorageType:
    dtype: np.dtype


@dataclass(frozen=True, slots=True)
class _Storage:
    dtype: np.dtype
    key: str


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(
    storage: _Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_: Any,
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor: _Tensor, *_: Any) -> _Tensor:
    return tensor


_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): _StorageType(dtype) for name, dtype in _DTYPES.items()},
}


class _TensorsOnly(pickle.Unpickler):
    """An unpickler to which nothing exists but tensors in dictionaries."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _ADMITTED[module_name, global_name]
        except KeyError:
            raise UserError(
                f"its pickle asks for {module_name}.{global_name}, which no weights need and which "
                "was not run; do not trust this file and get the weights as safetensors"
            ) from None

    def persistent_load(self, pid: Any, /) -> _Storage:
        kind, storage_type, key, *_ = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise pickle.UnpicklingError(f"unknown persistent object {kind!r}")
        return _Storage(storage_type.dtype, str(key))


def open_torch_zip(path: Path) -> dict[str, Callable[[], np.ndarray]]:
    """List the tensors of a file; each is a function that maps that tensor from the disk.

    Raises:
        UserError: If the file is truncated, no zip of tensors, or its pickle asks for anything
            but tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            pickled = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
            root = pickled.removesuffix("data.pkl")
            if f"{root}byteorder" in archive.namelist():
                order = archive.read(f"{root}byteorder")
                if order != b"little":
                    raise UserError(f"its byte order is {order.decode()}, not little")
            with archive.open(pickled) as stream:
                tree = _TensorsOnly(stream).load()
            members = {info.filename: info for info in archive.infolist()}
        tensors = {name: value for name, value in tree.items() if isinstance(value, _Tensor)}
        return {name: _mapper(path, root, members, tensor) for name, tensor in tensors.items()}
    except UserError as error:
        raise UserError(f"{path} was refused: {error}.") from error
    except zipfile.BadZipFile as error:
        raise UserError(
            f"{path} is truncated or no PyTorch zip file (files older than PyTorch 1.6 must be "
            "saved anew); download it again."
        ) from error
    except Exception as error:  # a damaged zip or pickle can raise almost anything
        reason = " ".join(str(error).split())
        raise UserError(f"{path} holds no readable dictionary of tensors ({reason}).") from error


def _mapper(
    path: Path, root: str, members: dict[str, zipfile.ZipInfo], tensor: _Tensor
) -> Callable[[], np.ndarray]:
    member = members[f"{root}data/{tensor.storage.key}"]
    dtype, shape, strides = tensor.storage.dtype, tensor.shape, tensor.strides
    sound = len(shape) == len(strides) and all(n >= 0 for n in (*shape, *strides, tensor.offset))
    reach = tensor.offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=False)) + 1
    if not sound or (math.prod(shape) and reach * dtype.itemsize > member.file_size):
        raise ValueError(f"a tensor of shape {shape} reaches outside its storage")
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError("its tensors are compressed")

    with path.open("rb") as file:  # the local header's length differs from the directory's
        file.seek(member.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", file.read(4))
    start = member.header_offset + 30 + name_length + extra_length
    if start + member.file_size > path.stat().st_size:
        raise ValueError("a storage reaches outside the file")

    def read() -> np.ndarray:
        if not math.prod(shape):
            return np.zeros(shape, dtype)
        flat = np.memmap(
            path, dtype, "r", start + tensor.offset * dtype.itemsize, (reach - tensor.offset,)
        )
        return np.lib.stride_tricks.as_strided(flat, shape, [s * dtype.itemsize for s in strides])

    return read
