"""Reading a plan's single calls, and its field values in one batch."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pynvml

from exporter.gpus.nvml import Calls
from exporter.gpus.plan import PlannedCall, PlannedValue, Slot, itself
from exporter.gpus.reasons import Counts

__all__ = ["CallReader", "ValueBatch", "Values", "function_of"]

Values = list[float | None]
"""A reading's values by slot; None is absent."""


def function_of(name: str) -> Callable[..., Any]:
    """Return pynvml's function, or one that says that this release of it has none of the name."""
    found = getattr(pynvml, name, None)
    return found if callable(found) else _missing


def _missing(*_: object) -> None:
    raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)


class _Step(NamedTuple):
    """A planned call with its functions by key, and of each output what is looked at in every reading."""

    call: PlannedCall
    functions: tuple[tuple[str, Callable[..., Any]], ...]
    outputs: tuple[tuple[int, float, Callable[[Any], float] | None, Slot], ...]


class CallReader:
    """Makes the single calls of one GPU or MIG instance. A slow one is repeated after its delay only."""

    def __init__(
        self, planned: Iterable[PlannedCall], calls: Calls, counts: Counts, clock: Callable[[], float]
    ) -> None:
        self._calls, self._counts, self._clock = calls, counts, clock
        self._steps = [
            _Step(
                call,
                tuple((_key(name, call.arguments), function_of(name)) for name in call.functions),
                tuple(
                    (slot.index, slot.plain_maximum, None if pick is itself else pick, slot)
                    for slot, pick in call.outputs
                ),
            )
            for call in planned
        ]
        self._kept: dict[int, tuple[float, list[tuple[int, float | None]]]] = {}

    def read(self, handle: Any, values: Values) -> None:
        """Put what the calls give into the slots; raises DeviceGoneError."""
        for number, step in enumerate(self._steps):
            every_seconds = step.call.every_seconds
            if not every_seconds:
                self._one(step, handle, values)
                continue
            now = self._clock()
            due, kept = self._kept.get(number, (now, []))
            if now >= due:
                self._one(step, handle, values)
                kept = [(index, values[index]) for index, *_ in step.outputs]
                self._kept[number] = (now + every_seconds, kept)
            for index, value in kept:
                values[index] = value

    def _one(self, step: _Step, handle: Any, values: Values) -> None:
        call, functions, outputs = step
        for key, function in functions:
            result = self._calls.get(key, function, handle, *call.arguments)
            if result is not None:
                for index, plain_maximum, pick, slot in outputs:
                    value = result if pick is None else pick(result)
                    values[index] = value if 0 <= value <= plain_maximum else slot.accept(value, self._counts)
                return
        if call.when_unsupported is not None and all(self._calls.is_absent(key) for key, _ in functions):
            for index, *_ in outputs:
                values[index] = call.when_unsupported


def _key(name: str, arguments: tuple[int, ...]) -> str:
    return f"{name}({', '.join(map(str, arguments))})" if arguments else name


# nvmlFieldValue_t (nvml.h 13.5): fieldId, scopeId, timestamp, latencyUsec, valueType, nvmlReturn, value.
_ENTRY = struct.Struct("=IIqqII8s")
_FUNCTION = "nvmlDeviceGetFieldValues"
_BY_TYPE: Mapping[int, struct.Struct] = MappingProxyType(
    {
        pynvml.NVML_VALUE_TYPE_DOUBLE: struct.Struct("=d"),
        pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: struct.Struct("=I"),
        pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: struct.Struct("=Q"),
        pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: struct.Struct("=Q"),
        pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: struct.Struct("=q"),
        5: struct.Struct("=i"),  # NVML_VALUE_TYPE_SIGNED_INT and _UNSIGNED_SHORT: older releases of pynvml lack them
        6: struct.Struct("=H"),
    }
)
_ULL = struct.Struct("=Q")
_AS_TYPE: Mapping[str, struct.Struct] = MappingProxyType({"uiVal": struct.Struct("=I"), "ullVal": _ULL})


class ValueBatch:
    """All field values of one GPU in one call, into a buffer that is kept. What is not supported leaves the batch."""

    def __init__(self, planned: Iterable[PlannedValue], calls: Calls) -> None:
        self._calls = calls
        self._set(tuple(planned))

    def _set(self, planned: tuple[PlannedValue, ...]) -> None:
        self._planned = planned
        # None: the type that NVML says.
        self._unpack = [_AS_TYPE[one.as_type].unpack_from if one.as_type in _AS_TYPE else None for one in planned]
        self._blank = b"".join(_ENTRY.pack(one.field_id, one.scope, 0, 0, 0, 0, b"") for one in planned)
        self._buffer = ctypes.create_string_buffer(self._blank, len(self._blank)) if planned else None

    def read(self, handle: Any) -> Iterator[tuple[PlannedValue, float]]:
        """Give each entry that NVML answered with its raw value; raises DeviceGoneError."""
        if self._buffer is None or self._calls.is_absent(_FUNCTION):
            return
        # Set to zeros first: NVML writes 4 of a value's 8 bytes where its type has 4.
        ctypes.memmove(self._buffer, self._blank, len(self._blank))
        code = self._calls.raw(_FUNCTION, handle, ctypes.c_int32(len(self._planned)), self._buffer)
        if code is None:
            return
        if code != pynvml.NVML_SUCCESS:
            self._calls.refuse(_FUNCTION, code)
            return
        unsupported = []
        for planned, unpack, entry in zip(
            self._planned, self._unpack, _ENTRY.iter_unpack(self._buffer.raw), strict=True
        ):
            _, _, _, _, kind, refused, content = entry
            if refused == pynvml.NVML_SUCCESS:
                self._calls.answered += 1
                yield planned, (unpack or _BY_TYPE.get(kind, _ULL).unpack_from)(content)[0]
                continue
            key = f"{_FUNCTION}({planned.field_id}, {planned.scope})"
            self._calls.refuse(key, refused)
            if self._calls.is_absent(key):
                unsupported.append(planned)
        if unsupported:
            self._set(tuple(one for one in self._planned if one not in unsupported))
