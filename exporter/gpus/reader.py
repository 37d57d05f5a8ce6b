"""One reading of one GPU: a worker's job, as the driver may keep any call from returning."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import pynvml
from msgspec import Struct

from exporter.gpus.calls import CallReader, ValueBatch, Values, function_of
from exporter.gpus.gpm import WHOLE_GPU, GpmSampler
from exporter.gpus.inventory import Identity
from exporter.gpus.links import LinkTraffic
from exporter.gpus.mig import MigInstance, read_instances
from exporter.gpus.nvml import Calls, DeviceGoneError, Session
from exporter.gpus.plan import Plan, PlannedText
from exporter.gpus.processes import ProcessMemory, read_processes
from exporter.gpus.reasons import Counts, Reason
from exporter.gpus.throttle import ThrottleSamples

__all__ = ["GpuReader", "InstanceReading", "Reading"]

_MOST_TEXT = 128


class InstanceReading(Struct, frozen=True):
    """What one MIG instance gave."""

    instance: MigInstance
    values: Values


class Reading(Struct, frozen=True):
    """What one GPU gave. With a `failure` it could not be read, and nothing else counts."""

    values: Values
    instances: tuple[InstanceReading, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    link_bytes: tuple[int, int] | None = None
    clock_events: Mapping[str, int] | None = None
    processes: tuple[ProcessMemory, ...] = ()
    failure: Reason | None = None


class GpuReader:
    """Reads one GPU over and over. Nothing of it may be touched while `read` runs, `hanging` apart."""

    def __init__(
        self,
        identity: Identity,
        plan: Plan,
        spelling: Callable[[PlannedText], str],
        session: Session,
        counts: Counts,
        *,
        with_processes: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.identity = identity
        self.calls = Calls(counts, clock)
        self._plan, self._spelling, self._session, self._counts = plan, spelling, session, counts
        self._with_processes, self._clock = with_processes, clock
        self._generation = 0
        self._handle: Any = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        plan, calls = self._plan, self.calls
        self._reader = CallReader(plan.calls, calls, self._counts, self._clock)
        self._fast = ValueBatch((value for value in plan.values if not value.every_seconds), calls)
        self._slow = ValueBatch((value for value in plan.values if value.every_seconds), calls)
        self._slow_seconds = max((value.every_seconds for value in plan.values), default=0.0)
        self._slow_due, self._slow_kept = 0.0, list[tuple[int, float | None]]()
        self._links = LinkTraffic(plan.links)
        self._gpm = GpmSampler(plan.gpm, calls, self._counts, self._clock)
        self._throttle = ThrottleSamples()
        self._texts: tuple[tuple[str, str], ...] | None = None
        self._instances: tuple[MigInstance, ...] = ()
        self._instance_readers: dict[int, CallReader] = {}
        self._profiles: dict[str, str] = {}
        self._process_names: dict[int, str] = {}

    def attach(self, generation: int, handle: Any) -> None:
        """Take a handle of this generation of the session."""
        if generation != self._generation:
            # Rates and throttle samples are of the GPU, not of the session: they go on.
            self.calls.forget()
            self._texts = None
        self._generation, self._handle = generation, handle

    def release(self) -> None:
        """Free what NVML allocated; called before it is shut down, while nobody reads."""
        self._gpm.release()

    def hanging(self) -> str:
        """Name the call that has not returned, and for how long; empty between calls."""
        current = self.calls.hanging_call()
        return f"{self.identity.label}: {current[0]} has not returned for {current[1]:.0f} s" if current else ""

    def read(self) -> Reading:
        """Read the GPU once; a failure is in the reading."""
        values: Values = [None] * len(self._plan.fields)
        if not self._session.enter(self._generation):
            return Reading(values, failure="uninitialized")
        try:
            self.calls.begin()
            reading = self._read(values)
        except DeviceGoneError as gone:
            return Reading(values, failure=gone.reason)
        finally:
            self._session.leave()
        if self.calls.answered == 0 and self.calls.refused:
            return Reading(values, failure=self.calls.refused)
        return reading

    def _read(self, values: Values) -> Reading:
        handle = self._handle
        instances = self._mig(handle)
        self._gpm.begin(handle, [instance.id for instance, _ in instances])
        self._reader.read(handle, values)
        link_bytes = self._read_values(handle, values)
        texts = self._read_texts(handle)
        clock_events = self._read_clock_events(handle) if self._plan.throttle_window else None
        processes = (
            read_processes(self.calls, self._counts, handle, self._process_names) if self._with_processes else ()
        )
        readings = tuple(
            InstanceReading(instance, self._read_instance(instance.id, device)) for instance, device in instances
        )
        by_entity = {WHOLE_GPU: values, **{one.instance.id: one.values for one in readings}}
        for entity, profiled in self._gpm.finish(handle).items():
            for index, value in profiled:
                by_entity[entity][index] = value
        return Reading(values, readings, texts, link_bytes, clock_events, processes)

    def _mig(self, handle: Any) -> list[tuple[MigInstance, Any]]:
        found = read_instances(self.calls, handle, self._profiles)
        instances = tuple(instance for instance, _ in found)
        if instances != self._instances:
            # What a GPU supports depends on its instances.
            self.calls.forget()
            self._instances = instances
            self._instance_readers = {
                instance.id: CallReader(self._plan.instance_calls, self.calls, self._counts, self._clock)
                for instance in instances
            }
        return found

    def _read_instance(self, instance: int, handle: Any) -> Values:
        values: Values = [None] * len(self._plan.fields)
        self._instance_readers[instance].read(handle, values)
        return values

    def _read_values(self, handle: Any, values: Values) -> tuple[int, int] | None:
        counters: dict[tuple[int, int], int] = {}
        for planned, raw in self._fast.read(handle):
            slot = planned.slot
            if slot is None:
                counters[planned.field_id, planned.scope] = int(raw)
            else:
                values[slot.index] = slot.accept(raw, self._counts)
        now = self._clock()
        if now >= self._slow_due:
            self._slow_kept = [
                (planned.slot.index, planned.slot.accept(raw, self._counts))
                for planned, raw in self._slow.read(handle)
                if planned.slot is not None
            ]
            self._slow_due = now + self._slow_seconds
        for index, value in (*self._slow_kept, *self._links.rates(now, counters)):
            values[index] = value
        return self._links.total_bytes(counters)

    def _read_texts(self, handle: Any) -> tuple[tuple[str, str], ...]:
        """Texts change with the driver only: once a generation."""
        if self._texts is None:
            texts = ((self._spelling(planned), self._text(planned, handle)) for planned in self._plan.texts)
            self._texts = tuple((name, text) for name, text in texts if text)
        return self._texts

    def _text(self, planned: PlannedText, handle: Any) -> str:
        owner = () if planned.is_of_system else (handle,)
        key = f"{planned.function}{planned.arguments}"
        found = self.calls.get(key, function_of(planned.function), *owner, *planned.arguments)
        if isinstance(found, int):
            found = _BRANDS.get(found, "")
        return str(found or "")[:_MOST_TEXT]

    def _read_clock_events(self, handle: Any) -> Mapping[str, int]:
        name = "nvmlDeviceGetCurrentClocksEventReasons"
        mask = self.calls.get(name, pynvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
        if mask is not None:
            self._throttle.add(self._clock(), mask)
        return self._throttle.counts()


# nvmlBrandType_t (nvml.h 13.5): the constants' names, in words.
_BRANDS: Mapping[int, str] = {
    getattr(pynvml, name): words
    for name, words in {
        "NVML_BRAND_QUADRO": "Quadro",
        "NVML_BRAND_TESLA": "Tesla",
        "NVML_BRAND_NVS": "NVS",
        "NVML_BRAND_GRID": "GRID",
        "NVML_BRAND_GEFORCE": "GeForce",
        "NVML_BRAND_TITAN": "Titan",
        "NVML_BRAND_NVIDIA_VAPPS": "NVIDIA Virtual Applications",
        "NVML_BRAND_NVIDIA_VPC": "NVIDIA Virtual PC",
        "NVML_BRAND_NVIDIA_VCS": "NVIDIA Virtual Compute Server",
        "NVML_BRAND_NVIDIA_VWS": "NVIDIA RTX Virtual Workstation",
        "NVML_BRAND_NVIDIA_CLOUD_GAMING": "NVIDIA Cloud Gaming",
        "NVML_BRAND_QUADRO_RTX": "Quadro RTX",
        "NVML_BRAND_NVIDIA_RTX": "NVIDIA RTX",
        "NVML_BRAND_NVIDIA": "NVIDIA",
    }.items()
}
