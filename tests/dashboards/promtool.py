"""A board's query over made-up series, evaluated by a real Prometheus: promtool runs it as a unit test."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ALL = {
    "$__rate_interval": "5m",
    "$__range": "1h",
    **{f"${name}": ".*" for name in ("cluster", "namespace", "engine", "model", "node", "gpu", "pod")},
}
_PATIENCE_SECONDS = 60


def with_variables(expr: str, chosen: Mapping[str, str]) -> str:
    """The query as Grafana would send it: All, but for what is chosen."""
    for name, value in {**ALL, **{f"${name}": value for name, value in chosen.items()}}.items():
        expr = expr.replace(name, value)
    return expr


def disagreement(
    expr: str,
    series: Mapping[str, str],
    expected: Mapping[str, float],
    folder: Path,
    *,
    minute: int = 10,
    chosen: Mapping[str, str] | None = None,
) -> str:
    """What promtool says when a query over series (a sample a minute) does not give these values; "" when it does."""
    test = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": with_variables(expr, chosen or {}),
                        "eval_time": f"{minute}m",
                        "exp_samples": [{"labels": labels, "value": value} for labels, value in expected.items()],
                    }
                ],
            }
        ],
    }
    file = folder / "query.yaml"
    file.write_text(json.dumps(test))
    return _run("test", file)


def problems_of(exprs: Iterable[str], folder: Path) -> str:
    """What a Prometheus that loads these queries as rules has to say; "" when it takes them all."""
    rules = [{"record": f"query:{number}", "expr": with_variables(expr, {})} for number, expr in enumerate(exprs)]
    file = folder / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "boards", "rules": rules}]}))
    return _run("check", file)


def _run(verb: str, file: Path) -> str:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    command = ["promtool", verb, "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
