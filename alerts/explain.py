"""What an alert is, as text for the person who meets it."""

from __future__ import annotations

from collections.abc import Iterator

from alerts import rules
from alerts.config import Config
from alerts.generate import alerts_of
from alerts.rule import Alert
from runbooks import alert_page

__all__ = ["explain_alert", "list_alerts"]


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
