"""What an alert is, as text for the person who meets it."""

from __future__ import annotations

from collections.abc import Iterator

from alerts import rules
from alerts.config import Config
from alerts.rule import Alert
from alerts.rules import alerts_of
from runbooks import alert_page

__all__ = ["explain_alert", "list_alerts", "overview"]


def list_alerts(config: Config) -> Iterator[str]:
    """Yield a line an alert: name, severities, how long it is pending, what it says."""
    found = alerts_of(config)
    width = max(map(len, found), default=0)
    for name, versions in found.items():
        severities = "/".join(dict.fromkeys(alert.severity for alert in versions))
        yield f"{name:<{width}}  {severities:<16}  {versions[0].why}"


def explain_alert(config: Config, name: str) -> str:
    """Return why an alert exists, its rules, what it requires, and its runbook. Raises KeyError for no alert."""
    versions = alerts_of(config)[name]
    parts = [f"{name} ({_family(config, name)})", versions[0].why]
    parts += [_rule(alert) for alert in versions]
    requires = {series: source for alert in versions for series, source in alert.requires.items()}
    if requires:
        parts.append("requires\n" + "\n".join(f"  {series}: {source}" for series, source in requires.items()))
    parts.append(alert_page(name).rstrip())
    return "\n\n".join(parts)


def _rule(alert: Alert) -> str:
    head = f"{alert.severity}, for {alert.pending}"
    return head + "\n" + "\n".join(f"  {line}" for line in alert.expr.splitlines())


def _family(config: Config, name: str) -> str:
    return next(
        group.name.rpartition("-")[2]
        for group in rules.groups(config)
        for rule in group.rules
        if isinstance(rule, Alert) and rule.name == name
    )


def overview(config: Config) -> str:
    """Return a Markdown page of all alerts, a table a family."""
    parts = [
        "# Alerts",
        "Written by `inferwatch alerts generate`. "
        "`inferwatch alerts explain NAME` shows an alert's expression and runbook.",
    ]
    for group in rules.groups(config):
        rows = [_row(config, name) for name in dict.fromkeys(one.name for one in group.rules if isinstance(one, Alert))]
        head = "| alert | severity | why | needs besides engines and exporter |\n| --- | --- | --- | --- |"
        parts.append(f"## {group.name.rpartition('-')[2]}\n\n{head}\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _row(config: Config, name: str) -> str:
    versions = alerts_of(config)[name]
    severities = ", ".join(dict.fromkeys(alert.severity for alert in versions))
    sources = dict.fromkeys(source for alert in versions for source in alert.requires.values())
    return f"| {name} | {severities} | {versions[0].why} | {'; '.join(sources)} |"
