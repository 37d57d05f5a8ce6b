"""Credentials as the kubeconfig says, and one line for each way in which they are no use."""

from __future__ import annotations

import base64
import datetime
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from tests.e2e.kube_api_stub import TOKEN, StubCluster, StubPod, kube_api
from tests.e2e.kube_objects import node, pod
from troubleshoot.collect_kube import KubeRequest, collect_kube
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.kube import login as login_module
from troubleshoot.sources.kube.calls import GET_POD
from troubleshoot.sources.kube.cluster import Cluster
from troubleshoot.sources.kube.login import log_in
from troubleshoot.sources.kube.target import parse_target

SECRET = "planted-secret-0123456789"
CONTEXT = "contexts: [{name: a, context: {cluster: b, user: c}}]\ncurrent-context: a"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StubCluster]:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with kube_api(StubCluster(nodes={"gpu-1": node()})) as served:
        served.add(StubPod(pod(args=()), logs={"vllm": b"x\n"}))
        yield served


def reads_a_pod(kubeconfig: str = "", context: str = "") -> bool:
    found = Cluster(log_in(kubeconfig, context)).one(GET_POD, namespace="llm", name="vllm-0")
    return bool(found["metadata"]["name"] == "vllm-0")


def refusal(kubeconfig: str = "", context: str = "") -> str:
    with pytest.raises(InputError) as caught:
        Cluster(log_in(kubeconfig, context)).one(GET_POD, namespace="llm", name="vllm-0")
    said = str(caught.value)
    assert "\n" not in said
    assert SECRET not in said
    assert TOKEN not in said
    return said


def test_a_token_in_the_file(cluster: StubCluster, tmp_path: Path) -> None:
    assert reads_a_pod(str(cluster.kubeconfig(tmp_path / "config")))


def test_a_token_in_a_file_of_its_own_beside_the_kubeconfig(cluster: StubCluster, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "ca.pem").write_text(cluster.ca_pem)
    changes: dict[str, Any] = {"certificate-authority-data": None, "certificate-authority": "ca.pem"}

    assert reads_a_pod(str(cluster.kubeconfig(tmp_path / "config", user={"tokenFile": "token"}, cluster=changes)))


def test_where_kubectl_looks_for_it(cluster: StubCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kube").mkdir()
    cluster.kubeconfig(tmp_path / ".kube" / "config")
    assert reads_a_pod()

    (tmp_path / ".kube" / "config").rename(tmp_path / "other")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/missing:{tmp_path}/other")
    assert reads_a_pod()


def test_several_files_are_merged_as_kubectl_merges_them(
    cluster: StubCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = yaml.safe_load(cluster.kubeconfig(tmp_path / "a").read_text())
    users = first.pop("users")
    (tmp_path / "a").write_text(yaml.safe_dump({**first, "users": []}))
    (tmp_path / "b").write_text(yaml.safe_dump({"users": users, "current-context": "nonsense"}))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/a:{tmp_path}/b")

    assert reads_a_pod()


def test_another_context_with_its_namespace(cluster: StubCluster, tmp_path: Path) -> None:
    path = cluster.kubeconfig(tmp_path / "config")
    content = yaml.safe_load(path.read_text())
    content["contexts"].append({"name": "eu/prod", "context": {"cluster": "test", "user": "oncall", "namespace": "x"}})
    content["current-context"] = "gone"
    path.write_text(yaml.safe_dump(content))

    assert log_in(str(path), "eu/prod").namespace == "x"
    assert reads_a_pod(str(path), "eu/prod")
    assert "has no context gone" in refusal(str(path))


def test_the_kubeconfig_is_never_written(cluster: StubCluster, tmp_path: Path) -> None:
    path = cluster.kubeconfig(tmp_path / "config", user={"exec": plugin(tmp_path, f"print({credential(TOKEN)!r})")})
    before = path.read_bytes()

    assert reads_a_pod(str(path))
    assert path.read_bytes() == before


# Credential plugins


def plugin(folder: Path, script: str) -> dict[str, Any]:
    (folder / "plugin.py").write_text(script)
    return {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(folder / "plugin.py")],
        "interactiveMode": "Never",
    }


def credential(token: str) -> str:
    found = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token}}
    return json.dumps(found)


def test_a_credential_plugin_is_run(cluster: StubCluster, tmp_path: Path) -> None:
    run = plugin(tmp_path, f"print({credential(TOKEN)!r})")

    assert reads_a_pod(str(cluster.kubeconfig(tmp_path / "config", user={"exec": run})))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (f"import sys; sys.exit('session expired, token={SECRET}')", "session expired"),
        ("print('no json')", "gave no credentials"),
        ("print('{}')", "gave no credentials"),
    ],
)
def test_a_credential_plugin_that_fails_is_said(
    cluster: StubCluster, tmp_path: Path, capfd: pytest.CaptureFixture[str], script: str, said: str
) -> None:
    path = cluster.kubeconfig(tmp_path / "config", user={"exec": plugin(tmp_path, script)})

    assert said in refusal(str(path))
    assert capfd.readouterr() == ("", "")


def test_a_credential_plugin_that_is_not_installed(cluster: StubCluster, tmp_path: Path) -> None:
    missing = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin-here"}

    assert "no-such-plugin-here gave no credentials" in refusal(
        str(cluster.kubeconfig(tmp_path / "c", user={"exec": missing}))
    )


# What is no use


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: [", "is no YAML"),
        ("just text", "holds no mapping"),
        ("", "holds no mapping"),
        ("contexts: 7", "its contexts are no list"),
        ("users: [{user: {token: " + SECRET + "}}]", "its users are no list of named entries"),
        ("current-context: a", "has no context a; it has none"),
        ("contexts: [{name: a, context: {}}]\ncurrent-context: a", "lacks a cluster"),
        (f"{CONTEXT}\nusers: [{{name: c, user: {{token: {SECRET}}}}}]", "lacks a cluster"),
        (f"{CONTEXT}\nclusters: [{{name: b, cluster: 7}}]\nusers: [{{name: c, user: 8}}]", "malformed"),
        (
            "contexts: [{name: a, context: {cluster: b}}]\ncurrent-context: a\n"
            "clusters: [{name: b, cluster: {server: 'https://x', certificate-authority: /no/such}}]",
            "lacks a cluster",
        ),
    ],
)
def test_a_kubeconfig_that_is_no_use(cluster: StubCluster, tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)

    assert said in refusal(str(path))
    assert str(path) in refusal(str(path))


def test_no_kubeconfig_at_all(cluster: StubCluster, tmp_path: Path) -> None:
    assert "there is no kubeconfig" in refusal()
    assert "is no file" in refusal(str(tmp_path / "missing"))
    assert "is no YAML" in refusal(str(binary(tmp_path)))


def binary(folder: Path) -> Path:
    path = folder / "binary"
    path.write_bytes(b"\xff\xfe\x00")
    return path


def test_an_unknown_context_names_those_that_there_are(cluster: StubCluster, tmp_path: Path) -> None:
    assert "has no context prod; it has: test" in refusal(str(cluster.kubeconfig(tmp_path / "config")), "prod")


def test_a_token_that_is_not_accepted(cluster: StubCluster, tmp_path: Path) -> None:
    path = cluster.kubeconfig(tmp_path / "config", user={"token": SECRET})

    assert "the credentials are not accepted, or have expired; log in again" in refusal(str(path))


def test_a_server_that_is_not_trusted(cluster: StubCluster, tmp_path: Path) -> None:
    other = base64.b64encode(trustme.CA().cert_pem.bytes()).decode()
    path = cluster.kubeconfig(tmp_path / "config", cluster={"certificate-authority-data": other})

    assert "its TLS certificate is not trusted" in refusal(str(path))


def test_a_servers_certificate_that_has_expired(tmp_path: Path) -> None:
    ca = trustme.CA()
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    leaf = ca.issue_cert("127.0.0.1", not_before=past - datetime.timedelta(days=1), not_after=past)
    with kube_api(StubCluster(), certificate=leaf, ca=ca) as served:
        assert "certificate has expired" in refusal(str(served.kubeconfig(tmp_path / "config")))


def test_skipping_verification_works_without_a_warning(cluster: StubCluster, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"certificate-authority-data": None, "insecure-skip-tls-verify": True}

    assert reads_a_pod(str(cluster.kubeconfig(tmp_path / "config", cluster=changes)))


def test_a_client_certificate_is_shown_to_the_server(tmp_path: Path) -> None:
    ca, clients = trustme.CA(), trustme.CA()
    leaf = ca.issue_cert("127.0.0.1")
    mine = clients.issue_cert("oncall@example.org")
    user = {
        "client-certificate-data": base64.b64encode(b"".join(b.bytes() for b in mine.cert_chain_pems)).decode(),
        "client-key-data": base64.b64encode(mine.private_key_pem.bytes()).decode(),
        "token": TOKEN,
    }
    with kube_api(StubCluster(), certificate=leaf, ca=ca, clients=clients) as served:
        served.add(StubPod(pod(args=())))
        assert reads_a_pod(str(served.kubeconfig(tmp_path / "with", user=user)))
        assert refusal(str(served.kubeconfig(tmp_path / "without")))


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("https://127.0.0.1:1", "connection refused"),
        ("https://no-such-host.invalid", "its host name is not known"),
    ],
)
def test_a_server_that_is_not_there(cluster: StubCluster, tmp_path: Path, server: str, said: str) -> None:
    assert said in refusal(str(cluster.kubeconfig(tmp_path / "config", cluster={"server": server})))


def test_the_proxy_of_the_kubeconfig_is_used(cluster: StubCluster, tmp_path: Path) -> None:
    path = cluster.kubeconfig(tmp_path / "config", cluster={"proxy-url": "http://127.0.0.1:1"})

    assert "proxy" in refusal(str(path))


# In a pod


@pytest.fixture
def in_a_pod(cluster: StubCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    host, _, port = cluster.url.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text(TOKEN)
    (account / "ca.crt").write_text(cluster.ca_pem)
    (account / "namespace").write_text("llm")
    monkeypatch.setattr(login_module, "SERVICE_ACCOUNT", account)
    return account


@pytest.mark.usefixtures("in_a_pod")
def test_the_service_account_is_used_in_a_pod(cluster: StubCluster) -> None:
    assert log_in().namespace == "llm"
    found = collect_kube(KubeRequest(parse_target("pod/vllm-0")), lambda *_: None)
    assert [replica.name for replica in found.replicas] == ["llm/vllm-0"]
    assert "is a context" in refusal("", "prod")


def test_a_pod_without_a_token(in_a_pod: Path) -> None:
    (in_a_pod / "token").unlink()

    assert "no usable service account token" in refusal()
