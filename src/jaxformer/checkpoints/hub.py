"""Finding a model: the embedded one, a folder, or a repository of the Hugging Face hub."""

import re
from importlib import resources
from pathlib import Path

from jaxformer.errors import UserError

EMBEDDED = ("nano",)
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_JSON = ["config.json", "tokenizer*.json", "vocab.json", "merges.txt", "added_tokens.json"]


def find(name: str) -> Path:
    """Return the folder of a model, downloading it from the hub if need be.

    Args:
        name: `nano`, the path of a folder, or a hub name such as `Salesforce/codegen-350M-mono`.
            An existing folder comes first.

    Raises:
        UserError: If there is no such model, or the hub cannot be reached and has no copy here.
    """
    if name in EMBEDDED:
        return Path(str(resources.files("jaxformer") / "embedded" / name))
    if Path(name).is_dir():
        return Path(name)
    if Path(name).exists():
        raise UserError(f"{name} is a file; give the folder that holds the model.")
    if not _REPOSITORY.fullmatch(name) or name.startswith("."):
        raise UserError(f"There is no folder {name}; give a model folder, 'nano' or a hub name.")
    return _download(name)


def _download(name: str) -> Path:
    # Imported here: a local model should not wait for an HTTP library.
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    weights = ["*.safetensors", "*.safetensors.index.json"]
    try:
        try:
            files = HfApi().list_repo_files(name)
            if not any(file.endswith(".safetensors") for file in files):
                weights = ["pytorch_model*.bin", "pytorch_model*.bin.index.json"]
        except (OfflineModeIsEnabled, OSError):
            weights = [*weights, "pytorch_model*.bin*"]  # whatever the cache holds
        return Path(snapshot_download(name, allow_patterns=[*_JSON, *weights]))
    except GatedRepoError as error:
        raise UserError(f"{name} needs permission; log in with 'hf auth login' first.") from error
    except (RepositoryNotFoundError, EntryNotFoundError) as error:
        if isinstance(error, LocalEntryNotFoundError):
            raise UserError(
                f"{name} is neither a folder nor in the local cache, and the hub cannot be "
                "reached; check the connection (and HF_HUB_OFFLINE) or give a folder."
            ) from error
        raise UserError(f"The hub has no model {name}; check the name.") from error
    except OSError as error:
        raise UserError(f"{name} could not be downloaded: {error}.") from error
