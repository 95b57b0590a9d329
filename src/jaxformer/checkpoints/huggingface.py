"""Hugging Face CodeGen folders, in and out, one tensor at a time."""

import json
import logging
from collections.abc import Callable, Iterator
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
from jaxformer.model import CodeGenConfig, Params, Spec, table
from jaxformer.tokenizer import Tokenizer

log = logging.getLogger("jaxformer")

DTYPES = {
    "float32": np.dtype(np.float32),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float16": np.dtype(np.float16),
}
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


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _names(config: CodeGenConfig) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield the path of every parameter but q, k and v, with its name in the files."""
    yield from _OUTSIDE.items()
    for layer in range(config.n_layer):
        for path, name in _BLOCK.items():
            yield ("blocks", layer, *path), f"transformer.h.{layer}.{name}"


def _qkv_name(layer: int) -> str:
    return f"transformer.h.{layer}.attn.qkv_proj.weight"


def _is_transposed(path: tuple[Any, ...], spec: Spec) -> bool:
    return spec.is_matrix and path != ("embedding",)


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
    folder: Path, config: CodeGenConfig, dtype: str, mp_num: int = USUAL_MP_NUM
) -> Params:
    """Read the weights of a folder into the parameter tree, in one of `DTYPES`.

    Besides the parameters themselves, no more than the largest tensor is in memory at a time.

    Raises:
        UserError: If a tensor is missing or its shape is not what the configuration says.
    """
    tensors = open_tensors(folder)
    tree = table(config)
    width = config.n_embd
    if config.n_head % mp_num:
        raise UserError(f"{folder}: {config.n_head} heads cannot be laid out in {mp_num} parts.")

    plan: list[tuple[int, Callable[[], None]]] = []
    for path, name in _names(config):
        spec: Spec = _at(tree, path)

        def place(path: tuple[Any, ...] = path, name: str = name, spec: Spec = spec) -> None:
            transposed = _is_transposed(path, spec)
            shape = spec.shape[::-1] if transposed else spec.shape
            value = _read(tensors, folder, name, shape)
            _at(tree, path[:-1])[path[-1]] = _to_device(value.T if transposed else value, dtype)

        plan.append((spec.size, place))
    for layer in range(config.n_layer):

        def place_qkv(layer: int = layer) -> None:
            fused = _read(tensors, folder, _qkv_name(layer), (3 * width, width))
            for part, value in split_qkv(fused, mp_num).items():
                tree["blocks"][layer][part] = _to_device(value.T, dtype)

        plan.append((3 * width * width, place_qkv))
    for _, place in sorted(plan, key=lambda item: -item[0]):  # largest first: a lower peak
        place()
    return tree


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

    sizes = {name: _at(table(config), path).size for path, name in _names(config)}
    sizes |= {_qkv_name(layer): 3 * config.n_embd**2 for layer in range(config.n_layer)}
    shards = _plan_shards(sizes, DTYPES[dtype].itemsize, shard_bytes)
    paths = {name: path for path, name in _names(config)}

    def value(name: str) -> np.ndarray:
        if name in paths:
            path = paths[name]
            array = np.asarray(_at(params, path))
            array = array.T if _is_transposed(path, _at(table(config), path)) else array
        else:
            block = params["blocks"][int(name.split(".")[2])]
            array = fuse_qkv(*(np.asarray(block[n]).T for n in ("q", "k", "v")), mp_num)
        return np.ascontiguousarray(array.astype(DTYPES[dtype]))

    for stale in folder.glob("model*.safetensors*"):
        stale.unlink()  # an older single file would hide new shards
    for file, names in shards.items():
        save_file({name: value(name) for name in names}, folder / file, {"format": "pt"})
    if len(shards) > 1:
        index = {
            "metadata": {"total_size": sum(sizes.values()) * DTYPES[dtype].itemsize},
            "weight_map": {name: file for file, names in shards.items() for name in names},
        }
        text = json.dumps(index, indent=1) + "\n"
        (folder / "model.safetensors.index.json").write_text(text, "utf-8")


def _plan_shards(sizes: dict[str, int], itemsize: int, shard_bytes: int) -> dict[str, list[str]]:
    groups: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if groups[-1] and filled + size * itemsize > shard_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += size * itemsize
    if len(groups) == 1:
        return {"model.safetensors": groups[0]}
    total = len(groups)
    return {f"model-{i:05}-of-{total:05}.safetensors": g for i, g in enumerate(groups, 1)}
