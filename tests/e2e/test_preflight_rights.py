"""The rights that docs/preflight.md writes down are those that are used, no more and no fewer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.kube_api_stub import StubCluster, kube_api
from tests.e2e.kube_stored import NAMESPACE, stored
from tests.e2e.preflight_cluster import MANIFESTS, filled, manifests, runner
from tests.e2e.test_kube_rights import RELEASES
from troubleshoot.sources.kube.kinds import CALLS, KINDS

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")

DOCS = Path(__file__).resolve().parents[2] / "docs"
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((DOCS / "preflight-rbac.yaml").read_text(encoding="utf-8")))
Right = tuple[str, str, str]


def granted(role: str = "") -> Iterator[Right]:
    """Verb, group and resource of one role, or of all."""
    for item in OBJECTS:
        for rule in item.get("rules", []) if item["metadata"]["name"].startswith(role) else []:
            for group in rule["apiGroups"]:
                yield from ((verb, group, resource) for resource in rule["resources"] for verb in rule["verbs"])


def test_the_manifest_grants_what_the_calls_need_and_nothing_else() -> None:
    found = list(granted())

    assert sorted(found) == sorted({(call.verb, call.group, call.resource) for call in CALLS})
    assert len(found) == len(set(found))
    assert "secrets" not in {resource for _, _, resource in found}


def test_what_is_asked_for_in_all_namespaces_is_granted_in_all() -> None:
    wide = {("list", kind.group, kind.resource) for kind in KINDS if kind.scope != "namespace"}

    assert set(granted("inferwatch-preflight-cluster")) == wide


@pytest.mark.parametrize("release", RELEASES)
def test_kubernetes_knows_every_key(release: str) -> None:
    for item in OBJECTS:
        kubernetes_validate.validate(item, release, strict=True)


def test_the_bindings_are_of_roles_that_there_are() -> None:
    roles = {item["metadata"]["name"] for item in OBJECTS if item["kind"] == "ClusterRole"}
    assert {item["roleRef"]["name"] for item in OBJECTS if "roleRef" in item} == roles


def test_the_document_lists_every_right() -> None:
    text = (DOCS / "preflight.md").read_text("utf-8")
    rows = re.findall(r"^\| (get|list) \| ([^|]+?) \|", text, re.MULTILINE)
    listed = {
        (verb, group, name)
        for verb, cell in rows
        for names, group in re.findall(r"((?:[a-z]+, )*[a-z]+)(?: \(([\w.-]+)\))?", cell)
        for name in names.split(", ")
    }

    assert listed == {(call.verb, call.group, call.resource) for call in CALLS}


@pytest.mark.parametrize("words", [["inference"], ["-A"], ["inference/deployment/chat-13b"]], ids=" ".join)
def test_no_other_call_is_made(words: list[str], tmp_path: Path) -> None:
    with kube_api(StubCluster()) as cluster:
        filled(cluster, manifests(MANIFESTS / "as_written" / "vllm-chat.yaml"), stored)
        result = runner(cluster, tmp_path)("--kube", *words)

    assert result.stderr == ""
    asked = {(one.verb, one.group, one.resource) for one in cluster.asked}
    assert asked <= set(granted())
    if words != ["inference/deployment/chat-13b"]:
        assert asked == set(granted())
    elsewhere = {one.resource for one in cluster.asked if one.namespace != NAMESPACE}
    if words != ["-A"]:
        assert elsewhere <= {kind.resource for kind in KINDS if kind.scope != "namespace"}
