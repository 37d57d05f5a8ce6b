"""The exporter's series about itself: what it collected, what failed and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["EXPORTER_SIGNALS", "PROCESS_SIGNALS", "ExporterSignal"]


@dataclass(frozen=True, slots=True)
class ExporterSignal:
    """One series. A counter's `name` ends with `_total`."""

    name: str
    kind: Literal["gauge", "counter"]
    meaning: str
    labels: tuple[str, ...] = ()


_PLACE = ("namespace", "pod", "container")

EXPORTER_SIGNALS: Mapping[str, ExporterSignal] = MappingProxyType(
    {
        signal.name: signal
        for signal in (
            ExporterSignal("inferwatch_exporter_build_info", "gauge", "Always 1.", ("version",)),
            ExporterSignal("inferwatch_exporter_collections_total", "counter", "Collections that finished."),
            ExporterSignal(
                "inferwatch_exporter_collection_duration_seconds", "gauge", "How long the last collection took."
            ),
            ExporterSignal(
                "inferwatch_exporter_collection_cpu_seconds_total", "counter", "CPU time of the collecting thread."
            ),
            ExporterSignal(
                "inferwatch_exporter_last_success_timestamp_seconds",
                "gauge",
                "When a source last gave what it should, unix seconds.",
                ("source",),
            ),
            ExporterSignal(
                "inferwatch_exporter_source_errors_total",
                "counter",
                "Failures of a source by reason: gpu, pods, dcgm, otlp; collector is the exporter itself.",
                ("source", "reason"),
            ),
            ExporterSignal("inferwatch_exporter_series", "gauge", "Series in the last collection.", ("source",)),
            ExporterSignal(
                "inferwatch_exporter_engine_scrape_duration_seconds",
                "gauge",
                "How long the engine's last scrape took.",
                _PLACE,
            ),
            ExporterSignal(
                "inferwatch_exporter_engine_scrape_errors_total",
                "counter",
                "Scrapes of the engine that failed, by reason.",
                (*_PLACE, "reason"),
            ),
            ExporterSignal(
                "inferwatch_exporter_engine_dropped_total",
                "counter",
                "Lines of the engine that were left out: bad_line, repeated_series, series_limit.",
                (*_PLACE, "reason"),
            ),
            ExporterSignal("inferwatch_exporter_gpus_expected", "gauge", "GPUs seen at the start or since."),
            ExporterSignal("inferwatch_exporter_gpus_visible", "gauge", "GPUs that answered the last collection."),
            ExporterSignal(
                "inferwatch_exporter_config_last_reload_successful",
                "gauge",
                "1 when the configuration in force is the one in the file.",
            ),
        )
    }
)
"""Series by name."""

PROCESS_SIGNALS: tuple[ExporterSignal, ...] = (
    ExporterSignal("inferwatch_exporter_process_cpu_seconds_total", "counter", "CPU time of the process."),
    ExporterSignal("inferwatch_exporter_process_resident_memory_bytes", "gauge", "Resident memory of the process."),
    ExporterSignal("inferwatch_exporter_process_open_fds", "gauge", "Open file descriptors of the process."),
    ExporterSignal("inferwatch_exporter_process_start_time_seconds", "gauge", "Start of the process, unix seconds."),
)
"""What client libraries say of a process, under the exporter's own prefix: the engines' are passed through too."""
