"""Which series the catalogue knows, and which of them a query reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from catalog.exporter_signals import EXPORTER_SIGNALS, PROCESS_SIGNALS
from catalog.gpu import GPU_FIELDS
from catalog.kubernetes import KUBERNETES
from catalog.recorded import RECORDED
from catalog.signals import SIGNALS

__all__ = ["FIRING_ALERTS", "OUR_ALERTS", "metrics_in", "series_kinds"]

FIRING_ALERTS = "ALERTS"
"""Prometheus's own series of pending and firing alerts; it is always 1."""

OUR_ALERTS = 'alertstate="firing", alertname=~"(LLM|GPU|InferWatch).*"'
"""Matchers of those that are firing and that this project's rules raise."""

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


@cache
def series_kinds() -> dict[str, str]:
    """Return every series that a board may read and its kind: gauge, counter, bucket or info."""
    return dict(_kinds())


def metrics_in(expr: str) -> tuple[str, ...]:
    """Return the series of the catalogue that a query names, in order, each once."""
    known = series_kinds()
    return tuple(dict.fromkeys(name for name in _NAME.findall(expr) if name in known))


def _kinds() -> Iterator[tuple[str, str]]:
    yield FIRING_ALERTS, "gauge"
    for signal in SIGNALS.values():
        if signal.kind == "histogram":
            yield f"{signal.name}_bucket", "bucket"
            yield f"{signal.name}_sum", "counter"
            yield f"{signal.name}_count", "counter"
        else:
            yield signal.name, signal.kind
    for field in GPU_FIELDS.values():
        yield from ((name, field.kind) for name in field.names)
    yield from ((name, "gauge") for name in RECORDED)
    yield from ((series.name, series.kind) for series in KUBERNETES.values())
    yield from ((one.name, one.kind) for one in (*EXPORTER_SIGNALS.values(), *PROCESS_SIGNALS))
