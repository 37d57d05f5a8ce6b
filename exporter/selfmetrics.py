"""What the exporter says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.metrics import MetricWrapperBase, disable_created_metrics
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from catalog.exporter_signals import EXPORTER_SIGNALS

__all__ = ["SelfMetrics"]

_PREFIX = "inferwatch_exporter"
_EOF = b"# EOF\n"


class SelfMetrics:
    """Counters and gauges by their name in the catalogue."""

    def __init__(self, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._metrics: dict[str, MetricWrapperBase] = {}
        for signal in EXPORTER_SIGNALS.values():
            kind: Callable[..., MetricWrapperBase] = Counter if signal.kind == "counter" else Gauge
            self._metrics[signal.name] = kind(signal.name, signal.meaning, signal.labels, registry=self._registry)
        ProcessCollector(namespace=_PREFIX, registry=self._registry)
        self.set(f"{_PREFIX}_build_info", 1, version=version)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        metric = self._labelled(name, labels)
        assert isinstance(metric, Gauge)  # noqa: S101 - the catalogue says so
        metric.set(value)

    def add(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter."""
        metric = self._labelled(name, labels)
        assert isinstance(metric, Counter)  # noqa: S101 - the catalogue says so
        metric.inc(amount)

    def forget(self, name: str, /, **labels: str) -> None:
        """Drop the series of what is gone: all that have these labels."""
        self._metrics[name].remove_by_labels(labels)

    def render(self, *, openmetrics: bool) -> bytes:
        """Return the series as an exposition without `# EOF`."""
        if openmetrics:
            text: bytes = generate_openmetrics(self._registry)  # type: ignore[no-untyped-call]
            return text.removesuffix(_EOF)
        return generate_latest(self._registry)

    def _labelled(self, name: str, labels: Mapping[str, str]) -> MetricWrapperBase:
        metric = self._metrics[name]
        return metric.labels(**labels) if labels else metric
