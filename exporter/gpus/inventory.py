"""Which GPUs there are, against those that were ever seen; and NVML's start and new starts.

Runs in a worker of its own, as any of these calls may hang. A GPU keeps the index and the identity that it was
first seen with: one that falls off the bus is missed by its name, and renumbers no other.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal

import pynvml
from msgspec import Struct
from msgspec.structs import replace

from exporter.gpus.nvml import Backoff, Calls, DeviceGoneError, Session
from exporter.gpus.reasons import RESTART, SESSION_LOST, Counts, Reason, reason_of

__all__ = ["CONTROL_DEVICE", "Device", "Identity", "Inventory", "Scan", "SourceState", "is_device_denied", "merged"]

CONTROL_DEVICE = "/dev/nvidiactl"
"""The driver's control device, which every initialisation of NVML opens."""

StateName = Literal[
    "disabled", "starting", "ready", "no_gpus", "library_missing", "driver_missing", "failed", "restart_needed"
]

_SCAN_SECONDS = 10.0
# The watcher of XIDs, which waits longest, lets go within a second.
_DRAIN_SECONDS = 1.5
_STATE_OF: dict[Reason, StateName] = {"library_not_found": "library_missing", "driver_not_loaded": "driver_missing"}


class SourceState(Struct, frozen=True):
    """Whether GPUs can be read at all, and if not, why: one sentence for a person.

    "restart_needed" is final: only a new container, or a new process, gets at the GPUs again.
    """

    name: StateName
    reason: str = ""


class Identity(Struct, frozen=True):
    """What a GPU is known by; `uuid` and the rest are empty for one that never answered.

    `minor` is the number of its device file, /dev/nvidiaN, which need not be its index.
    """

    index: int
    uuid: str = ""
    pci_bus_id: str = ""
    name: str = ""
    minor: int | None = None

    @property
    def key(self) -> str:
        """The UUID, or the index of a GPU that never told it."""
        return self.uuid or f"index {self.index}"

    @property
    def label(self) -> str:
        """How a person is told of it."""
        return f"GPU {self.index} ({self.uuid or 'UUID unknown'})"


class Device(Struct, frozen=True):
    """A GPU that is there, or was. Without a handle it cannot be read, and `problem` says why."""

    identity: Identity
    handle: Any = None
    problem: Reason | None = None


class Scan(Struct, frozen=True):
    """What a scan found; handles are of the session's `generation`."""

    state: SourceState
    generation: int = 0
    devices: tuple[Device, ...] = ()


def is_device_denied() -> bool:
    """Whether the control group no longer lets this container open the driver's control device.

    The kernel answers EPERM for a device that the group does not allow (`systemctl daemon-reload` takes GPUs away
    so, nvidia-container-toolkit#48), EACCES for a file's own permissions.
    """
    try:
        os.close(os.open(CONTROL_DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EPERM
    return False


def merged(known: Iterable[Identity], found: Iterable[Device]) -> tuple[Device, ...]:
    """Return every GPU ever seen, in order of index, with its handle if it was found again.

    One that was found without a UUID is the known one of its index, if no other place was found for that.
    """
    by_uuid = {device.identity.uuid: device for device in found if device.identity.uuid}
    nameless = {device.identity.index: device for device in found if not device.identity.uuid}
    devices: list[Device] = []
    for identity in known:
        device = by_uuid.pop(identity.uuid, None) if identity.uuid else None
        if device is not None:
            devices.append(replace(device, identity=replace(device.identity, index=identity.index)))
        elif identity.uuid:
            lost = nameless.pop(identity.index, None)
            devices.append(Device(identity, problem=lost.problem if lost else "gpu_lost"))
    devices += by_uuid.values()
    devices += nameless.values()
    return tuple(sorted(devices, key=lambda device: (device.identity.index, device.identity.uuid)))


class Inventory:
    """Keeps NVML initialised and knows the GPUs. `scan` is a worker's job; the rest is for the collection."""

    def __init__(
        self,
        session: Session,
        counts: Counts,
        release: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        is_denied: Callable[[], bool] = is_device_denied,
    ) -> None:
        self.calls = Calls(counts, clock)
        self._session, self._counts, self._release, self._clock = session, counts, release, clock
        self._is_denied = is_denied
        self._last = Scan(SourceState("starting", "NVML has not been initialised yet"))
        self._due_seconds = 0.0
        self._was_ready = False
        self._broken: Reason | None = None
        self._some_lost = False
        # A driver that is loaded later is there within a minute; one lost GPU is not worth disturbing the others.
        self._opening = Backoff(1.0, 60.0, clock)
        self._reviving = Backoff(60.0, 600.0, clock)

    @property
    def last(self) -> Scan:
        """The last finished scan."""
        return self._last

    def is_due(self) -> bool:
        """Whether a scan would do anything now."""
        if self._last.state.name == "restart_needed":
            return False
        if not self._session.is_open or self._broken:
            return self._opening.is_due()
        return self._clock() >= self._due_seconds

    def report(self, failures: tuple[Reason, ...], total: int, is_hanging: bool) -> None:
        """Tell how a collection ended: why GPUs could not be read, of how many, and whether a call hangs.

        While one hangs NVML cannot be shut down, so that trying it for one lost GPU would only disturb the others.
        """
        lost = next((reason for reason in failures if reason in SESSION_LOST), None)
        everyone = failures[0] if failures and len(failures) == total else None
        self._broken = lost or everyone
        self._some_lost = bool(failures) and not self._broken and not is_hanging
        if total and not failures and not is_hanging:
            self._opening.reset()
            self._reviving.reset()

    def scan(self) -> Scan:
        """Initialise NVML if need be, and list the GPUs."""
        self._last = self._scanned()
        self._due_seconds = self._clock() + _SCAN_SECONDS
        return self._last

    def _scanned(self) -> Scan:
        if self._session.is_open and self._broken:
            if not self._opening.is_due():
                return self._last
            if self._needs_restart(self._broken):
                return replace(self._last, state=self._restart_state(self._broken))
            if not self._reopen(self._opening):
                return self._last
        elif self._session.is_open and self._some_lost and self._reviving.is_due() and not self._reopen(self._reviving):
            return self._last
        if not self._session.is_open:
            if not self._opening.is_due():
                return self._last
            failure = self._open()
            if failure is not None:
                return replace(self._last, state=failure)
        return self._listed()

    def _reopen(self, backoff: Backoff) -> bool:
        backoff.tried()
        if not self._session.close(_DRAIN_SECONDS, self._release):
            return False  # somebody hangs in a call; the next try comes after the delay
        self._opening.reset()
        return True

    def _open(self) -> SourceState | None:
        self._opening.tried()
        self.calls.current = ("nvmlInitWithFlags", self._clock())
        try:
            self._session.open()
        except pynvml.NVMLError as error:
            reason = reason_of(error.value)
            self._counts.add(reason)
            if self._needs_restart(reason):
                return self._restart_state(reason)
            return SourceState(_STATE_OF.get(reason, "failed"), f"NVML cannot be initialised: {error}; tried again")
        finally:
            self.calls.current = None
        self._broken, self._some_lost = None, False
        self.calls.forget()
        return None

    def _needs_restart(self, reason: Reason) -> bool:
        """Whether trying again is in vain: it worked before, and now the system keeps the GPUs from this process."""
        if not self._was_ready or reason not in RESTART:
            return False
        return reason == "version_mismatch" or self._is_denied()

    def _restart_state(self, reason: Reason) -> SourceState:
        if reason == "version_mismatch":
            return SourceState("restart_needed", "the driver was exchanged under the NVML library that is loaded")
        return SourceState("restart_needed", f"this container may no longer open {CONTROL_DEVICE}: access was revoked")

    def _listed(self) -> Scan:
        generation = self._session.generation
        try:
            count = self.calls.get("nvmlDeviceGetCount", pynvml.nvmlDeviceGetCount)
            if count is None:
                self._broken = self.calls.refused or "unknown"
                return replace(self._last, state=SourceState("failed", "NVML does not tell how many GPUs there are"))
            found = [self._device(index) for index in range(count)]
        except DeviceGoneError as gone:
            self._broken = gone.reason
            devices = tuple(Device(device.identity, problem=gone.reason) for device in self._last.devices)
            return Scan(SourceState("failed", f"NVML lost the driver: {gone.reason}"), generation, devices)
        devices = merged([device.identity for device in self._last.devices], found)
        if any(device.handle is not None for device in devices):
            self._was_ready = True
        state = SourceState("ready") if devices else SourceState("no_gpus", "NVML lists no GPU")
        return Scan(state, generation, devices)

    def _device(self, index: int) -> Device:
        """Identify one GPU; lost alone, it takes nobody with it."""
        try:
            handle = self.calls.get(f"nvmlDeviceGetHandleByIndex({index})", pynvml.nvmlDeviceGetHandleByIndex, index)
            uuid = self.calls.get(f"nvmlDeviceGetUUID({index})", pynvml.nvmlDeviceGetUUID, handle) if handle else None
            if uuid is None:
                return Device(Identity(index), problem=self.calls.refused or "unknown")
            pci = self.calls.get(f"nvmlDeviceGetPciInfo({index})", pynvml.nvmlDeviceGetPciInfo, handle)
            name = self.calls.get(f"nvmlDeviceGetName({index})", pynvml.nvmlDeviceGetName, handle)
            minor = self.calls.get(f"nvmlDeviceGetMinorNumber({index})", pynvml.nvmlDeviceGetMinorNumber, handle)
        except DeviceGoneError as gone:
            if gone.reason in SESSION_LOST:
                raise
            return Device(Identity(index), problem=gone.reason)
        return Device(Identity(index, uuid, pci.busId if pci else "", name or "", minor), handle)
