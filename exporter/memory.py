"""Keeps the process small: one arena of glibc's allocator instead of one a thread, and free memory given back."""

from __future__ import annotations

import ctypes

__all__ = ["give_back", "keep_small"]

# malloc.h of glibc.
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
# An exposition as a whole is larger, an engine's body and the lines of a family are smaller.
_LARGE_BYTES = 256 << 10


def keep_small() -> bool:
    """Tell glibc so; False on another C library, which has neither.

    Threads of Python rarely allocate at the same time, and what one arena keeps for itself another cannot use: with
    8 engines that is 5 MiB. Setting the threshold keeps glibc from raising it at the first large block that is
    freed, after which such blocks would stay in the heap.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(mallopt(what, value) == 1 for what, value in ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _LARGE_BYTES)))


def give_back() -> bool:
    """Give the system what glibc keeps of freed memory, also between what is in use; False where there was none.

    Bodies of changing size cut the heap up. It takes 0.4 ms, so once in a while.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return malloc_trim is not None and malloc_trim(0) == 1
