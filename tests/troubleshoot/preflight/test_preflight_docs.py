"""What docs/preflight.md and the README say of preflight is what it does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from troubleshoot.preflight import preflight
from troubleshoot.preflight.checks import CHECKS
from troubleshoot.preflight.report.text import render_text
from troubleshoot.report.safe import safe_data
from troubleshoot.sources.manifests import read_manifests

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "preflight.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_checks() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [(check.id, check.severity.label, check.title) for check in CHECKS]
    assert f"{len(CHECKS)} checks" in README


def printed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (folder / "deployment.yaml").write_text(example, encoding="utf-8")
    monkeypatch.chdir(folder)
    read = read_manifests(["deployment.yaml"])
    return render_text(safe_data(replace(preflight(read.objects), files=tuple(read.files))))


@pytest.mark.parametrize("page", [PAGE, README], ids=["preflight.md", "README.md"])
def test_the_output_that_is_shown(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = printed(tmp_path, monkeypatch)
    shown = [
        block
        for block in re.findall(r"^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        if "deployment.yaml" in block
    ]
    assert shown
    for part in "".join(shown).removesuffix("...\n").split("\n\n"):
        assert part.removeprefix("$ inferwatch preflight deployment.yaml\n").rstrip() in output
