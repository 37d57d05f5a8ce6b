"""Every way in which the API server can fail: said in one line, the rest is used, and the exit status is right."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inferwatch.cli import root
from recordings.reader import load, read_log, scrapes
from tests.e2e.kube_api_stub import TOKEN, Fault, StubCluster, StubPod, kube_api
from tests.e2e.kube_faults import cut_off, dripping, endless, refused, says, silent
from tests.e2e.kube_objects import ended, event, node, pod
from tests.e2e.prometheus import eventually
from troubleshoot.sources.kube import cluster as cluster_module
from troubleshoot.sources.kube import pod_log

NAME = "kv_preemption"
LOG = read_log(load(NAME))
BUSY = [scrape.exposition.decode() for scrape in scrapes(load(NAME)) if scrape.up]


def busy() -> Callable[[], tuple[int, str]]:
    """The engine's page while it is overloaded: each scrape is 20 s after the one before."""
    pages = iter(BUSY[15::5])
    return lambda: (200, next(pages, BUSY[-1]))


@pytest.fixture
def cluster() -> Iterator[StubCluster]:
    with kube_api(StubCluster(nodes={"gpu-1": node()})) as served:
        served.add(StubPod(pod(args=()), logs={"vllm": LOG}, ports={"8000": busy()}))
        yield served


Run = Callable[..., Result]


@pytest.fixture
def run(cluster: StubCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(cluster_module, "TIMEOUT_SECONDS", 2.0)
    config = cluster.kubeconfig(tmp_path / "config")

    def called(*arguments: str, kube: str = "llm/vllm-0") -> Result:
        words = [
            "diagnose",
            "--kube",
            kube,
            "--kubeconfig",
            str(config),
            "--window",
            "1s",
            "--format",
            "json",
            *arguments,
        ]
        result = CliRunner().invoke(root, words, prog_name="inferwatch", standalone_mode=True)
        assert "Traceback" not in result.output, result.output
        assert TOKEN not in result.output + result.stderr
        return result

    return called


def first(result: Result) -> str:
    found = json.loads(result.stdout)["findings"]
    return str(found[0]["cause"]) if found else ""


def lines(result: Result) -> list[str]:
    return result.stderr.splitlines()


def test_nothing_is_said_where_nothing_fails(run: Run, cluster: StubCluster) -> None:
    result = run()

    assert lines(result) == []
    assert first(result) == "thr_preemption_thrash"
    assert result.exit_code == 1
    assert {asked.verb for asked in cluster.asked} <= {"get", "list"}


@pytest.mark.parametrize(
    ("verb", "resource", "said"),
    [
        ("get", "pods/log", "get on pods/log"),
        ("get", "pods/proxy", "get on pods/proxy"),
        ("list", "events", "list on events"),
        ("get", "nodes", "get on nodes"),
        ("get", "pods", "get on pods"),
    ],
)
def test_a_forbidden_call_narrows_the_diagnosis(
    run: Run, cluster: StubCluster, verb: str, resource: str, said: str
) -> None:
    cluster.forbidden.add((verb, resource))
    result = run()

    assert len(lines(result)) == 1
    assert f"the right to {said}" in lines(result)[0]
    assert "oncall-kubernetes.md" in lines(result)[0]
    assert first(result) in ("thr_preemption_thrash", "ttft_queueing")
    assert result.exit_code == 1


def test_without_any_right_nothing_is_read(run: Run, cluster: StubCluster) -> None:
    cluster.forbidden |= {
        ("get", "pods"),
        ("get", "pods/log"),
        ("get", "pods/proxy"),
        ("list", "events"),
        ("get", "nodes"),
    }
    result = run()

    assert result.exit_code == 2
    assert result.stdout == ""
    assert {right for right in ("pods;", "pods/log", "pods/proxy", "events") if right.strip(";") in result.stderr}


def test_replicas_that_may_not_be_listed_are_said(run: Run, cluster: StubCluster) -> None:
    cluster.forbidden.add(("list", "pods"))
    result = run("-l", "app=vllm", kube="llm")

    assert result.exit_code == 2
    assert "list on pods in namespace llm" in result.stderr


WHOLE: dict[str, tuple[Fault, str]] = {
    "500": (refused(500), "answered 500: etcdserver: request timed out"),
    "404": (refused(404, "NotFound", 'pods "vllm-0" not found'), 'answered 404: pods "vllm-0" not found'),
    "410": (refused(410, "Expired", "too old"), "answered 410: too old"),
    "429": (
        refused(429, "TooManyRequests", "slow down", Retry_After="60"),
        "answered 429: it limits requests: slow down",
    ),
    "401": (refused(401, "Unauthorized", "Unauthorized"), "answered 401: the credentials are not accepted"),
    "302": (refused(302, "Found", "login", Location="https://login.example/"), "it redirects, which is not followed"),
    "HTML": (says(b"<html><title>Login</title></html>", "text/html"), "no Kubernetes API"),
    "wrong JSON": (says(b'["a list"]'), "no Kubernetes API"),
    "half JSON": (says(b'{"kind": "Pod", "meta'), "no Kubernetes API"),
    "cut off": (cut_off(b'{"kind": "Pod"}' * 9000, 70_000), "the connection closed midway"),
    "silent": (silent(8), "got no answer in time"),
    "slow": (dripping(b" " * (6 << 20), 0.3), "got no answer in time"),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_pod_that_cannot_be_asked_for_ends_it_in_one_line(run: Run, cluster: StubCluster, kind: str) -> None:
    fault, said = WHOLE[kind]
    cluster.faults["pods"] = [fault] * 3
    result = run()

    assert result.exit_code == 2
    assert len(lines(result)) == 1
    assert said in lines(result)[0]
    assert lines(result)[0].startswith("inferwatch: test: ")


@pytest.mark.parametrize("resource", ["pods", "pods/log", "events", "nodes"])
@pytest.mark.parametrize("fault", [refused(429, Retry_After="0"), refused(503)], ids=["429", "503"])
def test_what_passes_is_tried_again(
    run: Run, cluster: StubCluster, resource: str, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "_FIRST_WAIT_SECONDS", 0.01)
    cluster.faults[resource] = [fault, fault]
    result = run()

    assert lines(result) == []
    assert first(result) == "thr_preemption_thrash"


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        (resource, kind)
        for resource in ("pods/log", "events", "nodes", "pods/proxy")
        for kind in ("500", "401", "404", "silent", "HTML", "cut off")
        if (resource, kind) != ("pods/log", "HTML")  # any text may be a log
    ],
)
def test_a_part_that_fails_is_said_and_the_rest_is_used(
    run: Run, cluster: StubCluster, resource: str, kind: str
) -> None:
    fault, said = WHOLE[kind]
    cluster.faults[resource] = [fault] * 20
    result = run()

    assert len(lines(result)) == 1, result.stderr
    if resource != "pods/proxy" or kind not in ("HTML", "cut off"):
        assert said in lines(result)[0] or kind == "cut off"
    assert lines(result)[0].startswith(("inferwatch: llm/vllm-0", "inferwatch: test: answered 401"))
    assert first(result) in ("thr_preemption_thrash", "ttft_queueing")
    assert result.exit_code == 1


def test_a_log_that_is_cut_off_is_used_as_far_as_it_came(run: Run, cluster: StubCluster) -> None:
    cluster.faults["pods/log"] = [cut_off(LOG, len(LOG) - 100)]
    result = run()

    assert "midway" in lines(result)[0]
    (log,) = [item for item in json.loads(result.stdout)["inputs"] if item["kind"] == "log"]
    assert log["size_bytes"] == len(LOG) - 100
    assert "ends after" in log["note"]


def test_a_huge_log_is_read_at_both_ends(run: Run, cluster: StubCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 1 << 20
    monkeypatch.setattr(pod_log, "MAX_LOG_BYTES", limit)
    monkeypatch.setattr(pod_log, "TAIL_LINES", 1000)
    died = b"(EngineCore pid=7) ERROR 11-22 02:00:00 [core.py:1] RuntimeError: NCCL error: unhandled system error\n"
    filler = b"(APIServer pid=1) INFO 11-22 01:00:00 [x.py:1] nothing\n" * 40_000
    cluster.pods["llm", "vllm-0"].logs["vllm"] = LOG + filler + died
    result = run()

    (log,) = [item for item in json.loads(result.stdout)["inputs"] if item["kind"] == "log"]
    assert limit < log["size_bytes"] < limit + 100_000
    assert "its beginning and its last" in log["note"]
    assert "crash_nccl_or_distributed_init" in [found["cause"] for found in json.loads(result.stdout)["findings"]]


def test_an_endless_answer_ends(run: Run, cluster: StubCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "MAX_ANSWER_BYTES", 1 << 20)
    cluster.faults["pods"] = [endless(b'{"kind": "Pod"}')]
    result = run()

    assert result.exit_code == 2
    assert "more than 1.0 MB" in result.stderr


def test_a_port_where_nothing_listens_is_said(run: Run, cluster: StubCluster) -> None:
    cluster.pods["llm", "vllm-0"].ports.clear()
    result = run()

    assert len(lines(result)) == 1
    assert "connection refused" in lines(result)[0]
    assert first(result) == "ttft_queueing"


@pytest.mark.parametrize("where", ["--kube-metrics 9000/prom", "annotation", "https"])
def test_metrics_are_found_where_they_are(run: Run, cluster: StubCluster, where: str) -> None:
    stub = cluster.pods["llm", "vllm-0"]
    page = stub.ports.pop("8000")
    stub.ports["https:9000" if where == "https" else "9000"] = page
    annotations = {"prometheus.io/port": "9000", "prometheus.io/path": "/prom"}
    if where != "--kube-metrics 9000/prom":
        stub.shown["metadata"]["annotations"] = annotations | (
            {"prometheus.io/scheme": "https"} if where == "https" else {}
        )
    result = run(*(where.split() if where.startswith("--") else ()))

    assert lines(result) == []
    assert first(result) == "thr_preemption_thrash"
    assert {asked.path.rpartition("/proxy/")[2] for asked in cluster.asked if asked.resource == "pods/proxy"} == {
        "prom"
    }


def test_a_container_that_is_not_there_is_said(run: Run) -> None:
    result = run("-c", "nothing")

    assert "has no container nothing; it has: vllm" in result.stderr


def test_the_log_of_the_container_before_is_read_and_told_apart(run: Run, cluster: StubCluster) -> None:
    stub = cluster.pods["llm", "vllm-0"]
    cluster.add(StubPod(pod(args=(), restarts=1), logs=stub.logs, ports=stub.ports))
    cluster.pods["llm", "vllm-0"].previous["vllm"] = read_log(load("oom_no_kv_blocks"))
    result = run()

    found = {f["cause"]: f for f in json.loads(result.stdout)["findings"]}
    files = {item["file"] for item in found["oom_kv_cache_no_blocks"]["evidence"] if item["source"] == "log"}
    assert files == {"llm/vllm-0/vllm (previous)"}
    own = [item for item in found["thr_preemption_thrash"]["evidence"] if item["source"] == "log"]
    assert {item["file"] for item in own} == {"llm/vllm-0/vllm"}
    shown = LOG.decode().splitlines()
    assert all(item["text"][-20:] in shown[item["line"] - 1] for item in own)


def test_no_container_before_is_nothing_to_say(run: Run, cluster: StubCluster) -> None:
    stub = cluster.pods["llm", "vllm-0"]
    cluster.add(StubPod(pod(args=(), restarts=2), logs=stub.logs, ports=stub.ports))

    assert lines(run()) == []


def test_pages_are_followed_and_an_expired_one_begins_anew(
    run: Run, cluster: StubCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "_PAGE_ITEMS", 2)
    cluster.expired_pages = 1
    cluster.events += [event("Pulled", "image", kind="Normal") for _ in range(4)]
    cluster.events.append(event("Evicted", "The node was low on resource: memory."))
    result = run()

    assert lines(result) == []
    assert "oom_host_memory" in [found["cause"] for found in json.loads(result.stdout)["findings"]]


def test_the_environments_secrets_are_not_shown(run: Run, cluster: StubCluster) -> None:
    env = [
        {"name": "HF_TOKEN", "value": "hf_planted0123456789abcdefgh"},
        {"name": "OPENAI_API_KEY", "value": "plainplanted"},
    ]
    args = ["--model", "m", "--api-key", "sk-planted-0123456789abcdef", "--max-num-seqs", "7"]
    stub = cluster.pods["llm", "vllm-0"]
    cluster.add(StubPod(pod(args=args, env=env), logs={"vllm": LOG[-2000:]}, ports=stub.ports))
    result = run()

    assert "planted" not in result.output + result.stderr
    assert json.loads(result.stdout)["engine"]["settings"]["max_num_seqs"] == 7


def test_ctrl_c_ends_the_watching_and_what_was_seen_is_judged(cluster: StubCluster, tmp_path: Path) -> None:
    cluster.pods["llm", "vllm-0"].shown["status"]["containerStatuses"][0] |= {
        "restartCount": 1,
        "lastState": {"terminated": ended(137, "OOMKilled")},
    }
    config = cluster.kubeconfig(tmp_path / "config")
    words = [sys.executable, "-m", "inferwatch", "diagnose", "--kube", "llm/vllm-0", "--kubeconfig", str(config)]
    with subprocess.Popen(
        [*words, "--window", "30s", "--format", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            eventually(lambda: sum(asked.resource == "pods/proxy" for asked in cluster.asked) >= 2, "two scrapes")
        finally:
            process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)

    assert errors == ""
    found = json.loads(output)
    assert found["interrupted"] is True
    assert "oom_host_memory" in [finding["cause"] for finding in found["findings"]]
    assert {item["kind"] for item in found["inputs"]} == {"kubernetes", "metrics"}


def test_nodes_are_asked_for_once(run: Run, cluster: StubCluster) -> None:
    for number in range(1, 5):
        cluster.add(StubPod(pod(f"vllm-{number}", args=()), logs={"vllm": LOG}, ports={"8000": busy()}))
    run("-l", "app=vllm", kube="llm")

    assert sum(asked.resource == "nodes" for asked in cluster.asked) == 1


def test_without_the_package_it_is_said_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes.client", None)
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    result = run()

    assert result.exit_code == 2
    assert result.stderr == "inferwatch: --kube: needs the kubernetes package; install inferwatch[kube]\n"
