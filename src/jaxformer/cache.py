"""Where files are kept that can be fetched or made again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the package's part of the user's cache folder (`XDG_CACHE_HOME`), made or not.

    Raises:
        RuntimeError: If the user has no home.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(home) / "jaxformer"
