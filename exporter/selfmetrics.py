"""What the exporter says of itself.

Written as bytes like every other section: client libraries take longer for these few series than the exporter does
for all of a GPU's, and two megabytes of memory (see docs/performance.md).
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from catalog.exporter_signals import EXPORTER_SIGNALS, PROCESS_SIGNALS, ExporterSignal
from exporter.exposition import Family, Section, number_text, series_head

__all__ = ["SelfMetrics"]

_FAMILIES = {
    signal.name: Family(signal.name, signal.kind, signal.meaning)
    for signal in (*EXPORTER_SIGNALS.values(), *PROCESS_SIGNALS)
}
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MEMORY, _DESCRIPTORS = Path("/proc/self/statm"), Path("/proc/self/fd")
_Labels = tuple[str, ...]


class SelfMetrics:
    """Counters and gauges by their name in the catalogue. Any thread may change them."""

    def __init__(self, version: str) -> None:
        self._values: dict[str, dict[_Labels, float]] = {name: {} for name in EXPORTER_SIGNALS}
        self._heads: dict[tuple[str, _Labels], bytes] = {}
        self._rendered: dict[str, bytes] = {}
        self._changed = set(EXPORTER_SIGNALS)
        self._lock = threading.Lock()
        self._started_unix_seconds = time.time()
        for name, signal in EXPORTER_SIGNALS.items():
            if signal.kind == "counter" and not signal.labels:
                self._values[name][()] = 0.0
        self.set("inferwatch_exporter_build_info", 1, version=version)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        key = self._key(name, labels)
        with self._lock:
            if self._values[name].get(key) != value:
                self._values[name][key] = value
                self._changed.add(name)

    def add(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter."""
        series, key = self._values[name], self._key(name, labels)
        with self._lock:
            series[key] = series.get(key, 0.0) + amount
            self._changed.add(name)

    def forget(self, name: str, /, **labels: str) -> None:
        """Drop the series of what is gone: all that have these labels."""
        names = EXPORTER_SIGNALS[name].labels
        if not labels.keys() <= set(names):
            raise KeyError(f"{name} has the labels {names}, not {tuple(labels)}")
        wanted = {(names.index(label), value) for label, value in labels.items()}
        with self._lock:
            for key in [key for key in self._values[name] if wanted <= set(enumerate(key))]:
                del self._values[name][key]
                self._heads.pop((name, key), None)
                self._changed.add(name)

    def section(self) -> Section:
        """Return all series as they are now."""
        with self._lock:
            for name in self._changed:
                self._rendered[name] = b"".join(
                    self._head(EXPORTER_SIGNALS[name], key) + number_text(value).encode() + b"\n"
                    for key, value in self._values[name].items()
                )
            self._changed.clear()
            own = {_FAMILIES[name]: self._rendered[name] for name, series in self._values.items() if series}
        process = {
            _FAMILIES[signal.name]: f"{signal.name} {number_text(value)}\n".encode()
            for signal, value in zip(PROCESS_SIGNALS, self._process(), strict=True)
        }
        return {**own, **process}

    def _key(self, name: str, labels: dict[str, str]) -> _Labels:
        names = EXPORTER_SIGNALS[name].labels
        if len(labels) != len(names):
            raise KeyError(f"{name} has the labels {names}, not {tuple(labels)}")
        return tuple(labels[label] for label in names)

    def _head(self, signal: ExporterSignal, key: _Labels) -> bytes:
        head = self._heads.get((signal.name, key))
        if head is None:
            text = series_head(signal.name, dict(zip(signal.labels, key, strict=True))) + " "
            head = self._heads[signal.name, key] = text.encode()
        return head

    def _process(self) -> Iterator[float]:
        """The values of PROCESS_SIGNALS, in their order."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        yield usage.ru_utime + usage.ru_stime
        with _MEMORY.open("rb", buffering=0) as statm:
            yield int(statm.read().split()[1]) * _PAGE_BYTES
        # Linux 6.2 and later give their number as the folder's size, others give 0.
        yield _DESCRIPTORS.stat().st_size or len(os.listdir(_DESCRIPTORS))  # noqa: PTH208 - a tenth of iterdir's time
        yield self._started_unix_seconds
