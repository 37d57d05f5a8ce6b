"""Renders a chart with the real Helm library, in a process of its own: it brings the Go runtime with it.

Reads a JSON list of [values, release name, namespace] from standard input; writes a JSON list of {template: text}, or
of the error's text where the values are refused.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import helm_python
from helm_python.errors import HelmError


def _rendered(chart: helm_python.Chart, values: dict[str, object], name: str, namespace: str) -> dict[str, str] | str:
    try:
        chart.validate_schema(values)
        return chart.render(values, name=name, namespace=namespace)
    except HelmError as error:
        return str(error)


def main(folder: Path) -> None:
    with helm_python.Chart.load(folder) as chart:
        rendered = [_rendered(chart, *case) for case in json.load(sys.stdin)]
    lint = helm_python.lint(folder, strict=True)
    json.dump({"rendered": rendered, "lint": lint, "version": helm_python.helm_sdk_version()}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
