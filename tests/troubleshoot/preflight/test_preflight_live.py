"""Objects as `kubectl get -o yaml` prints them: what is filled in or made by others is no fault of the manifest."""

from __future__ import annotations

from typing import Any

import pytest

from tests.troubleshoot.preflight.good import engine, good
from troubleshoot.preflight import preflight
from troubleshoot.preflight.live import LAST_APPLIED, live_object, written_replicas
from troubleshoot.preflight.makers import is_replica, part
from troubleshoot.preflight.objects import KubeObject, objects_of
from troubleshoot.preflight.surroundings import Surroundings

Value = dict[str, Any]


def one(value: Value) -> KubeObject:
    (found,) = objects_of({"apiVersion": "apps/v1", "kind": "Deployment", **value})
    return found


def owned(kind: str, name: str, maker: str, api_version: str = "apps/v1", **more: Any) -> Value:
    reference = {"apiVersion": api_version, "kind": maker, "name": "top", "controller": True, **more}
    version = "v1" if kind == "Pod" else "apps/v1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "ownerReferences": [reference]}}


def test_a_dump_of_a_namespace_is_judged_as_its_deployment_alone() -> None:
    objects = good()
    template = objects["Deployment"]["spec"]["template"]
    replica_set = owned("ReplicaSet", "a", "Deployment") | {"spec": {"template": template, "replicas": 0}}
    replica_set["metadata"]["ownerReferences"][0]["name"] = objects["Deployment"]["metadata"]["name"]
    replica_set["metadata"]["namespace"] = "inference"
    pod = owned("Pod", "a-1", "ReplicaSet") | {"spec": template["spec"]}
    dump = {"apiVersion": "v1", "kind": "List", "items": [*objects.values(), replica_set, pod]}
    result = preflight(objects_of(dump))

    assert result.subjects == ("Deployment inference/chat-13b",)
    assert result.findings == ()
    assert result.notes == ()


@pytest.mark.parametrize(
    ("value", "kept", "named"),
    [
        (owned("Pod", "a", "ReplicaSet"), False, False),
        (owned("Pod", "a", "Job", "batch/v1"), False, False),
        (owned("Pod", "a", "RayCluster", "ray.io/v1"), False, True),
        (owned("ReplicaSet", "a", "Rollout", "argoproj.io/v1alpha1"), False, True),
        (owned("Deployment", "a", "Revision", "serving.knative.dev/v1"), True, False),
        (owned("Deployment", "a", "InferenceService", "serving.kserve.io/v1beta1"), False, True),
        (owned("Deployment", "a", "InferenceService", "other.example/v1"), True, False),
        (owned("Deployment", "a", "Deployment", controller=False), True, False),
    ],
)
def test_who_makes_an_object_decides(value: Value, kept: bool, named: bool) -> None:
    found = part(objects_of(value))

    assert bool(found.kept) is kept
    assert bool(found.unmade) is named


def test_replicas_of_built_in_controllers_are_known_at_once() -> None:
    assert is_replica("Pod", owned("Pod", "a", "ReplicaSet"))
    assert not is_replica("Pod", owned("Pod", "a", "RayCluster", "ray.io/v1"))
    assert not is_replica("Deployment", owned("Deployment", "a", "Deployment"))
    assert not is_replica("Pod", {"metadata": {"ownerReferences": "x"}})


def test_what_is_not_looked_at_is_not_kept() -> None:
    secret = "hunter2"
    applied = f'{{"spec": {{"replicas": 3, "password": "{secret}"}}}}'
    metadata = {
        "name": "a",
        "namespace": "llm",
        "uid": "1",
        "annotations": {LAST_APPLIED: applied, "prometheus.io/scrape": "true"},
        "managedFields": [{"operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}],
    }
    item = live_object(
        {"metadata": metadata, "spec": {"replicas": 7}, "status": {"x": secret}}, "apps/v1", "Deployment"
    )

    assert secret not in str(item)
    assert item.root.at("metadata", "annotations", "prometheus.io/scrape").text == "true"
    assert item.title == "Deployment llm/a"
    assert item.root.at("spec", "replicas").place.resource == "llm/deployment/a"
    assert written_replicas(item) == (True, True, 3)


def test_of_a_manifest_what_it_says_is_known() -> None:
    assert written_replicas(one({"spec": {"replicas": 3}})) == (True, True, 3)
    assert written_replicas(one({"spec": {}})) == (True, False, None)
    assert not written_replicas(one({"metadata": {"uid": "1"}, "spec": {"replicas": 3}})).is_known


def test_a_finding_for_want_of_an_object_needs_all_of_its_kind() -> None:
    objects = good()
    del objects["PodDisruptionBudget"], objects["PodMonitor"]
    engine(objects)["image"] = "vllm/vllm-openai:latest"
    unread = {"PodDisruptionBudget": "a right", "PodMonitor": "a right", "ServiceMonitor": "another"}
    given = [item for value in objects.values() for item in objects_of(value)]
    result = preflight(given, surroundings=Surroundings(unread=unread, is_cluster=True))

    assert {each.check for each in result.findings} == {"image"}
    needs = {each.check: each.needs for each in result.not_checked}
    assert needs["disruption_budget"] == "a right"
    assert needs["scraping"] == "a right and another"
    assert "disruption_budget" not in {each.check for each in result.passed}


def test_what_is_missing_is_missing_in_the_cluster() -> None:
    objects = good()
    del objects["PodDisruptionBudget"]
    given = [item for value in objects.values() for item in objects_of(value)]

    (live,) = preflight(given, surroundings=Surroundings(is_cluster=True)).findings
    (file,) = preflight(given).findings
    assert "No PodDisruptionBudget in the cluster selects" in live.message
    assert "No PodDisruptionBudget among the manifests selects" in file.message


def test_objects_beside_are_joined_and_not_judged() -> None:
    objects = good()
    monitor = objects.pop("PodMonitor")
    del monitor["spec"]["selector"]["matchLabels"]
    monitor["apiVersion"] = "monitoring.coreos.com/v1"
    given = [item for value in objects.values() for item in objects_of(value)]
    result = preflight(given, surroundings=Surroundings(beside=tuple(objects_of(monitor))))

    assert result.findings == ()
    assert result.objects == len(given)


def test_the_default_path_of_a_probe_is_asked_too() -> None:
    objects = good()
    del engine(objects)["livenessProbe"]["httpGet"]["path"]
    given = [item for value in objects.values() for item in objects_of(value)]

    (only,) = preflight(given).findings
    assert (only.check, only.fixes[0].from_value, only.fixes[0].to_value) == ("probe_target", "/", "/health")
