"""One collection's readings as a section: DCGM's fields, and what NVML and DCGM names cannot say."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from exporter.exposition import Family, Section, label_text
from exporter.gpus.inventory import Identity
from exporter.gpus.lines import Heads, Lines, Spelling, field_family, labels_of, number, own_labels
from exporter.gpus.mig import MigInstance
from exporter.gpus.owners import Owner, Owners, sole_owner
from exporter.gpus.plan import Plan
from exporter.gpus.reader import Reading
from exporter.gpus.reasons import Reason
from exporter.gpus.throttle import WINDOW_SECONDS
from exporter.gpus.xids import XidLedger, XidRecord
from exporter.signal_families import signal_family

__all__ = ["GpuResult", "Renderer"]

_UP = signal_family("inferwatch_gpu_up")
_XIDS = signal_family("inferwatch_gpu_xid_errors_total")
_XID_SEEN = signal_family("inferwatch_gpu_xid_last_seen_timestamp_seconds")
_TRANSMITTED = signal_family("inferwatch_gpu_nvlink_transmitted_bytes_total")
_RECEIVED = signal_family("inferwatch_gpu_nvlink_received_bytes_total")
_PROCESS = signal_family("inferwatch_gpu_process_memory_bytes")
_INSTANCE = signal_family("inferwatch_gpu_instance_info")
_WINDOW = f'window_size_in_ms="{int(WINDOW_SECONDS * 1000)}"'


class GpuResult(Struct, frozen=True):
    """How one GPU's reading ended: a reading, or why there is none."""

    identity: Identity
    reading: Reading | None
    failure: Reason | None
    owners: Owners


class _Row(Struct):
    """The lines of one GPU or instance, and what they were written from."""

    heads: tuple[bytes, ...]
    values: list[float | None]
    lines: list[bytes]


_Key = tuple[str, int | None]


class Renderer:
    """Makes sections; keeps text from one to the next."""

    def __init__(
        self,
        plan: Plan,
        spelling: Spelling,
        host: tuple[str, str],
        ledger: XidLedger,
        clock: Callable[[], float],
    ) -> None:
        self._plan, self._host, self._ledger, self._clock = plan, host, ledger, clock
        self._families = tuple(field_family(field, spelling) for field in plan.fields)
        self._heads = Heads(self._families)
        self._throttle = field_family(plan.throttle_window, spelling) if plan.throttle_window else None
        self._xid_window = field_family(plan.xid_window, spelling) if plan.xid_window else None
        self._xid_lines: dict[str, tuple[Identity, int, bytes, bytes]] = {}
        self._own: dict[str, tuple[Identity, str]] = {}
        self._rows: dict[_Key, _Row] = {}
        self._drawn: set[_Key] = set()

    def section(self, results: list[GpuResult]) -> Section:
        """Return the series of all GPUs."""
        lines = Lines({_UP: []})
        rows: list[list[bytes]] = []
        for result in results:
            lines.add(_UP, self._own_labels(result.identity), 0 if result.reading is None else 1)
            if result.identity.uuid:
                self._add_xids(lines, result.identity)
            if result.reading is not None:
                self._add_reading(lines, rows, result.identity, result.reading, result.owners)
        self._heads.forget_unasked()
        self._rows = {key: row for key, row in self._rows.items() if key in self._drawn}
        self._drawn.clear()
        blocks = map(b"".join, zip(*rows, strict=True))
        fields = {family: block for family, block in zip(self._families, blocks, strict=bool(rows)) if block}
        return {**lines.section(), **fields}

    def _add_reading(
        self, lines: Lines, rows: list[list[bytes]], identity: Identity, reading: Reading, owners: Owners
    ) -> None:
        owner = sole_owner(owners, (identity.uuid,))
        rows.append(self._row(identity, None, reading, owner, reading.values))
        for one in reading.instances:
            holder = sole_owner(owners, one.instance.devices)
            rows.append(self._row(identity, one.instance, reading, holder, one.values))
            for device in one.instance.devices:
                labels = own_labels(identity, self._host, one.instance)
                lines.add(_INSTANCE, label_text({**labels, "instance_uuid": device}), 1)
        own = self._own_labels(identity)
        if reading.link_bytes is not None:
            lines.add(_RECEIVED, own, reading.link_bytes[0])
            lines.add(_TRANSMITTED, own, reading.link_bytes[1])
        for process in reading.processes:
            of_process = label_text({"pid": str(process.pid), "process": process.name})
            lines.add(_PROCESS, f"{own},{of_process}", process.memory_bytes)
        if self._throttle is not None or self._xid_window is not None:
            self._add_windows(
                lines, identity, reading, label_text(labels_of(identity, self._host, None, reading.texts, owner))
            )

    def _add_windows(self, lines: Lines, identity: Identity, reading: Reading, inside: str) -> None:
        if self._throttle is not None and reading.clock_events is not None:
            for event, count in reading.clock_events.items():
                lines.add(self._throttle, f'{inside},clock_event="{event}",{_WINDOW}', count)
        if self._xid_window is not None:
            with self._ledger.lock:
                recent = self._ledger.record_of(identity.uuid).in_window(self._clock())
            for code, count in sorted(recent.items()):
                lines.add(self._xid_window, f'{inside},xid="{code}",{_WINDOW}', count)

    def _row(
        self,
        identity: Identity,
        instance: MigInstance | None,
        reading: Reading,
        owner: Owner | None,
        values: list[float | None],
    ) -> list[bytes]:
        """Return the line of each field, empty where it has no value; only what changed is written anew."""
        if self._plan.last_xid is not None:
            with self._ledger.lock:
                record = self._ledger.record_of(identity.uuid)
                last = record.last if instance is None else record.last_by_instance.get(instance.id, 0)
            values[self._plan.last_xid.index] = last
        key = (identity.key, None if instance is None else instance.id)
        heads = self._heads.of(key, identity, self._host, instance, reading.texts, owner)
        row = self._rows.get(key)
        self._drawn.add(key)
        if row is None or row.heads is not heads:
            row = self._rows[key] = _Row(heads, [None] * len(values), [b""] * len(values))
        lines = row.lines
        for index, value in enumerate(values):
            if value != row.values[index]:
                lines[index] = b"" if value is None else heads[index] + number(value) + b"\n"
        row.values = values.copy()
        return lines.copy()

    def _add_xids(self, lines: Lines, identity: Identity) -> None:
        with self._ledger.lock:
            record = self._ledger.record_of(identity.uuid)
            kept = self._xid_lines.get(identity.uuid)
            if kept is None or kept[:2] != (identity, record.version):
                kept = (identity, record.version, *self._xid_text(identity, record))
                self._xid_lines[identity.uuid] = kept
        lines.blocks.setdefault(_XIDS, []).append(kept[2])
        lines.blocks.setdefault(_XID_SEEN, []).append(kept[3])

    def _own_labels(self, identity: Identity) -> str:
        """The labels of what the GPU itself is, whoever holds it."""
        kept = self._own.get(identity.key)
        if kept is None or kept[0] != identity:
            kept = self._own[identity.key] = (identity, label_text(own_labels(identity, self._host)))
        return kept[1]

    def _xid_text(self, identity: Identity, record: XidRecord) -> tuple[bytes, bytes]:
        """Not the pod's labels: these counts outlive it, and an XID of one pod is none of the next."""
        inside = self._own_labels(identity)

        def lines_of(family: Family, values: dict[int, float]) -> bytes:
            return b"".join(
                f'{family.name}{{{inside},xid="{code}"}} '.encode() + number(value) + b"\n"
                for code, value in sorted(values.items())
            )

        return lines_of(_XIDS, dict(record.counts)), lines_of(_XID_SEEN, dict(record.last_seen_unix_seconds))
