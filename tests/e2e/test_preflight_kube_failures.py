"""Every way in which the API server can refuse or fail: what was not read is said, and is not taken for missing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.kube_api_answers import Object
from tests.e2e.kube_api_stub import TOKEN, StubCluster, kube_api
from tests.e2e.kube_faults import cut_off, endless, refused, says, silent
from tests.e2e.kube_stored import LAST_APPLIED, NAMESPACE, defaulted
from tests.e2e.preflight_cluster import MANIFESTS, Run, checks, filled, manifests, not_checked, report, runner
from troubleshoot.sources.kube import cluster as cluster_module
from troubleshoot.sources.kube import deployed, listing
from troubleshoot.sources.kube.kinds import BESIDE, KINDS, RULES, WORKLOADS

CUSTOM = [kind.resource for kind in KINDS if kind.is_optional]
GOOD = MANIFESTS / "corrected"


@pytest.fixture
def cluster() -> Iterator[StubCluster]:
    """A Deployment with which nothing is wrong, thanks to what stands beside it."""
    with kube_api(StubCluster()) as served:
        filled(served, manifests(GOOD / "vllm-chat.yaml"), defaulted)
        yield served


@pytest.fixture
def run(cluster: StubCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(cluster_module, "TIMEOUT_SECONDS", 2.0)
    monkeypatch.setattr(cluster_module, "_FIRST_WAIT_SECONDS", 0.01)
    return runner(cluster, tmp_path)


def scaled(cluster: StubCluster, *, replicas: int = 1) -> None:
    """Scale the Deployment by its queue, above a floor of two, and have it stand at so many."""
    item = next(stored for (resource, _, _), stored in cluster.objects.items() if resource == "deployments")
    item["spec"]["replicas"] = replicas
    del item["metadata"]["annotations"][LAST_APPLIED]
    metric = {
        "type": "Pods",
        "pods": {
            "metric": {"name": "vllm_num_requests_waiting"},
            "target": {"type": "AverageValue", "averageValue": "10"},
        },
    }
    target = {"kind": "Deployment", "name": "chat-13b"}
    spec = {"minReplicas": 2, "maxReplicas": 8, "scaleTargetRef": target, "metrics": [metric]}
    scaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "chat"}}
    filled(cluster, [{**scaler, "spec": spec}], defaulted)


# Rights that are missing


@pytest.mark.parametrize("kind", WORKLOADS, ids=lambda kind: kind.kind)
def test_workloads_that_may_not_be_listed_are_no_pass(run: Run, cluster: StubCluster, kind: Any) -> None:
    cluster.forbidden.add(("list", kind.resource))
    result = run("--kube", NAMESPACE)

    (line,) = result.stderr.splitlines()
    right = f"the right to list on {kind.full_resource} in namespace inference is missing (see docs/preflight.md)"
    assert line == f"inferwatch: test: forbidden: {kind.plural} are not read; {right}"
    assert result.exit_code == 2
    if kind.kind != "Deployment":
        assert report(result)["findings"] == []
        assert report(result)["problems"] == [line.removeprefix("inferwatch: ")]


NEEDED = {
    "HorizontalPodAutoscaler": {
        "replicas",
        "spread",
        "disruption_budget",
        "autoscaled_replicas",
        "autoscaling_signal",
        "autoscaling_metric",
    },
    "ScaledObject": {"replicas", "spread", "disruption_budget", "autoscaled_replicas", "autoscaling_signal"}
    | {"autoscaling_metric"},
    "PodDisruptionBudget": {"disruption_budget"},
    "Service": {"service_ports"},
    "PodMonitor": {"scraping"},
    "ServiceMonitor": set(),  # a PodMonitor reaches it
    "PrometheusRule": {"rule_metrics"},
    "ServingRuntime": set(),
    "ClusterServingRuntime": set(),
}


@pytest.mark.parametrize("kind", [*BESIDE, RULES], ids=lambda kind: kind.kind)
def test_what_may_not_be_listed_is_not_taken_for_missing(run: Run, cluster: StubCluster, kind: Any) -> None:
    quiet = set(not_checked(run("--kube", NAMESPACE)))
    cluster.forbidden.add(("list", kind.resource))
    result = run("--kube", NAMESPACE)

    assert report(result)["findings"] == []
    where = {"namespace": "in namespace inference", "everywhere": "in all namespaces"}.get(
        kind.scope, "at the cluster's scope"
    )
    right = f"the right to list on {kind.full_resource} {where}"
    assert report(result)["notes"] == [
        f"test: forbidden: {kind.plural} are not read; {right} is missing (see docs/preflight.md)"
    ]
    assert set(not_checked(result)) - quiet == NEEDED[kind.kind]
    assert {not_checked(result)[check] for check in NEEDED[kind.kind]} <= {right}
    assert result.exit_code == 0
    assert result.stderr == ""


def test_without_the_budgets_a_workload_that_has_none_is_not_blamed(run: Run, cluster: StubCluster) -> None:
    del cluster.objects["poddisruptionbudgets", NAMESPACE, "chat-13b"]
    assert checks(run("--kube", NAMESPACE)) == {"disruption_budget"}
    cluster.forbidden.add(("list", "poddisruptionbudgets"))

    assert checks(run("--kube", NAMESPACE)) == set()


def test_without_the_autoscalers_the_number_of_replicas_proves_nothing(run: Run, cluster: StubCluster) -> None:
    scaled(cluster)
    assert checks(run("--kube", NAMESPACE)) == set()
    cluster.forbidden.add(("list", "horizontalpodautoscalers"))
    result = run("--kube", NAMESPACE)

    assert checks(result) == set()
    assert {"replicas", "spread", "disruption_budget"} <= set(not_checked(result))


def test_an_autoscaler_that_is_known_is_enough(run: Run, cluster: StubCluster) -> None:
    scaled(cluster)
    cluster.forbidden.add(("list", "scaledobjects"))

    assert "replicas" not in not_checked(run("--kube", NAMESPACE))


def test_monitors_of_the_namespace_are_read_where_those_of_others_may_not_be(run: Run, cluster: StubCluster) -> None:
    cluster.forbidden |= {("list", kind, "") for kind in ("podmonitors", "servicemonitors")}
    result = run("--kube", NAMESPACE)
    assert "scraping" not in not_checked(result)
    assert report(result)["notes"] == [
        "test: forbidden: PodMonitors of other namespaces, ServiceMonitors of other namespaces are not read; the right "
        "to list on podmonitors.monitoring.coreos.com, list on servicemonitors.monitoring.coreos.com in all namespaces "
        "is missing (see docs/preflight.md)"
    ]
    del cluster.objects["podmonitors", NAMESPACE, "chat-13b"]
    result = run("--kube", NAMESPACE)

    assert checks(result) == set()
    assert "in all namespaces" in not_checked(result)["scraping"]


def test_without_any_right_it_is_one_line(run: Run, cluster: StubCluster) -> None:
    cluster.forbidden |= {("list", kind.resource) for kind in KINDS}
    for where in (["--kube"], ["--kube", "-A"], ["--kube", "inference/deploy/chat-13b"]):
        result = run(*where)
        assert result.exit_code == 2
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert "list on deployments.apps" in line


def test_scripts_that_may_not_be_read_hide_arguments(run: Run, cluster: StubCluster) -> None:
    filled(cluster, manifests(MANIFESTS / "as_written" / "vllm-chat.yaml"), defaulted)
    cluster.forbidden.add(("get", "configmaps"))
    result = run("--kube", NAMESPACE)

    assert "enforce_eager" in not_checked(result)
    assert "model_source" not in checks(result)
    (note,) = report(result)["notes"]
    assert "scripts in ConfigMaps are not read; the right to get on configmaps in namespace inference" in note


def test_scripts_beyond_those_that_are_asked_for_are_said(
    run: Run, cluster: StubCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_CONFIG_MAPS", 2)
    items = manifests(MANIFESTS / "as_written" / "vllm-chat.yaml")
    text = json.dumps(items)
    for number in range(5):
        filled(cluster, json.loads(text.replace("chat-", f"chat-{number}-")), defaulted)
    result = run("--kube", NAMESPACE)

    assert "enforce_eager" in checks(result)
    assert "enforce_eager" in not_checked(result)
    (note,) = report(result)["notes"]
    assert (
        "scripts in 3 of 5 ConfigMaps were not read: at most 2 are asked for; name a namespace, or one workload" in note
    )


def test_a_script_that_is_not_there_hides_arguments(run: Run, cluster: StubCluster) -> None:
    filled(cluster, manifests(MANIFESTS / "as_written" / "vllm-chat.yaml"), defaulted)
    del cluster.objects["configmaps", NAMESPACE, "chat-start"]
    result = run("--kube", NAMESPACE)

    assert "enforce_eager" in not_checked(result)
    assert report(result)["notes"] == []


# What is not installed


def test_custom_resources_that_are_not_installed_are_nothing_to_say(run: Run, cluster: StubCluster) -> None:
    cluster.absent |= set(CUSTOM)
    result = run("--kube", NAMESPACE)

    assert report(result)["notes"] == []
    assert result.stderr == ""
    assert checks(result) == {"scraping"}  # nobody can: the operator is not there
    assert not {"replicas", "disruption_budget"} & set(not_checked(result))


def test_nor_are_they_where_they_might_not_be_listed(run: Run, cluster: StubCluster) -> None:
    """The API server answers 403 before it looks whether there is such a kind."""
    cluster.absent |= set(CUSTOM)
    cluster.forbidden |= {("list", resource) for resource in CUSTOM}
    result = run("--kube", NAMESPACE)

    assert report(result)["notes"] == []
    assert result.stderr == ""
    assert checks(result) == {"scraping"}


def test_a_cluster_that_does_not_tell_is_taken_to_have_them(run: Run, cluster: StubCluster) -> None:
    cluster.forbidden.add(("list", "scaledobjects"))
    cluster.faults["discovery"] = [refused(403, "Forbidden", "no")]

    assert "list on scaledobjects.keda.sh" in not_checked(run("--kube", NAMESPACE))["replicas"]


def test_a_version_that_is_not_served_gives_way_to_another(
    run: Run, cluster: StubCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.e2e import kube_api_paths

    kind, group, _ = kube_api_paths.SERVED["llminferenceservices"]
    monkeypatch.setitem(kube_api_paths.SERVED, "llminferenceservices", (kind, group, ("v1alpha2",)))
    service = {"kind": kind, "metadata": {"name": "chat"}, "spec": {"model": {"uri": "hf://org/llama-2-7b-hf"}}}
    filled(cluster, [service], defaulted)

    assert "LLMInferenceService inference/chat" in report(run("--kube", NAMESPACE))["workloads"]


def test_a_built_in_kind_that_is_not_served_is_said(
    run: Run, cluster: StubCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.e2e import kube_api_paths

    monkeypatch.setitem(kube_api_paths.SERVED, "poddisruptionbudgets", ("PodDisruptionBudget", "policy", ("v1beta1",)))
    result = run("--kube", NAMESPACE)

    assert "the cluster serves no policy/v1" in report(result)["notes"][0]
    assert "disruption_budget" not in checks(result)


# Pages


def test_pages_are_followed_and_an_expired_one_begins_anew(
    run: Run, cluster: StubCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE_ITEMS", 2)
    cluster.expired_pages = 1
    budget = cluster.objects.pop(("poddisruptionbudgets", NAMESPACE, "chat-13b"))
    for number in range(4):
        other: Object = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": f"a{number}"}}
        cluster.put(defaulted({**other, "spec": {"selector": {"matchLabels": {"app": f"a{number}"}}}}))
    budget["metadata"]["name"] = "z"
    cluster.put(budget)

    assert checks(run("--kube", NAMESPACE)) == set()


def test_more_objects_than_are_read_are_said(run: Run, cluster: StubCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE_ITEMS", 1)
    monkeypatch.setattr(listing, "MAX_PAGES", 2)
    budget = cluster.objects.pop(("poddisruptionbudgets", NAMESPACE, "chat-13b"))
    for number in range(4):
        other: Object = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": f"a{number}"}}
        cluster.put(defaulted({**other, "spec": {"selector": {"matchLabels": {"app": f"a{number}"}}}}))
    budget["metadata"]["name"] = "z"
    cluster.put(budget)
    result = run("--kube", NAMESPACE)

    assert checks(result) == set()
    assert "disruption_budget" in not_checked(result)
    assert "there are more than 2 of them" in report(result)["notes"][0]


def test_a_list_without_end_ends(run: Run, cluster: StubCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_PAGES", 5)
    page = json.dumps({"metadata": {"continue": "again"}, "items": [7, None]}).encode()
    cluster.faults["services"] = [says(page)] * 50

    assert "service_ports" in not_checked(run("--kube", NAMESPACE))


# Answers that are no answers


ANSWERS = {
    "items are no list": says(b'{"items": 7}'),
    "a list": says(b"[1]"),
    "HTML": says(b"<html>Login</html>", "text/html"),
    "half": says(b'{"items": [{"metadata": '),
    "cut off": cut_off(b'{"items": []}' + b" " * 90_000, 70_000),
    "500": refused(500),
    "410": refused(410, "Expired", "too old"),
    "silent": silent(8),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_a_kind_that_fails_narrows_the_result(run: Run, cluster: StubCluster, what: str) -> None:
    cluster.faults["poddisruptionbudgets"] = [ANSWERS[what]] * 4
    result = run("--kube", NAMESPACE)

    (note,) = report(result)["notes"]
    assert note.startswith("test: PodDisruptionBudgets were not read: ")
    assert "disruption_budget" in not_checked(result)
    assert report(result)["findings"] == []
    assert result.exit_code == 0


@pytest.mark.parametrize("what", ["items are no list", "HTML", "cut off", "500", "silent"])
def test_workloads_that_fail_are_no_pass(run: Run, cluster: StubCluster, what: str) -> None:
    cluster.faults["statefulsets"] = [ANSWERS[what]] * 4
    result = run("--kube", NAMESPACE)

    (line,) = result.stderr.splitlines()
    assert line.startswith("inferwatch: test: StatefulSets were not read: ")
    assert report(result)["workloads"] == ["Deployment inference/chat-13b"]
    assert result.exit_code == 2


def test_a_huge_answer_ends(run: Run, cluster: StubCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "MAX_ANSWER_BYTES", 1 << 20)
    cluster.faults["services"] = [endless(b'{"items": [')]

    assert "more than 1.0 MB" in report(run("--kube", NAMESPACE))["notes"][0]


HOSTILE: tuple[object, ...] = (
    None,
    7,
    [],
    {},
    {"metadata": None},
    {"metadata": {"name": ["x"], "labels": 7, "ownerReferences": {"controller": True}}, "spec": []},
    {"metadata": {"ownerReferences": [7, {"controller": True}], "managedFields": [7], "annotations": [1]}},
    {"metadata": {"name": "x", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "[" * 5000}}},
    {"metadata": {"name": "x"}, "spec": {"template": {"spec": {"containers": {"a": 1}}}, "selector": "x"}},
    {"kind": 7, "apiVersion": [], "metadata": {"name": "../../x", "namespace": "a/b", "uid": {}}, "spec": None},
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_items_may_be_anything(run: Run, cluster: StubCluster, kind: Any) -> None:
    cluster.faults[kind.resource] = [says(json.dumps({"items": list(HOSTILE)}).encode())]
    result = run("--kube", NAMESPACE)

    assert result.exit_code in (0, 1)
    assert result.stderr == ""


def test_a_cluster_that_falls_silent_does_not_hold_the_reader(
    run: Run, cluster: StubCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployed, "PATIENCE_SECONDS", 1.0)
    cluster.faults = {kind.resource: [silent(8)] * 3 for kind in KINDS if kind.kind != "Deployment"}
    result = run("--kube", NAMESPACE)

    assert report(result)["workloads"] == ["Deployment inference/chat-13b"]
    assert len(report(result)["problems"]) == len(WORKLOADS) - 1
    assert sum(asked.verb == "list" for asked in cluster.asked) == 2


# No cluster at all


@pytest.mark.parametrize("what", ["HTML", "silent", "500", "401"])
def test_a_server_that_gives_nothing_is_one_line(run: Run, cluster: StubCluster, what: str) -> None:
    fault = refused(401, "Unauthorized", "Unauthorized") if what == "401" else ANSWERS[what]
    cluster.faults = {kind.resource: [fault] * 4 for kind in KINDS}
    result = run("--kube", NAMESPACE)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1


def test_a_token_that_is_not_accepted(cluster: StubCluster, run: Run, tmp_path: Path) -> None:
    other = cluster.kubeconfig(tmp_path / "other", user={"token": "planted-token"})
    result = run("--kube", "--kubeconfig", str(other))

    assert result.exit_code == 2
    assert "answered 401: the credentials are not accepted" in result.stderr
    assert "planted" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_server_that_is_not_there(cluster: StubCluster, run: Run, tmp_path: Path) -> None:
    other = cluster.kubeconfig(tmp_path / "other", cluster={"server": "https://127.0.0.1:1"})
    result = run("--kube", "--kubeconfig", str(other))

    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("inferwatch: test: connection refused: nothing listens there; check server")


def test_a_context_that_is_not_there(run: Run) -> None:
    result = run("--kube", "--context", "prod")

    assert result.exit_code == 2
    assert "has no context prod; it has: test" in result.stderr


def test_no_kubeconfig(tmp_path: Path, run: Run) -> None:
    result = run("--kube", "--kubeconfig", str(tmp_path / "none"))

    assert result.exit_code == 2
    assert result.stderr == f"inferwatch: {tmp_path / 'none'}: is no file; give the path of a kubeconfig\n"


def test_without_the_package_it_is_said_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes.client", None)
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    result = run("--kube")

    assert result.exit_code == 2
    assert result.stderr == "inferwatch: --kube: needs the kubernetes package; install inferwatch[kube]\n"
    assert TOKEN not in result.output
