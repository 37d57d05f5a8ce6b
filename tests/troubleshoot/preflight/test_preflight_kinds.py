"""Every kind that makes pods gives the same model: groups, KServe's runtimes and presets."""

from __future__ import annotations

from typing import Any

import pytest

from troubleshoot.preflight import Result, preflight
from troubleshoot.preflight.cluster import Cluster
from troubleshoot.preflight.objects import objects_of
from troubleshoot.preflight.subject import Subject

Value = dict[str, Any]


def made(kind: str, spec: Value, version: str = "v1", **metadata: Any) -> Value:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "m", **metadata}, "spec": spec}


def cluster(*values: Value) -> Cluster:
    return Cluster.of(item for value in values for item in objects_of(value))


def result(*values: Value) -> Result:
    return preflight(cluster(*values).objects)


def found(*values: Value) -> dict[str, set[str]]:
    """Check -> the severities with which it finds something."""
    said: dict[str, set[str]] = {}
    for finding in result(*values).findings:
        said.setdefault(finding.check, set()).add(finding.severity.label)
    return said


def vllm(gpus: int, *arguments: str) -> Value:
    container = {
        "name": "engine",
        "image": "vllm/vllm-openai:v0.11.2",
        "command": ["vllm", "serve", "org/llama-2-70b-hf", *arguments],
        "resources": {"limits": {"nvidia.com/gpu": gpus}},
    }
    return {"containers": [container]}


def group(size: int, leader: Value | None, worker: Value) -> Value:
    template: Value = {"size": size, "workerTemplate": {"spec": worker}}
    if leader:
        template["leaderTemplate"] = {"spec": leader}
    return made("LeaderWorkerSet", {"replicas": 2, "leaderWorkerTemplate": template}, "leaderworkerset.x-k8s.io/v1")


def test_a_groups_gpus_are_counted_together() -> None:
    sixteen = ("--tensor-parallel-size=8", "--pipeline-parallel-size=2")
    worker = vllm(8)
    worker["containers"][0]["command"] = ["sh", "-c", "ray start --block"]
    assert "gpu_count" not in found(group(2, vllm(8, *sixteen), worker))
    assert found(group(1, vllm(8, *sixteen), worker))["gpu_count"] == {"critical"}
    assert found(group(4, vllm(8, *sixteen), worker))["gpu_count"] == {"warning"}
    assert "gpu_count" not in found(group(2, None, vllm(8, *sixteen)))


def test_workers_of_a_group_need_no_probes_and_no_scraping() -> None:
    leader, worker = vllm(8, "--tensor-parallel-size=8", "--pipeline-parallel-size=2"), vllm(8)
    said = result(group(2, leader, worker))
    checks = {(each.check, each.subject) for each in said.findings if each.subject.endswith("(worker)")}
    assert {check for check, _ in checks} & {"probes", "scraping", "replicas", "gpu_count", "model_source"} == set()
    assert any(check == "resources" for check, _ in checks)


def test_a_stateful_set_is_a_workload_like_others() -> None:
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}}
    spec["template"] = {"metadata": {"labels": {"a": "b"}}, "spec": vllm(1)}
    assert found(made("StatefulSet", spec, "apps/v1"))["replicas"] == {"warning"}


def test_a_daemon_set_has_a_replica_on_each_node() -> None:
    spec: Value = {"selector": {"matchLabels": {"a": "b"}}}
    spec["template"] = {"metadata": {"labels": {"a": "b"}}, "spec": vllm(1)}
    assert not {"replicas", "spread", "disruption_budget"} & set(found(made("DaemonSet", spec, "apps/v1")))


def service(predictor: Value, **annotations: str) -> Value:
    return made("InferenceService", {"predictor": predictor}, "serving.kserve.io/v1beta1", annotations=annotations)


RUNTIME = made(
    "ClusterServingRuntime",
    {
        "containers": [
            {
                "name": "kserve-container",
                "image": "vllm/vllm-openai:v0.11.2",
                "args": ["--model=/mnt/models", "--enforce-eager"],
                "resources": {"limits": {"nvidia.com/gpu": 1}},
            }
        ],
        "volumes": [{"name": "dshm", "emptyDir": {"medium": "Memory"}}],
    },
    "serving.kserve.io/v1alpha1",
)


def model(**more: Any) -> Value:
    return {"model": {"modelFormat": {"name": "vLLM"}, "runtime": "m", **more}}


def test_a_model_takes_its_container_from_the_runtime() -> None:
    predictor = model(args=["--tensor-parallel-size=4"], resources={"limits": {"nvidia.com/gpu": 2}})
    said = found(RUNTIME, service(predictor))
    assert said["enforce_eager"] == {"warning"}  # the runtime's argument
    assert said["gpu_count"] == {"critical"}  # the model's own arguments against its own GPUs
    place = next(each.place for each in result(RUNTIME, service(predictor)).findings if each.check == "gpu_count")
    assert place.path == "spec.predictor.model.args[0]"


def test_a_model_on_the_hub_is_known_by_its_uri() -> None:
    predictor = {
        **model(storageUri="hf://meta-llama/Llama-2-70b-hf"),
        "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"},
    }
    said = found(RUNTIME, service(predictor))
    assert said["weights_fit"] == {"critical"}


def test_without_the_runtime_its_part_is_not_checked() -> None:
    predictor = model(args=["--max-model-len=4096"], resources={"limits": {"nvidia.com/gpu": 2}})
    said = result(service(predictor))
    assert not {"probes", "model_source", "gpu_count", "image"} & {each.check for each in said.findings}


def test_unknown_arguments_are_never_ok() -> None:
    pod = {"containers": [{"name": "c", "image": "vllm/vllm-openai:v0.9.0", "command": ["/start.sh"]}]}
    said = result(made("Pod", pod))
    hidden = {"enforce_eager", "trust_remote_code", "engine_flags", "memory_share", "shared_memory", "model_source"}
    assert hidden <= {each.check for each in said.not_checked}
    assert not hidden & ({each.check for each in said.passed} | {each.check for each in said.findings})


def llm(spec: Value) -> Value:
    return made(
        "LLMInferenceService",
        {"model": {"uri": "hf://meta-llama/Llama-2-70b-hf"}, **spec},
        "serving.kserve.io/v1alpha1",
    )


def main_container(gpus: int, **more: Any) -> Value:
    limits = {"nvidia.com/gpu": gpus}
    return {
        "containers": [{"name": "main", "image": "vllm/vllm-openai:v0.11.2", "resources": {"limits": limits}, **more}]
    }


def test_an_llm_inference_service_says_its_parallelism_itself() -> None:
    spec = {"replicas": 2, "parallelism": {"tensor": 4}, "template": main_container(2)}
    assert found(llm(spec))["gpu_count"] == {"critical"}
    spec["template"] = main_container(4)
    assert "gpu_count" not in found(llm(spec))


def test_what_presets_give_is_not_checked() -> None:
    said = result(llm({"replicas": 2, "parallelism": {"tensor": 4}, "template": main_container(4)}))
    left_out = {each.check for each in said.not_checked}
    assert {"probes", "shared_memory", "scraping", "startup_time"} <= left_out
    assert not {"probes", "shared_memory", "scraping", "termination"} & {each.check for each in said.findings}


def test_prefill_is_a_workload_of_its_own() -> None:
    prefill = {"replicas": 1, "parallelism": {"tensor": 2}, "template": main_container(1)}
    said = result(llm({"replicas": 2, "template": main_container(1), "prefill": prefill}))
    assert ("gpu_count", "LLMInferenceService m (prefill)") in {(each.check, each.subject) for each in said.findings}


def test_a_service_that_names_no_namespace_belongs_to_all() -> None:
    one = cluster(made("Pod", vllm(1), namespace="a", labels={"x": "y"}), made("Service", {"selector": {"x": "y"}}))
    (workload,) = one.workloads
    assert [item.kind for item in one.services(workload)] == ["Service"]
    other = cluster(
        made("Pod", vllm(1), namespace="a", labels={"x": "y"}), made("Service", {"selector": {"x": "y"}}, namespace="b")
    )
    assert other.services(other.workloads[0]) == []


def test_what_serves_no_model_is_not_judged() -> None:
    said = result(made("Pod", {"containers": [{"name": "web", "image": "nginx:latest"}]}))
    assert said.verdict == "nothing checked"
    assert said.findings == ()


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("InferenceService", "fusion.example/v1"),
        ("Service", "serving.knative.dev/v1"),
        ("Deployment", "other.example/v1"),
    ],
)
def test_kinds_of_other_groups_are_not_taken_for_those_that_are_known(kind: str, version: str) -> None:
    said = result(made(kind, {"roles": []}, version))
    assert (said.verdict, said.findings) == ("nothing checked", ())


def test_an_llm_inference_service_that_leaves_all_to_presets() -> None:
    said = result(llm({"replicas": 2, "template": {"containers": [{"name": "main"}]}}))
    assert said.findings == () or {each.check for each in said.findings} <= {
        "disruption_budget",
        "image",
        "model_cache",
    }
    assert {"gpu_count", "resources", "image"} <= {each.check for each in said.not_checked}


def test_objects_of_a_cluster_have_no_lines() -> None:
    one = cluster(made("Pod", vllm(1)))
    place = Subject(one.workloads[0], one).workload.pod.place
    assert (place.file, place.line, place.path) == ("", None, "spec")
