"""The GPUs of a node as one source of series.

A collection reads each GPU as a task of its own and renders what came back by the deadline. Nothing that one GPU
does, or does not do, reaches another's series.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from exporter.config import Gpu
from exporter.exposition import Section
from exporter.gpus.inventory import Device, Identity, Inventory, Scan, SourceState, is_device_denied
from exporter.gpus.lines import spelled
from exporter.gpus.mig import MigInstance
from exporter.gpus.nvml import Session
from exporter.gpus.owners import Owners
from exporter.gpus.plan import PlannedText, plan_of
from exporter.gpus.reader import GpuReader, Reading
from exporter.gpus.reasons import Counts, Reason
from exporter.gpus.rendering import GpuResult, Renderer
from exporter.gpus.selection import selected
from exporter.gpus.xids import XidLedger, XidWatcher
from exporter.lanes import Lanes, Task
from exporter.workers import Outcome, Worker

__all__ = ["GpuSource", "GpuStatus", "SourceState"]

# Of a collection's time, what the inventory may take before the GPUs that are known are read without it.
_INVENTORY_SHARE = 0.5
_CLOSE_SECONDS = 1.5
# How long a reading has the interpreter for itself before the next begins. Eight at once hand its lock to each
# other at every call, which takes three times the processor time; one that takes longer just overlaps the next.
_TURN_SECONDS = 0.02
_MOST_LANES = 64


class GpuStatus(Struct, frozen=True):
    """One GPU for a person to read. `problem` is empty while it answers; `instances` are its MIG instances.

    `minor` is the number of its device file.
    """

    index: int
    uuid: str
    name: str
    pci_bus_id: str
    is_up: bool
    problem: str
    instances: tuple[MigInstance, ...]
    last_read_unix_seconds: float | None
    minor: int | None


class _Gpu(Struct):
    """A GPU that has been seen: its reader, the task to read it, and how its last reading went."""

    reader: GpuReader
    task: Task[Reading]
    is_up: bool = False
    problem: str = "not read yet"
    instances: tuple[MigInstance, ...] = ()
    last_read_unix_seconds: float | None = None


class GpuSource:
    """Reads the node's GPUs by NVML.

    `collect`, `status` and `close` are for one thread; `state`, `error_counts` and the counts of GPUs may be read
    from any. Raises exporter.config.SettingsError at once for a selection of fields that cannot be used.
    """

    def __init__(
        self,
        config: Gpu,
        hostname: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        unix_clock: Callable[[], float] = time.time,
        is_denied: Callable[[], bool] = is_device_denied,
    ) -> None:
        self._config, self._clock, self._unix_clock = config, clock, unix_clock
        self._plan = plan_of(selected(config))
        self._counts = Counts()
        self._session = Session()
        self._ledger = XidLedger(clock, unix_clock)
        self._xids = XidWatcher(self._session, self._ledger, self._counts, clock)
        self._inventory = Inventory(self._session, self._counts, self._release, clock, is_denied)
        self._scanner: Worker[Scan] = Worker("gpu-inventory", self._inventory.scan)
        self._renderer = Renderer(self._plan, config.names, (config.hostname_label, hostname), self._ledger, clock)
        self._gpus: dict[str, _Gpu] = {}
        self._lanes = Lanes("gpus", turn_seconds=_TURN_SECONDS, most=_MOST_LANES)
        self._status: tuple[GpuStatus, ...] = ()
        self._state = SourceState("starting") if config.enabled else SourceState("disabled", "gpu.enabled is false")

    @property
    def state(self) -> SourceState:
        """Whether GPUs can be read; with the name "restart_needed" the process should end with a failure."""
        return self._state

    @property
    def expected_gpus(self) -> int:
        """How many GPUs were there at the start, or came since."""
        return len(self._status)

    @property
    def visible_gpus(self) -> int:
        """How many answered the last collection."""
        return sum(status.is_up for status in self._status)

    @property
    def fields_not_read(self) -> Mapping[str, str]:
        """The selected fields that NVML does not give, each with why."""
        return self._plan.not_read

    def error_counts(self) -> Mapping[Reason, int]:
        """Return how often each reason of exporter.gpus.reasons.REASONS kept a value away, since the start."""
        return self._counts.snapshot()

    def status(self) -> tuple[GpuStatus, ...]:
        """Return every GPU ever seen, as of the last collection."""
        return self._status

    def start(self) -> None:
        """Begin to wait for XIDs; NVML is initialised with the first collection."""
        if self._config.enabled:
            self._xids.start()

    def collect(self, deadline_monotonic_seconds: float, owners: Owners) -> Section:
        """Read all GPUs once and return their series; never later than the deadline by more than the rendering.

        A GPU that is lost, or not done by `timeout_seconds` or the deadline, has `inferwatch_gpu_up` 0 and the
        counts of its XIDs, nothing else.
        """
        if not self._config.enabled:
            return {}
        begun = time.monotonic()
        deadline = min(deadline_monotonic_seconds, begun + self._config.timeout_seconds)
        scan, hanging = self._scan(begun + (deadline - begun) * _INVENTORY_SHARE)
        self._state = SourceState("failed", hanging) if hanging else scan.state
        tasks = [self._task(scan.generation, device) for device in scan.devices]
        self._lanes.run([task for task in tasks if task is not None], deadline)
        results = [
            self._result(device, task.outcome if task is not None else None, owners)
            for device, task in zip(scan.devices, tasks, strict=True)
        ]
        if not hanging:
            reasons = [result.failure for result in results if result.failure is not None]
            failures = tuple(reason for reason in reasons if reason != "hanging")
            self._inventory.report(failures, len(results), len(failures) < len(reasons))
        self._status = tuple(self._status_of(device.identity) for device in scan.devices)
        return self._renderer.section(results)

    def close(self) -> None:
        """End the threads and shut NVML down; what hangs in the driver is left behind."""
        until = time.monotonic() + _CLOSE_SECONDS
        self._lanes.close()
        self._scanner.close()
        ended = [self._lanes.join(max(0.0, until - time.monotonic()))]
        ended.append(self._scanner.join(max(0.0, until - time.monotonic())))
        ended.append(self._xids.close(max(0.0, until - time.monotonic())))
        if all(ended):
            self._session.close(0.0, self._release)

    def _scan(self, deadline: float) -> tuple[Scan, str]:
        """Bring the inventory up to date; with the call that keeps it, if one does."""
        was_running = self._scanner.wait(0.0).state == "running"
        if was_running or self._inventory.is_due():
            self._scanner.start()
            # What hung before is not waited for again: it would slow every collection.
            outcome = self._scanner.wait(0.0 if was_running else deadline)
            if outcome.state == "running":
                self._counts.add("hanging")
                current = self._inventory.calls.hanging_call()
                call, seconds = current or ("the inventory", outcome.duration_seconds)
                return self._inventory.last, f"NVML: {call} has not returned for {seconds:.0f} s"
            if outcome.error is not None:
                self._counts.add("other")
                return self._inventory.last, f"NVML: the inventory failed: {outcome.error!r}"
        scan = self._inventory.last
        handles = tuple((one.identity.uuid, one.handle) for one in scan.devices if one.handle is not None)
        self._xids.watch(scan.generation, handles)
        return scan, ""

    def _task(self, generation: int, device: Device) -> Task[Reading] | None:
        """Return the reading of a GPU, to be run if its last one has returned; None where there is nothing to read."""
        gpu = self._gpu_of(device.identity)
        if gpu.task.is_running:
            return gpu.task
        if device.handle is None:
            return None
        gpu.reader.identity = device.identity
        gpu.reader.attach(generation, device.handle)
        return gpu.task

    def _gpu_of(self, identity: Identity) -> _Gpu:
        gpu = self._gpus.get(identity.key)
        if gpu is None:
            reader = GpuReader(
                identity,
                self._plan,
                self._label_name,
                self._session,
                self._counts,
                with_processes=self._config.processes,
                clock=self._clock,
            )
            gpu = self._gpus[identity.key] = _Gpu(reader, Task(reader.read))
        return gpu

    def _label_name(self, text: PlannedText) -> str:
        return spelled(text.field, self._config.names)

    def _result(self, device: Device, outcome: Outcome[Reading] | None, owners: Owners) -> GpuResult:
        gpu = self._gpus[device.identity.key]
        gpu.is_up = False
        if outcome is not None and outcome.state == "running":
            self._counts.add("hanging")
            gpu.problem = gpu.reader.hanging() or f"{device.identity.label}: the reading has not ended"
            return GpuResult(device.identity, None, "hanging", owners)
        if outcome is not None and outcome.error is not None:
            self._counts.add("other")
            gpu.problem = f"{device.identity.label}: the reading failed: {outcome.error!r}"
            return GpuResult(device.identity, None, "other", owners)
        reading = outcome.value if outcome is not None else None
        if reading is None or reading.failure is not None:
            failure = reading.failure if reading is not None else device.problem
            gpu.problem = f"{device.identity.label}: {failure or 'unknown'}"
            return GpuResult(device.identity, None, failure or "unknown", owners)
        gpu.is_up, gpu.problem = True, ""
        gpu.instances = tuple(one.instance for one in reading.instances)
        gpu.last_read_unix_seconds = self._unix_clock()
        return GpuResult(device.identity, reading, None, owners)

    def _status_of(self, identity: Identity) -> GpuStatus:
        gpu = self._gpus[identity.key]
        return GpuStatus(
            identity.index,
            identity.uuid,
            identity.name,
            identity.pci_bus_id,
            gpu.is_up,
            gpu.problem,
            gpu.instances,
            gpu.last_read_unix_seconds,
            identity.minor,
        )

    def _release(self) -> None:
        """Free what NVML allocated for the readers; nobody reads while this runs."""
        for gpu in self._gpus.values():
            gpu.reader.release()
