"""Every board goes through Grafana's own types (grafana-foundation-sdk) and comes back whole."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins

from tests.dashboards.pages import NAMES, page

with warnings.catch_warnings():
    # It prefers the schema of Grafana 13, which no Grafana before it imports.
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    from grafana_foundation_sdk.models.dashboard import Dashboard

# What the types cannot hold, as paths: nothing. A key that a new panel needs and that 0.0.21 lacks goes here.
CANNOT_HOLD: set[str] = set()

# Defaults that the types write out, which say what Grafana does without them.
WRITTEN_OUT = {
    *(f".annotations.list[].{key}" for key in ("builtIn", "placement")),
    ".fiscalYearStartMonth",
    ".links[].placement",
    *(
        f".panels[].fieldConfig.defaults.links[].{key}"
        for key in (
            "asDropdown",
            "icon",
            "includeVars",
            "keepTime",
            "placement",
            "tags",
            "targetBlank",
            "tooltip",
            "type",
        )
    ),
    *(f".panels[].options.{key}" for key in ("footer", "perPage", "selectionMode", "showTypeIcons")),
    *(f".panels[].{key}" for key in ("repeatDirection", "transparent")),
    *(f".panels[].panels[].{key}" for key in ("repeatDirection", "transparent")),
    *(f".templating.list[].{key}" for key in ("allowCustomValue", "auto", "auto_count", "auto_min")),
    ".timepicker.hidden",
}


@pytest.fixture(scope="module", autouse=True)
def plugins() -> None:
    """Panels and queries are read by the types of their kind, not as any object."""
    register_default_plugins()


def through_the_types(board: dict[str, Any]) -> Any:
    return json.loads(JSONEncoder().encode(Dashboard.from_json(board)))


def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Paths of what is gone or differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for one, other in zip(before, after, strict=True):
            yield from lost(one, other, f"{path}[]")
    elif before != after:
        yield path


def test_the_types_are_those_of_today() -> None:
    """Without its pin, pip takes a build whose version has a larger epoch: Grafana 10.1's types, schema 36."""
    board = deepcopy(page("model"))
    assert through_the_types(board)["schemaVersion"] == 39
    assert Dashboard().schema_version == 42


@pytest.mark.parametrize("name", NAMES)
def test_a_board_comes_back_whole(name: str) -> None:
    board = page(name)
    assert set(lost(board, through_the_types(board))) == CANNOT_HOLD


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_added_but_defaults(name: str) -> None:
    board = page(name)
    assert set(lost(through_the_types(board), board)) <= WRITTEN_OUT


@pytest.mark.parametrize(
    ("key", "value"),
    [("style", "dark"), ("hideControls", False), ("rows", [])],
)
def test_an_old_key_would_be_seen(key: str, value: object) -> None:
    board = {**deepcopy(page("model")), key: value}
    assert list(lost(board, through_the_types(board))) == [f".{key}"]


def test_an_old_data_source_would_be_refused() -> None:
    board = deepcopy(page("model"))
    board["panels"][1]["datasource"] = "Prometheus"
    with pytest.raises(AttributeError):
        through_the_types(board)
