"""Keeps the process small: one arena of the C library's allocator instead of one for each thread."""

from __future__ import annotations

import ctypes

__all__ = ["use_one_arena"]

# malloc.h of glibc.
_M_ARENA_MAX = -8


def use_one_arena() -> bool:
    """Tell glibc to serve all threads from one arena; False on another C library, which has no such thing.

    Threads of Python rarely allocate at the same time, and what one arena keeps for itself another cannot use: with
    8 engines that is 5 MiB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_ARENA_MAX, 1) == 1
