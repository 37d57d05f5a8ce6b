"""The generated files: what is committed is what the code writes, and all four forms hold the same board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog.boards import BOARDS as IDENTITIES
from catalog.generated_files import stale
from dashboards.boards import BOARDS
from dashboards.emit import import_json
from dashboards.generate import KINDS, generated_files
from tests.dashboards.pages import NAMES, page, panels

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 200_000
FILES = generated_files()


def test_the_committed_files_are_what_the_code_writes() -> None:
    assert stale(FILES, ROOT / "dashboards/generated", kinds=KINDS) == []


def test_every_board_of_the_catalogue_is_built_under_its_identity() -> None:
    assert list(BOARDS) == list(IDENTITIES)
    for name, identity in IDENTITIES.items():
        board = page(name)
        assert (board["uid"], board["title"]) == (identity.uid, identity.title)
        variables = {variable["name"] for variable in board["templating"]["list"]}
        assert set(identity.variables) <= variables, "an alert's link would set a variable that is not there"


def test_identities_stay() -> None:
    """Links, bookmarks and Grafana's own database know boards by these."""
    assert {name: page(name)["uid"] for name in NAMES} == {
        "fleet": "inferwatch-fleet",
        "model": "inferwatch-model",
        "replica": "inferwatch-replica",
        "gpu": "inferwatch-gpu",
        "slo": "inferwatch-slo",
        "cost": "inferwatch-cost",
    }


@pytest.mark.parametrize("path", FILES)
def test_no_file_is_larger_than_what_can_be_applied(path: str) -> None:
    assert len(FILES[path].encode()) < MOST_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_building_twice_gives_the_same(name: str) -> None:
    from dashboards.generate import board_by_name

    assert json.dumps(board_by_name(name)) == json.dumps(board_by_name(name))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_to_a_migration(name: str) -> None:
    """What Grafana renamed before schema 39 is under its new name, and no null stands for a default."""
    board = page(name)
    old = {"rows", "style", "hideControls", "sharedCrosshair", "gnetId", "__inputs", "id"}
    assert board["schemaVersion"] == 39
    assert not old & set(board)
    assert list(nulls(board)) == [], "a threshold's first step alone is a null"
    for panel in panels(board):
        assert isinstance(panel["datasource"], dict)
        assert not {"span", "nullPointMode", "links", "cacheTimeout"} & set(panel)
        assert panel["type"] not in {"graph", "singlestat", "table-old"}


def nulls(value: Any, key: str = "") -> list[str]:
    if isinstance(value, dict):
        is_step = set(value) == {"color", "value"}
        return [path for name, item in value.items() for path in ([] if is_step else nulls(item, name))]
    if isinstance(value, list):
        return [path for item in value for path in nulls(item, key)]
    return [key] if value is None else []


@pytest.mark.parametrize("name", NAMES)
def test_all_forms_hold_the_same_board(name: str) -> None:
    board = page(name)
    config_map = yaml.safe_load(FILES[f"configmap/{name}.yaml"])
    resource = yaml.safe_load(FILES[f"operator/{name}.yaml"])
    assert json.loads(FILES[f"api/{name}.json"]) == board
    assert json.loads(config_map["data"][f"{board['uid']}.json"]) == board
    assert json.loads(resource["spec"]["json"]) == board


@pytest.mark.parametrize("name", NAMES)
def test_a_sidecar_and_the_operator_find_theirs(name: str) -> None:
    config_map = yaml.safe_load(FILES[f"configmap/{name}.yaml"])
    resource = yaml.safe_load(FILES[f"operator/{name}.yaml"])
    assert (config_map["apiVersion"], config_map["kind"]) == ("v1", "ConfigMap")
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert (resource["apiVersion"], resource["kind"]) == ("grafana.integreatly.org/v1beta1", "GrafanaDashboard")
    assert resource["spec"]["instanceSelector"] == {"matchLabels": {"dashboards": "grafana"}}
    assert config_map["metadata"]["name"] == resource["metadata"]["name"] == f"inferwatch-{name}"


@pytest.mark.parametrize("name", NAMES)
def test_the_import_page_asks_for_each_data_source(name: str) -> None:
    """Its inputs are written into the variables, and the board is otherwise the same."""
    imported = json.loads(FILES[f"import/{name}.json"])
    inputs = {one["name"]: one["pluginId"] for one in imported.pop("__inputs")}
    required = {(one["type"], one["id"]) for one in imported.pop("__requires")}
    chosen = {
        variable["query"]: variable.pop("current")["value"]
        for variable in imported["templating"]["list"]
        if variable["type"] == "datasource"
    }
    assert chosen == {plugin: f"${{{name}}}" for name, plugin in inputs.items()}
    assert {("datasource", plugin) for plugin in chosen} <= required
    assert {("panel", panel["type"]) for panel in panels(imported)} <= required
    board = json.loads(FILES[f"api/{name}.json"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "datasource":
            del variable["current"]
    assert imported == board


def test_a_loki_is_asked_for_by_the_board_with_logs_alone() -> None:
    asked = {name: [one["pluginId"] for one in import_json(page(name))["__inputs"]] for name in NAMES}
    assert [name for name, plugins in asked.items() if "loki" in plugins] == ["replica"]
