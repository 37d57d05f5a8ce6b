"""A stub of NVIDIA's management library, for tests and benchmarks: build it, and say what it shall answer.

pynvml runs on it unmodified. A process of its own takes it by `LD_LIBRARY_PATH=FOLDER`, with the path of a state
file in `STUB_NVML_STATE`; a process that runs already by `ctypes.CDLL(LIBRARY)` before pynvml looks for it. It
is free of pytest.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

ANY = -1
STATE_VARIABLE = "STUB_NVML_STATE"
SONAME = "libnvidia-ml.so.1"
SOURCE = Path(__file__).with_name("stub_nvml.c")


def build(folder: Path) -> Path:
    """Compile the stub into a folder and return the library's path."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise RuntimeError("no C compiler (cc, gcc or clang): it is needed to build the stub of NVML")
    library = folder / SONAME
    options = ("-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", f"-Wl,-soname,{SONAME}")
    subprocess.run([compiler, *options, "-o", str(library), str(SOURCE), "-lpthread"], check=True)
    return library


@dataclass(frozen=True)
class Rule:
    """What a call of a GPU does instead of its default; `*` is every call, ANY every GPU."""

    gpu: int
    call: str
    kind: str
    what: str


def gives(call: str, value: float, gpu: int = ANY) -> Rule:
    """A call, a field value (`field:ID`, `field:ID:SCOPE`) or a GPM metric (`gpm:ID`, `gpm:ID:INSTANCE`) gives it."""
    return Rule(gpu, call, "value", repr(value))


def says(call: str, text: str, gpu: int = ANY) -> Rule:
    """A call for a text gives this."""
    return Rule(gpu, call, "text", text)


def returns(call: str, code: int, gpu: int = ANY) -> Rule:
    """A call is refused with this nvmlReturn_t."""
    return Rule(gpu, call, "return", str(code))


def hangs(call: str, gpu: int = ANY) -> Rule:
    """A call does not return while this rule is there."""
    return Rule(gpu, call, "hang", "-")


def lost(gpu: int) -> Rule:
    """A GPU has fallen off the bus."""
    return returns("*", 15, gpu)


@dataclass(frozen=True)
class Mig:
    """A MIG device."""

    gpu: int
    instance: int
    profile: str
    uuid: str
    total_bytes: int = 19_100_000_000


@dataclass(frozen=True)
class XidEvent:
    """An XID, delivered once: numbers only rise. `instance` is a GPU instance's id, or that of none."""

    number: int
    gpu: int
    code: int
    instance: int = 0xFFFFFFFF


@dataclass(frozen=True)
class Process:
    """A compute process."""

    gpu: int
    pid: int
    memory_bytes: int
    name: str


@dataclass(frozen=True)
class StubState:
    """The node: a driver (another number: it was reloaded), what nvmlInit returns, and its GPUs."""

    gpus: int = 1
    init: int = 0
    driver: int = 1
    rules: tuple[Rule, ...] = ()
    mig: tuple[Mig, ...] = ()
    xids: tuple[XidEvent, ...] = ()
    processes: tuple[Process, ...] = ()

    def text(self) -> str:
        """The state as the library reads it."""
        lines = [f"gpus {self.gpus}", f"init {self.init}", f"driver {self.driver}"]
        lines += [f"rule {rule.gpu} {rule.call} {rule.kind} {rule.what}" for rule in self.rules]
        lines += [f"mig {one.gpu} {one.instance} {one.profile} {one.uuid} {one.total_bytes}" for one in self.mig]
        lines += [f"xid {one.number} {one.gpu} {one.code} {one.instance}" for one in self.xids]
        lines += [f"process {one.gpu} {one.pid} {one.memory_bytes} {one.name}" for one in self.processes]
        return "\n".join(lines) + "\n"

    def write(self, path: Path) -> None:
        """Make this the state of the processes that have `path` in STUB_NVML_STATE, at once."""
        fresh = path.with_suffix(".new")
        fresh.write_text(self.text(), encoding="utf-8")
        fresh.replace(path)
        counter = path.with_name(path.name + ".version")
        before = struct.unpack("=Q", counter.read_bytes())[0] if counter.exists() else 0
        descriptor = os.open(counter, os.O_RDWR | os.O_CREAT)
        try:
            os.pwrite(descriptor, struct.pack("=Q", before + 1), 0)
        finally:
            os.close(descriptor)
