"""Keeping memory between steps on CPUs, where getting it anew costs some percent of a step."""

import contextlib
import ctypes

_ARENA_MAX, _MMAP_MAX, _TRIM_THRESHOLD = -8, -4, -1  # mallopt's, in malloc.h


def keep_heap() -> None:
    """Let glibc keep what is freed; only threads that start later take part.

    XLA frees its temporary arrays after each step. Left alone, glibc gives them back to the
    system, and the next step touches every page anew. Where the C library is another one,
    nothing changes.
    """
    _set(arenas=1, mapped=0, trim=-1)


def release_heap() -> None:
    """Take `keep_heap` back, for processes whose arrays are on other devices."""
    _set(arenas=0, mapped=65536, trim=128 << 10)  # glibc's own


def _set(arenas: int, mapped: int, trim: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        for setting, value in ((_ARENA_MAX, arenas), (_MMAP_MAX, mapped), (_TRIM_THRESHOLD, trim)):
            libc.mallopt(setting, value)
