"""All files that are made from a configuration, as text by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from alerts import records, rules
from alerts.config import Config
from alerts.emit import prometheus_rule, rule_file
from alerts.rule import Alert, Group
from catalog.yaml_text import document

__all__ = ["alerts_of", "generated_files", "groups"]

_BANNER = "# Written by `inferwatch alerts generate`; change the configuration or the code in alerts/ instead.\n"


def groups(config: Config) -> tuple[Group, ...]:
    """Return all groups, recording rules first."""
    return (*records.groups(config), *rules.groups(config))


def alerts_of(config: Config) -> dict[str, tuple[Alert, ...]]:
    """Return the alerting rules by name: an alert of several severities has several."""
    found: dict[str, tuple[Alert, ...]] = {}
    for group in rules.groups(config):
        for rule in group.rules:
            if isinstance(rule, Alert):
                found[rule.name] = (*found.get(rule.name, ()), rule)
    return found


def generated_files(config: Config) -> Mapping[str, str]:
    """Return the text of every file by its path below the output folder."""
    return dict(_files(config))


def _files(config: Config) -> Iterator[tuple[str, str]]:
    for group in groups(config):
        yield f"prometheus/{group.name}.yaml", _BANNER + document(rule_file(group, config.links))
        yield f"operator/{group.name}.yaml", _BANNER + document(prometheus_rule(group, config.links))
