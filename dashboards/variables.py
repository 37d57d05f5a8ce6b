"""The boards' variables. Each takes several values, and All.

"All" of a label that a series may lack has to match its absence too: one Prometheus's own series have no `cluster`,
engines outside Kubernetes no `namespace`, llama.cpp names no model, a dcgm-exporter without relabelling no `node`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import attr
from grafanalib import core

__all__ = ["DATASOURCE", "LOKI", "PROMETHEUS", "Variable", "board_variables", "label_of", "matchers"]

PROMETHEUS: Mapping[str, str] = MappingProxyType({"type": "prometheus", "uid": "${datasource}"})
"""The data source that the variable `datasource` chooses."""

LOKI: Mapping[str, str] = MappingProxyType({"type": "loki", "uid": "${loki}"})
"""The data source that the variable `loki` chooses."""

DATASOURCE = "datasource"

_ANY = ".*"
_SOME = ".+"
_ON_TIME_CHANGE = 2


@dataclass(frozen=True, slots=True)
class _Choice:
    """A variable's label, what it is called, the series whose label values it offers, and what All stands for."""

    label: str
    title: str
    series: str
    all_value: str


_CHOICES: Mapping[str, _Choice] = MappingProxyType(
    {
        "cluster": _Choice("cluster", "Cluster", "llm_up", _ANY),
        "namespace": _Choice("namespace", "Namespace", "llm_up", _ANY),
        "engine": _Choice("engine", "Engine", "llm_up", _SOME),
        "model": _Choice("model", "Model", "llm_up", _ANY),
        "pod": _Choice("pod", "Pod", "llm_up", _SOME),
        "node": _Choice("node", "Node", "DCGM_FI_DEV_FB_USED", _ANY),
        "gpu": _Choice("UUID", "GPU", "DCGM_FI_DEV_FB_USED", _ANY),
    }
)


def label_of(variable: str) -> str:
    """Return the label that a variable chooses values of. Raises KeyError for no such variable."""
    return _CHOICES[variable].label


@attr.s(auto_attribs=True, kw_only=True)
class Variable(core.Template):
    """A variable in the form that Grafana 10 and later write."""

    def to_json_data(self) -> dict[str, Any]:
        """Return its JSON; nothing in it is left to a migration."""
        common = {
            "current": {"text": "default", "value": "default"},
            "hide": 0,
            "label": self.label,
            "name": self.name,
            "options": [],
            "query": self.query,
            "refresh": 1,
            "regex": "",
            "skipUrlSync": False,
            "type": self.type,
        }
        if self.type == "datasource":
            return {**common, "includeAll": False, "multi": False}
        return {
            **common,
            "allValue": self.allValue,
            "current": {"text": "All", "value": "$__all"},
            "datasource": dict(PROMETHEUS),
            "definition": self.query,
            "includeAll": True,
            "multi": True,
            "query": {"qryType": 1, "query": self.query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
            "refresh": _ON_TIME_CHANGE,
            "sort": 1,
        }


def board_variables(names: tuple[str, ...], *, logs: bool = False) -> list[Variable]:
    """Return a board's variables: the data source, then these, each narrowed by those before it, then that of logs."""
    found = [Variable(name=DATASOURCE, label="Data source", query="prometheus", type="datasource")]
    for number, name in enumerate(names):
        choice = _CHOICES[name]
        found.append(
            Variable(
                name=name,
                label=choice.title,
                query=f"label_values({choice.series}{_narrowed(names[:number])}, {choice.label})",
                allValue=choice.all_value,
            )
        )
    if logs:
        found.append(Variable(name="loki", label="Logs", query="loki", type="datasource"))
    return found


def matchers(names: Iterable[str]) -> list[str]:
    """Return the matchers that narrow a series to what these variables have chosen."""
    return [f'{label_of(name)}=~"${name}"' for name in names]


def _narrowed(names: tuple[str, ...]) -> str:
    return f"{{{', '.join(matchers(names))}}}" if names else ""
