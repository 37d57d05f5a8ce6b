"""Each alert fires when it should, not when it nearly should, not when nothing happens, and keeps its word when series
vanish: promtool runs `unit/ALERT.yaml` for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.config import Config
from alerts.rules import alerts_of
from tests.alerts.rule_tests import PARTS, UNIT, part_of, run_promtool, unit_test

ALERTS = alerts_of(Config())
ALWAYS_FIRING = {"Watchdog"}
"""Its silence is the alarm, at whoever waits for it."""
FILES = sorted(UNIT.glob("*.yaml"))


def test_every_alert_has_its_file() -> None:
    assert [file.stem for file in FILES] == sorted(ALERTS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_promtool_agrees(file: Path, tmp_path: Path) -> None:
    assert run_promtool(file, tmp_path) == ""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_file_has_the_four_parts(file: Path) -> None:
    groups = unit_test(file)["tests"]
    expected: dict[str, list[bool]] = {part: [] for part in PARTS}
    for group in groups:
        cases = group.get("alert_rule_test", [])
        assert all(case["alertname"] == file.stem for case in cases)
        expected[part_of(group)] += [bool(case.get("exp_alerts")) for case in cases]
    assert any(expected["fires"])
    assert expected["near"] and not any(expected["near"])
    assert expected["idle"] and set(expected["idle"]) == {file.stem in ALWAYS_FIRING}
    assert expected["vanished"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_severity_fires_in_the_file(file: Path) -> None:
    fired = {
        alert["exp_labels"]["severity"]
        for group in unit_test(file)["tests"]
        for case in group.get("alert_rule_test", [])
        for alert in case.get("exp_alerts") or ()
    }
    assert fired == {rule.severity for rule in ALERTS[file.stem]}
