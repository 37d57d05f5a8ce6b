"""`kubectl inferwatch`: kubectl's flags, and the same answer as `inferwatch diagnose --kube`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inferwatch.cli import root
from inferwatch.kubectl_plugin import command
from recordings.reader import load, read_log
from tests.e2e.kube_api_stub import StubCluster, StubPod, kube_api
from tests.e2e.kube_objects import node, pod


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubCluster]:
    selector = {"spec": {"selector": {"matchLabels": {"app": "vllm"}}}}
    found = StubCluster(nodes={"gpu-1": node()}, objects={("deployments", "llm", "vllm"): selector})
    with kube_api(found) as served:
        served.add(StubPod(pod(args=()), logs={"vllm": read_log(load("oom_no_kv_blocks"))}))
        monkeypatch.setenv("KUBECONFIG", str(served.kubeconfig(tmp_path / "config")))
        yield served


def said(*words: str) -> Result:
    return CliRunner().invoke(command, [*words, "--format", "json", "--window", "1s"], prog_name="kubectl inferwatch")


@pytest.mark.parametrize(
    "words",
    [
        ["vllm-0"],
        ["vllm-0", "-n", "llm"],
        ["pod/vllm-0", "--namespace=llm", "--context=test"],
        ["deployment/vllm", "-n", "llm"],
        ["deploy/vllm"],
        ["-l", "app=vllm", "-n", "llm"],
        ["vllm-0", "-c", "vllm"],
    ],
)
def test_kubectls_flags_mean_what_they_mean_to_kubectl(cluster: StubCluster, words: list[str]) -> None:
    result = said(*words)

    assert result.exit_code == 1, result.stderr
    assert json.loads(result.stdout)["findings"][0]["cause"] == "oom_kv_cache_no_blocks"


def test_the_answer_is_that_of_diagnose(cluster: StubCluster) -> None:
    words = ["diagnose", "--kube", "llm/vllm-0", "--window", "1s", "--format", "json"]
    whole = CliRunner().invoke(root, words, prog_name="inferwatch")

    assert json.loads(said("vllm-0").stdout) == json.loads(whole.stdout)


def test_another_kubeconfig(cluster: StubCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG")
    assert said("vllm-0", "--kubeconfig", str(tmp_path / "config")).exit_code == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "no pod is named"),
        (["node/gpu-1"], "node is no kind with replicas"),
        (["vllm-0", "-l", "app=vllm"], "give a name or -l SELECTOR"),
        (["vllm-0", "--kube-metrics", "x"], "is no port"),
        (["vllm-0", "--window", "x"], "is no duration"),
    ],
)
def test_bad_usage_is_said(words: list[str], told: str) -> None:
    result = CliRunner().invoke(command, words, prog_name="kubectl inferwatch")

    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--kube", "llm/vllm-0", "--log", "x"], "--kube reads log and metrics of the pod itself"),
        (["--log", "x", "-c", "vllm"], "--container needs --kube"),
        (["--log", "x", "--kubeconfig", "y"], "--kubeconfig needs --kube"),
        (["--kube", "vllm-0"], "names no pod"),
    ],
)
def test_options_of_diagnose_that_do_not_go_together(words: list[str], told: str) -> None:
    result = CliRunner().invoke(root, ["diagnose", *words], prog_name="inferwatch")

    assert result.exit_code == 2
    assert told in result.stderr


def test_a_pod_that_is_not_there_is_said_in_one_line(cluster: StubCluster) -> None:
    result = said("gone-0")

    assert result.exit_code == 2
    assert (
        result.stderr == 'inferwatch: test: answered 404: pods "gone-0" not found; check name, namespace and context\n'
    )


def test_the_installed_program_says_its_own_name() -> None:
    program = Path(sys.executable).with_name("kubectl-inferwatch")
    if not program.is_file():
        pytest.skip("the package was installed before it had this program: install it again")
    done = subprocess.run([program, "--nonsense"], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert done.stderr.startswith("kubectl inferwatch: ")
    assert "Traceback" not in done.stderr


def test_kubectl_finds_and_runs_it(cluster: StubCluster, tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    (tmp_path / "bin").mkdir()
    plugin = tmp_path / "bin" / "kubectl-inferwatch"
    plugin.write_text(f"#!{sys.executable}\nfrom inferwatch.kubectl_plugin import main\nmain()\n")
    plugin.chmod(0o755)
    environment = {**os.environ, "PATH": f"{plugin.parent}{os.pathsep}{os.environ['PATH']}"}
    words = [kubectl, "inferwatch", "vllm-0", "-n", "llm", "--window", "1s"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert "oom_kv_cache_no_blocks" in done.stdout, done.stderr
    assert done.returncode == 1
    # And the stub is what a real client takes for an API server.
    read = subprocess.run(
        [kubectl, "logs", "vllm-0", "-n", "llm", "--tail=3"],
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert read.stdout == b"".join(read_log(load("oom_no_kv_blocks")).splitlines(keepends=True)[-3:])
