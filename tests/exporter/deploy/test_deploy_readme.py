"""What the deployment's README has people paste is taken by the tools and by the exporter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.deploy.generate import FOLDER
from exporter.serving import web_config
from tests.exporter.deploy.manifests import alike, helm, kustomize

README = (FOLDER / "README.md").read_text("utf-8")
ROOT = FOLDER.parents[1]
# As htpasswd writes it.
HASH = "$2y$10$abcdefghijklmnopqrstuuGQ1sJ6E6rC8dJp0K3mYcO6Qv7hV7Q2e"


def written(file: str) -> str:
    """What the README writes into a file."""
    found = re.search(rf"> {re.escape(file)} <<'?EOF'?\n(.*?)^EOF$", README, re.MULTILINE | re.DOTALL)
    assert found, file
    text = found[1].replace("$REPOSITORY", "registry.example.com/inferwatch").replace("$TAG", "0.1.0")
    return text.replace("$HASH", HASH)


def settings() -> list[tuple[str, str]]:
    return re.findall(r"--set ([\w.]+)=(\"?[\w.$]+\"?)", README)


def nested(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def test_the_chart_knows_every_setting() -> None:
    assert len(settings()) > 5
    values = [nested(path, yaml.safe_load(text)) for path, text in settings()]
    rendered = helm(*((each, "inferwatch-exporter", "inferwatch") for each in values))["rendered"]
    assert [answer for answer in rendered if isinstance(answer, str)] == []


def test_the_kustomization_builds_with_the_readers_image(tmp_path: Path) -> None:
    (tmp_path / "exporter").symlink_to(ROOT / "exporter")
    overlay = tmp_path / "my-exporter"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(written("my-exporter/kustomization.yaml"))
    manifests = alike(kustomize(overlay))
    (container,) = manifests["DaemonSet/inferwatch-exporter"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/inferwatch:0.1.0"
    assert "ClusterRole/inferwatch-inferwatch-exporter" in manifests


def test_every_component_is_in_the_table() -> None:
    components = {folder.name for folder in (FOLDER / "kustomize/components").iterdir()}
    assert {name for name in components if f"| `{name}` |" not in README} == set()


def test_the_exporter_takes_the_web_configuration(tmp_path: Path) -> None:
    file = tmp_path / "web-config.yml"
    file.write_text(written("web-config.yml"))
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).touch()
    config = web_config.load(file)
    assert config.tls_server_config is not None
    assert list(config.basic_auth_users) == ["prometheus"]


def test_the_chart_takes_the_values_for_tls() -> None:
    values = yaml.safe_load(written("tls-values.yaml"))
    (rendered,) = helm((values, "inferwatch-exporter", "inferwatch"))["rendered"]
    (monitor,) = yaml.safe_load_all(rendered["inferwatch-exporter/templates/podmonitor.yaml"])
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["scheme"] == "https"
    assert endpoint["basicAuth"] == values["podMonitor"]["basicAuth"]
    assert "web-config.yml" in rendered["inferwatch-exporter/templates/daemonset.yaml"]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(target: str) -> None:
    assert (FOLDER / target).exists()


def test_files_that_are_applied_exist() -> None:
    named = re.findall(r"exporter/deploy/[\w./-]+", README)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
