"""Finding a model: the embedded one, a folder, or a repository of the Hugging Face hub."""

import re
from importlib import resources
from pathlib import Path

from jaxformer.errors import UserError

EMBEDDED = ("nano",)
_SAFETENSORS = ["*.safetensors", "*.safetensors.index.json"]
_PICKLES = ["pytorch_model*.bin", "pytorch_model*.bin.index.json"]
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_JSON = ["config.json", "tokenizer*.json", "vocab.json", "merges.txt", "added_tokens.json"]


def find(name: str, *, weights: bool = True) -> Path:
    """Return the folder of a model, downloading it from the hub if need be.

    Args:
        name: `nano`, the path of a folder, or a hub name such as `Salesforce/codegen-350M-mono`.
            An existing folder comes first.
        weights: Whether the weights are wanted, or the configuration and tokenizer alone.

    Raises:
        UserError: If there is no such model, or the hub cannot be reached and has no copy here.
    """
    if name in EMBEDDED:
        return Path(str(resources.files("jaxformer") / "embedded" / name))
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise UserError(f"{name} is a file; give the folder that holds the model.")
    if not _REPOSITORY.fullmatch(name) or name.startswith("."):
        raise UserError(f"There is no folder {name}; give a model folder, 'nano' or a hub name.")
    return _download(name, weights)


def _download(name: str, with_weights: bool) -> Path:
    # Imported here: a local model should not wait for an HTTP library.
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    wanted = [*_JSON, *(_SAFETENSORS if with_weights else [])]
    try:
        if with_weights:
            try:
                files = HfApi().list_repo_files(name)
                if not any(file.endswith(".safetensors") for file in files):
                    wanted = [*_JSON, *_PICKLES]
            except (RepositoryNotFoundError, GatedRepoError):
                raise
            except Exception:  # offline, in any of several libraries' ways: what the cache holds
                wanted += _PICKLES
        return Path(snapshot_download(name, allow_patterns=wanted))
    except GatedRepoError as error:
        raise UserError(f"{name} needs permission; log in with 'hf auth login' first.") from error
    except LocalEntryNotFoundError as error:
        raise UserError(
            f"{name} is neither a folder nor in the local cache, and the hub cannot be reached; "
            "check the connection (and HF_HUB_OFFLINE) or give a folder."
        ) from error
    except (RepositoryNotFoundError, EntryNotFoundError) as error:
        raise UserError(f"The hub has no model {name}; check the name.") from error
    except Exception as error:  # whatever the network or the name's grammar brought up
        raise UserError(f"{name} could not be downloaded: {error}.") from error
