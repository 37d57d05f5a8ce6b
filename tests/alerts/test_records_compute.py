"""Recording rules compute what they say: promtool runs `unit_records/*.yaml`, and every recorded name is in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts import records
from alerts.config import Config
from catalog.recorded import RECORDED
from catalog.recorded.levels import labels
from tests.alerts.recorded_tests import CONFIGS, FILES, names_in, tested_expressions
from tests.alerts.rule_tests import run_promtool

RECORDS = [rule for group in records.groups(Config()) for rule in group.rules]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_promtool_agrees(file: Path, tmp_path: Path) -> None:
    assert run_promtool(file, tmp_path, CONFIGS.get(file.stem, Config())) == ""
