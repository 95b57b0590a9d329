"""Programs that XLA compiled, kept from one command to the next."""

import hashlib
import os
import platform
from pathlib import Path

from jaxformer.cache import cache_folder

SHORTEST = "0"
"""Seconds of compiling that are worth a file: with all kept, the compiler is not even loaded."""


def keep() -> None:
    """Let JAX keep what it compiles in the user's cache folder, before it is loaded.

    JAX's own settings (`JAX_COMPILATION_CACHE_DIR`, `JAX_ENABLE_COMPILATION_CACHE`) go first.
    """
    try:
        folder = cache_folder() / f"compiled-{_processor()}"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # without a home everything is compiled each time
        return
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", SHORTEST)


def _processor() -> str:
    """Tell processors apart that do not run each other's programs, for homes that several share."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        kind = [line for line in lines if line.startswith(("model", "flags", "Features"))]
    except OSError:
        kind = []
    text = "\n".join([platform.machine(), platform.processor(), *sorted(set(kind))])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
