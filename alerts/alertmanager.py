"""An example of routing and inhibition for Alertmanager: who is told of what, and what one alert makes needless.

A page is for what users notice or what loses data now; a warning becomes a ticket. Watchdog fires always: its receiver
is a service that calls when it stops. An alert is inhibited where another one names its cause, not to have fewer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from alerts.config import Config
from catalog.yaml_text import document

__all__ = ["INHIBITIONS", "RECEIVERS", "ROUTES", "Inhibition", "Receiver", "Route", "alertmanager_files"]

_BANNER = "# Written by `inferwatch alerts generate`; change the configuration or the code in alerts/ instead.\n"
_SUMMARY = "{{ (index .Alerts 0).Annotations.summary }}{{ if gt (len .Alerts) 1 }}, and more{{ end }}"
_RUNBOOK = "{{ (index .Alerts 0).Annotations.runbook_url }}"
_BOARD = "{{ (index .Alerts 0).Annotations.dashboard_url }}"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where alerts go. `url` takes Alertmanager's own JSON; a pager takes a key of PagerDuty's Events API."""

    name: str
    url: str = ""
    is_pager: bool = False
    send_resolved: bool = True


@dataclass(frozen=True, slots=True)
class Route:
    """Alerts with these labels go to a receiver; the first route that matches holds.

    A value that begins with `~` is a regular expression: {"alertname": "~GPU.+"}. Without `group_by`, alerts are
    grouped as at the root.
    """

    matchers: Mapping[str, str]
    receiver: str
    group_by: tuple[str, ...] = ()
    group_wait: str = "30s"
    group_interval: str = "5m"
    repeat_interval: str = "4h"


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While one of `sources` fires, `targets` that are alike in the labels `equal` are not sent.

    Alertmanager takes a label that is missing on both sides for an equal one, so `equal` names what both sides have.
    """

    why: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    equal: tuple[str, ...]
    severities: tuple[str, str] = ("", "")


RECEIVERS: tuple[Receiver, ...] = (
    Receiver("pager", is_pager=True),
    Receiver("ticket-queue", "https://tickets.example/alertmanager"),
    Receiver("dead-mans-switch", "https://heartbeat.example/inferwatch", send_resolved=False),
)

ROUTES: tuple[Route, ...] = (
    # Sent anew every minute: the service at the other end calls after five without one.
    Route({"alertname": "Watchdog"}, "dead-mans-switch", ("alertname",), "0s", "1m", "1m"),
    # What is wrong with a GPU is wrong with a machine: it names no model, and the machine is one piece of work.
    Route({"severity": "critical", "alertname": "~GPU.+"}, "pager", ("cluster", "node")),
    Route({"severity": "critical"}, "pager"),
    Route({"severity": "warning", "alertname": "~GPU.+"}, "ticket-queue", ("cluster", "node"), "5m", "1h", "1d"),
    Route({"severity": "warning"}, "ticket-queue", (), "5m", "1h", "1d"),
    # Nothing is broken: together, and rarely. Alertmanager forgets what it sent after five days.
    Route({"severity": "info"}, "ticket-queue", ("alertname",), "1h", "1d", "4d"),
)

_MODEL = ("cluster", "namespace", "model")
_NODE = ("cluster", "node")

INHIBITIONS: tuple[Inhibition, ...] = (
    Inhibition(
        why="A model that is gone, or a replica that hangs, is why its requests queue, wait and shift to its peers.",
        sources=("LLMModelUnavailable", "LLMEngineStuck"),
        targets=(
            "LLMQueueGrowing",
            "LLMQueueTimeHigh",
            "LLMTTFTBudgetBurn",
            "LLMReplicaImbalance",
            "LLMReplicaLatencyOutlier",
        ),
        equal=_MODEL,
    ),
    Inhibition(
        why="When no replica answers, each one that does not is no news, and neither is that nobody asks any more.",
        sources=("LLMModelUnavailable",),
        targets=("LLMTargetDown", "LLMTrafficDropped"),
        equal=_MODEL,
    ),
    Inhibition(
        why="A broken GPU is why the engines of its node hang, die and fall behind.",
        sources=("GPUFellOffBus", "GPUXidCritical"),
        targets=(
            "LLMEngineStuck",
            "LLMTargetDown",
            "LLMEngineRestarted",
            "LLMEngineCrashLooping",
            "LLMReplicaImbalance",
            "LLMReplicaLatencyOutlier",
            "LLMReplicaSlow",
        ),
        equal=_NODE,
    ),
    Inhibition(
        why="The page of a budget says what its ticket says.",
        sources=("LLMAvailabilityBudgetBurn", "LLMTTFTBudgetBurn"),
        targets=("LLMAvailabilityBudgetBurn", "LLMTTFTBudgetBurn"),
        equal=("alertname", *_MODEL, "engine", "slo"),
        severities=("critical", "warning"),
    ),
    Inhibition(
        why="So does the page of a container that crashes.",
        sources=("LLMEngineCrashLooping",),
        targets=("LLMEngineCrashLooping", "LLMEngineRestarted"),
        equal=("cluster", "namespace", "pod", "container"),
        severities=("critical", "warning"),
    ),
    Inhibition(
        why="A node whose exporter is down shows nothing new: what it showed last is no finding.",
        sources=("InferwatchExporterDown",),
        targets=("InferwatchExporterStale", "GPUFieldsMissing", "LLMMetricsMissing", "LLMTargetDown"),
        equal=_NODE,
    ),
)


def alertmanager_files(config: Config) -> dict[str, str]:
    """Return the text of the example by its path: Alertmanager's own configuration, and the operator's object."""
    del config  # Nothing of it is in the example yet: receivers are placeholders.
    reasons = "".join(f"# - {' and '.join(one.sources)}: {one.why}\n" for one in INHIBITIONS)
    about = (
        "# An example: put your own addresses and key into `receivers`.\n"
        f"# Why one alert silences another, in the order of `{{key}}`:\n{reasons}"
    )
    operator = (
        "# The operator adds a matcher of this object's own namespace to every route unless the Alertmanager has\n"
        "# alertmanagerConfigMatcherStrategy: {type: None}; alerts of GPUs and nodes carry no namespace.\n"
    )
    return {
        "alertmanager/alertmanager.yaml": (_BANNER + about.format(key="inhibit_rules") + document(_configuration())),
        "alertmanager/alertmanagerconfig.yaml": (
            _BANNER + about.format(key="inhibitRules") + operator + document(_operator_object())
        ),
    }


# Alertmanager's own format


def _configuration() -> dict[str, Any]:
    return {
        "route": {
            "receiver": "ticket-queue",
            "group_by": list(_MODEL),
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "4h",
            "routes": [_route(route) for route in ROUTES],
        },
        "receivers": [_receiver(receiver) for receiver in RECEIVERS],
        "inhibit_rules": [
            {
                "source_matchers": list(_texts(_source(inhibition))),
                "target_matchers": list(_texts(_target(inhibition))),
                "equal": list(inhibition.equal),
            }
            for inhibition in INHIBITIONS
        ],
    }


def _route(route: Route) -> dict[str, Any]:
    return {
        "matchers": list(_texts(route.matchers)),
        "receiver": route.receiver,
        **({"group_by": list(route.group_by)} if route.group_by else {}),
        "group_wait": route.group_wait,
        "group_interval": route.group_interval,
        "repeat_interval": route.repeat_interval,
    }


def _receiver(receiver: Receiver) -> dict[str, Any]:
    if not receiver.is_pager:
        return {
            "name": receiver.name,
            "webhook_configs": [{"url": receiver.url, "send_resolved": receiver.send_resolved}],
        }
    return {
        "name": receiver.name,
        "pagerduty_configs": [
            {
                "routing_key": "your-routing-key",
                "description": _SUMMARY,
                "links": [{"href": _RUNBOOK, "text": "Runbook"}, {"href": _BOARD, "text": "Dashboard"}],
            }
        ],
    }


def _texts(matchers: Mapping[str, str]) -> Iterator[str]:
    """Matchers as Alertmanager writes them."""
    for label, value in matchers.items():
        operator, wanted = ("=~", value[1:]) if value.startswith("~") else ("=", value)
        yield f"{label}{operator}{wanted}"


def _source(inhibition: Inhibition) -> dict[str, str]:
    return _named(inhibition.sources, inhibition.severities[0])


def _target(inhibition: Inhibition) -> dict[str, str]:
    return _named(inhibition.targets, inhibition.severities[1])


def _named(names: tuple[str, ...], severity: str) -> dict[str, str]:
    name = names[0] if len(names) == 1 else "~" + "|".join(names)
    return {"alertname": name, **({"severity": severity} if severity else {})}


# The operator's


def _operator_object() -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "AlertmanagerConfig",
        "metadata": {"name": "inferwatch", "labels": {"app.kubernetes.io/part-of": "inferwatch"}},
        "spec": {
            "route": {
                "receiver": "ticket-queue",
                "groupBy": list(_MODEL),
                "groupWait": "30s",
                "groupInterval": "5m",
                "repeatInterval": "4h",
                "routes": [_operator_route(route) for route in ROUTES],
            },
            "receivers": [_operator_receiver(receiver) for receiver in RECEIVERS],
            "inhibitRules": [
                {
                    "sourceMatch": list(_objects(_source(inhibition))),
                    "targetMatch": list(_objects(_target(inhibition))),
                    "equal": list(inhibition.equal),
                }
                for inhibition in INHIBITIONS
            ],
        },
    }


def _operator_route(route: Route) -> dict[str, Any]:
    plain = {_camel(key): value for key, value in _route(route).items() if key != "matchers"}
    return {"matchers": list(_objects(route.matchers)), **plain}


def _operator_receiver(receiver: Receiver) -> dict[str, Any]:
    plain = _receiver(receiver)
    if not receiver.is_pager:
        webhook = {"url": receiver.url, "sendResolved": receiver.send_resolved}
        return {"name": receiver.name, "webhookConfigs": [webhook]}
    pager = plain["pagerduty_configs"][0]
    links = [{"href": link["href"], "alt": link["text"]} for link in pager["links"]]
    key = {"name": "inferwatch-pager", "key": "routing-key"}
    return {
        "name": receiver.name,
        "pagerdutyConfigs": [
            {"routingKey": key, "description": pager["description"], "pagerDutyLinkConfigs": links},
        ],
    }


def _objects(matchers: Mapping[str, str]) -> Iterator[dict[str, str]]:
    for label, value in matchers.items():
        is_expression = value.startswith("~")
        yield {"name": label, "value": value.removeprefix("~"), "matchType": "=~" if is_expression else "="}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
