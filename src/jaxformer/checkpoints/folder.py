"""The tensors of a checkpoint folder, whatever their files: each read only when asked for."""

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import safetensors

from jaxformer.checkpoints.torch_zip import open_torch_zip
from jaxformer.errors import UserError

Tensors = dict[str, Callable[[], np.ndarray]]


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
    def read(name: str) -> np.ndarray:
        # Opened anew each time: closing is what gives the mapped pages back.
        with safetensors.safe_open(path, "np") as file:
            return file.get_tensor(name)

    try:
        with safetensors.safe_open(path, "np") as file:
            return {name: partial(read, name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise UserError(f"{path} is truncated or damaged ({error}); download it again.") from error
