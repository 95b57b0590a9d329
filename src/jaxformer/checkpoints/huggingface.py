"""Hugging Face CodeGen folders, in and out, one tensor at a time."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
from pydantic import ValidationError
from safetensors.numpy import save_file

from jaxformer.checkpoints.folder import Tensors, open_tensors
from jaxformer.checkpoints.layout import USUAL_MP_NUM, fuse_qkv, split_qkv
from jaxformer.errors import UserError
from jaxformer.model import CodeGenConfig, Params, Spec, native, table
from jaxformer.model.quantisation import quantise
from jaxformer.tokenizer import Tokenizer

DTYPES = {
    "float32": np.dtype(np.float32),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float16": np.dtype(np.float16),
}
BITS = {"int8": 8, "int4": 4}
"""What matrices may be quantised to; all else is bfloat16 then."""
SHARD_BYTES = 4_000_000_000

_BLOCK = {
    ("ln", "scale"): "ln_1.weight",
    ("ln", "bias"): "ln_1.bias",
    ("out",): "attn.out_proj.weight",
    ("fc_in",): "mlp.fc_in.weight",
    ("fc_in_bias",): "mlp.fc_in.bias",
    ("fc_out",): "mlp.fc_out.weight",
    ("fc_out_bias",): "mlp.fc_out.bias",
}
_OUTSIDE = {
    ("embedding",): "transformer.wte.weight",
    ("ln_f", "scale"): "transformer.ln_f.weight",
    ("ln_f", "bias"): "transformer.ln_f.bias",
    ("lm_head",): "lm_head.weight",
    ("lm_head_bias",): "lm_head.bias",
}


_Path = tuple[Any, ...]


def _at(tree: Any, path: _Path) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _files_table(config: CodeGenConfig) -> dict[str, tuple[_Path, ...]]:
    """Map each tensor of the files to the parameter in it, or to q, k and v where it is fused."""
    names: dict[str, tuple[_Path, ...]] = {name: (path,) for path, name in _OUTSIDE.items()}
    for layer in range(config.n_layer):
        block = ("blocks", layer)
        prefix = f"transformer.h.{layer}."
        names |= {prefix + name: ((*block, *path),) for path, name in _BLOCK.items()}
        names[prefix + "attn.qkv_proj.weight"] = ((*block, "q"), (*block, "k"), (*block, "v"))
    return names


def _file_shape(tree: Params, paths: tuple[_Path, ...]) -> tuple[int, ...]:
    """Return a tensor's shape in the files, where all matrices but the embedding are [out, in]."""
    spec: Spec = _at(tree, paths[0])
    if paths == (("embedding",),) or not spec.is_matrix:
        return spec.shape
    return (len(paths) * spec.shape[1], spec.shape[0])


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


def read_params(
    folder: Path,
    config: CodeGenConfig,
    dtype: str,
    mp_num: int = USUAL_MP_NUM,
    *,
    packed: bool = False,
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

    Raises:
        UserError: If a tensor is missing or its shape is not what the configuration says.
    """
    if config.n_head % mp_num:
        raise UserError(f"{folder}: {config.n_head} heads cannot be laid out in {mp_num} parts.")
    tensors = open_tensors(folder)
    specs, params = table(config), table(config)
    files = _files_table(config)
    shapes = {name: _file_shape(specs, paths) for name, paths in files.items()}

    def layer(name: str) -> int:
        return files[name][0][1] if files[name][0][0] == "blocks" else -1

    def convert(path: _Path, stored: np.ndarray) -> Any:
        if path == ("embedding",) or not _at(specs, path).is_matrix:
            return _to_device(stored, "bfloat16" if dtype in BITS else dtype)
        if packed:
            return native.pack(dtype, stored) if path == ("lm_head",) else stored
        return quantise(stored, BITS[dtype]) if dtype in BITS else _to_device(stored, dtype)

    by_layer = sorted(files, key=lambda name: (layer(name), -math.prod(shapes[name])))
    for number, names in itertools.groupby(by_layer, layer):  # what is largest first: a lower peak
        for name in names:
            paths, value = files[name], _read(tensors, folder, name, shapes[name])
            parts = split_qkv(value, mp_num) if len(paths) == 3 else (value,)
            for path, part in zip(paths, parts, strict=True):
                stored = part if path == ("embedding",) else part.T  # a vector is as it was
                _at(params, path[:-1])[path[-1]] = convert(path, stored)
        if packed and number >= 0:
            params["blocks"][number] = native.pack_block(dtype, params["blocks"][number])
    return native.pack_rest(params) if packed else params


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


def _to_device(value: np.ndarray, dtype: str) -> Any:
    converted = np.empty(value.shape, DTYPES[dtype])
    np.copyto(converted, value, casting="unsafe")  # cast and transpose in one pass
    return jnp.asarray(converted)


def save_pretrained(
    folder: Path,
    config: CodeGenConfig,
    params: Params,
    tokenizer: Tokenizer,
    *,
    dtype: str = "float32",
    mp_num: int = USUAL_MP_NUM,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write a folder that transformers loads: configuration, tokenizer and safetensors.

    Args:
        folder: Where to; made if missing.
        config: The model's shape.
        params: The weights.
        tokenizer: The tokenizer; its end-of-text id becomes bos and eos.
        dtype: One of `DTYPES`.
        mp_num: Layout of the fused projection; transformers knows 4 only.
        shard_bytes: Weights beyond this many bytes are split into several files.
    """
    if native.is_packed(params):
        raise UserError("These weights are packed for the CPU kernels; load with packed=False.")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(folder)
    end = tokenizer.eos_token_id
    described = {
        "architectures": ["CodeGenForCausalLM"],
        "model_type": "codegen",
        **config.model_dump(),
        "n_ctx": config.n_positions,
        "bos_token_id": end,
        "eos_token_id": end,
        "activation_function": "gelu_new",
        "tie_word_embeddings": False,
        "tokenizer_class": "CodeGenTokenizer",
        "torch_dtype": dtype,
    }
    (folder / "config.json").write_text(json.dumps(described, indent=1) + "\n", "utf-8")

    specs, files = table(config), _files_table(config)
    itemsize = DTYPES[dtype].itemsize
    sizes = {n: math.prod(_file_shape(specs, paths)) * itemsize for n, paths in files.items()}
    shards = _plan_shards(sizes, shard_bytes)

    def value(name: str) -> np.ndarray:
        paths = files[name]
        arrays = [np.asarray(_at(params, path)) for path in paths]
        stored = [a if paths == (("embedding",),) else a.T for a in arrays]
        whole = fuse_qkv(stored[0], stored[1], stored[2], mp_num) if len(paths) == 3 else stored[0]
        return np.ascontiguousarray(whole.astype(DTYPES[dtype]))

    for stale in folder.glob("model*.safetensors*"):
        stale.unlink()  # an older single file would hide new shards
    for file, names in shards.items():
        save_file({name: value(name) for name in names}, folder / file, {"format": "pt"})
    if len(shards) > 1:
        index = {
            "metadata": {"total_size": sum(sizes.values())},
            "weight_map": {name: file for file, names in shards.items() for name in names},
        }
        text = json.dumps(index, indent=1) + "\n"
        (folder / "model.safetensors.index.json").write_text(text, "utf-8")


def _plan_shards(sizes: dict[str, int], shard_bytes: int) -> dict[str, list[str]]:
    groups: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if groups[-1] and filled + size > shard_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += size
    if len(groups) == 1:
        return {"model.safetensors": groups[0]}
    total = len(groups)
    return {f"model-{i:05}-of-{total:05}.safetensors": g for i, g in enumerate(groups, 1)}
