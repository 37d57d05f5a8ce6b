"""The documents' commands run; their flags and links exist. What is not run stands in a list with its reason."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import msgspec
import pytest
import trustme

import runbooks
from exporter import config
from inferwatch import cli
from recordings.reader import load
from recordings.replay import ReplayServer
from tests.dashboards import stub_grafana
from tests.dashboards.preview.stub_prometheus import stub_prometheus
from tests.e2e.kube_api_stub import StubCluster, StubPod, kube_api
from tests.e2e.kube_objects import Object, ended, node, pod
from tests.e2e.kube_stored import stored
from tests.e2e.preflight_cluster import MANIFESTS, manifests
from tests.e2e.stores import Line, a_while_ago, ended_at, prometheus_with
from tests.troubleshoot.sources.loki_stub import LokiStub, running
from troubleshoot import model_table

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

# First words of commands that are not run, each with its reason.
NOT_RUN = {
    "make": "runs other things; its targets are checked instead",
    "pipx install": "installs from the network",
    "uv tool install": "installs from the network",
    "pip install": "installs from the network",
    "git clone": "needs the network",
    "kubectl": "needs a cluster",
    "helm": "needs a cluster",
    "docker": "needs a container engine",
    "curl": "needs an engine",
    "cat": "only feeds what comes after it",
}

# What stands in the documents for something of the reader's own: a file's name -> the recording whose log it becomes.
LOGS = {"engine.log": "kv_preemption", "server.log": "kv_preemption"}
EXAMPLES = {"exporter.yaml": "exporter.md", "slo.yaml": "alerts.md", "deployment.yaml": "preflight.md"}
CONFIGS = {"config.json": "llama-3.1-8b"}  # a model's own, by the name of a known one
CREDENTIALS = {"token": "t0ken", "password": "passw0rd", "headers": "X-Team: inference\n"}
STORES = {"prometheus:9090": "prometheus", "mimir:8080/prometheus": "prometheus", "loki:3100": "loki"}
TOKEN_FILE = "grafana-token"
GRAFANA, PROMETHEUS = "http://127.0.0.1:3000", "http://127.0.0.1:9090"
ADDRESS = re.compile(r"http://(?:127\.0\.0\.1|localhost|HOST):(?:\d+|PORT)/metrics")
_OPERATORS = {"|", "||", "&&", ";", "&", ">", ">>", "<", "2>", "(", ")"}
_FENCE = re.compile(r"^```(?:bash|sh|shell|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PATIENCE_SECONDS = 60


class Documented(NamedTuple):
    """A command as a document gives it."""

    document: str
    text: str

    @property
    def parts(self) -> list[list[str]]:
        """Its simple commands: words between pipes, `&&` and `;`. An operator is a list of its own."""
        lexer = shlex.shlex(self.text, posix=True, punctuation_chars="|&;<>()")
        lexer.whitespace_split = True
        parts: list[list[str]] = [[]]
        for word in lexer:
            if word in _OPERATORS:
                parts += [[word], []]
            else:
                parts[-1].append(word)
        return [part for part in parts if part]

    @property
    def simple(self) -> list[list[str]]:
        """The parts that are commands, not operators or the file that one writes to."""
        parts = self.parts
        return [
            part
            for before, part in zip([[""], *parts], parts, strict=False)
            if part[0] not in _OPERATORS and before[0] not in {">", ">>", "<", "2>"}
        ]


def commands_of(document: Path) -> Iterator[Documented]:
    for block in _FENCE.findall(document.read_text(encoding="utf-8")):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            text = line.strip().removeprefix("$ ")
            if text and not text.startswith("#"):
                yield Documented(document.name, text)


COMMANDS = [command for document in DOCUMENTS for command in commands_of(document)]
OURS = [command for command in COMMANDS if any(part[0] == "inferwatch" for part in command.simple)]


def titles(commands: list[Documented]) -> list[str]:
    return [f"{command.document}: {command.text}" for command in commands]


def test_the_documents_are_found_and_hold_commands() -> None:
    assert [path.name for path in DOCUMENTS[:2] if path.is_file()] == ["README.md", "CONTRIBUTING.md"]
    assert any(command.document == "README.md" for command in OURS)


@pytest.mark.parametrize("command", COMMANDS, ids=titles(COMMANDS))
def test_every_command_is_run_or_says_why_not(command: Documented) -> None:
    for words in command.simple:
        if words[0] != "inferwatch":
            reasons = [reason for first, reason in NOT_RUN.items() if words[: len(first.split())] == first.split()]
            assert reasons, f"{' '.join(words)!r} is neither ours nor in NOT_RUN"


@pytest.mark.parametrize("command", COMMANDS, ids=titles(COMMANDS))
def test_make_targets_exist(command: Documented) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {word for words in command.simple if words[0] == "make" for word in words[1:] if "=" not in word}
    assert asked <= targets


# Flags


def _subcommand(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words call, and the words that are left."""
    found: click.Command = cli.root
    context = click.Context(found)
    rest = words[1:]
    while rest and isinstance(found, click.Group) and not rest[0].startswith("-"):
        inner = found.get_command(context, rest[0])
        assert inner is not None, f"there is no subcommand {rest[0]!r}"
        found, rest = inner, rest[1:]
    return found, rest


def _flags(command: click.Command) -> set[str]:
    own = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
    return own | {"-h", "--help"}


def spoken() -> list[Documented]:
    """What prose and runbooks call: `inferwatch ...` between backticks or in a block."""
    pages = [*DOCUMENTS, ROOT / "runbooks/README.md", *sorted((ROOT / "runbooks").glob("*/*.md"))]
    found = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        inline = re.findall(r"(?<!`)`(inferwatch [a-z][^`\n]*)`(?!`)", text)
        block = [command.text for command in commands_of(page) if "inferwatch" in command.text]
        found += [Documented(page.name, each) for each in dict.fromkeys([*inline, *block])]
    return found


@pytest.mark.parametrize("command", spoken(), ids=titles(spoken()))
def test_subcommands_and_flags_exist(command: Documented) -> None:
    for words in command.simple:
        if words[0] == "inferwatch":
            subcommand, rest = _subcommand(words)
            flags = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
            assert flags <= _flags(subcommand)


# Running them


ALERTS = ("LLMTTFTBudgetBurn",)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the documents call a Prometheus and a Loki: the kind -> its address; "now" is the end of what they hold.

    The Prometheus is a real one; the Loki is a stub that follows its documented API.
    """
    end = a_while_ago()
    place = {"namespace": "prod", "pod": "llm-0"}
    lines = ended_at("kv_preemption", end, **place)
    for name in ALERTS:
        labels = f'alertname="{name}",namespace="prod",severity="page"'
        lines += [Line("ALERTS_FOR_STATE", labels, str(end - 60), end - at) for at in range(0, 60, 15)]
    log = load("kv_preemption").log_path.read_text("utf-8").splitlines()
    loki = LokiStub()
    loki.push(place, [(int(end * 1e9) - (len(log) - number) * 1000, line) for number, line in enumerate(log)])
    with prometheus_with(tmp_path_factory.mktemp("prometheus"), lines) as url, running(loki) as loki_url:
        yield {"prometheus": url, "loki": loki_url, "now": str(end)}


def in_stores(words: list[str], stores: dict[str, str]) -> list[str]:
    """The command with the addresses of stores that are there, at the time of what they hold."""
    for name, kind in STORES.items():
        words = [word.replace(f"http://{name}", stores[kind]) for word in words]
    return [*words, "--at", stores["now"]]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A live engine."""
    with ReplayServer(load("kv_preemption"), start="ready", speed=4) as server:
        yield server.url


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    """Stubs of the servers that commands of the boards talk to, by the address in the documents."""
    with stub_grafana.serving() as grafana, stub_prometheus() as prometheus:
        yield {GRAFANA: grafana.url, PROMETHEUS: prometheus.url}


def example(page: str) -> str:
    """The configuration file that a page shows."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (found,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(found)


def put_examples(folder: Path) -> list[str]:
    """Write the files that commands in the documents name: configuration and credentials; returns their names."""
    for name, page in EXAMPLES.items():
        (folder / name).write_text(example(page), encoding="utf-8")
    for name, model in CONFIGS.items():
        (folder / name).write_text(json.dumps(model_table.CONFIGS[model]), encoding="utf-8")
    for name, content in CREDENTIALS.items():
        (folder / name).write_text(content, encoding="utf-8")
    trustme.CA().cert_pem.write_to_path(folder / "ca.pem")
    with tarfile.open(folder / "shared.tar.gz", "w:gz") as archive:
        archive.add(load("kv_preemption").folder, "kv_preemption")
    return [*EXAMPLES, *CONFIGS, *CREDENTIALS, "ca.pem", "shared.tar.gz"]


def test_the_exporters_example_shows_defaults(tmp_path: Path) -> None:
    """All but what is the reader's own: a value that is shown is the one that holds without it."""
    put_examples(tmp_path)
    shown = config.load(tmp_path / "exporter.yaml")
    own = msgspec.structs.replace(
        shown,
        node="",
        gpu=msgspec.structs.replace(shown.gpu, fields=config.GpuFields()),
        engines=msgspec.structs.replace(shown.engines, targets=()),
    )
    assert own == config.Config()


def runnable(words: list[str], address: str) -> list[str]:
    """The command with a live engine's address, and without long waits."""
    live = any(ADDRESS.search(word) for word in words)
    words = [ADDRESS.sub(address, word) for word in words]
    if words[0] != "inferwatch":
        return words
    if live:
        # Of an option given twice the last holds.
        words = [*words, "--duration" if words[1] == "record" else "--window", "1s"]
    if words[1] == "demo":
        words = [*words, "--window", "2"]
    if words[1] == "exporter" and "--check" not in words:
        words = [*words, "--check"]  # it would serve for ever; that it does so is tested in tests/e2e
    if words[1] == "replay" and "--list" not in words:
        words = [*words, "--once", "--speed", "10000"]
    return words


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """For a stub of the API server with the pods that the documents name."""
    labels = {"app": "vllm"}
    named: Object = {"metadata": {"name": "vllm", "namespace": "llm"}}
    selector = {"spec": {"selector": {"matchLabels": labels}}}
    found = StubCluster(nodes={"gpu-1": node()}, objects={("deployments", "llm", "vllm"): {**named, **selector}})
    for item in manifests(MANIFESTS / "as_written" / "tgi-writer.yaml"):
        item["metadata"] |= {"namespace": "llm", "name": "chat"}
        if "scaleTargetRef" in item["spec"]:
            item["spec"]["scaleTargetRef"]["name"] = "chat"
        found.put(stored(item))
    with kube_api(found) as cluster:
        log = load("oom_no_kv_blocks").log_path.read_bytes()
        cluster.add(StubPod(pod(labels=labels, state={"terminated": ended(1)}, ready=False), logs={"vllm": log}))
        yield cluster.kubeconfig(tmp_path_factory.mktemp("kube") / "config")


def asks_a_cluster(words: list[str]) -> bool:
    return words[0] == "inferwatch" and "--kube" in words


def asks_a_store(words: list[str]) -> bool:
    return words[:2] == ["inferwatch", "diagnose"] and any(option in words for option in ("--prometheus", "--loki"))


@pytest.mark.parametrize("command", OURS, ids=titles(OURS))
def test_a_documented_command_runs(
    command: Documented, address: str, servers: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for name, recording in LOGS.items():
        shutil.copy(load(recording).log_path, tmp_path / name)
    (tmp_path / TOKEN_FILE).write_text(stub_grafana.TOKEN, encoding="utf-8")
    ours = {*LOGS, *put_examples(tmp_path), TOKEN_FILE}
    parts = [part if part[0] in _OPERATORS else runnable(part, address) for part in command.parts]
    if any(asks_a_store(part) for part in parts):
        stores = request.getfixturevalue("stores")
        parts = [in_stores(part, stores) if asks_a_store(part) else part for part in parts]
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    if any(asks_a_cluster(part) for part in parts):
        environment["KUBECONFIG"] = str(request.getfixturevalue("kubeconfig"))
    line = " ".join(part[0] if part[0] in _OPERATORS else shlex.join(part) for part in parts)
    for documented, stub in servers.items():
        line = line.replace(documented, stub)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=tmp_path,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    judges = any({"diagnose", "preflight"} & set(part) for part in command.simple)
    if any(asks_a_store(part) for part in parts):
        assert "thr_preemption_thrash" in done.stdout, done.stdout + done.stderr
    if any(asks_a_cluster(part) for part in parts):
        found = "autoscaled_replicas" if "preflight" in command.text else "oom_kv_cache_no_blocks"
        assert found in done.stdout, done.stdout + done.stderr
    assert done.returncode in ({0, 1, 3} if judges else {0}), done.stderr
    written = [path.name for path in tmp_path.iterdir() if path.name not in ours]
    assert done.stdout or written


# Links and figures


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|mailto:)([^)#\s]+)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_the_number_of_causes_is_right(document: Path) -> None:
    counts = {int(number) for number in re.findall(r"\b(\d+) causes\b", document.read_text(encoding="utf-8"))}
    assert counts <= {len(runbooks.PAGES)}
