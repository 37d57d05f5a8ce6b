"""The diagnosis as JSON, for scripts. The shape is published in `schema.json` beside this module."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from troubleshoot.findings import (
    Change,
    Diagnosis,
    EvidenceItem,
    Finding,
    Fix,
    FleetSummary,
    InputSummary,
    LogEvidence,
    StatusEvidence,
)
from troubleshoot.report.safe import safe

SCHEMA_VERSION = 1
C = TypeVar("C", float, int, str, bool, None)


def render_json(diagnosis: Diagnosis) -> str:
    """The diagnosis as indented JSON in ASCII, with a line end.

    Findings keep their order (the root cause first); what was ruled out or not evaluated is sorted by cause,
    settings and numbers by name. A number that JSON cannot write (NaN, infinity) is null.
    """
    return json.dumps(to_json(diagnosis), indent=2, allow_nan=False) + "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) that every output of `render_json` follows."""
    text = Path(__file__).with_name("schema.json").read_text(encoding="utf-8")
    return cast(dict[str, Any], json.loads(text))


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as plain dicts and lists, in the order in which they are printed."""
    diagnosis = safe(diagnosis)
    engine = diagnosis.engine
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": diagnosis.verdict,
        "summary": diagnosis.summary,
        "engine": {
            "name": engine.name,
            "version": engine.version,
            "model": engine.model,
            "settings": _sorted_scalars(engine.settings),
        },
        "findings": [_finding(finding) for finding in diagnosis.findings],
        "ruled_out": [
            {"cause": item.cause, "because": item.because}
            for item in sorted(diagnosis.ruled_out, key=lambda item: (item.cause, item.because))
        ],
        "not_evaluated": [
            {"cause": item.cause, "needs": list(item.needs)}
            for item in sorted(diagnosis.not_evaluated, key=lambda item: (item.cause, item.needs))
        ],
        "numbers": _sorted_scalars(diagnosis.numbers),
        "inputs": [_input(item) for item in diagnosis.inputs],
        "hardware": diagnosis.hardware,
        "interrupted": diagnosis.interrupted,
        "since": _scalar(diagnosis.since),
        "changes": [_change(item) for item in diagnosis.changes],
        "fleet": _fleet(diagnosis.fleet),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "cause": finding.cause,
        "family": finding.family,
        "severity": finding.severity.label,
        "confidence": _confidence(finding.confidence),
        "title": finding.title,
        "explanation": finding.explanation,
        "evidence": [_evidence(item) for item in finding.evidence],
        "fixes": [_fix(fix) for fix in finding.fixes],
        "runbook": finding.runbook,
        "explained_by": finding.explained_by,
    }


def _evidence(item: EvidenceItem) -> dict[str, Any]:
    if isinstance(item, LogEvidence):
        return {"source": "log", "file": item.file, "line": item.line, "text": item.text}
    if isinstance(item, StatusEvidence):
        return {"source": item.origin, "object": item.subject, "text": item.text}
    window = item.window if item.window is not None and _finite(item.window) else None
    measured: dict[str, Any] = {
        "source": "metric",
        "series": item.series,
        "window": None if window is None else list(window),
        "value": _scalar(item.value),
        "unit": item.unit,
    }
    return {**measured, "note": item.note} if item.note else measured


def _fix(fix: Fix) -> dict[str, Any]:
    return {
        "setting": fix.setting,
        "from": _scalar(fix.from_value),
        "to": _scalar(fix.to_value),
        "why": fix.why,
        "effect": fix.effect,
    }


def _input(item: InputSummary) -> dict[str, Any]:
    return {
        "name": item.name,
        "kind": item.kind,
        "size_bytes": item.size_bytes,
        "lines": item.lines,
        "span_seconds": _scalar(item.span_seconds),
        "note": item.note,
    }


def _change(item: Change) -> dict[str, Any]:
    return {
        "what": item.what,
        "before": _scalar(item.before),
        "after": _scalar(item.after),
        "unit": item.unit,
        "since": _scalar(item.since),
        "against": item.against,
    }


def _fleet(found: FleetSummary | None) -> dict[str, Any] | None:
    if found is None:
        return None
    replicas = [
        {
            "name": replica.name,
            "role": replica.role,
            "verdict": replica.verdict,
            "cause": replica.cause,
            "measures": _sorted_scalars(replica.measures),
            "differs": list(replica.differs),
        }
        for replica in found.replicas
    ]
    return {
        "total": found.total,
        "down": found.down,
        "medians": _sorted_scalars(found.medians),
        "replicas": replicas,
    }


def _confidence(value: float) -> float:
    """A confidence is always a number from 0 to 1; one that is not a number counts as none."""
    return 0.0 if math.isnan(value) else min(1.0, max(0.0, value))


def _finite(values: Iterable[float]) -> bool:
    return all(math.isfinite(value) for value in values)


def _scalar(value: C) -> C | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _sorted_scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _scalar(values[name]) for name in sorted(values)}
