"""Causes that Kubernetes decides, by pods as the API shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.kube_objects import ended, event, node, pod
from troubleshoot.causes import CAUSES
from troubleshoot.diagnosis import diagnose
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Diagnosis, Severity, StatusEvidence
from troubleshoot.logs.facts import LogFacts
from troubleshoot.sources.kube.objects import child, engine_container, events_of, node_facts, pod_facts, quantity

NOW = 1795316400.0  # an hour after the ends of `ended`: 2026-11-22T03:00:00Z
DOWN: dict[str, Any] = {"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}, "ready": False}
PENDING: dict[str, Any] = {"phase": "Pending", "ready": False}


def judged(*events: dict[str, Any], now: float = NOW, log: LogFacts | None = None, **changes: Any) -> Diagnosis:
    shown = pod(**changes)
    facts = replace(pod_facts(shown, engine_container(shown), now=now), events=events_of(events))
    return diagnose(Evidence(log, pod=replace(facts, node=node_facts(node()))))


def first(diagnosis: Diagnosis) -> tuple[str, Severity, str]:
    finding = diagnosis.findings[0]
    assert isinstance(finding.evidence[0], StatusEvidence)
    return finding.cause, finding.severity, finding.evidence[0].origin


def test_a_pod_that_runs_has_no_incident() -> None:
    found = judged()

    assert found.findings == ()
    assert "crash_pod_not_started" in {ruled.cause for ruled in found.ruled_out}


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"restarts": 1, "last": ended(137, "OOMKilled")}, Severity.WARNING),
        ({"restarts": 5, "last": ended(137, "OOMKilled"), **DOWN}, Severity.CRITICAL),
        ({"state": {"terminated": ended(137, "OOMKilled")}, "ready": False, "phase": "Failed"}, Severity.CRITICAL),
        ({"restarts": 1, "last": ended(137, "OOMKilled", "2026-11-20T02:00:00Z")}, Severity.INFO),
    ],
    ids=["came back", "in a loop", "ended", "two days ago"],
)
def test_the_out_of_memory_killer(changes: dict[str, Any], severity: Severity) -> None:
    found = judged(**changes)

    assert first(found) == ("oom_host_memory", severity, "container status")
    assert "64 GiB" in found.findings[0].explanation
    assert found.findings[0].fixes[0].from_value == "64 GiB"
    assert [finding.cause for finding in found.findings] == ["oom_host_memory"]


def test_an_eviction_for_memory() -> None:
    message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 40Mi."
    evicted = {"reason": "Evicted", "message": message}
    found = judged(phase="Failed", ready=False, state={"terminated": ended(137)}, status=evicted)

    assert first(found) == ("oom_host_memory", Severity.CRITICAL, "pod status")


def test_an_eviction_for_disk_is_a_killing() -> None:
    evicted = {"reason": "Evicted", "message": "Pod ephemeral local storage usage exceeds the total limit of 50Gi."}
    found = judged(phase="Failed", ready=False, state={"terminated": ended(137)}, status=evicted)

    assert first(found) == ("crash_engine_dead_killed", Severity.CRITICAL, "pod status")
    assert found.findings[0].title == "The pod was evicted or preempted"


@pytest.mark.parametrize("code", [0, 137, 143])
@pytest.mark.parametrize("probe", ["liveness", "startup"])
def test_a_probe_that_kills(code: int, probe: str) -> None:
    killing = event("Killing", f"Container vllm failed {probe} probe, will be restarted", kind="Normal")
    why = event("Unhealthy", f"{probe.capitalize()} probe failed: HTTP probe failed with statuscode: 503", count=12)
    found = judged(why, killing, restarts=4, last=ended(code), **DOWN)

    assert first(found) == ("crash_engine_dead_killed", Severity.CRITICAL, "event")
    assert found.findings[0].title == f"The {probe} probe killed the server"
    assert "startupProbe" in [fix.setting for fix in found.findings[0].fixes]
    assert any("x12" in item.text for item in found.findings[0].evidence if isinstance(item, StatusEvidence))


def test_a_pod_with_a_startup_probe_is_not_told_to_have_one() -> None:
    killing = event("Killing", "Container vllm failed liveness probe, will be restarted", kind="Normal")
    shown = pod(restarts=1, last=ended(137))
    shown["spec"]["containers"][0]["startupProbe"] = {"httpGet": {"path": "/health"}}
    facts = replace(pod_facts(shown, engine_container(shown), now=NOW), events=events_of([killing]))

    fixes = diagnose(Evidence(pod=facts)).findings[0].fixes
    assert [fix.setting for fix in fixes] == ["livenessProbe"]


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (137, "crash_engine_dead_killed"),
        (143, "crash_engine_dead_killed"),
        (139, "crash_engine_dead_cuda_error"),
        (1, "crash_unrecognised_exception"),
        (2, "crash_unrecognised_exception"),
    ],
)
def test_exit_codes_alone(code: int, cause: str) -> None:
    found = judged(restarts=2, last=ended(code), **DOWN)

    assert first(found) == (cause, Severity.CRITICAL, "container status")
    assert f"exit code {code}, restarted 2 times" in str(found.findings[0].evidence)


def test_an_end_without_an_error_is_none() -> None:
    assert judged(restarts=1, last=ended(0, "Completed")).findings == ()


def test_a_pod_that_is_being_deleted_was_not_killed() -> None:
    shown = pod(state={"terminated": ended(137)}, ready=False)
    shown["metadata"]["deletionTimestamp"] = "2026-11-22T02:00:00Z"

    assert diagnose(Evidence(pod=pod_facts(shown, engine_container(shown), now=NOW))).findings == ()


GPUS = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu. preemption: 0/4 nodes are available."
TAINTS = "0/4 nodes are available: 4 node(s) had untolerated taint {nvidia.com/gpu: present}."


@pytest.mark.parametrize(
    ("message", "title"),
    [(GPUS, "No node has the GPUs free that the pod asks for"), (TAINTS, "No node suits the pod")],
)
def test_a_pod_that_no_node_takes(message: str, title: str) -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    status = {"conditions": [condition], "containerStatuses": []}
    found = judged(event("FailedScheduling", message), status=status, **PENDING)

    assert first(found) == ("crash_pod_not_started", Severity.CRITICAL, "pod status")
    assert found.findings[0].title == title
    assert found.verdict == "incident"


@pytest.mark.parametrize(
    ("reason", "title"),
    [
        ("ImagePullBackOff", "The container's image cannot be pulled"),
        ("ErrImagePull", "The container's image cannot be pulled"),
        ("CreateContainerConfigError", "A Secret or ConfigMap that the container needs does not exist"),
        ("RunContainerError", "The container runtime cannot start the container"),
    ],
)
def test_a_container_that_is_not_created(reason: str, title: str) -> None:
    waiting = {"waiting": {"reason": reason, "message": "hf_planted0123456789abcdefgh: not found"}}
    found = judged(state=waiting, **PENDING)

    assert first(found) == ("crash_pod_not_started", Severity.CRITICAL, "container status")
    assert found.findings[0].title == title
    assert "planted" not in str(found)


def test_a_volume_that_is_not_mounted() -> None:
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    mount = event("FailedMount", 'MountVolume.SetUp failed for volume "models": secret "nfs" not found')
    found = judged(mount, state=waiting, **PENDING)

    assert first(found) == ("crash_pod_not_started", Severity.CRITICAL, "event")
    assert found.findings[0].title == "A volume of the pod cannot be mounted"


def test_a_volume_that_came_late_is_no_incident() -> None:
    assert judged(event("FailedMount", "timed out waiting for the condition")).findings == ()


def test_an_init_container_that_fails() -> None:
    init: dict[str, Any] = {"name": "storage-initializer", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    init["lastState"] = {"terminated": ended(1, message="403 Forbidden: s3://models/llama")}
    waiting = {"waiting": {"reason": "PodInitializing"}}
    found = judged(state=waiting, status={"initContainerStatuses": [init]}, **PENDING)

    assert first(found) == ("crash_pod_not_started", Severity.CRITICAL, "pod status")
    assert "storage-initializer ended with exit code 1" in str(found.findings[0].evidence)


def test_a_command_that_the_image_lacks() -> None:
    refused = ended(127, "ContainerCannotRun", message='exec: "vlm": executable file not found in $PATH')
    found = judged(restarts=3, last=refused, **DOWN)

    assert found.findings[0].title == "The container runtime cannot start the container"


def test_a_log_or_an_answer_means_that_it_was_started() -> None:
    found = CAUSES["crash_pod_not_started"].judge(Evidence(LogFacts(lines=3)))

    assert type(found).__name__ == "RuledOut"


# Objects


def test_the_container_that_serves_is_found() -> None:
    sidecar = {"name": "queue-proxy", "resources": {"limits": {"cpu": "1"}}}
    shown = pod(more_containers=[sidecar])
    shown["spec"]["containers"].reverse()
    assert engine_container(shown)["name"] == "vllm"

    shown["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "queue-proxy"}
    assert engine_container(shown)["name"] == "queue-proxy"
    assert engine_container({}) == {}


def test_arguments_and_environment_are_the_settings_where_the_log_lost_its_start() -> None:
    env = [
        {"name": "MAX_NUM_SEQS", "value": "9"},
        {"name": "HF_TOKEN", "value": "hf_secret"},
        {"name": "X", "valueFrom": {}},
    ]
    shown = pod(args=["serve", "meta-llama/Llama-2-7b-hf", "--max-model-len=4096", "--enforce-eager"], env=env)
    shown["spec"]["containers"][0]["command"] = ["vllm"]
    settings = Evidence(pod=pod_facts(shown, engine_container(shown))).settings

    assert settings.get("model") == "meta-llama/Llama-2-7b-hf"
    assert settings.number("max_model_len") == 4096
    assert settings.number("max_num_seqs") == 9
    assert settings.is_true("enforce_eager")
    assert "hf_secret" not in str(settings)


def test_the_command_of_a_shell_is_read_too() -> None:
    shown = pod(args=["-c", "exec vllm serve m --max-num-seqs 7 --served-model-name x"])

    assert Evidence(pod=pod_facts(shown, engine_container(shown))).settings.number("max_num_seqs") == 7


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("64Gi", 64 * 2**30),
        ("500M", 500_000_000),
        ("1", 1),
        ("1.5Gi", 1610612736),
        ("x", None),
        ("", None),
        (None, None),
    ],
)
def test_quantities(text: str | None, number: int | None) -> None:
    assert quantity(text) == number


@pytest.mark.parametrize(
    "hostile",
    [
        {},
        {"metadata": 7, "spec": [], "status": "x"},
        {"spec": {"containers": [7, {"name": 8, "args": "x", "env": [{"name": 9}], "resources": {"limits": 4}}]}},
        {"status": {"containerStatuses": [{"name": None, "state": {"terminated": {"exitCode": "x"}}}]}},
        {"status": {"containerStatuses": [{"name": "", "lastState": {"terminated": {"finishedAt": "never"}}}]}},
        {"status": {"phase": 5, "conditions": [{"type": "PodScheduled", "status": "False"}]}},
        {"status": {"initContainerStatuses": [{}, {"state": 7}]}},
    ],
)
def test_objects_of_any_shape_give_facts(hostile: dict[str, Any]) -> None:
    facts = pod_facts(hostile, engine_container(hostile), now=NOW)

    assert diagnose(Evidence(pod=facts)).verdict in ("inconclusive", "incident", "healthy")
    assert events_of([{"lastTimestamp": 7, "series": 3, "count": "x"}])[0].count == 1
    assert child({"a": {"b": 1}}, "a", "b") == {}
