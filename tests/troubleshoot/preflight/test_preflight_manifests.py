"""The source documents' manifests: what is wrong is found, nothing else; corrected, nothing is left to warn of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.troubleshoot.preflight.expected_findings import EXPECTED
from troubleshoot.findings import Severity
from troubleshoot.preflight import Result, preflight
from troubleshoot.sources.manifests import read_manifests

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")

FOLDER = Path(__file__).parent / "manifests"
CORE_GROUPS = {"v1", "apps/v1", "autoscaling/v2", "policy/v1"}


def checked(path: Path) -> Result:
    read = read_manifests([str(path)])
    assert read.problems == []
    return preflight(read.objects)


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_wrong_is_found_and_nothing_else(name: str) -> None:
    path = FOLDER / "as_written" / name
    lines = path.read_text(encoding="utf-8").splitlines()
    left = list(EXPECTED[name])
    unexpected = []
    for finding in checked(path).findings:
        assert finding.place.line is not None
        line = lines[finding.place.line - 1]
        found = (finding.check, finding.severity.label, finding.subject)
        match = next((each for each in left if each[:3] == found and each[3] in line), None)
        if match:
            left.remove(match)
        else:
            unexpected.append((*found, line))
    assert unexpected == []
    assert left == []


@pytest.mark.parametrize("name", EXPECTED)
def test_corrected_it_passes_without_a_warning(name: str) -> None:
    result = checked(FOLDER / "corrected" / name)
    assert [each.message for each in result.findings if each.severity >= Severity.WARNING] == []
    assert result.verdict == "passed"


def core_objects() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{path.name}: {item['kind']}", item)
        for path in sorted((FOLDER / "corrected").glob("*.yaml"))
        for item in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if item["apiVersion"] in CORE_GROUPS
    ]


@pytest.mark.parametrize("item", [item for _, item in core_objects()], ids=[title for title, _ in core_objects()])
def test_what_is_called_correct_is_what_kubernetes_takes(item: dict[str, Any]) -> None:
    kubernetes_validate.validate(item, "1.32", strict=True)


def test_every_fixture_is_judged() -> None:
    for folder in ("as_written", "corrected"):
        assert {path.name for path in (FOLDER / folder).iterdir()} == set(EXPECTED)


def test_every_finding_says_what_to_change() -> None:
    for name in EXPECTED:
        for finding in checked(FOLDER / "as_written" / name).findings:
            assert finding.fixes
            assert all(fix.setting and fix.why for fix in finding.fixes)
