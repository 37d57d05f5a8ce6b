"""What a rule is, before it is written in any format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from catalog.boards import Board

__all__ = ["Alert", "Group", "Record", "Severity"]

Severity = Literal["critical", "warning", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A recording rule: `record` is a name of `catalog.recorded`, or the canonical one that a raw series becomes."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alerting rule.

    `pending` is how long the expression must hold (`for`). `summary` names what is wrong, `description` adds where and
    how much; both are Prometheus templates over the labels that `expr` keeps. `why` is the reason for the rule, for
    people who tune it. `board` is where to look. `requires` names series without which it can never fire and that
    neither the exporter nor an engine gives unasked, each with what gives it.
    """

    name: str
    expr: str
    pending: str
    severity: Severity
    summary: str
    description: str
    why: str
    board: Board
    requires: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    keep_firing_for: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules that are evaluated one after the other, every `interval`; each becomes a file of its own."""

    name: str
    interval: str
    rules: tuple[Record | Alert, ...]
