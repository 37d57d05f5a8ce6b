"""The files that are made: the same rules in both formats, up to date, and taken by promtool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from alerts.config import Config, Links
from alerts.generate import KINDS, generated_files, groups
from alerts.rules import alerts_of
from catalog.generated_files import stale, write

ROOT = Path(__file__).resolve().parents[2]
FILES = generated_files(Config())
RULE_FILES = sorted(name for name in FILES if name.startswith("prometheus/"))


def test_the_committed_files_are_up_to_date() -> None:
    assert stale(FILES, ROOT / "alerts/generated", kinds=KINDS) == []


@pytest.mark.parametrize("name", RULE_FILES)
def test_both_formats_hold_the_same_rules(name: str) -> None:
    plain = yaml.safe_load(FILES[name])
    operator = yaml.safe_load(FILES[name.replace("prometheus/", "operator/")])
    assert (operator["apiVersion"], operator["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert operator["spec"] == plain
    assert operator["metadata"]["name"] == Path(name).stem


def test_every_rule_is_in_a_file() -> None:
    written = [
        rule for name in RULE_FILES for group in yaml.safe_load(FILES[name])["groups"] for rule in group["rules"]
    ]
    assert len(written) == sum(len(group.rules) for group in groups(Config()))


def test_promtool_has_no_complaint(tmp_path: Path) -> None:
    write(FILES, tmp_path)
    done = subprocess.run(
        ["promtool", "check", "rules", "--lint=all", "--lint-fatal", *(tmp_path / name for name in RULE_FILES)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(RULE_FILES)


def test_each_alert_leads_to_its_runbook_and_board() -> None:
    links = Links(runbooks="https://wiki.test/a/", dashboards="https://grafana.test/")
    found = {
        rule["alert"]: rule["annotations"]
        for name, text in generated_files(Config(links=links)).items()
        if name.startswith("prometheus/")
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert set(found) == set(alerts_of(Config()))
    for name, shown in found.items():
        assert shown["runbook_url"] == f"https://wiki.test/a/{name}.md"
        assert shown["dashboard_url"].startswith("https://grafana.test/d/inferwatch-")
    assert found["LLMTTFTBudgetBurn"]["dashboard_url"] == (
        "https://grafana.test/d/inferwatch-slo?var-cluster={{ $labels.cluster | urlquery }}"
        "&var-namespace={{ $labels.namespace | urlquery }}&var-engine={{ $labels.engine | urlquery }}"
        "&var-model={{ $labels.model | urlquery }}"
    )


def test_writing_removes_what_is_no_longer_made(tmp_path: Path) -> None:
    assert write({"a/b.yaml": "1\n", "c.yaml": "2\n"}, tmp_path) == ["a/b.yaml", "c.yaml"]
    (tmp_path / "c.yaml").write_text("3\n")
    (tmp_path / "kept.txt").write_text("by hand")
    assert stale({"c.yaml": "2\n"}, tmp_path) == ["a/b.yaml", "c.yaml"]
    assert write({"c.yaml": "2\n"}, tmp_path) == ["a/b.yaml", "c.yaml"]
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["c.yaml", "kept.txt"]
    assert stale({"c.yaml": "2\n"}, tmp_path) == []
