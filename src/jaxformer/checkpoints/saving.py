"""Hugging Face CodeGen folders, written one file at a time."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from jaxformer.checkpoints import compressed
from jaxformer.checkpoints.huggingface import BITS, DTYPES
from jaxformer.checkpoints.layout import USUAL_MP_NUM, fuse_qkv
from jaxformer.checkpoints.names import at, file_shape, files_table, is_quantised
from jaxformer.errors import UserError
from jaxformer.model import CodeGenConfig, Params, native, table
from jaxformer.model.quantisation import Quantised, dequantise, quantise
from jaxformer.tokenizer import Tokenizer

SHARD_BYTES = 4_000_000_000


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
        dtype: One of `DTYPES`, or of `BITS` for quantised matrices, all else bfloat16 then.
        mp_num: Layout of the fused projection; transformers knows 4 only.
        shard_bytes: Weights beyond this many bytes are split into several files.
    """
    if native.is_packed(params):
        raise UserError("These weights are packed for the CPU kernels; load with packed=False.")
    bits, plain = BITS.get(dtype), DTYPES["bfloat16" if dtype in BITS else dtype]
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
        "torch_dtype": "bfloat16" if bits else dtype,
    }
    if bits:
        described["quantization_config"] = compressed.describe(bits)
    (folder / "config.json").write_text(json.dumps(described, indent=1) + "\n", "utf-8")

    specs, files = table(config), files_table(config)

    def size_of(name: str) -> int:
        shape = file_shape(specs, files[name])
        if not bits or not is_quantised(specs, files[name][0]):
            return math.prod(shape) * plain.itemsize
        itemsize = {"packed": 4, "scale": 4 if bits == 8 else 2, "shape": 8}
        found = compressed.shapes(shape, bits)
        return sum(math.prod(found[part]) * itemsize[part] for part in found)

    def tensors(name: str) -> dict[str, np.ndarray]:
        paths = files[name]
        arrays = [at(params, path) for path in paths]
        if bits and is_quantised(specs, paths[0]):
            pairs = [compressed.on_disk(quantise(array, bits)) for array in arrays]
            values, scales = (_fuse(parts, mp_num) for parts in zip(*pairs, strict=True))
            parts = compressed.pack(values, scales, bits)
            return {f"{name}_{part}": value for part, value in parts.items()}
        whole = [np.asarray(dequantise(x) if isinstance(x, Quantised) else x) for x in arrays]
        stored = [x if paths == (("embedding",),) else x.T for x in whole]
        return {name: np.ascontiguousarray(_fuse(stored, mp_num).astype(plain))}

    sizes = {name: size_of(name) for name in files}
    shards, weight_map = _plan_shards(sizes, shard_bytes), {}
    for stale in folder.glob("model*.safetensors*"):
        stale.unlink()  # an older single file would hide new shards
    for file, names in shards.items():
        found = {part: value for name in names for part, value in tensors(name).items()}
        save_file(found, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(found, file)
    if len(shards) > 1:
        index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map}
        text = json.dumps(index, indent=1) + "\n"
        (folder / "model.safetensors.index.json").write_text(text, "utf-8")


def _fuse(parts: Sequence[np.ndarray], mp_num: int) -> np.ndarray:
    """Return the one tensor of the files that holds these, `[out, in]` each."""
    return fuse_qkv(parts[0], parts[1], parts[2], mp_num) if len(parts) == 3 else parts[0]


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
