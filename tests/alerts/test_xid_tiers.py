"""Every XID stands in one tier, and the runbook of a tier's alert says what each of its codes means."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

import runbooks
from alerts.rules.gpu.xid_tiers import TIERS, Tier, matcher
from catalog.gpu import XIDS, XIDS_COUNTED_FROM_ZERO

PAGES = Path(runbooks.__file__).parent / "alerts"
_ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def test_every_xid_of_the_catalogue_stands_in_exactly_one_tier() -> None:
    counted = Counter(code for codes in TIERS.values() for code in codes)
    assert counted.keys() == XIDS.keys()
    assert set(counted.values()) == {1}


def test_nobody_is_woken_for_a_program() -> None:
    assert {XIDS[code].kind for code in TIERS["critical"]} <= {"hardware", "driver"}
    assert {XIDS[code].kind for code in TIERS["unalerted"]}.isdisjoint({"application"})


def test_the_tiers_hold_the_codes_that_they_are_known_for() -> None:
    assert {48, 62, 64, 74, 79, 95, 119, 120} <= set(TIERS["critical"])
    assert {13, 31, 43, 45, 94} <= set(TIERS["application"])
    assert {48, 62, 64, 74, 79, 95, 119, 120, 13, 31, 43, 94} <= set(XIDS_COUNTED_FROM_ZERO)


def test_the_matcher_is_of_whole_codes() -> None:
    label, _, pattern = matcher("critical").partition("=~")
    assert label == "xid"
    assert {code for code in range(200) if re.fullmatch(pattern.strip('"'), str(code))} == set(TIERS["critical"])


@pytest.mark.parametrize(("tier", "alert"), [("critical", "GPUXidCritical"), ("application", "GPUXidApplication")])
def test_the_runbook_says_what_each_code_means(tier: Tier, alert: str) -> None:
    rows = {int(code): (meaning, action) for code, meaning, action in _ROW.findall((PAGES / f"{alert}.md").read_text())}
    assert rows == {code: (XIDS[code].meaning, XIDS[code].action) for code in TIERS[tier]}
