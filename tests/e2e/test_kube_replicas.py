"""All replicas of a workload at once: which differs, and what all share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from inferwatch.cli import root
from recordings.reader import load, read_log, scrapes
from tests.e2e.kube_api_stub import StubCluster, StubPod, kube_api
from tests.e2e.kube_objects import ended, event, node, pod
from troubleshoot.sources.kube import workload

LABELS = {"app": "vllm", "pod-template-hash": "7f9"}
SERVICE = {"serving.kserve.io/inferenceservice": "llama"}


def played(recording: str) -> Callable[[], tuple[int, str]]:
    """Later and later pages of a recording, faster than they came: without the CPU's time, which would show that."""
    texts = [scrape.exposition.decode() for scrape in scrapes(load(recording)) if scrape.up]
    pages = [re.sub(r"(?m)^process_cpu_seconds_total.*\n", "", text) for text in texts]
    following = iter(pages[len(pages) // 3 :: 5])
    return lambda: (200, next(following, pages[-1]))


def replica(name: str, recording: str, **changes: Any) -> StubPod:
    changes = {"labels": LABELS, "args": ("--model", "llama-2-7b"), **changes}
    return StubPod(pod(name, **changes), logs={"vllm": read_log(load(recording))}, ports={"8000": played(recording)})


@pytest.fixture
def cluster() -> Iterator[StubCluster]:
    names = ("gpu-1", "gpu-2")
    found = StubCluster(nodes={name: node(name) for name in names})
    selector = {"matchLabels": {"app": "vllm"}, "matchExpressions": [{"key": "gone", "operator": "DoesNotExist"}]}
    workload_object = {"metadata": {"name": "vllm"}, "spec": {"selector": selector}}
    found.objects["deployments", "llm", "vllm"] = workload_object
    found.objects["statefulsets", "llm", "vllm"] = workload_object
    found.objects["inferenceservices", "llm", "llama"] = {
        "status": {"conditions": [{"type": "Ready", "status": "True"}]}
    }
    with kube_api(found) as served:
        yield served


def said(cluster: StubCluster, folder: Path, kube: str, *more: str) -> dict[str, Any]:
    config = str(cluster.kubeconfig(folder / "config"))
    words = ["diagnose", "--kube", kube, "--kubeconfig", config, "--window", "1s", "--format", "json", *more]
    result = CliRunner().invoke(root, words, prog_name="inferwatch")
    assert result.stdout, result.stderr
    return {**json.loads(result.stdout), "exit": result.exit_code, "stderr": result.stderr}


def differences(found: dict[str, Any], name: str) -> str:
    (one,) = [replica for replica in found["fleet"]["replicas"] if replica["name"] == f"llm/{name}"]
    return " | ".join(one["differs"])


@pytest.mark.parametrize("kube", ["llm/deployment/vllm", "llm/statefulset/vllm", "llm/inferenceservice/llama", "llm"])
def test_every_kind_of_workload_leads_to_its_pods(cluster: StubCluster, tmp_path: Path, kube: str) -> None:
    for number in range(3):
        cluster.add(replica(f"vllm-{number}", "healthy_steady", labels={**LABELS, **SERVICE}))
    cluster.add(replica("other-0", "kv_preemption", labels={"app": "other"}))
    found = said(cluster, tmp_path, kube, *(("-l", "app in (vllm, x),!gone") if kube == "llm" else ()))

    assert found["fleet"]["total"] == 3
    assert found["verdict"] == "healthy"
    assert found["summary"].startswith("All 3 replicas: No incident")
    assert found["stderr"] == ""


def test_what_all_say_is_the_shared_cause(cluster: StubCluster, tmp_path: Path) -> None:
    for number in range(3):
        cluster.add(replica(f"vllm-{number}", "kv_preemption"))
    found = said(cluster, tmp_path, "llm/deployment/vllm")

    assert found["summary"].startswith("All 3 replicas: ")
    assert found["findings"][0]["cause"] == "thr_preemption_thrash"
    assert "All 3 replicas say the same." in found["findings"][0]["explanation"]
    assert {one["cause"] for one in found["fleet"]["replicas"]} == {"thr_preemption_thrash"}
    assert found["exit"] == 1


def test_the_one_that_differs_is_named_with_what_it_differs_in(cluster: StubCluster, tmp_path: Path) -> None:
    for number in range(3):
        cluster.add(replica(f"vllm-{number}", "healthy_steady"))
    odd: dict[str, Any] = {
        "image": "vllm/vllm-openai:v0.9.1",
        "node": "gpu-2",
        "labels": {**LABELS, "pod-template-hash": "old"},
    }
    cluster.add(replica("vllm-3", "kv_preemption", **odd))
    cluster.nodes["gpu-2"] = node("gpu-2", ready="Unknown", MemoryPressure="True")
    found = said(cluster, tmp_path, "llm/deployment/vllm")

    assert found["summary"].startswith("1 of 4 replicas (vllm-3): ")
    assert "The others: 3 healthy" in found["summary"]
    assert "Of 4 replicas: vllm-3." in found["findings"][0]["explanation"]
    told = differences(found, "vllm-3")
    assert "image vllm/vllm-openai:v0.9.1, most others vllm/vllm-openai:v0.24.0" in told
    assert "revision old, most others 7f9" in told
    assert differences(found, "vllm-0") == ""


def test_an_ill_node_is_told_of_the_replica_on_it(cluster: StubCluster, tmp_path: Path) -> None:
    cluster.nodes["gpu-2"] = node("gpu-2", ready="Unknown")
    for number in range(3):
        cluster.add(replica(f"vllm-{number}", "healthy_steady", node="gpu-2" if number == 1 else "gpu-1"))
    found = said(cluster, tmp_path, "llm/deployment/vllm")

    assert "node gpu-2: not Ready" in differences(found, "vllm-1")
    assert "not Ready" not in differences(found, "vllm-0")


def test_causes_of_different_replicas_are_all_told_the_gravest_first(cluster: StubCluster, tmp_path: Path) -> None:
    cluster.add(replica("vllm-0", "healthy_steady"))
    cluster.add(replica("vllm-1", "kv_preemption"))
    cluster.add(replica("vllm-2", "kv_preemption"))
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    cluster.add(StubPod(pod("vllm-3", ready=False, labels=LABELS, state=waiting, phase="Pending")))
    found = said(cluster, tmp_path, "llm/deployment/vllm")

    causes = [finding["cause"] for finding in found["findings"]]
    assert causes[0] == "thr_preemption_thrash"  # as critical as the other, and two of them
    assert "crash_pod_not_started" in causes
    assert found["fleet"]["down"] == 1
    roles = {one["name"]: one["role"] for one in found["fleet"]["replicas"]}
    assert roles["llm/vllm-3"] == "down"
    assert roles["llm/vllm-0"] == "typical"


def test_one_that_was_killed_among_healthy_ones(cluster: StubCluster, tmp_path: Path) -> None:
    cluster.add(replica("vllm-0", "healthy_steady"))
    cluster.add(replica("vllm-1", "healthy_steady"))
    crashing: dict[str, Any] = {"restarts": 7, "ready": False, "last": ended(137, "OOMKilled")}
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}}
    cluster.add(replica("vllm-2", "healthy_steady", state=waiting, **crashing))
    found = said(cluster, tmp_path, "llm/deployment/vllm")

    assert found["findings"][0]["cause"] == "oom_host_memory"
    (proof, *_) = found["findings"][0]["evidence"]
    assert proof["source"] == "container status"
    assert proof["object"] == "llm/vllm-2 vllm"
    assert "OOMKilled" in proof["text"]
    assert "restarted yes, most others no" in differences(found, "vllm-2")


def test_a_workload_without_pods_says_what_it_says_itself(cluster: StubCluster, tmp_path: Path) -> None:
    condition = {"type": "PredictorReady", "status": "False", "message": "admission webhook denied: quota exceeded"}
    cluster.objects["inferenceservices", "llm", "llama"]["status"] = {"conditions": [condition]}
    config = str(cluster.kubeconfig(tmp_path / "config"))
    words = ["diagnose", "--kube", "llm/inferenceservice/llama", "--kubeconfig", config]
    result = CliRunner().invoke(root, words, prog_name="inferwatch")

    assert result.exit_code == 2
    assert "has no pods (PredictorReady is False: admission webhook denied: quota exceeded)" in result.stderr


def test_a_service_that_may_not_be_read_still_has_pods(cluster: StubCluster, tmp_path: Path) -> None:
    cluster.forbidden.add(("get", "inferenceservices"))
    cluster.add(replica("vllm-0", "healthy_steady", labels=SERVICE))
    found = said(cluster, tmp_path, "llm/inferenceservice/llama")

    assert "get on inferenceservices.serving.kserve.io" in found["stderr"]
    assert found["verdict"] == "healthy"


def test_of_too_many_those_in_trouble_are_looked_at(
    cluster: StubCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload, "MOST_REPLICAS", 2)
    for number in range(4):
        cluster.add(replica(f"vllm-{number}", "healthy_steady", restarts=3 if number == 2 else 0, ready=number != 3))
    found = said(cluster, tmp_path, "llm/deployment/vllm")

    assert [one["name"] for one in found["fleet"]["replicas"]] == ["llm/vllm-2", "llm/vllm-3"]
    assert "2 more pods were not looked at" in found["stderr"]


def test_events_of_a_pod_of_the_same_name_before_do_not_count(cluster: StubCluster, tmp_path: Path) -> None:
    cluster.add(replica("vllm-0", "healthy_steady"))
    old = event("Evicted", "The node was low on resource: memory.")
    old["involvedObject"]["uid"] = "uid-of-the-one-before"
    cluster.events.append(old)

    assert said(cluster, tmp_path, "llm/vllm-0")["verdict"] == "healthy"


def test_the_text_report_names_the_replicas(cluster: StubCluster, tmp_path: Path) -> None:
    cluster.add(replica("vllm-0", "healthy_steady"))
    cluster.add(replica("vllm-1", "kv_preemption"))
    config = str(cluster.kubeconfig(tmp_path / "config"))
    words = ["diagnose", "--kube", "llm/deployment/vllm", "--kubeconfig", config, "--window", "1s"]
    result = CliRunner().invoke(root, words, prog_name="inferwatch")

    assert "replicas" in result.stdout
    assert "llm/vllm-0 (typical): healthy" in " ".join(result.stdout.split())
