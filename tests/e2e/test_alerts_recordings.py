"""Which alerts fire on which recording, in a real Prometheus that holds all of them.

The recordings become canonical series by the exporter's relabeller, stretched in time (`tests/alerts/stretched.py`),
and are written into Prometheus's storage by promtool, as are the recorded series. Prometheus evaluates each alert's
expression over the whole time; how long it held is compared with its `for` here, since no Prometheus can be told to
live through 40 minutes at once.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.durations import seconds
from alerts.rule import Alert
from alerts.rules import alerts_of
from recordings.reader import bundled, load
from tests.alerts.stretched import SLOW_MOTION, SPAN_SECONDS, open_metrics, stretched
from tests.e2e.rule_passes import CONFIG, STEP_SECONDS, query_range, served, store

EXPECTED = Path(__file__).parents[1] / "alerts" / "recordings.yaml"
SLOW_MOTION_ALERTS = {"LLMAbortRateHigh"}
"""What compares counters with a gauge."""


def expected() -> dict[str, list[str]]:
    loaded: dict[str, list[str]] = yaml.safe_load(EXPECTED.read_text("utf-8"))
    return loaded


def longest_run_seconds(series: dict[str, Any]) -> float:
    """How long an expression gave this series without a gap."""
    longest = run = 0.0
    last = None
    for at, _ in series["values"]:
        run = run + STEP_SECONDS if last is not None and at - last <= STEP_SECONDS else 0.0
        longest, last = max(longest, run), at
    return longest


def recording_of(labels: dict[str, str]) -> str:
    return labels.get("namespace") or labels.get("node", "").removeprefix("node-")


def fired(port: int, alert: Alert, start: float, end: float) -> set[str]:
    """The recordings on which an alert fires: its expression held for as long as it must."""
    found = query_range(port, alert.expr, start, end)
    return {recording_of(one["metric"]) for one in found if longest_run_seconds(one) >= seconds(alert.pending)}


def alerts_by_recording(folder: Path) -> dict[str, list[str]]:
    """Recording -> the alerts that fired on it."""
    # A whole block of storage ends here: the distance of samples from its borders is the same at any time.
    end = float(int(time.time()) // 7200 * 7200 - 7200)
    start = end - SPAN_SECONDS
    stored = [stretched(name, end, slow_motion=slow) for name in bundled() for slow in (False, True)]
    store(folder, open_metrics(stored), start, end)
    found: dict[str, list[str]] = {name: [] for name in bundled()}
    with served(folder) as port:
        for name, versions in alerts_of(CONFIG).items():
            suffix = SLOW_MOTION if name in SLOW_MOTION_ALERTS else ""
            raised = set().union(*(fired(port, alert, start, end) for alert in versions))
            for recording, names in found.items():
                if recording + suffix in raised:
                    names.append(name)
    return {name: sorted(names) for name, names in found.items()}


def test_the_table_names_every_recording() -> None:
    assert sorted(expected()) == sorted(bundled())


@pytest.mark.timeout(400)
def test_each_recording_raises_its_alerts_and_no_other(tmp_path: Path) -> None:
    assert alerts_by_recording(tmp_path) == {name: sorted(alerts) for name, alerts in expected().items()}


def test_nothing_is_expected_of_what_is_healthy() -> None:
    assert [name for name in bundled() if load(name).cause == "healthy" and expected()[name]] == []
