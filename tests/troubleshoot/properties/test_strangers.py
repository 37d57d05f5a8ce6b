"""Lines of other processes do not change a diagnosis."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.troubleshoot.properties.failures import (
    FAILURES,
    SMALL,
    STEADY,
    Judge,
    log_of,
)

# Not traced for coverage, which would triple the time of much work over lines that the tests of causes cover.
pytestmark = pytest.mark.no_cover


STRANGERS = (
    b'10.1.2.3 - - [21/Nov/2026:19:44:03 +0000] "GET /healthz HTTP/1.1" 200 2 "-" "kube-probe/1.31"',
    b'10.1.2.3 - - [21/Nov/2026:19:44:04 +0000] "POST /v1/completions HTTP/1.1" 200 512 "-" "python-httpx/0.27"',
    b'10.1.2.9 - - [21/Nov/2026:19:44:05 +0000] "GET /favicon.ico HTTP/1.1" 404 153 "-" "Mozilla/5.0"',
    b'10.1.2.9 - - [21/Nov/2026:19:44:06 +0000] "GET /static/app.js HTTP/1.1" 304 0 "https://chat.example/" "Mozilla"',
    b'I1121 19:44:04.315862    2751 kubelet.go:2421] "SyncLoop (PLEG): event for pod" pod="default/web-7d9f"',
    b'E1121 19:44:05.416112    2751 pod_workers.go:1298] "Error syncing pod, skipping" err="failed to '
    b'\\"StartContainer\\" for \\"web\\" with CrashLoopBackOff" pod="default/web-7d9f"',
    b'Nov 21 19:44:05 gpu-node-01 kubelet[2751]: I1121 19:44:05.1 2751 prober.go:107] "Probe failed" pod="web-7d9f"',
    b"Nov 21 19:44:06 gpu-node-01 systemd[1]: Started Session 42 of User root.",
    b"redis-1  | 1:M 21 Nov 2026 19:44:06.123 * Background saving terminated with success",
    b"web-1  | Traceback (most recent call last):",
    b'web-1  |   File "/app/main.py", line 12, in handler',
    b"web-1  | ValueError: invalid literal for int() with base 10: 'x'",
    b"db-1  | 2026-11-21 19:44:07.001 UTC [77] LOG:  checkpoint complete: wrote 42 buffers",
    b"",
)


@settings(STEADY, max_examples=40)
@given(
    name=st.sampled_from([*SMALL, *FAILURES]),
    share=st.sampled_from([0.02, 0.2, 1.0]),
    seed=st.integers(0, 1 << 16),
)
def test_lines_of_other_processes_do_not_change_a_diagnosis(judge: Judge, name: str, share: float, seed: int) -> None:
    chance = random.Random(seed)
    mixed: list[bytes] = []
    for line in log_of(name).split(b"\n"):
        if chance.random() < share:
            mixed.append(chance.choice(STRANGERS))
        mixed.append(line)
    assert judge(b"\n".join(mixed)) == judge(log_of(name))


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("name", ["healthy_steady", "c_port_in_use", "oom_max_len_exceeds_kv_cache"])
def test_a_log_full_of_one_stranger_is_diagnosed_the_same(judge: Judge, name: str, stranger: bytes) -> None:
    crowd = (stranger + b"\n") * 200
    assert judge(crowd + log_of(name) + crowd) == judge(log_of(name))


@pytest.mark.parametrize("name", [*SMALL, *FAILURES])
def test_other_containers_of_a_compose_project_do_not_change_a_diagnosis(judge: Judge, name: str) -> None:
    """`docker compose logs`: every line says which container wrote it."""
    other = [
        b"web-1   | Traceback (most recent call last):",
        b'web-1   |   File "/app/main.py", line 12, in handler',
        b"web-1   | RuntimeError: upstream is not ready",
        b'proxy-1 | 10.1.2.9 - - [21/Nov/2026:19:44:05 +0000] "GET /admin HTTP/1.1" 403 153 "-" "curl/8"',
    ]
    mixed: list[bytes] = []
    for number, line in enumerate(log_of(name).rstrip(b"\n").split(b"\n")):
        mixed += [b"vllm-1  | " + line, other[number % len(other)]]
    assert judge(b"\n".join(mixed)) == judge(log_of(name))


@pytest.mark.parametrize("name", [*SMALL, *FAILURES])
def test_a_web_app_beside_the_engine_does_not_hide_its_failure(judge: Judge, name: str) -> None:
    """Another server of the project that speaks as the engine's own front end does: uvicorn is everywhere."""
    web = b"".join(
        b"web-1   | " + line + b"\n"
        for line in (
            b"INFO:     Started server process [1]",
            b"INFO:     Application startup complete.",
            b"INFO:     Uvicorn running on http://0.0.0.0:8080 (Press CTRL+C to quit)",
            b'INFO:     10.1.2.9:5000 - "POST /chat HTTP/1.1" 200 OK',
            b'INFO:     10.1.2.9:5000 - "GET /chat HTTP/1.1" 404 Not Found',
        )
    )
    own = b"".join(b"vllm-1  | " + line + b"\n" for line in log_of(name).rstrip(b"\n").split(b"\n"))
    assert judge(web + own + web) == judge(log_of(name))
