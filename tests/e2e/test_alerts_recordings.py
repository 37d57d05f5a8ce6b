"""Which alerts fire on which recording, in a real Prometheus that holds all of them.

The recordings become canonical series by the exporter's relabeller, stretched in time (`tests/alerts/stretched.py`),
and are written into Prometheus's storage by promtool, as are the recorded series. Prometheus evaluates each alert's
expression over the whole time; how long it held is compared with its `for` here, since no Prometheus can be told to
live through 40 minutes at once.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from alerts.config import Config
from alerts.durations import seconds
from alerts.generate import groups
from alerts.rule import Alert, Record
from alerts.rules import alerts_of
from recordings.reader import bundled, load
from tests.alerts.promql_tree import selectors
from tests.alerts.stretched import SLOW_MOTION, SPAN_SECONDS, open_metrics, stretched
from tests.e2e.prometheus import eventually, free_port, get, process

EXPECTED = Path(__file__).parents[1] / "alerts" / "recordings.yaml"
SLOW_MOTION_ALERTS = {"LLMAbortRateHigh"}
"""What compares counters with a gauge."""
STEP_SECONDS = 30
CONFIG = Config()


def expected() -> dict[str, list[str]]:
    loaded: dict[str, list[str]] = yaml.safe_load(EXPECTED.read_text("utf-8"))
    return loaded


def promtool(folder: Path, *arguments: str) -> None:
    """Run promtool in a folder: when in its interval a group is evaluated depends on its file's name as it is given."""
    done = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """A Prometheus over the blocks in `folder/tsdb`, on the port that is yielded."""
    (folder / "prometheus.yml").write_text("global: {}\n")
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with process(command, folder / "prometheus.log"):
        eventually(lambda: get(port, "/-/ready")[0] == 200, "Prometheus is ready")
        yield port


def query_range(port: int, expr: str, start: float, end: float) -> list[dict[str, Any]]:
    asked = urlencode({"query": expr, "start": start, "end": end, "step": STEP_SECONDS})
    status, body = get(port, f"/api/v1/query_range?{asked}")
    assert status == 200, body
    result: list[dict[str, Any]] = json.loads(body)["data"]["result"]
    return result


@cache
def passes() -> tuple[tuple[Record, ...], ...]:
    """Recording rules in the order in which they can be computed: those of one pass read only those before it."""
    through_exporter = [group for group in groups(CONFIG) if group.name != "inferwatch-records-direct"]
    rules = [rule for group in through_exporter for rule in group.rules if isinstance(rule, Record)]
    made = {rule.record for rule in rules}
    found: list[tuple[Record, ...]] = []
    while rules:
        waiting = {rule.record for rule in rules}
        ready = tuple(
            rule for rule in rules if not {one.name for one, _ in selectors(rule.expr)} & made & waiting - {rule.record}
        )
        assert ready, f"a circle: {sorted(waiting)}"
        found.append(ready)
        rules = [rule for rule in rules if rule not in ready]
    return tuple(found)


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
    (folder / "all.om").write_text("".join(open_metrics(stored)), "utf-8")
    promtool(folder, "openmetrics", "-q", "all.om", "tsdb")
    for number, rules in enumerate(passes()):
        file = folder / f"pass{number}.yaml"
        one = {"name": "pass", "rules": [{"record": r.record, "expr": r.expr, "labels": dict(r.labels)} for r in rules]}
        file.write_text(yaml.safe_dump({"groups": [one]}), "utf-8")
        with served(folder) as port:
            promtool(
                folder,
                *("rules", "-q", f"--url=http://127.0.0.1:{port}", f"--eval-interval={STEP_SECONDS}s"),
                *(f"--start={start:.0f}", f"--end={end:.0f}", "--output-dir=tsdb", file.name),
            )
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


def test_each_recording_raises_its_alerts_and_no_other(tmp_path: Path) -> None:
    assert alerts_by_recording(tmp_path) == {name: sorted(alerts) for name, alerts in expected().items()}


def test_nothing_is_expected_of_what_is_healthy() -> None:
    assert [name for name in bundled() if load(name).cause == "healthy" and expected()[name]] == []
