"""XIDs: counted for as long as the exporter lives, whatever happens to NVML meanwhile.

The ledger is the memory; the watcher is a thread that waits for NVML's events and writes into it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import pynvml
from msgspec import Struct, field

from catalog.gpu import XIDS_COUNTED_FROM_ZERO
from exporter.gpus.nvml import Calls, DeviceGoneError, Session
from exporter.gpus.reasons import Counts
from exporter.gpus.throttle import WINDOW_SECONDS

__all__ = ["XidLedger", "XidRecord", "XidWatcher"]

# Codes are below 200 today; the bound is against garbage that would make series without end.
_HIGHEST = 9999
_NO_INSTANCE = 0xFFFFFFFF
# Each wait that ends in vain costs a tenth of a millisecond; nothing but an end or a new start waits for it.
_WAIT_MILLISECONDS = 1000


class XidRecord(Struct):
    """The XIDs of one GPU. `version` changes with every event."""

    counts: dict[int, int] = field(default_factory=lambda: dict.fromkeys(XIDS_COUNTED_FROM_ZERO, 0))
    last_seen_unix_seconds: dict[int, float] = field(default_factory=dict)
    last: int = 0
    last_by_instance: dict[int, int] = field(default_factory=dict)
    recent: deque[tuple[float, int]] = field(default_factory=deque)
    version: int = 0

    def in_window(self, now_seconds: float) -> Mapping[int, int]:
        """Return the events of the last five minutes by code (monotonic seconds)."""
        while self.recent and self.recent[0][0] <= now_seconds - WINDOW_SECONDS:
            self.recent.popleft()
        counts: dict[int, int] = {}
        for _, code in self.recent:
            counts[code] = counts.get(code, 0) + 1
        return counts


class XidLedger:
    """The records of all GPUs by UUID."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, unix_clock: Callable[[], float] = time.time
    ) -> None:
        self.lock = threading.Lock()
        self._clock, self._unix_clock = clock, unix_clock
        self._records: dict[str, XidRecord] = {}

    def record_of(self, uuid: str) -> XidRecord:
        """Return a GPU's record, begun with zeros. Hold `lock` while reading it."""
        return self._records.setdefault(uuid, XidRecord())

    def add(self, uuid: str, code: int, instance: int | None) -> None:
        """Count one event."""
        with self.lock:
            record = self.record_of(uuid)
            record.counts[code] = record.counts.get(code, 0) + 1
            record.last_seen_unix_seconds[code] = self._unix_clock()
            record.recent.append((self._clock(), code))
            record.version += 1
            if instance is None:
                record.last = code
            else:
                record.last_by_instance[instance] = code


class _Target(Struct, frozen=True):
    """The devices to watch, with handles of one generation."""

    generation: int
    devices: tuple[tuple[str, Any], ...]


class XidWatcher:
    """Waits for XID events of all GPUs on a daemon thread."""

    def __init__(
        self, session: Session, ledger: XidLedger, counts: Counts, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.calls = Calls(counts, clock)
        self._session, self._ledger, self._counts = session, ledger, counts
        self._changed = threading.Condition()
        self._target = _Target(0, ())
        self._closed = False
        self._delay_seconds = 0.0
        self._thread = threading.Thread(target=self._run, name="gpu-xids", daemon=True)

    def start(self) -> None:
        """Begin to wait; events come once there are devices."""
        self._thread.start()

    def watch(self, generation: int, devices: tuple[tuple[str, Any], ...]) -> None:
        """Watch these GPUs, each a UUID and a handle of the session's generation."""
        uuids = tuple(uuid for uuid, _ in devices)
        with self._changed:
            if generation == self._target.generation and uuids == tuple(uuid for uuid, _ in self._target.devices):
                return
            self._target = _Target(generation, devices)
            self._changed.notify_all()

    def close(self, timeout_seconds: float) -> bool:
        """End the thread; False when NVML has not let go of it within the timeout."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._closed:
            target = self._target
            if not target.devices or not self._session.enter(target.generation):
                self._pause(target, 1.0)
                continue
            try:
                seen = self._watch(target)
            except DeviceGoneError:
                seen = False
            finally:
                self._session.leave()
            if not seen:
                self._pause(target, self._next_delay())

    def _pause(self, target: _Target, seconds: float) -> None:
        """Wait for other devices, the end, or some time."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._target is not target, seconds)

    def _next_delay(self) -> float:
        self._delay_seconds = min(max(self._delay_seconds * 2, 1.0), 30.0)
        return self._delay_seconds

    def _watch(self, target: _Target) -> bool:
        """Wait for events until the devices change; False when NVML refuses to wait."""
        self.calls.forget()
        events = self.calls.get("nvmlEventSetCreate", pynvml.nvmlEventSetCreate)
        if events is None:
            return False
        try:
            registered = [self._register(uuid, handle, events) for uuid, handle in target.devices]
            if not any(registered):
                return False
            while not self._closed and self._target is target and not self._session.is_draining:
                if not self._wait(events):
                    return False
            return True
        finally:
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlEventSetFree(events)

    def _register(self, uuid: str, handle: Any, events: Any) -> bool:
        """Ask for one GPU's events; a lost or refusing one leaves the others theirs."""
        kind = pynvml.nvmlEventTypeXidCriticalError
        try:
            return bool(self.calls.get(f"nvmlDeviceRegisterEvents({uuid})", _register, handle, kind, events))
        except DeviceGoneError:
            return False

    def _wait(self, events: Any) -> bool:
        try:
            event = pynvml.nvmlEventSetWait_v2(events, _WAIT_MILLISECONDS)
        except pynvml.NVMLError as error:
            if error.value == pynvml.NVML_ERROR_TIMEOUT:
                self._delay_seconds = 0.0
                return True
            self.calls.refuse("nvmlEventSetWait_v2", error.value)
            return False
        if event.eventType & pynvml.nvmlEventTypeXidCriticalError:
            self._note(event)
        return True

    def _note(self, event: Any) -> None:
        if event.eventData > _HIGHEST:
            self._counts.add("out_of_range")
            return
        uuid = self.calls.get("nvmlDeviceGetUUID", pynvml.nvmlDeviceGetUUID, event.device)
        if uuid is not None:
            instance = None if event.gpuInstanceId == _NO_INSTANCE else int(event.gpuInstanceId)
            self._ledger.add(uuid, int(event.eventData), instance)


def _register(handle: Any, kind: int, events: Any) -> bool:
    pynvml.nvmlDeviceRegisterEvents(handle, kind, events)
    return True
