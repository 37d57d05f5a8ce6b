"""Every manifest is what Kubernetes' own schemas ask for, without an unknown key, in every release supported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from exporter.deploy.generate import FOLDER
from exporter.deploy.objects import kubernetes_objects, namespace_object
from tests.exporter.deploy.manifests import Manifest
from tests.exporter.deploy.options import OPTIONS, RELEASE, over_defaults

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")

RELEASES = ("1.25", "1.28", "1.31", "1.34", "1.37")
POD_MONITOR = yaml.safe_load(Path(__file__).with_name("podmonitor.schema.yaml").read_text("utf-8"))
DIRECT = sorted((FOLDER / "generated").glob("podmonitor-*.yaml"))


def manifests() -> Iterator[tuple[str, Manifest]]:
    yield "namespace", namespace_object()
    for option, changes in OPTIONS.items():
        for item in kubernetes_objects(over_defaults(changes), RELEASE):
            yield f"{option}: {item['kind']}", item


@pytest.mark.parametrize("release", RELEASES)
def test_kubernetes_knows_every_key(release: str) -> None:
    checked = 0
    for name, item in manifests():
        if item["kind"] == "PodMonitor":
            continue
        plain = yaml.safe_load(yaml.safe_dump(item))
        try:
            kubernetes_validate.validate(plain, release, strict=True)
        except jsonschema.ValidationError as error:
            pytest.fail(f"{name} for {release}: {error.json_path}: {error.message}")
        checked += 1
    assert checked > 4 * len(OPTIONS)


def test_a_wrong_key_would_be_found() -> None:
    daemon_set = dict(manifests())["defaults: DaemonSet"]
    plain = yaml.safe_load(yaml.safe_dump(daemon_set))
    plain["spec"]["template"]["spec"]["containers"][0]["securityContext"]["runAsUsr"] = 0
    with pytest.raises(jsonschema.ValidationError, match="runAsUsr"):
        kubernetes_validate.validate(plain, RELEASES[-1], strict=True)


def test_pod_monitors_are_what_the_operator_documents() -> None:
    found = [item for _, item in manifests() if item["kind"] == "PodMonitor"]
    assert len(found) == len(OPTIONS) - 1
    for item in found:
        jsonschema.validate(item, POD_MONITOR)


@pytest.mark.parametrize("file", DIRECT, ids=lambda file: file.stem)
def test_direct_pod_monitors_are_what_the_operator_documents(file: Path) -> None:
    jsonschema.validate(yaml.safe_load(file.read_text("utf-8")), POD_MONITOR)


def test_there_are_direct_pod_monitors() -> None:
    assert "podmonitor-vllm" in {file.stem for file in DIRECT}
