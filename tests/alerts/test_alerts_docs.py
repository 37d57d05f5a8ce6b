"""docs/alerts.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from alerts.config import Config, load
from alerts.records.direct import left_out
from alerts.rules import alerts_of
from catalog.engines import ENGINES
from recordings.reader import load as recording

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/alerts.md").read_text("utf-8")
OLD_ALERTS = {"HighInferenceLatency", "HighQueueSize", "LowGPUUtilization", "OOMRisk"}


def rows(first_header: str) -> list[list[str]]:
    """The rows of the table whose first column has this header."""
    (table,) = re.findall(rf"^\| {first_header} \|.*\n\|[- |]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]


def test_the_table_of_recordings_is_the_one_that_is_tested() -> None:
    expected = yaml.safe_load((ROOT / "tests/alerts/recordings.yaml").read_text("utf-8"))
    shown = {name: (cause, alerts) for name, cause, alerts in rows("recording")}
    assert shown == {name: (recording(name).cause, ", ".join(alerts) or "-") for name, alerts in expected.items()}


def test_every_alert_that_people_copy_has_its_replacement() -> None:
    found = {row[0].partition(":")[0]: row[2] for row in rows("written")}
    assert set(found) == OLD_ALERTS
    named = {name for text in found.values() for name in re.findall(r"\b(?:LLM|GPU)[A-Z]\w+", text)}
    assert len(named) >= len(OLD_ALERTS)
    assert named <= set(alerts_of(Config()))


def test_what_is_said_not_to_exist_does_not() -> None:
    exposed = {mapping.series for engine in ENGINES.values() for mapping in engine.mappings}
    assert not exposed & {"vllm_queue_size", "vllm_num_requests_waiting", "vllm_gpu_cache_usage_perc"}
    assert "tgi_queue_size" in exposed


def test_what_direct_scraping_leaves_out_is_listed() -> None:
    assert {series for one in left_out() for series in re.findall(r"`([\w:]+)`", PAGE) if series == one.series} == {
        one.series for one in left_out()
    }


def test_the_example_is_taken(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "slo.yaml").write_text(example, "utf-8")
    assert load(tmp_path / "slo.yaml") != Config()
