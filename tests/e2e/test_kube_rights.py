"""The rights that are written down are those that are used, no more and no fewer, and Kubernetes takes the manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from inferwatch.cli import root
from recordings.reader import load, read_log
from tests.e2e.kube_api_stub import StubCluster, StubPod, kube_api
from tests.e2e.kube_objects import event, node, pod
from troubleshoot.sources.kube.calls import CALLS

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")

DOCS = Path(__file__).resolve().parents[2] / "docs"
MANIFEST = DOCS / "oncall-kubernetes-rbac.yaml"
RELEASES = ("1.25", "1.28", "1.31", "1.34", "1.37")
Right = tuple[str, str, str]


def objects() -> list[dict[str, object]]:
    return list(yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")))


def granted() -> Iterator[Right]:
    for item in objects():
        rules = item.get("rules", [])
        assert isinstance(rules, list)
        for rule in rules:
            for group in rule["apiGroups"]:
                yield from ((verb, group, resource) for resource in rule["resources"] for verb in rule["verbs"])


def test_the_manifest_grants_what_the_calls_need_and_nothing_else() -> None:
    found = list(granted())

    assert sorted(found) == sorted({(call.verb, call.group, call.resource) for call in CALLS})
    assert len(found) == len(set(found))
    assert {verb for verb, _, _ in found} == {"get", "list"}


@pytest.mark.parametrize("release", RELEASES)
def test_kubernetes_knows_every_key(release: str) -> None:
    for item in objects():
        kubernetes_validate.validate(item, release, strict=True)


def test_a_wrong_key_would_be_found() -> None:
    role = objects()[0]
    role["rulez"] = []
    with pytest.raises(jsonschema.ValidationError, match="rulez"):
        kubernetes_validate.validate(role, RELEASES[-1], strict=True)


def test_the_bindings_are_of_roles_that_there_are() -> None:
    roles = {item["metadata"]["name"] for item in objects() if item["kind"] == "ClusterRole"}  # type: ignore[index]
    bound = {item["roleRef"]["name"] for item in objects() if "roleRef" in item}  # type: ignore[index]
    assert bound == roles


def test_the_document_lists_every_right() -> None:
    table = re.findall(
        r"^\| (get|list) \| ([^|]+?) \|", (DOCS / "oncall-kubernetes.md").read_text("utf-8"), re.MULTILINE
    )
    listed = {(verb, name.strip()) for verb, names in table for name in re.sub(r"\(.*?\)", "", names).split(",")}

    assert listed == {(call.verb, call.resource) for call in CALLS}


@pytest.mark.parametrize("kube", ["llm/vllm-0", "llm/deployment/vllm", "llm/statefulset/vllm", "llm/isvc/llama", "llm"])
def test_no_other_call_is_made(kube: str, tmp_path: Path) -> None:
    found = StubCluster(nodes={"gpu-1": node()}, events=[event("Pulled", "image", kind="Normal")])
    workload = {"spec": {"selector": {"matchLabels": {"app": "vllm"}}}}
    found.objects = {(kind, "llm", "vllm"): workload for kind in ("deployments", "statefulsets")}
    found.objects["inferenceservices", "llm", "llama"] = {}
    labels = {"app": "vllm", "serving.kserve.io/inferenceservice": "llama"}
    log = read_log(load("healthy_steady"))
    with kube_api(found) as cluster:
        page = StubPod(pod(labels=labels, restarts=1), {"vllm": log}, {"vllm": log}, {"8000": lambda: (200, "up 1\n")})
        cluster.add(page)
        words = ["diagnose", "--kube", kube, "--kubeconfig", str(cluster.kubeconfig(tmp_path / "c")), "--window", "1s"]
        result = CliRunner().invoke(root, [*words, *(["-l", "app=vllm"] if kube == "llm" else [])])

    assert result.stderr == ""
    asked = {(one.verb, one.group, one.resource) for one in cluster.asked}
    assert asked <= set(granted())
    used = {"pods/log", "pods/proxy", "events", "nodes"}
    assert used <= {resource for _, _, resource in asked}
