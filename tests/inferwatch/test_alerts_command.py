"""`inferwatch alerts`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alerts.config import Config
from alerts.rules import alerts_of
from inferwatch.commands.alerts import command


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_generate_then_check(tmp_path: Path) -> None:
    done = run("generate", "--output", tmp_path)
    assert done.exit_code == 0
    assert "links still lead to example addresses" in done.stderr
    assert run("check", "--output", tmp_path).exit_code == 0
    changed = tmp_path / "prometheus/inferwatch-alerts-slo.yaml"
    changed.write_text(changed.read_text("utf-8").replace("14.4", "2"), "utf-8")
    done = run("check", "--output", tmp_path)
    assert (done.exit_code, done.stdout) == (1, f"{changed}\n")


def test_own_links_need_no_reminder(tmp_path: Path) -> None:
    config = tmp_path / "slo.yaml"
    config.write_text("links: {runbooks: 'https://a.test/', dashboards: 'https://b.test/'}")
    done = run("generate", "--config", config, "--output", tmp_path / "out")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "https://a.test/LLMTTFTBudgetBurn.md" in (tmp_path / "out/prometheus/inferwatch-alerts-slo.yaml").read_text()


def test_a_bad_configuration_writes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "slo.yaml"
    config.write_text("thresholds: {gpu: {thermal_celsius: -5}}")
    for subcommand in (["generate", "-o", tmp_path / "out"], ["check", "-o", tmp_path / "out"], ["list"]):
        done = run(*subcommand, "--config", config)
        assert done.exit_code == 2
        assert f"{config}: thresholds.gpu.thermal_celsius: " in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "prometheus").write_text("a file where a folder should be")
    done = run("generate", "-o", tmp_path)
    assert done.exit_code == 2
    assert f"{tmp_path / 'prometheus'}: cannot be written: " in done.stderr


def test_list_names_every_alert() -> None:
    lines = run("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(alerts_of(Config()))


def test_explain_shows_the_rule_its_reason_and_the_runbook() -> None:
    said = run("explain", "LLMTTFTBudgetBurn").stdout
    assert "critical, for 2m" in said
    assert "> 14.4 * model:llm_slo_error_budget:ratio" in said
    assert "## Mitigation" in said


@pytest.mark.parametrize(
    ("name", "hint"),
    [("LLMTTFTBudgetBurns", "did you mean LLMTTFTBudgetBurn"), ("../causes/oom_lora", "see inferwatch alerts list")],
)
def test_an_unknown_alert_is_said(name: str, hint: str) -> None:
    done = run("explain", name)
    assert done.exit_code == 2
    assert f"{name!r} is no alert; {hint}" in done.stderr
