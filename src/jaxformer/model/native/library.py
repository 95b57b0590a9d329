"""Finding the compiled kernels and making them known to XLA."""

import ctypes
import importlib.machinery
import logging
from functools import cache
from pathlib import Path

import jax

log = logging.getLogger("jaxformer")


LAYOUT = 1
"""Of packed weights; the same as in `csrc/handlers.cc`."""
HANDLERS = ("jaxformer_block", "jaxformer_head", "jaxformer_draw", "jaxformer_rows")


@cache
def instruction_set() -> str | None:
    """Return which kernels this processor runs, such as "AVX-512"; None where there are none.

    That is so where the package was installed without a C++ compiler. It is said once.
    """
    try:
        library = _load()
        for name in HANDLERS:
            handler = jax.ffi.pycapsule(getattr(library, name))
            jax.ffi.register_ffi_target(name, handler, platform="cpu")
        library.jaxformer_instruction_set.restype = ctypes.c_char_p
        return library.jaxformer_instruction_set().decode()
    except (OSError, AttributeError, RuntimeError) as error:
        log.warning(
            "The native CPU kernels cannot be used (%s); everything works, but slower. "
            "Install a C++ compiler and then jaxformer again.",
            error,
        )
        return None


def _load() -> ctypes.CDLL:
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = Path(__file__).with_name("kernels" + suffix)
        if path.exists():
            library = ctypes.CDLL(str(path))
            if library.jaxformer_layout() != LAYOUT:
                raise OSError("they are of another version")
            return library
    raise OSError("they are not built")


def usable() -> bool:
    """Whether models on the default device can use the kernels."""
    return jax.default_backend() == "cpu" and instruction_set() is not None
