"""One arena of glibc's allocator, and free memory given back."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from exporter import memory

SCRIPT = """
import ctypes, threading
from exporter.memory import keep_small
assert keep_small()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
barrier = threading.Barrier(8)
def allocate():
    barrier.wait()
    for _ in range(200):
        libc.malloc(1 << 12)
    barrier.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fdopen.restype = ctypes.c_void_p
out = libc.fdopen(1, b"w")
libc.malloc_info(0, out)
libc.fflush(ctypes.c_void_p(out))
"""


LARGE = """
import ctypes
from exporter.memory import keep_small
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
assert keep_small()
libc.free(libc.malloc(8 << 20))
blocks = [libc.malloc(1 << 20) for _ in range(64)]
[ctypes.memset(block, 1, 1 << 20) for block in blocks]
held = resident()
# All but the last, which would keep a heap from shrinking.
[libc.free(block) for block in blocks[:-1]]
print(held - resident())
"""
BETWEEN = """
import ctypes
from exporter.memory import give_back, keep_small
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
assert keep_small()
blocks = [libc.malloc(100_000) for _ in range(640)]
[ctypes.memset(block, 1, 100_000) for block in blocks]
[libc.free(block) for number, block in enumerate(blocks) if number % 8]
held = resident()
assert give_back()
print(held - resident())
"""
CYCLES = """
import gc, weakref
from exporter.memory import collect_cycles
gc.set_threshold(50_000, 10, 10)
class Node:
    pass
collect_cycles()
assert gc.get_freeze_count() > 1000
seen = weakref.WeakSet()
for _ in range(20_000):
    node = Node()
    node.itself = node
    seen.add(node)
print(len(seen))
"""
ON_GLIBC = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="another C library than glibc")


@ON_GLIBC
def test_large_blocks_are_given_back_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) > 60 << 20


@ON_GLIBC
def test_free_memory_between_what_is_in_use_is_given_back_when_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", BETWEEN], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) > 40 << 20


def test_cycles_that_connections_leave_do_not_pile_up() -> None:
    done = subprocess.run([sys.executable, "-c", CYCLES], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) < 2000


@ON_GLIBC
def test_threads_share_one_arena() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.count("<heap nr=") == 1


def test_a_c_library_without_arenas_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not memory.keep_small()
    assert not memory.give_back()
