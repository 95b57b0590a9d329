"""Files that appear whole or not at all."""

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary path that takes the name `path` when all went well, and else vanishes."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def disk_is_full(error: OSError) -> bool:
    """Tell whether a file could not be written for want of room."""
    short = error.errno is None and "written" in str(error)  # how NumPy says it
    return short or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def save_json(path: Path, value: Any) -> None:
    """Write a value as JSON."""
    with whole(path) as part:
        part.write_text(json.dumps(value, indent=1) + "\n", "utf-8")
