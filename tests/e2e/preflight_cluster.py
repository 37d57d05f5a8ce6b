"""`inferwatch preflight --kube` against a stub of the API server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from inferwatch.cli import root
from tests.e2e.kube_api_answers import Object
from tests.e2e.kube_api_paths import PLURALS
from tests.e2e.kube_api_stub import TOKEN, StubCluster
from tests.e2e.kube_stored import stored

MANIFESTS = Path(__file__).parents[1] / "troubleshoot" / "preflight" / "manifests"
Run = Callable[..., Result]


def manifests(path: Path) -> list[Object]:
    """The objects of a file that a cluster can hold and that are read of it."""
    found = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    return [item for item in found if item["kind"] in PLURALS]


def filled(cluster: StubCluster, items: Iterable[Object], how: Callable[[Object], Object] = stored) -> None:
    """Put objects into the cluster, as `how` an API server stores them."""
    for item in items:
        cluster.put(how(item))


def runner(cluster: StubCluster, folder: Path) -> Run:
    """Calls the command; no traceback and no credential is ever shown."""
    config = cluster.kubeconfig(folder / "config")

    def called(*arguments: str, report: str = "json") -> Result:
        words = ["preflight", "--kubeconfig", str(config), "--format", report, *arguments]
        result = CliRunner().invoke(root, words, prog_name="inferwatch", standalone_mode=True)
        assert "Traceback" not in result.output, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert TOKEN not in result.output + result.stderr
        return result

    return called


def report(result: Result) -> dict[str, Any]:
    """The JSON report."""
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def checks(result: Result) -> set[str]:
    """The checks that found something."""
    return {each["check"] for each in report(result)["findings"]}


def not_checked(result: Result) -> dict[str, str]:
    """Check -> what it needs, of those that could not be made."""
    return {each["check"]: each["needs"] for each in report(result)["not_checked"]}
