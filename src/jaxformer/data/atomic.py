"""Files that appear whole or not at all, in folders where one process is at work."""

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxformer.errors import UserError


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


@contextlib.contextmanager
def room(folder: Path) -> Iterator[None]:
    """Say what to do where there is no room for a file."""
    try:
        yield
    except OSError as error:
        if disk_is_full(error):
            raise UserError(
                f"There is no room for {folder}: {error.strerror or 'the disk is full'}; "
                "make some and give the same command again."
            ) from error
        raise


@contextlib.contextmanager
def alone(folder: Path, work: str) -> Iterator[None]:
    """Keep others that do such work out of a folder; the lock goes with the process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"Another {work} is at work in {folder}; wait for it.") from error
        yield
    finally:
        os.close(handle)


def save_json(path: Path, value: Any) -> None:
    """Write a value as JSON."""
    with whole(path) as part:
        part.write_text(json.dumps(value, indent=1) + "\n", "utf-8")
