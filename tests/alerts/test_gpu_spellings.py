"""GPU fields in both of DCGM's spellings, and every rule on GPUs that uses them."""

from __future__ import annotations

import pytest

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.gpu import ALERTS
from alerts.rules.gpu.clock_events import held_down
from alerts.rules.gpu.fields import either
from catalog.gpu import GPU_FIELDS, find_field
from tests.alerts.promql_tree import selectors

RULES = [alert for make in ALERTS for alert in make(Config())]


def test_a_field_that_was_renamed_is_there_in_both_spellings() -> None:
    assert either("DCGM_FI_DEV_GPU_TEMP") == "DCGM_FI_DEV_GPU_TEMP or DCGM_FI_DEV_GPU_TEMP_CELSIUS"


def test_a_field_that_was_not_is_there_once() -> None:
    assert either("DCGM_FI_DEV_SM_CLOCK") == "DCGM_FI_DEV_SM_CLOCK"


def test_an_older_name_counts_as_well() -> None:
    assert "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS" in either("DCGM_FI_DEV_CLOCKS_EVENT_REASONS")


def test_a_form_is_taken_of_each_spelling() -> None:
    assert either("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "increase({}[1h])") == (
        "increase(DCGM_FI_DEV_PCIE_REPLAY_COUNTER[1h]) or increase(DCGM_FI_DEV_PCIE_REPLAY_TOTAL[1h])"
    )


@pytest.mark.parametrize("name", ["DCGM_FI_DEV_GPU_TEMP_CELSIUS", "DCGM_FI_NONE"])
def test_a_name_that_is_no_field_is_refused(name: str) -> None:
    with pytest.raises(KeyError):
        either(name)


@pytest.mark.parametrize("alert", RULES, ids=lambda alert: alert.name)
def test_a_rule_that_uses_a_field_uses_all_of_its_spellings(alert: Alert) -> None:
    used = {selector.name for selector, _ in selectors(alert.expr)}
    fields = {field for name in used if (field := find_field(name)) is not None}
    assert {name for field in fields for name in field.names} <= used


@pytest.mark.parametrize("alert", RULES, ids=lambda alert: alert.name)
def test_no_rule_reads_the_last_xid_as_if_it_were_an_event(alert: Alert) -> None:
    used = {selector.name for selector, _ in selectors(alert.expr)}
    assert not used & set(GPU_FIELDS["DCGM_FI_DEV_XID_ERRORS"].names)


def test_clock_events_are_asked_by_bit_and_by_label() -> None:
    asked = held_down("hw_power_brake_slowdown", 0.25)
    assert "/ 128) % 2)[5m:30s]) > 0.25" in asked
    assert 'clock_event="hw_power_brake"' in asked
