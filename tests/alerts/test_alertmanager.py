"""The example for Alertmanager: amtool accepts it, it routes as it says, and it inhibits only what is alike."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.alertmanager import INHIBITIONS, RECEIVERS, ROUTES, Inhibition, alertmanager_files
from alerts.config import Config
from alerts.generate import groups
from alerts.rule import Alert
from tests.alerts.rule_tests import UNIT, unit_test

FILES = alertmanager_files(Config())
PLAIN, OPERATOR = (yaml.safe_load(text) for text in FILES.values())
ALERTS = [rule for group in groups(Config()) for rule in group.rules if isinstance(rule, Alert)]

Labels = dict[str, str]


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("amtool") is None:
        pytest.skip("amtool is not installed: apt-get install prometheus-alertmanager")
    return subprocess.run(["amtool", *arguments], capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("alertmanager") / "alertmanager.yaml"
    path.write_text(FILES["alertmanager/alertmanager.yaml"], "utf-8")
    return path


def fired(name: str, severity: str = "") -> Iterator[Labels]:
    """The labels with which an alert fires in its unit tests."""
    for group in unit_test(UNIT / f"{name}.yaml")["tests"]:
        for case in group.get("alert_rule_test", []):
            for alert in case.get("exp_alerts") or ():
                labels = {"alertname": name, "cluster": "c", **alert["exp_labels"]}
                if severity in ("", labels["severity"]):
                    yield labels


def test_amtool_accepts_it(file: Path) -> None:
    done = amtool("check-config", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(INHIBITIONS)} inhibit rules" in done.stdout
    assert f"{len(RECEIVERS)} receivers" in done.stdout


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "Watchdog", "severity": "info"}, "dead-mans-switch"),
        ({"alertname": "LLMModelUnavailable", "severity": "critical", "model": "m"}, "pager"),
        ({"alertname": "LLMTTFTBudgetBurn", "severity": "critical", "slo": "time_to_first_token"}, "pager"),
        ({"alertname": "LLMTTFTBudgetBurn", "severity": "warning", "slo": "time_to_first_token"}, "ticket-queue"),
        ({"alertname": "GPUXidCritical", "severity": "critical", "node": "n"}, "pager"),
        ({"alertname": "GPUPCIeReplay", "severity": "warning", "node": "n"}, "ticket-queue"),
        ({"alertname": "GPUPaidButIdle", "severity": "info", "pod": "p"}, "ticket-queue"),
        ({"alertname": "SomebodyElses", "severity": "none"}, "ticket-queue"),
        ({"alertname": "NoSeverity"}, "ticket-queue"),
    ],
    ids=lambda value: value["alertname"] if isinstance(value, dict) else "",
)
def test_routes(file: Path, labels: Labels, receiver: str) -> None:
    pairs = [f"{label}={value}" for label, value in labels.items()]
    done = amtool("config", "routes", "test", f"--config.file={file}", f"--verify.receivers={receiver}", *pairs)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", sorted({(alert.name, alert.severity) for alert in ALERTS}), ids="-".join)
def test_every_alert_finds_a_route_of_its_own(alert: tuple[str, str]) -> None:
    name, severity = alert
    assert any(
        route.matchers.get("severity", severity) == severity
        and route.matchers.get("alertname", name) in (name, "~GPU.+")
        for route in ROUTES
    )


@pytest.mark.parametrize("route", [route for route in ROUTES if route.group_by], ids=lambda route: str(route.matchers))
def test_a_route_groups_by_labels_that_its_alerts_have(route: Any) -> None:
    prefix = route.matchers.get("alertname", "")
    severity = route.matchers.get("severity", "")
    names = [alert.name for alert in ALERTS if alert.severity == severity and alert.name.startswith(prefix[1:4])]
    for name in dict.fromkeys(names):
        for labels in fired(name, severity):
            assert labels.keys() >= set(route.group_by), name


# Inhibition


@pytest.mark.parametrize("inhibition", INHIBITIONS, ids=lambda inhibition: inhibition.why)
def test_inhibited_alerts_exist(inhibition: Inhibition) -> None:
    source, target = inhibition.severities
    for names, severity in ((inhibition.sources, source), (inhibition.targets, target)):
        known = {alert.name for alert in ALERTS if severity in ("", alert.severity)}
        assert set(names) <= known


@pytest.mark.parametrize("inhibition", INHIBITIONS, ids=lambda inhibition: inhibition.why)
def test_both_sides_have_the_labels_that_must_be_equal(inhibition: Inhibition) -> None:
    source, target = inhibition.severities
    for name in inhibition.sources:
        assert any(labels.keys() >= set(inhibition.equal) for labels in fired(name, source)), name
    for name in inhibition.targets:
        assert any(labels.keys() >= set(inhibition.equal) for labels in fired(name, target)), name


@pytest.mark.parametrize("inhibition", INHIBITIONS, ids=lambda inhibition: inhibition.why)
def test_no_label_is_equal_by_being_missing_on_both_sides(inhibition: Inhibition) -> None:
    """But for the model of an engine that names none: then all its alerts are of one nameless model."""
    source, target = inhibition.severities
    for name in inhibition.sources:
        for labels in fired(name, source):
            lacking = set(inhibition.equal) - labels.keys() - {"model"}
            others = [other for one in inhibition.targets for other in fired(one, target)]
            assert not [other for other in others if lacking - other.keys()], name


@pytest.mark.parametrize("inhibition", INHIBITIONS, ids=lambda inhibition: inhibition.why)
def test_an_alert_that_pages_is_silenced_only_by_one_that_pages(inhibition: Inhibition) -> None:
    source, target = inhibition.severities
    sources = {labels["severity"] for name in inhibition.sources for labels in fired(name, source)}
    targets = {labels["severity"] for name in inhibition.targets for labels in fired(name, target)}
    assert "critical" in sources or "critical" not in targets


# The operator's object


def test_the_operators_object_says_the_same() -> None:
    spec = OPERATOR["spec"]
    assert [as_texts(route["matchers"]) for route in spec["route"]["routes"]] == [
        route["matchers"] for route in PLAIN["route"]["routes"]
    ]
    assert [route["receiver"] for route in spec["route"]["routes"]] == [
        route["receiver"] for route in PLAIN["route"]["routes"]
    ]
    assert [
        (as_texts(rule["sourceMatch"]), as_texts(rule["targetMatch"]), rule["equal"]) for rule in spec["inhibitRules"]
    ] == [(rule["source_matchers"], rule["target_matchers"], rule["equal"]) for rule in PLAIN["inhibit_rules"]]
    assert [one["name"] for one in spec["receivers"]] == [one["name"] for one in PLAIN["receivers"]]


def test_the_operators_object_is_what_it_documents() -> None:
    """Keys of AlertmanagerConfig v1alpha1 in the operator's API reference."""
    assert (OPERATOR["apiVersion"], OPERATOR["kind"]) == ("monitoring.coreos.com/v1alpha1", "AlertmanagerConfig")
    route_keys = {"matchers", "receiver", "groupBy", "groupWait", "groupInterval", "repeatInterval", "routes"}
    spec = OPERATOR["spec"]
    assert spec.keys() == {"route", "receivers", "inhibitRules"}
    for route in (spec["route"], *spec["route"]["routes"]):
        assert route.keys() <= route_keys
    for receiver in spec["receivers"]:
        assert receiver.keys() <= {"name", "webhookConfigs", "pagerdutyConfigs"}
        for webhook in receiver.get("webhookConfigs", ()):
            assert webhook.keys() <= {"url", "urlSecret", "sendResolved", "maxAlerts"}
        for pager in receiver.get("pagerdutyConfigs", ()):
            assert pager.keys() <= {"routingKey", "description", "pagerDutyLinkConfigs", "severity", "sendResolved"}
            assert pager["routingKey"].keys() == {"name", "key"}
            assert all(link.keys() == {"href", "alt"} for link in pager["pagerDutyLinkConfigs"])


def as_texts(matchers: list[dict[str, str]]) -> list[str]:
    return [f"{matcher['name']}{matcher['matchType']}{matcher['value']}" for matcher in matchers]
