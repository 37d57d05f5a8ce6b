"""Keeps the process small: one arena of glibc's allocator, free memory given back, and cycles collected."""

from __future__ import annotations

import ctypes
import gc

__all__ = ["collect_cycles", "give_back", "keep_small"]

# CPython's own. A short command collects less often: inferwatch.cli.
_OBJECTS_A_COLLECTION = (700, 10, 10)
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


def collect_cycles() -> None:
    """Collect cyclic garbage as often as CPython does by itself; what is there now is never looked at again.

    Every connection that ends leaves a cycle of a kilobyte (asyncio's transport and its socket), so that a process
    that collects as rarely as a short command grows by megabytes an hour. Modules and tables live as long as the
    process: to look through them would take 25 ms each time.
    """
    gc.freeze()
    gc.set_threshold(*_OBJECTS_A_COLLECTION)
