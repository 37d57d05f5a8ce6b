"""The exporter's own series: named as Prometheus wants it, and nobody else's."""

from __future__ import annotations

import re

import pytest

from catalog.exporter_signals import EXPORTER_SIGNALS, PROCESS_SIGNALS, ExporterSignal
from catalog.gpu import GPU_FIELDS
from catalog.signals import SIGNALS

ALL: tuple[ExporterSignal, ...] = (*EXPORTER_SIGNALS.values(), *PROCESS_SIGNALS)
UNITS = ("_seconds", "_bytes", "_info", "_series", "_expected", "_visible", "_fds", "_successful")


@pytest.mark.parametrize("signal", ALL, ids=lambda signal: signal.name)
def test_a_series_is_named_as_prometheus_wants_it(signal: ExporterSignal) -> None:
    assert re.fullmatch(r"inferwatch_exporter_[a-z_]+[a-z]", signal.name)
    assert signal.name.endswith("_total") == (signal.kind == "counter")
    assert signal.kind == "counter" or signal.name.endswith(UNITS)
    assert signal.meaning.endswith(".")
    assert len(set(signal.labels)) == len(signal.labels)
    assert all(re.fullmatch(r"[a-z]+", label) for label in signal.labels)


def test_names_are_unique_and_clash_with_no_other_series() -> None:
    names = [signal.name for signal in ALL]
    assert len(set(names)) == len(names)
    spelled = {name for field in GPU_FIELDS.values() for name in field.names}
    assert set(names) & ({*SIGNALS} | spelled) == set()
    histograms = tuple(f"{signal.name}_" for signal in SIGNALS.values() if signal.kind == "histogram")
    assert not [name for name in names if name.startswith(histograms)]


def test_the_table_is_by_name_and_cannot_be_changed() -> None:
    assert {name: signal.name for name, signal in EXPORTER_SIGNALS.items()} == {name: name for name in EXPORTER_SIGNALS}
    with pytest.raises(TypeError):
        EXPORTER_SIGNALS["x"] = ALL[0]  # type: ignore[index]
