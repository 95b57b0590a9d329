"""LoRA adapters as folders of the PEFT library, in and out.

PEFT adapts modules of the Hugging Face model, where q, k and v are one. Theirs is therefore the
adapters of all three side by side: A holds one below the other, and B is zero where a column of
one meets a row of another. Rank and alpha grow alike, so that the scale `alpha / rank` stays.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import jax.numpy as jnp
import numpy as np
import safetensors
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.numpy import save

from jaxformer.checkpoints.layout import USUAL_MP_NUM
from jaxformer.errors import UserError
from jaxformer.model import CodeGenConfig, Params, table
from jaxformer.model.parameters import unstack

Matrix = Literal["q", "k", "v", "out", "fc_in", "fc_out"]
"""The matrices of a block; each can be adapted."""
MATRICES: tuple[Matrix, ...] = get_args(Matrix)

_MODULES: dict[str, tuple[Matrix, ...]] = {
    "attn.qkv_proj": ("q", "k", "v"),
    "attn.out_proj": ("out",),
    "mlp.fc_in": ("fc_in",),
    "mlp.fc_out": ("fc_out",),
}
_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"


class _Described(BaseModel):
    """What matters of `adapter_config.json`; the variants that compute something else are out."""

    model_config = ConfigDict(extra="ignore")

    peft_type: Literal["LORA"]
    r: int = Field(gt=0)
    lora_alpha: float = Field(gt=0, allow_inf_nan=False)
    rank_pattern: dict[str, int] = {}
    alpha_pattern: dict[str, float] = {}
    use_rslora: Literal[False] = False
    use_dora: Literal[False] = False
    alora_invocation_tokens: None = None
    init_lora_weights: bool | Literal["gaussian"] = True
    """The other ways to start an adapter change the base model too."""

    def of(self, module: str) -> tuple[int, float]:
        """Return the rank and alpha of a module; keys of the patterns are regular expressions."""

        def find(pattern: dict[str, Any], usual: Any) -> Any:
            fits = (v for key, v in pattern.items() if re.match(rf"(.*\.)?({key})$", module))
            return next(fits, usual)

        return find(self.rank_pattern, self.r), find(self.alpha_pattern, self.lora_alpha)


def _tensor(layer: int, module: str, factor: Literal["A", "B"]) -> str:
    return f"base_model.model.transformer.h.{layer}.{module}.lora_{factor}.weight"


def _adapted(matrices: Sequence[str]) -> dict[str, list[str]]:
    """Return the modules that hold these matrices, with those that each holds."""
    kept = {module: [n for n in names if n in matrices] for module, names in _MODULES.items()}
    return {module: names for module, names in kept.items() if names}


def _check_layout(folder: Path, config: CodeGenConfig, mp_num: int) -> None:
    if config.n_head % mp_num:
        raise UserError(f"{folder}: {config.n_head} heads cannot be laid out in {mp_num} parts.")


def _fuse(factors: dict[str, np.ndarray], mp_num: int) -> np.ndarray:
    """Join B of some of q, k and v, `[width, rank]` each, to `[3 · width, count · rank]`."""
    width, rank = next(iter(factors.values())).shape
    rows = np.zeros((3, width, len(factors), rank), np.float32)
    for i, (name, factor) in enumerate(factors.items()):
        rows["qvk".index(name), :, i] = factor
    return rows.reshape(3, mp_num, width // mp_num, -1).swapaxes(0, 1).reshape(3 * width, -1)


def _split(fused: np.ndarray, mp_num: int) -> dict[str, np.ndarray]:
    """Return the rows of q, v and k, `[width, columns]` each."""
    width = fused.shape[0] // 3
    rows = fused.reshape(mp_num, 3, width // mp_num, -1).swapaxes(0, 1).reshape(3, width, -1)
    return dict(zip("qvk", rows, strict=True))


def save_adapter(
    folder: Path,
    config: CodeGenConfig,
    adapters: Params,
    *,
    rank: int,
    alpha: float,
    matrices: Sequence[Matrix],
    base_name: str,
    mp_num: int = USUAL_MP_NUM,
) -> None:
    """Write a folder that `peft.PeftModel.from_pretrained` loads onto the base model.

    Args:
        folder: Where to; made if missing.
        config: The shape of the base model.
        adapters: `{"blocks": …}`, a list or stacked, of `{matrix: {"a": [in, rank], "b": [rank,
            out]}}`; written as float32.
        rank: Of each adapter.
        alpha: The adapters count `alpha / rank`.
        matrices: What is adapted.
        base_name: Folder or hub name of the base model, for whoever loads the adapter.
        mp_num: Layout of the fused projection; transformers knows 4 only.
    """
    _check_layout(folder, config, mp_num)
    modules = _adapted(matrices)
    described = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": list(modules),
        "rank_pattern": {m: len(names) * rank for m, names in modules.items() if len(names) > 1},
        "alpha_pattern": {m: len(names) * alpha for m, names in modules.items() if len(names) > 1},
    }
    tensors: dict[str, np.ndarray] = {}
    for layer, block in enumerate(unstack(adapters, config.n_layer)["blocks"]):
        for module, names in modules.items():
            a, b = (
                {n: np.asarray(block[n][factor], np.float32).T for n in names} for factor in "ab"
            )
            fused = _fuse(b, mp_num) if "q" in _MODULES[module] else b[names[0]]
            tensors[_tensor(layer, module, "A")] = np.concatenate(list(a.values()))
            tensors[_tensor(layer, module, "B")] = fused
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _CONFIG).write_text(json.dumps(described, indent=1) + "\n", "utf-8")
    # Which of q, k and v are in a fused adapter cannot be seen while B is zero.
    data = save(tensors, {"format": "pt", "matrices": ",".join(matrices)})
    (folder / _WEIGHTS).write_bytes(_ordered(data))


def _ordered(data: bytes) -> bytes:
    """Sort what the header notes, which safetensors writes in a random order."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode().ljust(end - 8)
    return data[:8] + text + data[end:]


def load_adapter(
    folder: Path, config: CodeGenConfig, mp_num: int = USUAL_MP_NUM
) -> tuple[Params, int, float, tuple[Matrix, ...]]:
    """Read what `save_adapter` wrote, or what PEFT did if it is plain LoRA of one rank and alpha.

    One of PEFT's on the fused projection becomes three that have the same `a`.

    Args:
        folder: Where from.
        config: The shape of the base model.
        mp_num: Layout of the fused projection.

    Returns:
        The adapters in float32 as `save_adapter` takes them, their rank, alpha, and matrices.

    Raises:
        UserError: If a file is missing or damaged, does not fit the model, or is another kind of
            adapter.
    """
    _check_layout(folder, config, mp_num)
    described = _read_config(folder)
    tensors, ours = _read_tensors(folder)
    held = [names for m, names in _MODULES.items() if _tensor(0, m, "A") in tensors]
    matrices = ours or tuple(name for names in held for name in names)
    modules = _adapted(matrices)
    if not modules:
        raise UserError(f"{folder / _WEIGHTS} adapts no matrix of a CodeGen model.")
    # An adapter of PEFT's is whole in each of q, k and v; ours has a range of columns for each.
    counts = {module: len(names) if ours else 1 for module, names in modules.items()}
    try:
        found = {module: described.of(module) for module in modules}
    except re.error as error:
        raise UserError(f"{folder / _CONFIG}: a pattern is no regular expression.") from error
    rank, alpha = (described.r, described.lora_alpha) if ours else next(iter(found.values()))
    for module, settings in found.items():
        if settings != (counts[module] * rank, counts[module] * alpha):
            raise UserError(
                f"{folder / _CONFIG} gives {module} a rank and alpha of its own; only adapters "
                "with the same rank and alpha everywhere can be read."
            )

    def take(layer: int, module: str, factor: Literal["A", "B"], *shape: int) -> np.ndarray:
        name = _tensor(layer, module, factor)
        value = tensors.pop(name, None)
        if value is None:
            raise UserError(f"{folder / _WEIGHTS} lacks the tensor {name}; write it again.")
        if value.shape != shape:
            raise UserError(
                f"{folder / _WEIGHTS} does not fit the model: {name} has the shape "
                f"{list(value.shape)}, not {list(shape)}."
            )
        return value

    blocks = []
    for layer, specs in enumerate(table(config)["blocks"]):
        block: Params = {}
        for module, names in modules.items():
            (inputs, outputs), count = specs[names[0]].shape, counts[module]
            a = take(layer, module, "A", count * rank, inputs)
            b = take(layer, module, "B", len(_MODULES[module]) * outputs, count * rank)
            parts = _split(b, mp_num) if "q" in _MODULES[module] else {names[0]: b}
            for i, name in enumerate(names):
                columns = slice(i * rank, (i + 1) * rank) if count > 1 else slice(None)
                block[name] = {
                    "a": jnp.asarray(a[columns].T),
                    "b": jnp.asarray(parts[name][:, columns].T),
                }
        blocks.append(block)
    if tensors:
        raise UserError(
            f"{folder / _WEIGHTS} holds {min(tensors)}, which is not part of a LoRA adapter of "
            "this model."
        )
    return {"blocks": blocks}, rank, alpha, matrices


def _read_config(folder: Path) -> _Described:
    path = folder / _CONFIG
    try:
        return _Described.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{folder} is no adapter folder: it has no {_CONFIG}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"{path}: {where}: {first['msg']}; only plain LoRA adapters can be read."
        ) from error


def _read_tensors(folder: Path) -> tuple[dict[str, np.ndarray], tuple[Matrix, ...]]:
    """Return all tensors, and the matrices that `save_adapter` noted; none if it was not ours."""
    path = folder / _WEIGHTS
    try:
        with safetensors.safe_open(path, "np") as file:
            noted = (file.metadata() or {}).get("matrices", "").split(",")
            tensors = {n: file.get_tensor(n).astype(np.float32) for n in list(file.keys())}
            return tensors, tuple(name for name in noted if name in MATRICES)
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no {_WEIGHTS}; save the adapter as safetensors.") from error
    except safetensors.SafetensorError as error:
        raise UserError(f"{path} is truncated or damaged ({error}); write it again.") from error
