"""A dcgm-exporter on the node as one more source: its series merged with our own, none of them twice.

It is worth having where NVML gives less: profiling before Hopper, NVSwitch, health. Types that it declares wrongly
are corrected, names come in the spelling that was asked for, and older label names become today's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Literal

from catalog.gpu import GPU_LABELS, find_field
from catalog.translate import Route
from exporter.config import Config
from exporter.engines.fetch import Access, Endpoint, FetchError, Reason
from exporter.engines.relabel import Relabelled, Relabeller
from exporter.exposition import Family, Kind, Section
from exporter.pods.watch import PodView
from exporter.workers import Worker

__all__ = ["DcgmReader", "own_series"]

_OLD_LABELS = {
    "uuid": "UUID",
    "pod_name": "pod",
    "pod_namespace": "namespace",
    "container_name": "container",
    "exported_pod": "pod",
    "exported_namespace": "namespace",
    "exported_container": "container",
}
_ADDED_BY_SCRAPERS = {"job", "instance"}
# DCGM's values for "nothing here": catalog.gpu.is_blank.
_BLANK = re.compile(
    rb"(?m)^.*[ \t](?:922337203685477(?:579[2-9]|580[0-7])|9\.22337203685477\d*e\+18|214748363[2-9]|214748364[01]|"
    rb"14073748835532[89]|14073748835533[0-7])(?:\.0*)?[ \t]*$\n?"
)
_SERIES = re.compile(rb'UUID="([^"]*)"(?:[^\n]*?GPU_I_ID="([^"]*)")?')

OwnSeries = frozenset[tuple[str, str, str]]
"""What we serve ourselves: (name, UUID of the GPU, GPU instance or "")."""


def own_series(section: Section) -> OwnSeries:
    """Return which series a section of GPU fields holds."""
    return frozenset(
        (family.name, found[1].decode(), (found[2] or b"").decode())
        for family, block in section.items()
        for found in _SERIES.finditer(block)
    )


class _DcgmSeries:
    """Leads dcgm-exporter's series to the catalogue's fields."""

    def __init__(self, spelling: Literal["dcgm4", "dcgm4.6"], hostname_label: str, node: str, own: OwnSeries) -> None:
        self._spelling = spelling
        self._hostname_label = hostname_label
        self._node = node
        self._own = own
        self._families: dict[str, Family] = {}

    def routes(self, name: str, labels: Mapping[str, str]) -> tuple[Route, ...]:
        field = find_field(name)
        if field is None or field.kind == "label":
            return ()
        spelled = field.name if self._spelling == "dcgm4" else field.name_46
        renamed = self._labels(labels)
        if (spelled, renamed.get("UUID", ""), renamed.get("GPU_I_ID", "")) in self._own:
            return ()
        kind: Kind = "counter" if field.kind == "counter" else "gauge"
        self._families.setdefault(spelled, Family(spelled, kind, field.meaning))
        return (Route(spelled, renamed, (name, tuple(labels.items()))),)

    def product(self, route: Route, value: float) -> float | None:
        return value

    def family(self, sample_name: str) -> Family:
        return self._families[sample_name]

    def comment(self, line: bytes) -> None:
        """Kinds and help are the catalogue's."""

    def _labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        renamed = {
            _OLD_LABELS.get(label, label): value
            for label, value in labels.items()
            if label not in _ADDED_BY_SCRAPERS and value
        }
        host = renamed.pop("hostname", "") or renamed.pop("Hostname", "") or self._node
        renamed[self._hostname_label] = host
        known = {label: renamed[label] for label in GPU_LABELS if label in renamed}
        return {**known, **renamed}


class DcgmReader:
    """Scrapes the node's dcgm-exporter, if there is one, on a thread of its own: `begin`, then `finish`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._own: OwnSeries = frozenset()
        self._endpoint: Endpoint | None = None
        self._relabeller = self._new()
        self._worker: Worker[Relabelled] = Worker("dcgm-exporter", self._scrape)
        self.problem = ""
        """Why the last scrape gave nothing; "" when it did, or when there is none."""
        self.errors: Counter[Reason] = Counter()

    @property
    def url(self) -> str:
        """The dcgm-exporter's address; "" where none is known."""
        return self._endpoint.url if self._endpoint else ""

    def begin(self, view: PodView) -> None:
        """Start a scrape of the configured dcgm-exporter, or of the one among the node's pods."""
        settings = self._config.dcgm_exporter
        found = view.dcgm_candidates[0].url if settings.discover and view.dcgm_candidates else ""
        url = settings.url or found
        if url != self.url:
            self.close()
            self._endpoint = self._opened(url) if url else None
            self.problem = ""
            self._worker = Worker("dcgm-exporter", self._scrape)
        if self._endpoint is not None:
            self._worker.start()

    def finish(self, deadline_monotonic_seconds: float, gpus: Section) -> Section:
        """Return what the scrape gave beyond our own series. What those are now holds from the next scrape on."""
        if self._endpoint is None:
            return {}
        outcome = self._worker.wait(deadline_monotonic_seconds)
        own = own_series(gpus)
        changed = own != self._own
        self._own = own
        if outcome.state == "done" and outcome.value is not None:
            self.problem = ""
            # A scrape that was relabelled by what we served before may double what we serve now.
            return {} if changed else outcome.value.section
        reason: Reason = "timeout"
        if isinstance(outcome.error, FetchError):
            reason = outcome.error.reason
        elif outcome.error is not None:
            raise outcome.error
        else:
            self._endpoint.abort()
        self.errors[reason] += 1
        self.problem = f"dcgm-exporter at {self.url}: {outcome.error or 'no whole answer in time'}"
        return {}

    def close(self) -> None:
        """End the thread and the connection."""
        self._worker.close()
        if self._endpoint is not None:
            self._endpoint.end()

    def _opened(self, url: str) -> Endpoint:
        limits = self._config.engines
        return Endpoint(url, Access(), timeout_seconds=limits.timeout_seconds, max_body_bytes=limits.max_body_bytes)

    def _scrape(self) -> Relabelled:
        endpoint = self._endpoint
        assert endpoint is not None  # noqa: S101 - begin made it
        body = _BLANK.sub(b"", endpoint.fetch())
        if self._relabelled_without != self._own:
            self._relabeller = self._new()
        return self._relabeller.relabel(body)

    def _new(self) -> Relabeller:
        gpu = self._config.gpu
        resolver = _DcgmSeries(gpu.names, gpu.hostname_label, self._config.node_name, self._own)
        self._relabelled_without = self._own
        return Relabeller(resolver, {}, max_series=self._config.engines.max_series)
