"""All files that are made from a configuration, as text by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from alerts import records, rules
from alerts.alertmanager import alertmanager_files
from alerts.autoscaling import autoscaling_files
from alerts.config import Config
from alerts.emit import prometheus_rule, rule_file
from alerts.explain import overview
from alerts.rule import Group
from catalog.yaml_text import document

__all__ = ["KINDS", "generated_files", "groups"]

KINDS = (".yaml", ".md")
"""Suffixes of the files that are made: others in their folder are left alone."""

_BANNER = "# Written by `inferwatch alerts generate`; change the configuration or the code in alerts/ instead.\n"


def groups(config: Config) -> tuple[Group, ...]:
    """Return all groups, recording rules first."""
    return (*records.groups(config), *rules.groups(config))


def generated_files(config: Config) -> Mapping[str, str]:
    """Return the text of every file by its path below the output folder."""
    return dict(_files(config))


def _files(config: Config) -> Iterator[tuple[str, str]]:
    for group in groups(config):
        yield f"prometheus/{group.name}.yaml", _BANNER + document(rule_file(group, config.links))
        yield f"operator/{group.name}.yaml", _BANNER + document(prometheus_rule(group, config.links))
    yield from alertmanager_files(config).items()
    yield from autoscaling_files(config).items()
    yield "README.md", overview(config)
