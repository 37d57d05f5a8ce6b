"""Recorded series in a real Prometheus's storage: promtool writes it, and computes what rules record from it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from alerts.config import Config
from alerts.generate import groups
from alerts.rule import Record
from tests.alerts.promql_tree import selectors
from tests.e2e.prometheus import eventually, free_port, get, process

STEP_SECONDS = 30
CONFIG = Config()


def promtool(folder: Path, *arguments: str) -> None:
    """Run promtool in a folder: when in its interval a group is evaluated depends on its file's name as it is given."""
    done = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """A Prometheus over the blocks in `folder/tsdb`, on the port that is yielded."""
    (folder / "prometheus.yml").write_text("global: {}\n")
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with process(command, folder / "prometheus.log"):
        eventually(lambda: get(port, "/-/ready")[0] == 200, "Prometheus is ready")
        yield port


def query_range(port: int, expr: str, start: float, end: float, step: int = STEP_SECONDS) -> list[dict[str, Any]]:
    """Every series that an expression gives over a time."""
    asked = urlencode({"query": expr, "start": start, "end": end, "step": step})
    status, body = get(port, f"/api/v1/query_range?{asked}")
    assert status == 200, f"{body.decode()}\n{expr}"
    result: list[dict[str, Any]] = json.loads(body)["data"]["result"]
    return result


@cache
def passes() -> tuple[tuple[Record, ...], ...]:
    """Recording rules in the order in which they can be computed: those of one pass read only those before it."""
    through_exporter = [group for group in groups(CONFIG) if group.name != "inferwatch-records-direct"]
    rules = [rule for group in through_exporter for rule in group.rules if isinstance(rule, Record)]
    made = {rule.record for rule in rules}
    found: list[tuple[Record, ...]] = []
    while rules:
        waiting = {rule.record for rule in rules}
        ready = tuple(
            rule for rule in rules if not {one.name for one, _ in selectors(rule.expr)} & made & waiting - {rule.record}
        )
        assert ready, f"a circle: {sorted(waiting)}"
        found.append(ready)
        rules = [rule for rule in rules if rule not in ready]
    return tuple(found)


def store(folder: Path, lines: Iterator[str], start: float, end: float) -> None:
    """Write series (OpenMetrics) into `folder/tsdb`, and what the rules record of them from `start` to `end`.

    All passes have a file of one name, so that all rules are evaluated at the same moments, as those of a group are.
    """
    with (folder / "all.om").open("w", encoding="utf-8") as file:
        file.writelines(lines)
    promtool(folder, "openmetrics", "-q", "all.om", "tsdb")
    for rules in passes():
        file_of_pass = folder / "pass.yaml"
        one = {"name": "pass", "rules": [{"record": r.record, "expr": r.expr, "labels": dict(r.labels)} for r in rules]}
        file_of_pass.write_text(yaml.safe_dump({"groups": [one]}), "utf-8")
        with served(folder) as port:
            promtool(
                folder,
                *("rules", "-q", f"--url=http://127.0.0.1:{port}", f"--eval-interval={STEP_SECONDS}s"),
                *(f"--start={start:.0f}", f"--end={end:.0f}", "--output-dir=tsdb", file_of_pass.name),
            )
