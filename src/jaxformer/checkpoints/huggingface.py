"""Hugging Face CodeGen folders: their configuration and weights, read one tensor at a time."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from pydantic import ValidationError

from jaxformer.checkpoints import compressed
from jaxformer.checkpoints.folder import Tensors, open_tensors
from jaxformer.checkpoints.layout import USUAL_MP_NUM, split_qkv
from jaxformer.checkpoints.names import Keys, at, file_shape, files_table, is_quantised
from jaxformer.errors import UserError
from jaxformer.model import CodeGenConfig, Params, native, table
from jaxformer.model.quantisation import Quantised, dequantise, quantise
from jaxformer.model.sharding import shardings

DTYPES = {
    "float32": np.dtype(np.float32),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float16": np.dtype(np.float16),
}
BITS = {"int8": 8, "int4": 4}
"""What matrices may be quantised to; all else is bfloat16 then."""


Stored = np.ndarray | Quantised
"""A parameter as the files have it, a matrix `[in, out]`."""


def read_config(folder: Path) -> CodeGenConfig:
    """Read `config.json`.

    Raises:
        UserError: If it is missing, damaged, or describes another architecture.
    """
    path = folder / "config.json"
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}; give a model folder, 'nano' or a hub name.")
    if not path.exists():
        raise UserError(f"{folder} is no model folder: it has no config.json.")
    try:
        raw = json.loads(path.read_text("utf-8"))
        kind = raw.get("model_type")
        if kind != "codegen":
            raise UserError(f"{path} describes a model of type {kind!r}, not 'codegen'.")
        for key, value in {"activation_function": "gelu_new", "tie_word_embeddings": False}.items():
            if raw.get(key, value) != value:
                raise UserError(f"{path}: {key} must be {value!r}, not {raw[key]!r}.")
        return CodeGenConfig.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "config"
        raise UserError(f"{path}: {where}: {first['msg']}.") from error
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}).") from error


def read_bits(folder: Path) -> int | None:
    """Return the bits of a folder's matrices where they are quantised, else None.

    Raises:
        UserError: If they are quantised in another way than this package's.
    """
    path = folder / "config.json"
    raw = json.loads(path.read_text("utf-8"))
    return compressed.bits_of(path, raw.get("quantization_config"))


def read_params(
    folder: Path,
    config: CodeGenConfig,
    dtype: str,
    mp_num: int = USUAL_MP_NUM,
    *,
    packed: bool = False,
    mesh: Mesh | None = None,
) -> Params:
    """Read the weights of a folder into the parameter tree.

    Besides the parameters themselves, no more than the largest tensor or a block's tensors are in
    memory at a time.

    Args:
        folder: The folder.
        config: The model's shape.
        dtype: One of `DTYPES`, or of `BITS` for quantised matrices.
        mp_num: Layout of the fused projection in the files.
        packed: Whether the matrices are packed for the native kernels.
        mesh: The devices that share the weights; the default device holds all if not given.

    Raises:
        UserError: If a tensor is missing or its shape is not what the configuration says.
    """
    if config.n_head % mp_num:
        raise UserError(f"{folder}: {config.n_head} heads cannot be laid out in {mp_num} parts.")
    tensors, stored_bits = open_tensors(folder), read_bits(folder)
    specs, params = table(config), table(config)
    homes = shardings(specs, mesh) if mesh else None
    files = files_table(config)
    shapes = {name: file_shape(specs, paths) for name, paths in files.items()}

    def layer(name: str) -> int:
        return files[name][0][1] if files[name][0][0] == "blocks" else -1

    def parts(name: str) -> list[Stored]:
        paths, shape = files[name], shapes[name]
        if stored_bits is None or not is_quantised(specs, paths[0]):
            value = _read(tensors, folder, name, shape)
            if paths == (("embedding",),) or value.ndim == 1:
                return [value]
            return [part.T for part in _split(value, paths, mp_num)]
        wanted = compressed.shapes(shape, stored_bits)
        found = {part: _read(tensors, folder, f"{name}_{part}", wanted[part]) for part in wanted}
        if found["shape"].tolist() != list(shape):
            raise UserError(f"The weights in {folder} say that {name} has another shape.")
        values = compressed.unpack(found["packed"], shape[1], stored_bits)
        pairs = zip(*(_split(x, paths, mp_num) for x in (values, found["scale"])), strict=True)
        return [compressed.in_memory(whole, scales, stored_bits) for whole, scales in pairs]

    def convert(path: Keys, stored: Stored) -> Any:
        home, plain = at(homes, path) if homes else None, dtype
        if packed and path == ("embedding",):
            return native.rows(dtype, np.asarray(stored))
        if is_quantised(specs, path):
            if isinstance(stored, Quantised) and BITS.get(dtype) != stored.bits:
                stored = np.asarray(dequantise(stored))
            if packed:
                return native.pack(dtype, stored) if path == ("lm_head",) else stored
            if dtype in BITS:
                return _placed(quantise(stored, BITS[dtype]), home)
        elif dtype in BITS:
            plain = "bfloat16"
        return _to_device(np.asarray(stored), plain, home)

    by_layer = sorted(files, key=lambda name: (layer(name), -math.prod(shapes[name])))
    for number, names in itertools.groupby(by_layer, layer):  # what is largest first: a lower peak
        for name in names:
            for path, part in zip(files[name], parts(name), strict=True):
                at(params, path[:-1])[path[-1]] = convert(path, part)
        if packed and number >= 0:
            params["blocks"][number] = native.pack_block(dtype, params["blocks"][number])
    return native.pack_rest(params) if packed else params


def _split(value: np.ndarray, paths: tuple[Keys, ...], mp_num: int) -> tuple[np.ndarray, ...]:
    return split_qkv(value, mp_num) if len(paths) == 3 else (value,)


def _read(tensors: Tensors, folder: Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name not in tensors:
        raise UserError(f"The weights in {folder} lack the tensor {name}.")
    value = tensors[name]()
    if value.shape != shape:
        raise UserError(
            f"The weights in {folder} do not fit its config.json: {name} has the shape "
            f"{list(value.shape)}, not {list(shape)}."
        )
    return value


def _to_device(value: np.ndarray, dtype: str, home: NamedSharding | None) -> Any:
    converted = np.empty(value.shape, DTYPES[dtype])
    np.copyto(converted, value, casting="unsafe")  # cast and transpose in one pass
    return jax.device_put(converted, home)


def _placed(matrix: Quantised, home: NamedSharding | None) -> Quantised:
    """Put a quantised matrix where its parameter lives; scales follow the values they belong to."""
    if home is None:
        return Quantised(jnp.asarray(matrix.values), jnp.asarray(matrix.scales), matrix.bits)
    inputs, outputs = (*home.spec, None, None)[:2]
    parts = home.mesh.shape[inputs] if inputs else 1
    along = () if matrix.bits == 8 else (None if len(matrix.scales) % parts else inputs,)
    scales = NamedSharding(home.mesh, PartitionSpec(*along, outputs))
    values = jax.device_put(matrix.values, home)
    return Quantised(values, jax.device_put(matrix.scales, scales), matrix.bits)
