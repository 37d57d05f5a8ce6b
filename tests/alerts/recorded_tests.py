"""The unit tests of recording rules: promtool's files in `unit_records/`, with what some of them need."""

from __future__ import annotations

from pathlib import Path

from alerts.config import Config, Model, Slos
from alerts.prices import Price, SpotLabel
from alerts.slo import Objective
from tests.alerts.promql_tree import selectors
from tests.alerts.rule_tests import unit_test

FILES = sorted((Path(__file__).parent / "unit_records").glob("*.yaml"))

CONFIGS = {
    "cost_overrides": Config(
        prices=(
            Price(gpu="NVIDIA H200|NVIDIA H20", on_demand_dollars_per_hour=5.123456),
            Price(gpu="(?i)nvidia h2.*", on_demand_dollars_per_hour=3, spot_dollars_per_hour=0),
            Price(gpu=".*", on_demand_dollars_per_hour=1, spot_dollars_per_hour=0.25),
        ),
        spot_labels=(SpotLabel(label="label_pool", value='a "quoted" pool'),),
    ),
    "slo_overrides": Config(
        models=(Model(name="a"), Model(name="b")),
        slos=Slos(
            objectives=(
                Objective(
                    slo="time_to_first_token", target=0.95, seconds=2.5, model="b", namespace="chat", engine="vllm"
                ),
                Objective(slo="availability", target=0.99, model="a"),
            )
        ),
    ),
}
"""Configurations by the file whose rules are made from them; the others' is the default."""


def names_asked_for() -> set[str]:
    """The names of all series that some test asks for."""
    return {
        selector.name
        for file in FILES
        for group in unit_test(file)["tests"]
        for case in group["promql_expr_test"]
        for selector, _ in selectors(case["expr"])
    }
