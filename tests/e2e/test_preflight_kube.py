"""What is deployed is judged as the manifests that made it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.e2e.kube_api_answers import Object
from tests.e2e.kube_api_stub import StubCluster, kube_api
from tests.e2e.kube_stored import LAST_APPLIED, NAMESPACE, defaulted, stored
from tests.e2e.preflight_cluster import MANIFESTS, Run, checks, filled, manifests, not_checked, report, runner
from tests.troubleshoot.preflight.expected_findings import EXPECTED
from tests.troubleshoot.preflight.sarif_structure import SARIF
from troubleshoot.preflight import Result, preflight
from troubleshoot.preflight.objects import objects_of
from troubleshoot.preflight.report.json import schema

CORRECT = MANIFESTS / "corrected"
Found = tuple[str, ...]


@pytest.fixture(scope="module")
def served() -> Iterator[StubCluster]:
    with kube_api(StubCluster()) as cluster:
        yield cluster


@pytest.fixture
def cluster(served: StubCluster) -> Iterator[StubCluster]:
    """An empty cluster."""
    for kept in (served.pods, served.objects, served.forbidden, served.absent, served.faults, served.asked):
        kept.clear()
    served.expired_pages = 0
    yield served


@pytest.fixture
def run(cluster: StubCluster, tmp_path: Path) -> Run:
    return runner(cluster, tmp_path)


def from_files(items: list[Object]) -> Result:
    """What is said of the manifests themselves, in the namespace in which they are applied."""
    placed = copy.deepcopy(items)
    for item in placed:
        item["metadata"].setdefault("namespace", NAMESPACE)
    return preflight([found for item in placed for found in objects_of(item)])


def said(text: str) -> str:
    """A message in the words of manifests; whether a default is written down is no difference."""
    return text.replace("in the cluster", "among the manifests").replace(" (the default)", "")


def of_manifests(items: list[Object]) -> list[Found]:
    return sorted(
        (f.check, f.severity.label, f.title, f.subject, said(f.message), f.place.path, str(f.fixes[0].to_value))
        for f in from_files(items).findings
    )


def of_cluster(found: dict[str, Any]) -> list[Found]:
    return sorted(
        (
            f["check"],
            f["severity"],
            f["title"],
            f["object"],
            said(f["message"]),
            f["path"],
            str(f["fixes"][0]["to"]),
        )
        for f in found["findings"]
    )


@pytest.mark.parametrize("how", [stored, defaulted])
@pytest.mark.parametrize("name", EXPECTED)
def test_the_findings_are_those_of_the_manifests(
    run: Run, cluster: StubCluster, name: str, how: Callable[[Object], Object]
) -> None:
    items = manifests(MANIFESTS / "as_written" / name)
    filled(cluster, items, how)
    result = run("--kube", NAMESPACE)

    assert result.stderr == ""
    assert of_cluster(report(result)) == of_manifests(items)
    assert {f["file"] for f in report(result)["findings"]} == {""}
    assert result.exit_code == 1
    assert len(of_manifests(items)) == len([each for each in EXPECTED[name] if "Provisioner" not in each[2]])


@pytest.mark.parametrize("how", [stored, defaulted])
@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_corrected_passes(run: Run, cluster: StubCluster, name: str, how: Callable[[Object], Object]) -> None:
    filled(cluster, manifests(CORRECT / name), how)
    result = run("--kube", NAMESPACE)

    assert report(result)["findings"] == []
    assert report(result)["verdict"] == "passed"
    assert result.exit_code == 0
    assert result.stderr == ""


def test_everything_in_one_cluster_is_told_apart(run: Run, cluster: StubCluster) -> None:
    items = [item for name in EXPECTED for item in manifests(MANIFESTS / "as_written" / name)]
    filled(cluster, items, defaulted)

    assert of_cluster(report(run("--kube", "-A"))) == of_manifests(items)
    assert report(run("--kube", "elsewhere"))["findings"] == []


# Which part of the cluster


def test_a_place_is_namespace_kind_and_name(run: Run, cluster: StubCluster) -> None:
    filled(cluster, manifests(MANIFESTS / "as_written" / "tgi-writer.yaml"))
    found = report(run("--kube", NAMESPACE))

    assert {each["resource"] for each in found["findings"]} == {
        "inference/deployment/writer-7b",
        "inference/horizontalpodautoscaler/writer-7b",
    }
    assert found["cluster"] == "test, namespace inference"
    text = " ".join(run("--kube", NAMESPACE, report="text").stdout.split())
    assert "where inference/deployment/writer-7b · spec.template.spec" in text
    assert "horizontalpodautoscaler/writer-7b · Deployment inference/writer-7b · spec.metrics[1]" in text


def test_the_contexts_namespace_is_taken(run: Run, cluster: StubCluster) -> None:
    """The kubeconfig of the stub names `llm`."""
    filled(cluster, manifests(MANIFESTS / "as_written" / "tgi-writer.yaml"))

    assert run("--kube").exit_code == 3
    assert {asked.namespace for asked in cluster.asked} == {"", "llm"}
    assert run("--kube", "-n", NAMESPACE).exit_code == 1
    assert run("--kube", "--context", "test", "--all-namespaces").exit_code == 1


def test_one_workload_with_what_belongs_to_it(run: Run, cluster: StubCluster) -> None:
    filled(cluster, manifests(MANIFESTS / "as_written" / "tgi-writer.yaml"))
    filled(cluster, manifests(MANIFESTS / "as_written" / "triton-mixed.yaml"))
    alone = of_manifests(manifests(MANIFESTS / "as_written" / "tgi-writer.yaml"))

    for target in (["inference/deployment/writer-7b"], ["deploy/writer-7b", "-n", NAMESPACE]):
        found = report(run("--kube", *target))
        assert of_cluster(found) == alone
        assert found["workloads"] == ["Deployment inference/writer-7b"]
        assert found["cluster"] == "test, inference/deployment/writer-7b"


@pytest.mark.parametrize(
    ("target", "manifest", "workload"),
    [
        ("inferenceservice/chat-13b", "kserve-chat.yaml", "InferenceService inference/chat-13b (predictor)"),
        ("pod/chat-7b-mig", "mig-pod.yaml", "Pod inference/chat-7b-mig"),
    ],
)
def test_workloads_of_other_kinds(run: Run, cluster: StubCluster, target: str, manifest: str, workload: str) -> None:
    filled(cluster, manifests(CORRECT / manifest))
    name = target.partition("/")[2]
    if manifest == "mig-pod.yaml":
        filled(cluster, manifests(MANIFESTS / "as_written" / manifest))
    assert workload in report(run("--kube", f"inference/{target}"))["workloads"], name


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("inference/deployment/none", "inference/deployment/none: is not there; check kind, name, namespace"),
        ("inference/lws/none", "inference/leaderworkerset/none: is not there"),
        ("inference/pod/chat-7f-x", "is made by ReplicaSet chat-7f; name the object at the top"),
    ],
)
def test_a_workload_that_cannot_be_checked_is_one_line(run: Run, cluster: StubCluster, target: str, said: str) -> None:
    filled(cluster, [made("Pod", "chat-7f-x", owner="ReplicaSet chat-7f")])
    result = run("--kube", target)

    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert said in line


def test_nothing_deployed_is_status_3(run: Run) -> None:
    result = run("--kube", "inference", report="text")

    assert result.exit_code == 3
    assert "NOTHING CHECKED" in result.stdout
    assert result.stderr == ""


# What controllers make


def made(kind: str, name: str, *, owner: str = "", spec: Object | None = None) -> Object:
    """An object with one vLLM container, made by an owner ("ReplicaSet chat-7f")."""
    pod = manifests(MANIFESTS / "as_written" / "mig-pod.yaml")[0]["spec"]
    if kind != "Pod":
        pod = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}}
    metadata: Object = {"name": name}
    if owner:
        owner_kind, _, owner_name = owner.partition(" ")
        group = {"InferenceService": "serving.kserve.io/v1beta1", "RayCluster": "ray.io/v1"}
        group |= {"LeaderWorkerSet": "leaderworkerset.x-k8s.io/v1", "Revision": "serving.knative.dev/v1"}
        group |= {"Pod": "v1", "ScaledObject": "keda.sh/v1alpha1", "Graph": "nvidia.com/v1alpha1"}
        reference = {"kind": owner_kind, "name": owner_name, "apiVersion": group.get(owner_kind, "apps/v1")}
        metadata["ownerReferences"] = [{**reference, "uid": "x", "controller": True}]
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec or pod}


def workloads(result: Any) -> list[str]:
    return [title.replace("inference/", "") for title in report(result)["workloads"]]


def test_what_a_deployment_makes_is_not_reported_again(run: Run, cluster: StubCluster) -> None:
    filled(cluster, [made("Deployment", "chat")])
    filled(cluster, [made("ReplicaSet", f"chat-{n}", owner="Deployment chat") for n in range(3)])
    filled(cluster, [made("Pod", f"chat-0-{n}", owner="ReplicaSet chat-0") for n in range(3)])
    result = run("--kube", NAMESPACE)

    assert workloads(result) == ["Deployment chat"]
    assert report(result)["notes"] == []


def test_a_kserve_service_is_reported_once(run: Run, cluster: StubCluster) -> None:
    """In standard mode KServe makes the Deployment, in serverless mode Knative's Revision does."""
    filled(cluster, manifests(MANIFESTS / "as_written" / "kserve-chat.yaml"))
    service = ["InferenceService chat-13b (predictor)", "InferenceService chat-13b (transformer)"]
    canary = ["InferenceService chat-13b-canary (predictor)"]
    label = {"serving.kserve.io/inferenceservice": "chat-13b"}
    raw = made("Deployment", "chat-predictor", owner="InferenceService chat-13b")
    knative = made("Deployment", "chat-predictor-00001-deployment", owner="Revision chat-predictor-00001")
    knative["metadata"]["labels"] = label
    filled(cluster, [raw, knative])

    assert workloads(run("--kube", NAMESPACE)) == [*service, *canary]


def test_a_leader_worker_set_is_reported_once(run: Run, cluster: StubCluster) -> None:
    """The leader's StatefulSet is owned by the set, each group's workers by its leader's pod."""
    worker = {"spec": made("Pod", "x")["spec"]}
    group = made("LeaderWorkerSet", "big", spec={"leaderWorkerTemplate": {"size": 2, "workerTemplate": worker}})
    leaders = made("StatefulSet", "big", owner="LeaderWorkerSet big")
    workers = made("StatefulSet", "big-0", owner="Pod big-0")
    workers["metadata"]["labels"] = {"leaderworkerset.sigs.k8s.io/name": "big"}
    filled(cluster, [group, leaders, workers, made("Pod", "big-0", owner="StatefulSet big")])

    assert workloads(run("--kube", NAMESPACE)) == ["LeaderWorkerSet big"]


def test_what_an_unknown_kind_makes_is_checked_where_it_defines_pods(run: Run, cluster: StubCluster) -> None:
    filled(cluster, [made("Deployment", "decode", owner="Graph chat"), made("Pod", "head", owner="RayCluster ray")])
    result = run("--kube", NAMESPACE)

    assert workloads(result) == ["Deployment decode"]
    assert report(result)["notes"] == [
        "Pod inference/head: not checked, for RayCluster inference/ray makes it and is not among the objects"
    ]


def test_an_autoscaler_that_keda_makes_is_not_reported_beside_its_own(run: Run, cluster: StubCluster) -> None:
    spec = {"scaleTargetRef": {"name": "chat"}, "minReplicaCount": 2, "triggers": [{"type": "cpu", "metadata": {}}]}
    scaled = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "chat"}, "spec": spec}
    target = {"kind": "Deployment", "name": "chat"}
    other = made("HorizontalPodAutoscaler", "keda-hpa-chat", owner="ScaledObject chat", spec={"scaleTargetRef": target})
    filled(cluster, [made("Deployment", "chat"), scaled, other])

    signals = [f for f in report(run("--kube", NAMESPACE))["findings"] if f["check"] == "autoscaling_signal"]
    assert [each["resource"] for each in signals] == ["inference/scaledobject/chat"]


# What a live object cannot tell


@pytest.mark.parametrize(
    ("said", "found"), [("annotation with", True), ("annotation without", False), ("nothing", None), ("apply", True)]
)
def test_replicas_are_held_against_what_was_applied(
    run: Run, cluster: StubCluster, said: str, found: bool | None
) -> None:
    """An API server fills in `replicas`, and the autoscaler sets it: only what was applied can undo that."""
    deployment, scaler = manifests(MANIFESTS / "as_written" / "tgi-writer.yaml")
    if said != "annotation with":
        del deployment["spec"]["replicas"]
    item = defaulted(deployment)
    item["spec"]["replicas"] = 7  # what the autoscaler made of it
    if said in ("nothing", "apply"):
        del item["metadata"]["annotations"][LAST_APPLIED]
    if said == "apply":
        item["metadata"]["managedFields"].append(
            {"manager": "flux", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        )
    cluster.put(item)
    cluster.put(defaulted(scaler))
    result = run("--kube", NAMESPACE)

    assert ("autoscaled_replicas" in checks(result)) is bool(found)
    assert ("autoscaled_replicas" in not_checked(result)) is (found is None)
    messages = [f["message"] for f in report(result)["findings"] if f["check"] == "autoscaled_replicas"]
    assert all(("back to 3" if said == "annotation with" else "back to 7") in message for message in messages)


def test_a_probe_without_a_path_asks_the_root(run: Run, cluster: StubCluster) -> None:
    items = manifests(CORRECT / "vllm-chat.yaml")
    container = items[0]["spec"]["template"]["spec"]["containers"][0]
    del container["readinessProbe"]["httpGet"]["path"]
    assert "probe_target" in {f.check for f in from_files(items).findings}
    filled(cluster, items, defaulted)

    assert checks(run("--kube", NAMESPACE)) == {"probe_target"}


def test_monitors_of_other_namespaces_reach_in(run: Run, cluster: StubCluster) -> None:
    items = manifests(CORRECT / "vllm-chat.yaml")
    monitor = next(item for item in items if item["kind"] == "PodMonitor")
    monitor["metadata"]["namespace"] = "monitoring"
    monitor["spec"]["namespaceSelector"] = {"matchNames": [NAMESPACE]}
    filled(cluster, items)

    assert checks(run("--kube", NAMESPACE)) == set()
    monitor["spec"]["namespaceSelector"] = {"matchNames": ["other"]}
    filled(cluster, [monitor])
    assert checks(run("--kube", NAMESPACE)) == {"scraping"}


def test_rules_of_other_namespaces_are_not_judged_but_record_series(run: Run, cluster: StubCluster) -> None:
    def rules(name: str, namespace: str, rule: Object) -> Object:
        metadata = {"name": name, "namespace": namespace}
        spec = {"groups": [{"name": "g", "rules": [rule]}]}
        return {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": metadata, "spec": spec}

    filled(cluster, [rules("own", NAMESPACE, {"alert": "A", "expr": "vllm_tokens:rate5m > 1"})])
    assert checks(run("--kube", NAMESPACE)) == {"rule_metrics"}
    filled(cluster, [rules("far", "monitoring", {"record": "vllm_tokens:rate5m", "expr": "vllm_nonsense"})])
    assert checks(run("--kube", NAMESPACE)) == set()


def test_the_runtime_of_a_model_is_read(run: Run, cluster: StubCluster) -> None:
    container = {"name": "kserve-container", "image": "vllm/vllm-openai:v0.11.2", "args": ["--enforce-eager"]}
    runtime = {"kind": "ClusterServingRuntime", "metadata": {"name": "vllm"}, "spec": {"containers": [container]}}
    model = {"modelFormat": {"name": "vLLM"}, "runtime": "vllm"}
    service = {"kind": "InferenceService", "metadata": {"name": "chat"}, "spec": {"predictor": {"model": model}}}
    cluster.put(runtime)
    filled(cluster, [service])

    assert "enforce_eager" in checks(run("--kube", "inference/isvc/chat"))


def test_reports_follow_their_published_shapes(run: Run, cluster: StubCluster) -> None:
    filled(cluster, manifests(MANIFESTS / "as_written" / "tgi-writer.yaml"))
    jsonschema.validate(report(run("--kube", NAMESPACE)), schema())
    written = json.loads(run("--kube", NAMESPACE, report="sarif").stdout)
    jsonschema.validate(written, SARIF)

    results = written["runs"][0]["results"]
    assert all("physicalLocation" not in each["locations"][0] for each in results)
    assert results[0]["locations"][0]["logicalLocations"] == [
        {
            "fullyQualifiedName": "inference/deployment/writer-7b: spec.template.spec.containers[0].readinessProbe",
            "kind": "resource",
        }
    ]
    assert len({str(each["partialFingerprints"]) for each in results}) == len(results)


def test_no_secret_is_asked_for_or_shown(run: Run, cluster: StubCluster) -> None:
    planted = "hf_planted0123456789abcdefgh"
    items = manifests(CORRECT / "vllm-chat.yaml")
    items[0]["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "HF_TOKEN", "value": planted})
    filled(cluster, items)
    for form in ("text", "json", "sarif", "markdown"):
        result = run("--kube", NAMESPACE, report=form)
        assert "secrets" in result.stdout
        assert planted not in result.stdout + result.stderr
    assert "secrets" not in {asked.resource for asked in cluster.asked}
    assert {asked.verb for asked in cluster.asked} == {"list"}


def test_config_maps_are_asked_for_where_a_script_starts_an_engine(run: Run, cluster: StubCluster) -> None:
    items = manifests(MANIFESTS / "as_written" / "vllm-chat.yaml")
    filled(cluster, items)
    cluster.put(stored({"kind": "ConfigMap", "metadata": {"name": "other"}, "data": {"a": "b"}}))
    assert "enforce_eager" in checks(run("--kube", NAMESPACE))
    asked = [asked.name for asked in cluster.asked if asked.resource == "configmaps"]
    assert asked == ["chat-start"]
