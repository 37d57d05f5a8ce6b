"""Kustomize and Helm give the same objects as `kubernetes_objects`, for the defaults and for every option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config import load
from exporter.deploy.generate import FOLDER, generated_files, main
from exporter.deploy.objects import kubernetes_objects, namespace_object
from exporter.deploy.release import Release
from exporter.deploy.values import Values
from inferwatch.version import VERSION
from tests.exporter.deploy.manifests import Manifest, alike, helm, kustomize, loaded
from tests.exporter.deploy.options import API_SERVER, MIG, OPTIONS, RELEASE, WEB, over_defaults


def wanted(option: str, release: Release = RELEASE) -> dict[str, Manifest]:
    return alike(kubernetes_objects(over_defaults(OPTIONS[option]), release))


def find(manifests: dict[str, Manifest], kind: str) -> Manifest:
    (only,) = (item for item in manifests.values() if item["kind"] == kind)
    return only


def container(option: str) -> Manifest:
    found: Manifest = find(wanted(option), "DaemonSet")["spec"]["template"]["spec"]["containers"][0]
    return found


# What is generated


def test_the_generated_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, f"run python -m exporter.deploy.generate: {capsys.readouterr().out}"


def test_check_names_a_file_that_was_changed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, text = next(iter(generated_files().items()))
    monkeypatch.setattr("exporter.deploy.generate.generated_files", lambda: {path: text + "# more\n"})
    assert main(["--check"]) == 1
    assert path.name in capsys.readouterr().out
    assert path.read_text("utf-8") == text


def test_an_unknown_argument_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--force"]) == 2
    assert "usage" in capsys.readouterr().err


def test_generating_writes_what_is_stale_and_removes_what_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = tmp_path / "generated/podmonitor-gone.yaml"
    unknown.parent.mkdir()
    unknown.touch()
    written = tmp_path / "kustomize/new.yaml"
    monkeypatch.setattr("exporter.deploy.generate.FOLDER", tmp_path)
    monkeypatch.setattr("exporter.deploy.generate._ROOT", tmp_path)
    monkeypatch.setattr("exporter.deploy.generate.generated_files", lambda: {written: "a: 1\n"})
    assert main([]) == 0
    assert written.read_text("utf-8") == "a: 1\n"
    assert not unknown.exists()
    assert main(["--check"]) == 0


# Kustomize


def test_the_base_is_the_defaults() -> None:
    assert alike(kustomize(FOLDER / "kustomize/base")) == alike(
        [namespace_object(), *kubernetes_objects(Values(), RELEASE)]
    )


@pytest.mark.parametrize(("overlay", "option"), [("api-server-discovery", "api-server"), ("mig", "mig")])
def test_an_overlay_is_its_option(overlay: str, option: str) -> None:
    built = alike(kustomize(FOLDER / "kustomize/overlays" / overlay))
    assert built == {**alike([namespace_object()]), **wanted(option)}


@pytest.mark.parametrize(
    ("components", "changes"),
    [
        (["web-config"], WEB),
        (["without-prometheus-operator"], {"podMonitor": {"enabled": False}}),
        (
            ["mig", "api-server-discovery", "web-config", "without-prometheus-operator"],
            {**MIG, **API_SERVER, **WEB, "podMonitor": {"enabled": False}},
        ),
    ],
)
def test_components_combine(tmp_path: Path, components: list[str], changes: Manifest) -> None:
    (tmp_path / "kustomize").symlink_to(FOLDER / "kustomize")
    overlay = tmp_path / "kustomization.yaml"
    overlay.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "resources": ["kustomize/base"],
                "components": [f"kustomize/components/{name}" for name in components],
            }
        )
    )
    expected = kubernetes_objects(over_defaults(changes), RELEASE)
    assert alike(kustomize(tmp_path)) == alike([namespace_object(), *expected])


# Helm


@pytest.fixture(scope="module")
def charted() -> dict[str, Any]:
    """The chart rendered for every option, and once under another name; all in one process."""
    cases = [(changes, RELEASE.name, RELEASE.namespace) for changes in OPTIONS.values()]
    return helm(*cases, ({**API_SERVER}, "123", "gpu"))


@pytest.mark.parametrize("option", OPTIONS)
def test_the_chart_renders_the_same_objects(charted: dict[str, Any], option: str) -> None:
    rendered = charted["rendered"][list(OPTIONS).index(option)]
    assert isinstance(rendered, dict), rendered
    manifests = loaded(text for name, text in rendered.items() if not name.endswith("NOTES.txt"))
    assert all(item["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm" for item in manifests)
    assert alike(manifests) == wanted(option)


def test_the_chart_may_have_another_name_and_namespace(charted: dict[str, Any]) -> None:
    rendered = charted["rendered"][-1]
    manifests = loaded(text for name, text in rendered.items() if not name.endswith("NOTES.txt"))
    assert alike(manifests) == wanted("api-server", Release(version=VERSION, name="123", namespace="gpu"))


def test_helm_lints_the_chart_without_a_complaint(charted: dict[str, Any]) -> None:
    assert charted["lint"]["errors"] == []
    assert [message for message in charted["lint"]["messages"] if message["severity"] > 1] == []


def test_the_notes_say_when_no_engine_will_be_found(charted: dict[str, Any]) -> None:
    notes = [each["inferwatch-exporter/templates/NOTES.txt"] for each in charted["rendered"]]
    assert "config.kubernetes.discovery=api_server" in notes[list(OPTIONS).index("defaults")]
    assert "config.kubernetes.discovery=api_server" not in notes[list(OPTIONS).index("api-server")]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"config": {"intervall_seconds": 1}}, "intervall_seconds"),
        ({"config": {"listen": "0.0.0.0:1"}}, "listen"),
        ({"config": {"kubernetes": {"discovery": "dns"}}}, "/config/kubernetes/discovery"),
        ({"port": 80}, "/port"),
        ({"image": {"digest": "latest"}}, "/image/digest"),
        ({"tolerance": []}, "tolerance"),
        ({"kubelet": {"rootDirectory": "kubelet/"}}, "/kubelet/rootDirectory"),
    ],
)
def test_values_that_cannot_be_right_are_refused_by_name(values: Manifest, said: str) -> None:
    (refusal,) = helm((values, "a", "b"))["rendered"]
    assert isinstance(refusal, str)
    assert said in refusal


# What the objects say


@pytest.mark.parametrize("option", OPTIONS)
def test_the_configuration_is_one_that_the_exporter_takes(tmp_path: Path, option: str) -> None:
    (manifest,) = (
        item for item in kubernetes_objects(over_defaults(OPTIONS[option]), RELEASE) if item["kind"] == "ConfigMap"
    )
    file = tmp_path / "config.yaml"
    file.write_text(manifest["data"]["config.yaml"])
    assert load(file).kubernetes.discovery in {"pods_api", "api_server", "auto", "none"}


def test_by_default_there_is_no_right_in_the_cluster_and_no_token() -> None:
    manifests = wanted("defaults")
    assert {item["kind"] for item in manifests.values()} == {
        "ServiceAccount",
        "ConfigMap",
        "DaemonSet",
        "NetworkPolicy",
        "PodMonitor",
    }
    assert find(manifests, "ServiceAccount")["automountServiceAccountToken"] is False
    assert find(manifests, "DaemonSet")["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


def test_the_api_server_is_asked_with_one_right() -> None:
    manifests = wanted("api-server")
    assert find(manifests, "ClusterRole")["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    (subject,) = find(manifests, "ClusterRoleBinding")["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": "inferwatch-exporter", "namespace": "inferwatch"}
    assert find(manifests, "ServiceAccount")["automountServiceAccountToken"] is True


@pytest.mark.parametrize("option", OPTIONS)
def test_the_container_is_never_privileged_and_writes_nowhere(option: str) -> None:
    security = container(option)["securityContext"]
    assert "privileged" not in security
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"]["drop"] == ["ALL"]
    assert security["capabilities"].get("add", []) == (["SYS_ADMIN"] if option == "mig" else [])
    assert all(mount["readOnly"] for mount in container(option)["volumeMounts"])


@pytest.mark.parametrize(
    ("option", "user"), [("defaults", 0), ("api-server", 0), ("no-kubernetes", 65532), ("api-server-alone", 65532)]
)
def test_root_is_taken_only_for_what_belongs_to_root(option: str, user: int) -> None:
    security = container(option)["securityContext"]
    assert (security["runAsUser"], security["runAsNonRoot"]) == (user, user != 0)


@pytest.mark.parametrize("option", OPTIONS)
def test_the_nodes_processes_are_seen_only_where_they_are_read(option: str) -> None:
    pod = find(wanted(option), "DaemonSet")["spec"]["template"]["spec"]
    assert pod.get("hostPID", False) == (option == "processes")
    assert "hostNetwork" not in pod


def test_the_exporter_is_told_not_to_probe_itself() -> None:
    template = find(wanted("defaults"), "DaemonSet")["spec"]["template"]
    assert template["metadata"]["annotations"]["inferwatch.dev/scrape"] == "false"


def test_probes_only_connect_where_a_password_may_be_asked() -> None:
    assert "httpGet" in container("defaults")["livenessProbe"]
    for probe in ("livenessProbe", "readinessProbe"):
        assert container("web")[probe]["tcpSocket"] == {"port": "metrics"}
        assert "httpGet" not in container("web")[probe]


def test_series_keep_their_own_pod_and_get_no_other() -> None:
    (endpoint,) = find(wanted("defaults"), "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["honorLabels"] is True
    assert {"action": "labeldrop", "regex": "namespace|pod|container"} in endpoint["relabelings"]
