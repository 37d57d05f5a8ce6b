"""`inferwatch exporter`: checked whole before anything is served, reloaded while it runs, ended in order."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner

from inferwatch import cli
from inferwatch.version import VERSION
from tests.e2e.prometheus import eventually, exporter, get
from tests.exporter.engines.endpoints import VLLM, response, says, serving

NODE = "gpu: {enabled: false}\nkubernetes: {discovery: none, pod_resources_socket: /nowhere/kubelet.sock}\n"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inferwatch", "exporter", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


Refusal = Callable[..., str]


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refusal:
    """What is said to somebody who asked for what cannot be had: one line, nothing served.

    Runs in this process, through the entry of the installed command; the log and the allocator stay as they are.
    """

    def refused(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["inferwatch", "exporter", *arguments])
        monkeypatch.setattr("inferwatch.commands.exporter.keep_small", lambda: True)
        monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        output, errors = capfd.readouterr()
        assert (ended.value.code, output) == (2, "")
        assert errors.count("\n") == 1, errors
        assert errors.startswith("inferwatch exporter: ")
        return errors

    return refused


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "exporter.yaml"
    path.write_text(NODE)
    return path


def test_help_names_every_option() -> None:
    done = CliRunner().invoke(cli.root, ["exporter", "--help"])
    assert done.exit_code == 0
    for option in ("--config", "--listen", "--web.config.file", "--gpu-names", "--passthrough", "--demo", "--check"):
        assert option in done.output
    assert "0.0.0.0:9400" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nonsense"], "No such option"),
        (["--gpu-names", "dcgm5"], "Invalid value for '--gpu-names'"),
        (["--config", "no-such-file.yaml"], "no-such-file.yaml"),
        (["--web.config.file", "no-such-file.yaml"], "no-such-file.yaml"),
        (["--listen", "localhost"], "--listen: 'localhost' is not HOST:PORT"),
        (["--listen", "127.0.0.1:70000"], "--listen: '127.0.0.1:70000' is not HOST:PORT with a port up to 65535"),
        (["--listen", "256.0.0.1:9400"], "listen: 256.0.0.1:9400: "),
        (["surplus"], "surplus"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(refusal: Refusal, arguments: list[str], said: str) -> None:
    assert said in refusal(*arguments)


# --check


def test_a_good_configuration_passes_the_check_and_nothing_is_served(file: Path, tmp_path: Path) -> None:
    web = tmp_path / "web.yaml"
    web.write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file.write_text(f"{NODE}listen: 127.0.0.1:{taken.getsockname()[1]}\n")
        done = run("--check", "--config", str(file), "--web.config.file", str(web))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("intervall: 5", "unknown field `intervall`"),
        ("interval_seconds: 0", "interval_seconds: "),
        ("gpu: [", "no YAML: "),
        ("listen: 0.0.0.0:99999", "listen: "),
        ("otlp: {endpoint: 'http://user:word@127.0.0.1:4318'}", "otlp.endpoint"),
        ("engines: {targets: [{url: http://a, engine: vlm}]}", "engines.targets[0].engine: 'vlm'"),
        ("gpu: {fields: {include: [DCGM_FI_DEV_MADE_UP]}}", "DCGM_FI_DEV_MADE_UP"),
        ("gpu: {fields: {csv_file: /nowhere/fields.csv}}", "/nowhere/fields.csv"),
    ],
)
@pytest.mark.parametrize("check", [["--check"], []], ids=["check", "start"])
def test_a_bad_configuration_is_refused(refusal: Refusal, file: Path, text: str, said: str, check: list[str]) -> None:
    file.write_text(text)
    message = refusal("--config", str(file), "--listen", "127.0.0.1:0", *check)
    assert said in message
    assert str(file) in message


@pytest.mark.parametrize("check", [["--check"], []], ids=["check", "start"])
@pytest.mark.parametrize(
    ("web", "said"),
    [
        ("basic_auth_users: {u: plain}", "basic_auth_users.u: no bcrypt hash"),
        ("tls_server_config: {cert_file: none.pem, key_file: none.key}", "none.pem: cannot be read"),
        ("tls_server_config: {cert_file: web.yaml, key_file: web.yaml}", "holds no certificate"),
    ],
)
def test_a_bad_web_configuration_is_refused(
    refusal: Refusal, file: Path, web: str, said: str, check: list[str]
) -> None:
    web_file = file.with_name("web.yaml")
    web_file.write_text(web)
    message = refusal("--config", str(file), "--web.config.file", str(web_file), "--listen", "127.0.0.1:0", *check)
    assert said in message


def test_a_port_in_use_is_said(refusal: Refusal, file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"listen: {address}: another process listens there" in refusal(
            "--config", str(file), "--listen", address
        )


# Running


@contextmanager
def running(file: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with exporter(file.parent, "--config", str(file), *options) as (process, port):
        yield process, port


def metrics(port: int) -> str:
    status, body = get(port, "/metrics")
    assert status == 200
    return body.decode()


def log_of(file: Path) -> str:
    return (file.parent / "exporter.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_ends_it(file: Path, number: signal.Signals) -> None:
    with serving(says(response(VLLM))) as url:
        file.write_text(f"{NODE}engines: {{targets: [{{url: '{url}', name: e}}]}}\n")
        with running(file) as (process, port):
            eventually(lambda: "llm_up{" in metrics(port), "the engine is read")
            text = metrics(port)
            assert 'pod="e"' in text
            assert f'inferwatch_exporter_build_info{{version="{VERSION}"}} 1' in text
            assert "inferwatch_exporter_config_last_reload_successful 1" in text
            assert get(port, "/healthz")[0] == 200
            status, page = get(port, "/")
            assert (status, b"vllm" in page) == (200, True)
            process.send_signal(number)
            assert process.wait(20) == 0
    assert f"listening on 127.0.0.1:{port}" in log_of(file)
    assert "Traceback" not in log_of(file)


def test_options_go_before_the_file(file: Path) -> None:
    with serving(says(response(VLLM))) as url:
        file.write_text(
            f"{NODE}listen: 127.0.0.1:1\nengines: {{targets: [{{url: '{url}', name: e}}], passthrough: false}}\n"
        )
        with running(file, "--passthrough") as (_, port):
            eventually(lambda: "vllm:num_requests_running{" in metrics(port), "raw series")


def test_without_any_gpu_it_serves_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "exporter.yaml"
    file.write_text("kubernetes: {discovery: none, pod_resources_socket: /nowhere/kubelet.sock}\n")
    with running(file) as (_, port):
        status, reasons = get(port, "/readyz")
        assert status == 200
        assert b"GPUs: " in reasons
        assert "inferwatch_exporter_gpus_visible 0" in metrics(port)


@pytest.mark.parametrize("by_signal", [True, False], ids=["SIGHUP", "the file changed"])
def test_another_configuration_is_taken_and_a_bad_one_is_not(file: Path, by_signal: bool) -> None:
    with serving(says(response(VLLM))) as one, serving(says(response(VLLM))) as two:

        def become(process: subprocess.Popen[bytes], text: str) -> None:
            if by_signal:
                file.write_text(text)
                process.send_signal(signal.SIGHUP)
            else:
                fresh = file.with_name("fresh")
                fresh.write_text(text)
                os.replace(fresh, file)  # noqa: PTH105

        def targets(*named: tuple[str, str]) -> str:
            urls = [{"url": url, "name": name} for name, url in named]
            return f"{NODE}interval_seconds: 0.2\nengines: {json.dumps({'targets': urls})}\n"

        def shown(port: int) -> set[str]:
            return {name for name in ("a", "b") if f'pod="{name}"' in metrics(port)}

        file.write_text(targets(("a", one)))
        with running(file) as (process, port):
            eventually(lambda: shown(port) == {"a"}, "the first target")
            become(process, targets(("a", one), ("b", two)))
            eventually(lambda: shown(port) == {"a", "b"}, "the second target")
            become(process, "interval_seconds: soon\n")
            eventually(lambda: "config_last_reload_successful 0" in metrics(port), "a bad file is said")
            assert shown(port) == {"a", "b"}
            become(process, targets(("b", two)) + "node: other\n")
            eventually(lambda: "config_last_reload_successful 1" in metrics(port), "a good file is said")
            eventually(lambda: shown(port) == {"b"} and 'node="other"' in metrics(port), "only the second target")
    log = log_of(file)
    assert "not reloaded: " in log
    assert "interval_seconds: Expected `float`" in log
    assert "configuration reloaded" in log
    assert "Traceback" not in log


def test_it_serves_over_tls_when_told_to(file: Path) -> None:
    import http.client
    import ssl

    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(file.with_name("cert.pem")))
    certificate.private_key_pem.write_to_path(str(file.with_name("key.pem")))
    web = file.with_name("web.yaml")
    web.write_text("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n")
    assert run("--check", "--config", str(file), "--web.config.file", str(web)).returncode == 0
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with listening(file, "--web.config.file", str(web)) as (_, port):
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()


@contextmanager
def listening(file: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The exporter on a port that it chose itself and wrote to its log."""
    file.write_text(f"{file.read_text()}listen: 127.0.0.1:0\n")
    command = [sys.executable, "-m", "inferwatch", "exporter", "--config", str(file), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert "listening on 127.0.0.1:" in line
            yield process, int(line.rpartition(":")[2])
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_another_address_needs_a_new_start_and_that_is_said(file: Path) -> None:
    with listening(file) as (process, port):
        eventually(lambda: get(port, "/healthz")[0] == 200, "it serves, and so it takes signals")
        file.write_text(file.read_text().replace("127.0.0.1:0", "127.0.0.1:1"))
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        assert "listen: the new address 127.0.0.1:1 takes effect at the next start" in process.stderr.readline()
        assert "configuration reloaded" in process.stderr.readline()
        assert get(port, "/healthz")[0] == 200


def test_a_push_that_fails_is_counted_and_can_be_turned_off(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    off = f"{NODE}interval_seconds: 0.2\n"
    file.write_text(f"{off}otlp: {{endpoint: 'http://127.0.0.1:{nobody}', interval_seconds: 0.2}}\n")
    with running(file) as (process, port):
        eventually(lambda: 'source_errors_total{source="otlp"' in metrics(port), "a push failed")
        file.write_text(off)
        process.send_signal(signal.SIGHUP)
        eventually(lambda: "configuration reloaded" in log_of(file), "reloaded")
        file.write_text(f"{off}otlp: {{endpoint: 'http://127.0.0.1:{nobody}', interval_seconds: 10}}\n")
        process.send_signal(signal.SIGHUP)
        eventually(lambda: log_of(file).count("configuration reloaded") == 2, "reloaded again")
        process.terminate()
        assert process.wait(20) == 0
    assert "Traceback" not in log_of(file)


def test_the_demo_needs_no_hardware(tmp_path: Path) -> None:
    with exporter(tmp_path, "--demo", "--gpu-names", "dcgm4.6") as (_, port):
        eventually(lambda: metrics(port).count("\nllm_up{") == 4, "four engines")
        eventually(lambda: "DCGM_FI_DEV_GPU_UTIL_RATIO{" in metrics(port), "a GPU")
