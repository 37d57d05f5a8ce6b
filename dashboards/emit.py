"""A board in the forms in which Grafana takes it: its API, its import page, a sidecar's ConfigMap, its operator.

The JSON is the same in all. Only the import page asks for the data sources (`__inputs`) in place of variables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dashboards.variables import DATASOURCE

__all__ = ["api_json", "as_text", "config_map", "grafana_dashboard", "import_json"]

_FOLDER = "InferWatch"
_LABELS = {"app.kubernetes.io/part-of": "inferwatch"}
_OLDEST_GRAFANA = "10.4.0"

_PANELS = {
    "bargauge": "Bar gauge",
    "heatmap": "Heatmap",
    "logs": "Logs",
    "stat": "Stat",
    "state-timeline": "State timeline",
    "table": "Table",
    "timeseries": "Time series",
}
_INPUTS = {DATASOURCE: ("DS_PROMETHEUS", "Prometheus", "prometheus"), "loki": ("DS_LOKI", "Loki", "loki")}


def as_text(value: Mapping[str, Any]) -> str:
    """Return JSON as it is committed: one space a level, so that differences can be read and files stay small."""
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def api_json(board: Mapping[str, Any]) -> dict[str, Any]:
    """Return the board as `POST /api/dashboards/db`, provisioning and sidecars take it."""
    return dict(board)


def import_json(board: Mapping[str, Any]) -> dict[str, Any]:
    """Return the board for Grafana's import page, which asks for each data source and writes it into the variable."""
    lists = board["templating"]["list"]
    asked = [variable["name"] for variable in lists if variable["type"] == "datasource"]
    return {
        **board,
        "__inputs": [_input(*_INPUTS[name]) for name in asked],
        "__requires": list(_requires(board, asked)),
        "templating": {"list": [_with_input(variable) for variable in lists]},
    }


def config_map(board: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ConfigMap that the dashboard sidecar of Grafana's Helm chart finds by its label."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": board["uid"],
            "labels": {**_LABELS, "grafana_dashboard": "1"},
            "annotations": {"grafana_folder": _FOLDER},
        },
        "data": {f"{board['uid']}.json": _as_lines(board)},
    }


def grafana_dashboard(board: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resource of the Grafana operator, for every Grafana that carries the label."""
    return {
        "apiVersion": "grafana.integreatly.org/v1beta1",
        "kind": "GrafanaDashboard",
        "metadata": {"name": board["uid"], "labels": dict(_LABELS)},
        "spec": {
            "allowCrossNamespaceImport": True,
            "folder": _FOLDER,
            "instanceSelector": {"matchLabels": {"dashboards": "grafana"}},
            "json": _as_lines(board),
        },
    }


def _as_lines(board: Mapping[str, Any]) -> str:
    """JSON without indentation, which YAML adds anew: an applied resource has a limit."""
    return json.dumps(board, ensure_ascii=False, indent=0, sort_keys=True) + "\n"


def _input(name: str, label: str, plugin: str) -> dict[str, Any]:
    return {
        "description": "",
        "label": label,
        "name": name,
        "pluginId": plugin,
        "pluginName": label,
        "type": "datasource",
    }


def _with_input(variable: Mapping[str, Any]) -> dict[str, Any]:
    """A chosen data source is the variable's current value."""
    if variable["type"] != "datasource":
        return dict(variable)
    name, label, _ = _INPUTS[variable["name"]]
    return {**variable, "current": {"text": label, "value": f"${{{name}}}"}}


def _requires(board: Mapping[str, Any], asked: list[str]) -> Iterator[dict[str, str]]:
    yield {"type": "grafana", "id": "grafana", "name": "Grafana", "version": _OLDEST_GRAFANA}
    for name in asked:
        _, label, plugin = _INPUTS[name]
        yield {"type": "datasource", "id": plugin, "name": label, "version": "1.0.0"}
    kinds = {panel["type"] for one in board["panels"] for panel in (one, *one.get("panels", ()))}
    for kind in sorted(kinds - {"row"}):
        yield {"type": "panel", "id": kind, "name": _PANELS[kind], "version": ""}
