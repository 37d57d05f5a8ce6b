"""A preflight as JSON. The shape is published in `schema.json` beside this module."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from troubleshoot.findings import Fix, Severity
from troubleshoot.preflight.result import Finding, Result

SCHEMA_VERSION = 1


def render_json(result: Result) -> str:
    """The result as indented JSON in ASCII, with a line end."""
    return json.dumps(to_json(result), indent=2, allow_nan=False) + "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) that every output of `render_json` follows."""
    text = Path(__file__).with_name("schema.json").read_text(encoding="utf-8")
    return cast(dict[str, Any], json.loads(text))


def to_json(result: Result) -> dict[str, Any]:
    """The result as plain dicts and lists."""
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": result.verdict,
        "counts": {level.label: result.count(level) for level in sorted(Severity, reverse=True)},
        "objects": result.objects,
        "workloads": list(result.subjects),
        "findings": [_finding(each) for each in result.findings],
        "not_checked": [
            {"check": each.check, "object": each.subject, "needs": each.needs} for each in result.not_checked
        ],
        "passed": [{"check": each.check, "object": each.subject} for each in result.passed],
        "cluster": result.cluster,
        "files": list(result.files),
        "problems": list(result.problems),
        "notes": list(result.notes),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "severity": finding.severity.label,
        "title": finding.title,
        "object": finding.subject,
        "message": finding.message,
        "file": finding.place.file,
        "line": finding.place.line,
        "resource": finding.place.resource,
        "path": finding.place.path,
        "fixes": [_fix(fix) for fix in finding.fixes],
    }


def _fix(fix: Fix) -> dict[str, Any]:
    return {"setting": fix.setting, "from": fix.from_value, "to": fix.to_value, "why": fix.why}
