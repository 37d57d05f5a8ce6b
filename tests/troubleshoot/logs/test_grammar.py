from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from recordings.reader import bundled, load, read_log
from troubleshoot.logs.grammar import Line, parse_line

STATS = "Avg prompt throughput: 12.0 tokens/s, Running: 1 reqs, Waiting: 0 reqs"


class Form(NamedTuple):
    """A raw line, and what is to be read from it. `clock` is the time of day that it names, "" for none."""

    raw: str
    message: str
    level: str = ""
    process: str = ""
    where: str = ""
    clock: str = ""


ACCESS = '10.1.2.3:52044 - "POST /v1/chat/completions HTTP/1.1" 200 OK'
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"

LOGGERS = {
    # vLLM: reference in its sources, vllm/logging_utils and vllm/utils/system_utils (decorate_logs)
    "vLLM 0.2 to 0.7": Form(
        f"INFO 02-03 13:14:04 llm_engine.py:706] {STATS}", STATS, "INFO", "", "llm_engine.py:706", "13:14:04"
    ),
    "vLLM 0.8 to 0.10.1": Form(
        "WARNING 03-27 10:29:03 [model_runner.py:1442] Graph",
        "Graph",
        "WARNING",
        "",
        "model_runner.py:1442",
        "10:29:03",
    ),
    "vLLM 0.8 tensor-parallel worker": Form(
        "(VllmWorker rank=0 pid=123) ERROR 03-27 10:29:03 [multiproc_executor.py:470] " + OOM,
        OOM,
        "ERROR",
        "VllmWorker",
        "multiproc_executor.py:470",
        "10:29:03",
    ),
    "vLLM 0.10.1 engine core": Form(
        f"(EngineCore_0 pid=77) INFO 08-20 10:29:03 [loggers.py:123] {STATS}",
        STATS,
        "INFO",
        "EngineCore_0",
        "loggers.py:123",
        "10:29:03",
    ),
    "vLLM 0.10.1 worker": Form(
        f"(VllmWorker TP0 pid=99) ERROR 08-20 10:29:03 [multiproc_executor.py:596] {OOM}",
        OOM,
        "ERROR",
        "VllmWorker TP0",
        "multiproc_executor.py:596",
        "10:29:03",
    ),
    "vLLM 0.10.2 to 0.30": Form(
        f"(Worker_DP0_PP0_TP0_EP0 pid=99) INFO 11-21 10:29:03 [gpu_worker.py:508] {STATS}",
        STATS,
        "INFO",
        "Worker_DP0_PP0_TP0_EP0",
        "gpu_worker.py:508",
        "10:29:03",
    ),
    "vLLM with DEBUG paths": Form(
        "(EngineCore_DP0 pid=99) DEBUG 11-21 10:29:03 [v1/core/.../kv_cache_utils.py:99] x",
        "x",
        "DEBUG",
        "EngineCore_DP0",
        "v1/core/.../kv_cache_utils.py:99",
        "10:29:03",
    ),
    "vLLM 0.31 and later": Form(
        "(EngineCore pid=4711) INFO 11-21 10:29:03 [core.py:88] x", "x", "INFO", "EngineCore", "core.py:88", "10:29:03"
    ),
    "vLLM with colours": Form(
        "\x1b[1;36m(EngineCore_DP0 pid=7)\x1b[0;0m ERROR 11-21 10:29:03 [core.py:1] x",
        "x",
        "ERROR",
        "EngineCore_DP0",
        "core.py:1",
        "10:29:03",
    ),
    "vLLM with coloured levels": Form(
        "(EngineCore pid=7) \x1b[32mINFO\x1b[0m 11-21 10:29:03 \x1b[90m[core.py:1]\x1b[0m x",
        "x",
        "INFO",
        "EngineCore",
        "core.py:1",
        "10:29:03",
    ),
    "vLLM V0 multiprocessing": Form(
        f"(VllmWorkerProcess pid=1159) ERROR 01-15 07:08:09 multiproc_worker_utils.py:231] {OOM}",
        OOM,
        "ERROR",
        "VllmWorkerProcess",
        "multiproc_worker_utils.py:231",
        "07:08:09",
    ),
    "vLLM traceback line": Form(
        "(EngineCore_DP0 pid=7) Traceback (most recent call last):",
        "Traceback (most recent call last):",
        process="EngineCore_DP0",
    ),
    "Ray worker": Form(
        f"(RayWorkerWrapper pid=5085) ERROR 01-15 07:08:09 worker_base.py:464] {OOM}",
        OOM,
        "ERROR",
        "RayWorkerWrapper",
        "worker_base.py:464",
        "07:08:09",
    ),
    "Ray worker on another node": Form(
        f"(RayWorkerVllm pid=5085, ip=10.0.0.7) INFO 01-15 07:08:09 model_runner.py:1] {STATS}",
        STATS,
        "INFO",
        "RayWorkerVllm",
        "model_runner.py:1",
        "07:08:09",
    ),
    "uvicorn": Form(f"INFO:     {ACCESS}", ACCESS, "INFO"),
    "uvicorn behind vLLM's prefix": Form(f"(APIServer pid=1) INFO:     {ACCESS}", ACCESS, "INFO", "APIServer"),
    "torchrun rank": Form(f"[rank3]: {OOM}", OOM, process="rank3"),
    "vLLM JSON": Form(
        json.dumps(
            {
                "asctime": "2026-11-21 10:29:03,123",
                "levelname": "WARNING",
                "name": "vllm.v1.metrics.loggers",
                "processName": "EngineCore",
                "process": 77,
                "message": STATS,
                "vllm_process_name": "EngineCore",
            }
        ),
        STATS,
        "WARNING",
        "EngineCore",
        "vllm.v1.metrics.loggers",
        "10:29:03",
    ),
    # TGI: tracing_subscriber, as text and with --json-output
    "TGI text": Form(
        "2024-06-07T10:29:03.123456Z  INFO text_generation_launcher: Args {",
        "text_generation_launcher: Args {",
        "INFO",
        clock="10:29:03",
    ),
    "TGI text with colours": Form(
        "\x1b[2m2024-06-07T10:29:03.123456Z\x1b[0m \x1b[33m WARN\x1b[0m "
        "\x1b[2mtext_generation_router\x1b[0m\x1b[2m:\x1b[0m x",
        "text_generation_router: x",
        "WARNING",
        clock="10:29:03",
    ),
    "TGI JSON": Form(
        json.dumps(
            {
                "timestamp": "2024-06-07T10:29:03.123456Z",
                "level": "ERROR",
                "fields": {"message": "Model is overloaded"},
                "target": "text_generation_router",
            }
        ),
        "Model is overloaded",
        "ERROR",
        clock="10:29:03",
    ),
    "SGLang": Form(
        "[2025-09-01 10:29:03] Decode batch. #running-req: 3", "Decode batch. #running-req: 3", clock="10:29:03"
    ),
    "SGLang with ranks": Form(
        "[2025-09-01 10:29:03 DP0 TP1] Decode batch. #running-req: 3",
        "Decode batch. #running-req: 3",
        process="DP0 TP1",
        clock="10:29:03",
    ),
    "SGLang, one rank": Form("[2025-09-01 10:29:03 TP0] x", "x", process="TP0", clock="10:29:03"),
    # llama.cpp: plain until 2025, with --log-timestamps and --log-prefix, both on by default since b8000
    "llama.cpp 2024": Form(
        "slot release: id 0 | task 7 | stop processing", "slot release: id 0 | task 7 | stop processing"
    ),
    "llama.cpp 2026": Form(
        "0.06.096.278 W slot launch_slot_: id  3 | task 7 | processing task",
        "slot launch_slot_: id  3 | task 7 | processing task",
        "WARNING",
    ),
    "llama.cpp level alone": Form("E llama_decode: failed", "llama_decode: failed", "ERROR"),
    "Triton": Form(
        "I1121 20:50:22.315862 27528 cache_manager.cc:480] \"Create CacheManager with cache_dir: '/caches'\"",
        "\"Create CacheManager with cache_dir: '/caches'\"",
        "INFO",
        "",
        "cache_manager.cc:480",
        "20:50:22",
    ),
    "Triton error": Form(
        'E1121 20:50:22.316206 27528 server.cc:241] "no driver"',
        '"no driver"',
        "ERROR",
        "",
        "server.cc:241",
        "20:50:22",
    ),
    "nothing known": Form("just words", "just words"),
    "nothing": Form("", ""),
}

CORE = "(EngineCore pid=7) INFO 11-21 10:29:03 [core.py:88] x"

CARRIERS = {
    "as it is": "{}",
    "kubectl --timestamps": "2026-11-21T10:29:03.123456789Z {}",
    "kubectl --timestamps, local": "2026-11-21T10:29:03.123456789+02:00 {}",
    "kubectl --prefix": "[pod/vllm-0/vllm] {}",
    "kubectl --prefix --timestamps": "[pod/vllm-0/vllm] 2026-11-21T10:29:03.123456789Z {}",
    "CRI": "2026-11-21T10:29:03.123456789Z stdout F {}",
    "CRI, local time": "2026-11-21T10:29:03.123456789+02:00 stderr F {}",
    "docker compose": "vllm-1  | {}",
    "docker compose, old": "my_project_vllm_1 | {}",
    "docker compose --timestamps": "vllm-1  | 2026-11-21T10:29:03.123456789Z {}",
    "journald": "Nov 21 10:29:03 gpu-node-01 vllm[1234]: {}",
    "journald, single digit": "Nov  1 10:29:03 gpu-node-01 docker-entrypoint.sh[1]: {}",
    "quoted in a ticket": "> {}",
    "CRLF": "{}\r",
    "trailing newline": "{}\n",
    "trailing blanks": "{}   ",
    "compose piped to the journal": "Nov 21 10:29:03 node compose[1]: vllm-1  | {}",
}

HOLDERS: Mapping[str, Callable[[str], Mapping[str, object]]] = {
    "Docker's JSON file": lambda line: {"log": line + "\n", "stream": "stderr", "time": "2026-11-21T10:29:03.1Z"},
    "journald JSON": lambda line: {"MESSAGE": line, "__REALTIME_TIMESTAMP": "1795256943000000", "PRIORITY": "6"},
    "Google Cloud": lambda line: {"textPayload": line, "timestamp": "2026-11-21T10:29:03.1Z", "severity": "INFO"},
    "Google Cloud, structured": lambda line: {"jsonPayload": {"message": line}, "timestamp": "2026-11-21T10:29:03.1Z"},
    "Fluent Bit": lambda line: {"log": line, "kubernetes": {"pod_name": "vllm-0"}, "time": "2026-11-21T10:29:03.1Z"},
    "Loki": lambda line: {"line": line, "timestamp": "2026-11-21T10:29:03.1Z"},
}


def clock_of(line: Line) -> str:
    if line.time_seconds is None:
        return ""
    seconds = int(line.time_seconds) % 86400
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def said(line: Line) -> tuple[str, str, str, str]:
    return line.message, line.level, line.process, line.where


@pytest.mark.parametrize("name", LOGGERS)
def test_a_logger_is_read(name: str) -> None:
    form = LOGGERS[name]
    line = parse_line(form.raw.encode())
    assert said(line) == form[1:5]
    if not name.startswith("llama.cpp"):
        assert clock_of(line) == form.clock


@pytest.mark.parametrize("carrier", CARRIERS)
def test_what_carries_a_line_is_taken_off(carrier: str) -> None:
    read = {name: parse_line(CARRIERS[carrier].format(form.raw).encode()).message for name, form in LOGGERS.items()}
    assert read == {name: form.message for name, form in LOGGERS.items()}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_level_and_place_are_read_through_every_carrier(carrier: str) -> None:
    line = parse_line(CARRIERS[carrier].format(CORE).encode())
    assert (line.message, line.level, line.where, clock_of(line)) == ("x", "INFO", "core.py:88", "10:29:03")
    assert line.process == "EngineCore"


@pytest.mark.parametrize("holder", HOLDERS)
def test_json_that_holds_a_line_is_taken_off(holder: str) -> None:
    read = {name: parse_line(json.dumps(HOLDERS[holder](form.raw)).encode()) for name, form in LOGGERS.items()}
    assert {name: (line.message, line.process) for name, line in read.items()} == {
        name: (form.message, form.process) for name, form in LOGGERS.items()
    }


def test_a_carrier_gives_the_time_where_the_line_has_none() -> None:
    line = parse_line(f"2026-11-21T10:29:03.5Z INFO:     {ACCESS}".encode())
    assert clock_of(line) == "10:29:03"
    cri = parse_line(f"2026-11-21T10:29:03.5Z stdout F INFO:     {ACCESS}".encode())
    assert clock_of(cri) == "10:29:03"


def test_processes_of_different_pods_and_containers_are_told_apart() -> None:
    """What two containers print at once must never be read as one traceback."""
    for pair in (
        (b"web-1  | Traceback (most recent call last):", b"vllm-1 | Traceback (most recent call last):"),
        (b"[pod/web-0/app] ValueError: x", b"[pod/vllm-0/vllm] ValueError: x"),
    ):
        first, second = (parse_line(raw) for raw in pair)
        assert first.message == second.message
        assert (first.container, first.process) != (second.container, second.process)


def test_the_text_keeps_the_loggers_prefix_and_drops_the_carriers() -> None:
    assert parse_line(b"2026-11-21T10:29:03.5Z stdout F " + CORE.encode()).text == CORE


@pytest.mark.parametrize(
    ("earlier", "later", "seconds"),
    [
        ("INFO 11-21 10:29:03 [a.py:1] x", "INFO 11-21 10:29:13 [a.py:1] x", 10),
        ("INFO 11-30 23:59:58 [a.py:1] x", "INFO 12-01 00:00:03 [a.py:1] x", 5),
        ("I1121 10:29:03.1 1 a.cc:1] x", "I1122 10:29:03.1 1 a.cc:1] x", 86400),
        ("[2025-12-31 23:59:59] x", "[2026-01-01 00:00:01] x", 2),
        ("2023-12-31T23:59:59.500000Z  INFO a: x", "2024-01-01T00:00:00.000000Z  INFO a: x", 0.5),
        ("2024-02-28T23:59:59.000000Z  INFO a: x", "2024-02-29T00:00:00.000000Z  INFO a: x", 1),
        ("2024-02-29T23:59:59.000000Z  INFO a: x", "2024-03-01T00:00:00.000000Z  INFO a: x", 1),
        ("0.06.096.278 I srv x", "1.07.097.278 I srv x", 61.001),
        (
            '{"asctime": "2026-11-21 10:29:03,250", "message": "x"}',
            '{"asctime": "2026-11-21 10:29:04,000", "message": "x"}',
            0.75,
        ),
    ],
)
def test_time_between_lines(earlier: str, later: str, seconds: float) -> None:
    begin, end = (parse_line(text.encode()).time_seconds for text in (earlier, later))
    assert begin is not None
    assert end is not None
    assert end - begin == pytest.approx(seconds)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfe\x00\x01",
        b"{",
        b'{"message": 7}',
        b'{"message": null}',
        b"[1, 2]",
        b'{"log": "' + b"[" * 100_000 + b'"}',
        b"{" * 5000,
        b'{"a":' * 5000,
        b"\x1b[",
        b"(((((((",
        b"INFO 99-99 99:99:99 [a.py:1] x",
        b"I9999 99:99:99.0 1 a.cc:1] x",
        b"[9999-99-99 99:99:99] x",
        b"> " * 1000,
        b"2026-13-45T25:61:61Z stdout F x",
    ],
)
def test_nothing_raises(raw: bytes) -> None:
    assert isinstance(parse_line(raw).message, str)


@pytest.mark.parametrize("name", bundled())
def test_every_prefix_of_the_recordings_is_understood(name: str) -> None:
    """No message begins with what a logger of its engine puts in front."""
    left = re.compile(r"^(?:\(\w+ pid=|(?:INFO|WARNING|ERROR)\b[: ]|[IWE]\d{4} |\d+\.\d\d\.\d{3}|\{\"asctime)")
    messages = [parse_line(raw).message for raw in read_log(load(name)).split(b"\n")]
    assert [message for message in messages if left.match(message)] == []


def test_incidents_of_the_shared_folder_are_read() -> None:
    incidents = Path(__file__).resolve().parents[3] / ".." / "shared" / "incidents"
    logs = sorted(incidents.glob("*/log.txt"))[:40]
    if not logs:
        pytest.skip("the shared incidents are not here")
    lines = [parse_line(raw) for log in logs for raw in log.read_bytes().split(b"\n")[:300]]
    assert sum(bool(line.level) for line in lines) > len(lines) / 4
