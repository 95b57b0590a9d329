"""What a run says of itself: everything that is needed to repeat it, and its figures."""

import hashlib
import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from jaxformer.checkpoints import Model
from jaxformer.checkpoints.hub import find
from jaxformer.data.atomic import whole
from jaxformer.errors import UserError
from jaxformer.model import count

FILE = "manifest.json"
PACKAGES = ("jaxformer", "jax", "jaxlib", "numpy", "tokenizers")


class Manifest(BaseModel):
    """The settings of a run; runs with the same can go on from one another."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    benchmark: str
    problems: str
    """SHA-256 of the file."""
    model: str
    weights: str
    """SHA-256 of the files of weights, empty where another engine holds them."""
    parameters: int
    """0 where it is not known."""
    dtype: str
    engine: str
    """What ran the model: `jaxformer`, vLLM's version, an endpoint's address; empty where the
    samples were made elsewhere."""
    mode: str
    history: str
    scorer: str
    drawing: dict[str, Any]
    """How samples are drawn (`runner.Drawing`), as far as it is known."""
    limits: dict[str, Any]
    """What programs may use (`sandbox.Limits`)."""
    tier: str
    """The sandbox's."""
    software: dict[str, str]


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        name: The model's.
        weights: SHA-256 of its files, empty where an endpoint holds them.
        parameters: How many, 0 where it is not known.
        dtype: Of the computation, empty where it is not known.
        engine: What runs it.
    """

    name: str
    weights: str = ""
    parameters: int = 0
    dtype: str = ""
    engine: str = "jaxformer"

    @classmethod
    def of(cls, model: Model, source: str) -> "Subject":
        """Describe a model that was loaded by a name or from a folder."""
        return cls(model.name, digest_of_weights(source), count(model.config), model.dtype)


def software() -> dict[str, str]:
    """Return versions of what the result may depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise UserError(f"There is no file {path}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def digest_of_weights(name: str) -> str:
    """Return the SHA-256 of a model's files of weights together."""
    folder = find(name)
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")])
    together = hashlib.sha256()
    for file in files:
        together.update(digest(file).encode())
    return together.hexdigest()


def open_folder(folder: Path, manifest: Manifest) -> None:
    """Put the manifest into a folder, or check that a run with the same settings is in it.

    Settings without a sample bind nobody. Nobody else may be at work in the folder.

    Raises:
        UserError: If another run is there.
    """
    if any(path.stat().st_size for path in folder.glob("samples*.jsonl")):
        before, now = (_flat(each) for each in (read_manifest(folder), manifest))
        for name in now | before:
            if before.get(name) != now.get(name):
                raise UserError(
                    f"{folder} holds a run with another {name} ({_short(before.get(name))}, now "
                    f"{_short(now.get(name))}); choose another --out."
                )
        return
    with whole(folder / FILE) as part:
        part.write_text(manifest.model_dump_json(indent=1) + "\n", "utf-8")


def _flat(manifest: Manifest) -> dict[str, Any]:
    """Return the settings with those inside others by names of their own."""
    found: dict[str, Any] = {}
    for name, value in manifest.model_dump().items():
        found |= (
            {f"{name}.{k}": v for k, v in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
    return found


def read_manifest(folder: Path) -> Manifest:
    """Read and check a run's manifest.

    Raises:
        UserError: If there is none, or a field is missing or wrong.
    """
    path = folder / FILE
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"{folder} is no run: it holds no {FILE}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path}: {place}: {first['msg'].lower()}.") from error


def _short(value: object) -> str:
    return json.dumps(value)[:60]
