"""A preflight as SARIF 2.1.0 (OASIS), as code hosts and CI systems read it.

A finding is a result with its rule, level and line; in an object of a cluster, which is no file, it has a logical
location of the kind "resource" alone (3.28 and 3.33 of the standard). What was not checked, and inputs that could not
be read, are notifications of the run: no result, and no silence either.
"""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from troubleshoot.findings import Severity
from troubleshoot.preflight.checks import CHECKS, Check
from troubleshoot.preflight.result import Finding, NotChecked, Result
from troubleshoot.report import wording

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.CRITICAL: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_RULES = {check.id: number for number, check in enumerate(CHECKS)}


def render_sarif(result: Result, version: str) -> str:
    """The result as indented SARIF in ASCII, with a line end; `version` is that of the tool."""
    return json.dumps(to_sarif(result, version), indent=2) + "\n"


def to_sarif(result: Result, version: str) -> dict[str, Any]:
    """The result as plain dicts and lists."""
    driver = {"name": "inferwatch preflight", "version": version, "rules": [_rule(check) for check in CHECKS]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The folder in which the command ran."}}},
        "invocations": [
            {
                "executionSuccessful": not result.problems,
                "toolExecutionNotifications": [
                    *({"level": "error", "message": {"text": problem}} for problem in result.problems),
                    *(_notification(item) for item in result.not_checked),
                    *({"level": "note", "message": {"text": note}} for note in result.notes),
                ],
            }
        ],
        "results": [_result(finding) for finding in result.findings],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": " ".join((type(check).__doc__ or check.title).split())},
        "help": {"text": f"Looks at: {check.needs}."},
        "defaultConfiguration": {"level": _LEVELS[check.severity]},
    }


def _result(finding: Finding) -> dict[str, Any]:
    fixes = [f"{wording.fix_change(fix)} ({wording.fix_reason(fix)})" for fix in finding.fixes]
    text = f"{finding.title}: {finding.message}" + (f" Fix: {'; '.join(fixes)}." if fixes else "")
    return {
        "ruleId": finding.check,
        "ruleIndex": _RULES[finding.check],
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [_location(finding)],
        "partialFingerprints": {"checkObjectPath/v1": f"{finding.check}:{finding.subject}:{finding.place.path}"},
    }


def _location(finding: Finding) -> dict[str, Any]:
    place = finding.place
    name = place.resource or finding.subject
    logical = {
        "fullyQualifiedName": f"{name}: {place.path}" if place.path else name,
        "kind": "resource" if place.resource else "object",
    }
    if not place.file:
        return {"logicalLocations": [logical]}
    physical: dict[str, Any] = {"artifactLocation": _artifact(place.file)}
    if place.line:
        physical["region"] = {"startLine": place.line}
    return {"physicalLocation": physical, "logicalLocations": [logical]}


def _artifact(file: str) -> dict[str, str]:
    if file == "-":
        return {"uri": "stdin"}
    path = PurePath(file)
    if path.is_absolute():
        return {"uri": f"file://{quote(path.as_posix())}"}
    return {"uri": quote(path.as_posix()), "uriBaseId": "SRCROOT"}


def _notification(item: NotChecked) -> dict[str, Any]:
    return {
        "level": "note",
        "message": {"text": f"{item.check} of {item.subject} was not checked: it needs {item.needs}."},
        "associatedRule": {"id": item.check, "index": _RULES[item.check]},
    }
