"""Keeping memory between steps on CPUs, where getting it anew costs some percent of a step."""

import contextlib
import ctypes

_ARENA_MAX, _MMAP_MAX, _TRIM_THRESHOLD = -8, -4, -1  # mallopt's, in malloc.h
_HUGE_PAGES = 14  # madvise's
_PAGE = 2 << 20


def keep_heap(size: int) -> None:
    """Let glibc keep what is freed, and have so many bytes of it in huge pages.

    XLA frees its temporary arrays after each step. Left alone, glibc gives them back to the
    system, and the next step touches every page anew. Where the C library is
    another one, nothing changes.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        libc.free.argtypes = [ctypes.c_void_p]
        libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for setting, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1)):
            libc.mallopt(setting, value)
        start = libc.malloc(size)
        if start:
            low, high = -(-start // _PAGE) * _PAGE, (start + size) // _PAGE * _PAGE
            if high > low:
                libc.madvise(low, high - low, _HUGE_PAGES)
            libc.free(start)
