"""Recording rules compute what they say: promtool runs `unit_records/*.yaml`, which ask for every name."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts import records
from alerts.config import Config
from alerts.rule import Record
from catalog.recorded import RECORDED
from catalog.recorded.levels import labels
from tests.alerts.promql_tree import labels_left, parse
from tests.alerts.recorded_tests import CONFIGS, FILES, names_asked_for
from tests.alerts.rule_tests import run_promtool

DIRECT = "inferwatch-records-direct"
RECORDS = [
    rule
    for group in records.groups(Config())
    for rule in group.rules
    if isinstance(rule, Record) and group.name != DIRECT
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_promtool_agrees(file: Path, tmp_path: Path) -> None:
    assert run_promtool(file, tmp_path, CONFIGS.get(file.stem, Config())) == ""


def test_every_recorded_name_is_recorded_and_tested() -> None:
    assert {rule.record for rule in RECORDS} == set(RECORDED)
    assert set(RECORDED) - names_asked_for() == set()


@pytest.mark.parametrize("rule", RECORDS, ids=lambda rule: rule.record)
def test_a_rule_leaves_the_labels_that_its_name_promises(rule: Record) -> None:
    left = labels_left(parse(rule.expr)) | rule.labels.keys()
    assert left == set(RECORDED[rule.record].labels), labels(tuple(sorted(left)))
