"""Events of the given logs -> facts: what was started, how far it came, with how much memory, what happened after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from troubleshoot.logs.settings import Settings, read_settings
from troubleshoot.logs.statistics import LogStats, read_statistics

if TYPE_CHECKING:
    from troubleshoot.logs.events import Event

_ENGINES = ("vllm", "sglang", "tgi", "triton", "tensorrt_llm", "llamacpp")
_GIB_PER_GB = 1e9 / 2**30
_PLACE = attrgetter("file", "offset")


class MemoryFacts(NamedTuple):
    """Memory figures that the engine printed, in GiB and tokens; None where it did not."""

    weights_gib: float | None = None
    kv_gib: float | None = None
    kv_tokens: int | None = None
    kv_tokens_profiled: int | None = None
    block_size: int = 16
    total_gib: float | None = None
    free_gib: float | None = None
    utilization: float | None = None


@dataclass(frozen=True)
class LogFacts:
    """Everything that the logs say. `counts` tells how often each signature stood there, kept or not."""

    events: Mapping[str, Sequence[Event]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    lines: int = 0

    def all(self, *signatures: str) -> list[Event]:
        """Kept events of the signatures, in file order."""
        found = [event for signature in signatures for event in self.events.get(signature, ())]
        return sorted(found, key=_PLACE)

    def first(self, *signatures: str) -> Event | None:
        """The earliest kept event of the signatures."""
        return next(iter(self.all(*signatures)), None)

    def last(self, *signatures: str) -> Event | None:
        """The latest kept event of the signatures."""
        found = self.all(*signatures)
        return found[-1] if found else None

    def count(self, *signatures: str) -> int:
        """How often they stood in the logs."""
        return sum(self.counts.get(signature, 0) for signature in signatures)

    def has(self, *signatures: str) -> bool:
        """True where any of them stood there."""
        return any(self.counts.get(signature) for signature in signatures)

    @cached_property
    def statistics(self) -> tuple[LogStats, ...]:
        """The periodic statistics lines."""
        return read_statistics(self.events.get("vllm_stats", ()), self.all("sglang_decode", "sglang_prefill"))

    @cached_property
    def settings(self) -> Settings:
        """The settings of the last start that the logs show."""
        return read_settings(
            (event.message for event in self.all("engine_args")),
            (event.message for event in self.all("engine_config")),
            (" ".join((event.message, *event.after)) for event in self.all("command_line", "flag_assignment")),
        )

    @cached_property
    def engine(self) -> str:
        """The engine's name by its own lines; "" where none says. Triton goes before what it may embed."""
        order = sorted(
            _ENGINES,
            key=lambda name: (
                -min(self.count(f"engine_{name}"), 1),
                name == "vllm" and self.has("engine_triton"),
            ),
        )
        return order[0] if self.has(f"engine_{order[0]}") else ""

    @cached_property
    def version(self) -> str:
        """The engine's version, from its banner."""
        for event in reversed(self.all("engine_start")):
            if event.fields.get("version"):
                return event.fields["version"]
        return ""

    @cached_property
    def memory(self) -> MemoryFacts:
        """The newest of each memory figure."""
        return MemoryFacts(
            weights_gib=self._weights(),
            kv_gib=self._number("kv_memory", "gib"),
            kv_tokens=self._kv_tokens(),
            kv_tokens_profiled=self._profiled_tokens(),
            total_gib=self._first_number(
                ("free_memory_below_target", "total"),
                ("free_memory_hint", "total"),
                ("memory_profile", "total"),
            ),
            free_gib=self._first_number(("free_memory_below_target", "free"), ("free_memory_hint", "free")),
            utilization=self._first_number(
                ("free_memory_below_target", "utilization"),
                ("free_memory_hint", "utilization"),
                ("memory_profile", "utilization"),
            ),
        )

    def _number(self, signature: str, name: str) -> float | None:
        for event in reversed(self.all(signature)):
            value = event.number(name)
            if value is not None:
                return value
        return None

    def _first_number(self, *places: tuple[str, str]) -> float | None:
        return next((value for place in places if (value := self._number(*place)) is not None), None)

    def _weights(self) -> float | None:
        for event in reversed(self.all("weights_memory")):
            value = event.number("gib")
            if value is not None:
                return value * (_GIB_PER_GB if event.fields.get("unit") == "GB" and self.engine == "sglang" else 1.0)
        return None

    def _kv_tokens(self) -> int | None:
        for event in reversed(self.all("kv_tokens")):
            for name in ("tokens", "total", "sglang", "tgi"):
                value = event.number(name)
                if value is not None:
                    return int(value)
            blocks = event.number("blocks")
            if blocks is not None:
                return int(blocks) * 16
        return None

    def _profiled_tokens(self) -> int | None:
        blocks = self._number("kv_override", "profiled")
        override = self._number("kv_override", "override")
        tokens = self._kv_tokens()
        if blocks is None or not override or tokens is None:
            return None
        return int(blocks * tokens / override)

    def came_after(self, event: Event, *signatures: str) -> Event | None:
        """The first of the signatures after the event, in the same file and container."""
        later = (found for found in self.all(*signatures) if found.offset > event.offset and same_place(found, event))
        return next(later, None)

    def served_after(self, event: Event) -> bool:
        """True where, after the event, an engine became ready or made tokens in the same file and container."""
        if self.came_after(event, "ready") is not None:
            return True
        return any(
            same_place(line.event, event)
            and line.event.offset > event.offset
            and (line.generation_tokens_per_second or 0) > 0
            for line in self.statistics
        )

    def survived(self, event: Event) -> bool:
        """True where the same start of the engine went on to serve: the event was a notice, not a failure."""
        ready = self.came_after(event, "ready")
        start = self.came_after(event, "engine_start", "engine_args")
        if ready is not None:
            return start is None or ready.offset < start.offset
        return self.served_after(event) and start is None

    def was_ready_before(self, event: Event) -> bool:
        """True where the engine served before the event: ready, statistics or answered requests."""
        marks: Iterable[Event] = (
            *self.all("ready", "served_request"),
            *(line.event for line in self.statistics),
        )
        start = max(
            (e.offset for e in self.all("engine_start") if e.file == event.file and e.offset < event.offset),
            default=-1,
        )
        return any(same_place(mark, event) and start < mark.offset < event.offset for mark in marks)

    @cached_property
    def begins_at_start(self) -> bool:
        """True where the log shows an engine starting: what precedes it is not missing."""
        return self.has("engine_start", "engine_args", "engine_config")


def same_place(one: Event, other: Event) -> bool:
    """The same file, and not two containers: a line without a container's name may be anybody's."""
    return one.file == other.file and (not one.container or not other.container or one.container == other.container)
