"""Profiling by NVML's GPM, on Hopper and newer: what happened between two samples.

The sample of one reading is kept for the next. A GPU or MIG instance seen for the first time is sampled at the
reading's begin and again at its end, so that its values are there from the first reading on.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pynvml
from msgspec import Struct, field

from exporter.gpus.nvml import Calls
from exporter.gpus.plan import Slot
from exporter.gpus.reasons import Counts

__all__ = ["WHOLE_GPU", "GpmSampler"]

WHOLE_GPU = -1
"""The entity that is the GPU itself; others are GPU instance ids."""

# nvml.h: samples less than 100 ms apart give no metrics.
_APART_SECONDS = 0.1
# nvmlGpmMetric_t: metricId, nvmlReturn, value, three pointers.
_METRIC = struct.Struct("=IId24x")
_METRICS_GET = "nvmlGpmMetricsGet"


class _Samples(Struct):
    """The last sample of an entity, when it was taken (monotonic seconds), and one to take the next into.

    `values` are those of the last two samples: they stand when a reading comes too soon for new ones.
    """

    last: Any
    taken_seconds: float
    spare: Any
    values: list[tuple[int, float | None]] = field(default_factory=list)


class GpmSampler:
    """The profiling of one GPU and its MIG instances."""

    def __init__(
        self,
        planned: tuple[tuple[int, Slot], ...],
        calls: Calls,
        counts: Counts,
        clock: Callable[[], float],
    ) -> None:
        self._planned, self._calls, self._counts = planned, calls, counts
        self._clock = clock
        self._samples: dict[int, _Samples] = {}
        self._fresh: set[int] = set()
        # The entities with which the GPU said that it can do this: it changes with them at most.
        self._supported: tuple[int, ...] = ()
        self._request = pynvml.c_nvmlGpmMetricsGet_t()
        self._request.version = pynvml.NVML_GPM_METRICS_GET_VERSION
        self._request.numMetrics = len(planned)
        for number, (metric_id, _) in enumerate(planned):
            self._request.metrics[number].metricId = metric_id
        self._metrics_at = ctypes.addressof(self._request) + pynvml.c_nvmlGpmMetricsGet_t.metrics.offset

    def begin(self, handle: Any, instances: Iterable[int]) -> None:
        """Take a first sample of what has none, and let go of what is no more; raises DeviceGoneError."""
        self._fresh.clear()
        entities = (WHOLE_GPU, *instances)
        if not self._planned or (entities != self._supported and not self._is_supported(handle)):
            return
        self._supported = entities
        for entity in self._samples.keys() - set(entities):
            self._free(self._samples.pop(entity))
        for entity in entities:
            if entity not in self._samples:
                self._first(handle, entity)

    def finish(self, handle: Any) -> Mapping[int, list[tuple[int, float | None]]]:
        """Return values by entity, each with its slot's index; raises DeviceGoneError.

        Nothing for what had its first sample in this reading: values come with the next.
        """
        return {
            entity: self._between(handle, entity, samples)
            for entity, samples in self._samples.items()
            if entity not in self._fresh
        }

    def release(self) -> None:
        """Free all samples; the next reading begins anew."""
        for samples in self._samples.values():
            self._free(samples)
        self._samples.clear()
        self._fresh.clear()
        self._supported = ()

    def _is_supported(self, handle: Any) -> bool:
        support = self._calls.get("nvmlGpmQueryDeviceSupport", pynvml.nvmlGpmQueryDeviceSupport, handle)
        return bool(support and support.isSupportedDevice)

    def _first(self, handle: Any, entity: int) -> None:
        if self._calls.is_absent(_sample_key(entity)):
            return
        last = self._calls.get("nvmlGpmSampleAlloc", pynvml.nvmlGpmSampleAlloc)
        spare = self._calls.get("nvmlGpmSampleAlloc", pynvml.nvmlGpmSampleAlloc)
        samples = _Samples(last, 0.0, spare)
        # Kept before the call that may raise, so that it is freed in any case.
        self._samples[entity] = samples
        if last is not None and spare is not None and self._take(handle, entity, last):
            samples.taken_seconds = self._clock()
            self._fresh.add(entity)
        else:
            self._free(self._samples.pop(entity))

    def _take(self, handle: Any, entity: int, sample: Any) -> bool:
        key = _sample_key(entity)
        if entity == WHOLE_GPU:
            return self._calls.get(key, pynvml.nvmlGpmSampleGet, handle, sample) is not None
        return self._calls.get(key, pynvml.nvmlGpmMigSampleGet, handle, entity, sample) is not None

    def _between(self, handle: Any, entity: int, samples: _Samples) -> list[tuple[int, float | None]]:
        if self._clock() - samples.taken_seconds < _APART_SECONDS:
            return samples.values
        samples.values = []
        if not self._take(handle, entity, samples.spare):
            return samples.values
        taken = self._clock()
        self._request.sample1, self._request.sample2 = samples.last, samples.spare
        code = self._calls.raw(_METRICS_GET, ctypes.byref(self._request))
        samples.last, samples.spare, samples.taken_seconds = samples.spare, samples.last, taken
        if code == pynvml.NVML_SUCCESS:
            content = ctypes.string_at(self._metrics_at, _METRIC.size * len(self._planned))
            samples.values = [
                (slot.index, self._value(slot, *entry[1:]))
                for (_, slot), entry in zip(self._planned, _METRIC.iter_unpack(content), strict=True)
            ]
        elif code is not None:
            self._calls.refuse(_METRICS_GET, code)
        return samples.values

    def _value(self, slot: Slot, code: int, raw: float) -> float | None:
        if code == pynvml.NVML_SUCCESS:
            return slot.accept(raw, self._counts)
        self._calls.refuse(f"{_METRICS_GET}[{slot.index}]", code)
        return None

    def _free(self, samples: _Samples) -> None:
        for sample in (samples.last, samples.spare):
            if sample is not None:
                self._calls.get("nvmlGpmSampleFree", pynvml.nvmlGpmSampleFree, sample)


def _sample_key(entity: int) -> str:
    return "nvmlGpmSampleGet" if entity == WHOLE_GPU else f"nvmlGpmMigSampleGet({entity})"
