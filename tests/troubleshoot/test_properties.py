"""What holds of a diagnosis whatever surrounds the failure: strangers' lines, carriers, dates, better times."""

from __future__ import annotations

import gzip
import json
import random
import re
import string
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from io import StringIO
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import troubleshoot.collect
from recordings.reader import Recording, bundled, load, read_log, scrapes
from recordings.reader import log_lines as timed_lines
from troubleshoot.collect import Collected, Request, collect
from troubleshoot.diagnosis import diagnose
from troubleshoot.findings import Diagnosis
from troubleshoot.logs.matcher import Matcher
from troubleshoot.logs.signatures import SIGNATURES
from troubleshoot.report import Format, render

# Not traced for coverage, which would triple the time of much work over lines that the tests beside it cover.
pytestmark = pytest.mark.no_cover

STEADY = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

Judgement = tuple[str, list[tuple[str, str]]]
"""The verdict, and each finding's cause and severity in order."""

Judge = Callable[..., Judgement]


@pytest.fixture(scope="module", autouse=True)
def one_matcher() -> Iterator[None]:
    """Compile the expressions once for all examples, as one run of the command does."""
    matcher = Matcher(SIGNATURES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(troubleshoot.collect, "Matcher", lambda _signatures: matcher)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inputs")


def read(folder: Path, log: bytes | None, metrics: bytes | None) -> Collected:
    inputs: dict[str, list[str]] = {"engine.log": [], "metrics.om": []}
    for name, content in (("engine.log", log), ("metrics.om", metrics)):
        if content is not None:
            (folder / name).write_bytes(content)
            inputs[name].append(str(folder / name))
    return collect(Request(inputs["engine.log"], inputs["metrics.om"]))


def diagnosis_of(folder: Path, log: bytes | None, metrics: bytes | None = None) -> Diagnosis:
    collected = read(folder, log, metrics)
    assert collected.evidence is not None, collected.problems
    return diagnose(collected.evidence, collected.inputs)


@pytest.fixture(scope="module")
def judge(folder: Path) -> Judge:
    @cache
    def of(log: bytes | None, metrics: bytes | None = None) -> Judgement:
        diagnosis = diagnosis_of(folder, log, metrics)
        return diagnosis.verdict, [(found.cause, found.severity.label) for found in diagnosis.findings]

    return of


# The failures that the properties are tried on: every bundled recording, and starts and deaths written by hand


def _vllm(process: str, second: int, message: str, level: str = "INFO", where: str = "core.py:1231") -> str:
    return f"({process}) {level} 11-21 19:44:{second:02d} [{where}] {message}"


def _died(*messages: str) -> list[str]:
    lines = ["EngineCore encountered a fatal error.", "Traceback (most recent call last):", *messages]
    return [_vllm("EngineCore_DP0 pid=20", 30 + number, line, "ERROR") for number, line in enumerate(lines)]


_START = [
    _vllm("APIServer pid=10", 1, "vLLM API server version 0.11.0"),
    _vllm("APIServer pid=10", 2, "non-default args: {'model': 'meta-llama/Llama-2-7b-hf', 'max_model_len': 4096}"),
]
_READY = [
    "(APIServer pid=10) INFO:     Application startup complete.",
    '(APIServer pid=10) INFO:     10.0.0.9:52044 - "POST /v1/completions HTTP/1.1" 200 OK',
]
FAILURES: Mapping[str, list[str]] = {
    "oom_max_len_exceeds_kv_cache": [
        *_START,
        *_died(
            '  File "/opt/vllm/v1/core/kv_cache_utils.py", line 700, in check_enough_kv_cache_memory',
            "ValueError: To serve at least one request with the models's max seq len (32768), (16.00 GiB KV cache is "
            "needed, which is larger than the available KV cache memory (13.20 GiB). Based on the available memory, "
            "the estimated maximum model length is 27008.",
        ),
    ],
    "oom_runtime_kv_pressure_or_fragmentation": [
        *_START,
        *_READY,
        *_died(
            '  File "/opt/vllm/v1/engine/core.py", line 700, in run_busy_loop',
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of "
            "79.15 GiB of which 1.20 GiB is free. Including non-PyTorch memory, this process has 77.95 GiB memory in "
            "use. Of the allocated memory 75.00 GiB is allocated by PyTorch, and 1.10 GiB is reserved by PyTorch but "
            "unallocated.",
        ),
    ],
    "crash_engine_dead_cuda_error": [
        *_START,
        *_READY,
        *_died(
            '  File "/opt/vllm/v1/engine/core.py", line 700, in run_busy_loop',
            "torch.AcceleratorError: CUDA error: an illegal memory access was encountered",
        ),
    ],
    "crash_nccl_or_distributed_init": [
        *_START,
        *_died(
            '  File "/opt/torch/distributed/distributed_c10d.py", line 81, in wrapper',
            "torch.distributed.DistBackendError: NCCL error in: NCCLUtils.hpp:317, unhandled system error",
        ),
    ],
    "crash_engine_dead_killed": [
        *_START,
        *_READY,
        _vllm("APIServer pid=10", 40, "Engine core proc EngineCore_DP0 died unexpectedly, shutting down client."),
    ],
    "crash_driver_or_cuda_mismatch": [
        *_START,
        "Traceback (most recent call last):",
        '  File "/opt/torch/cuda/__init__.py", line 412, in _lazy_init',
        "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU.",
    ],
    "thr_preemption_thrash": [
        "INFO 11-21 19:44:01 api_server.py:651] vLLM API server version 0.6.6",
        "INFO 11-21 19:44:01 api_server.py:652] args: Namespace(port=8000, model='llama-2-7b', max_model_len=4096)",
        "INFO:     Application startup complete.",
        *(
            f"WARNING 11-21 19:44:{second:02d} scheduler.py:1555] Sequence group cmpl-{second} is preempted by "
            "PreemptionMode.RECOMPUTE mode because there is not enough KV cache space. This can affect the "
            f"end-to-end performance. total_num_cumulative_preemption={second * 50}"
            for second in range(2, 20)
        ),
    ],
}
SMALL = [name for name in bundled() if len(read_log(load(name))) < 60_000]


@cache
def log_of(name: str) -> bytes:
    """A recording's log, or a failure's."""
    return read_log(load(name)) if name in bundled() else "\n".join(FAILURES[name]).encode() + b"\n"


@cache
def metrics_of(name: str) -> bytes:
    """All scrapes of a recording as one OpenMetrics file."""
    return gzip.decompress(load(name).metrics_path.read_bytes())


@pytest.mark.parametrize("cause", FAILURES)
def test_the_failures_written_here_are_what_they_say(judge: Judge, cause: str) -> None:
    verdict, findings = judge(log_of(cause))
    assert (verdict, findings[0][0]) == ("incident", cause)


# No content raises


def _fragments() -> list[bytes]:
    """Lines of real logs and of failures: what random bytes seldom are."""
    chosen = random.Random(7)
    lines = [line for name in (*SMALL, *FAILURES) for line in chosen.sample(log_of(name).splitlines(), 5)]
    return [
        *lines,
        b'{"message": "',
        b"{",
        b"\x1b[",
        b"args: Namespace(",
        b"non-default args: {",
        b"\r",
        b"--",
        b"=" * 9,
    ]


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    """Real lines with bytes changed, cut and repeated, between random ones."""
    parts = draw(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(_fragments())), min_size=1, max_size=25))
    text = bytearray(draw(st.sampled_from([b"\n", b" ", b""])).join(parts) * draw(st.sampled_from([1, 1, 3])))
    for place, value in draw(st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=6)):
        if text:
            text[place % len(text)] = value
    return bytes(text)


_OM_LINE = re.compile(rb"^(?P<series>\S.*?) (?P<value>\S+) (?P<time>\d+(?:\.\d+)?)$")
_SERIES = (
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:kv_cache_usage_perc",
    "vllm:num_preemptions_total",
    "vllm:generation_tokens_total",
    'vllm:time_to_first_token_seconds_bucket{le="0.5"}',
    'vllm:time_to_first_token_seconds_bucket{le="+Inf"}',
    'vllm:time_to_first_token_seconds_bucket{le="x"}',
    "vllm:time_to_first_token_seconds_count",
    "vllm:time_to_first_token_seconds_sum",
    'vllm:cache_config_info{num_gpu_blocks="None",block_size="0"}',
    'vllm:request_success_total{finished_reason=""}',
    "sglang:num_running_reqs",
    "llamacpp:n_decode_total",
    'nv_inference_queue_duration_us{model="a"}',
    'DCGM_FI_DEV_CLOCK_THROTTLE_REASONS{gpu="0",modelName=""}',
    "up",
)
_VALUES = ("0", "1", "-1", "NaN", "+Inf", "-Inf", "1e308", "1e309", "5e-324", "9" * 40, "0x1", "", "1 2 3")
_TIMES = ("", " 0", " 1795289905.2", " 1795289907.2", " 1795289999", " -5", " 1795289905247", " 1e300", " NaN")


@st.composite
def expositions(draw: st.DrawFn) -> bytes:
    """Samples of known series with values and times that a broken exporter gives, between random bytes."""
    sample = st.tuples(st.sampled_from(_SERIES), st.sampled_from(_VALUES), st.sampled_from(_TIMES))
    line = st.one_of(sample.map(lambda parts: f"{parts[0]} {parts[1]}{parts[2]}".encode()), st.binary(max_size=30))
    return b"\n".join([*draw(st.lists(line, min_size=1, max_size=40)), b"# EOF\n"])


def assert_it_can_be_told(collected: Collected) -> None:
    """Either there is evidence, which every report can print, or a line that says why there is none."""
    if collected.evidence is None:
        assert collected.problems
        return
    diagnosis = diagnose(collected.evidence, collected.inputs)
    for form in get_args(Format):
        stream = StringIO()
        render(diagnosis, form, stream=stream, evidence=collected.evidence)
        report = stream.getvalue()
        assert "\x1b" not in report
        assert form != "json" or json.loads(report)["verdict"] == diagnosis.verdict


@settings(STEADY, max_examples=100)
@given(log=st.one_of(logs(), st.binary(max_size=300)))
def test_no_bytes_of_a_log_raise(folder: Path, log: bytes) -> None:
    assert_it_can_be_told(read(folder, log, None))


@settings(STEADY, max_examples=100)
@given(metrics=st.one_of(expositions(), st.binary(max_size=300)))
def test_no_bytes_of_metrics_raise(folder: Path, metrics: bytes) -> None:
    assert_it_can_be_told(read(folder, None, metrics))


@settings(STEADY, max_examples=40)
@given(log=logs(), metrics=expositions())
def test_no_bytes_of_both_raise(folder: Path, log: bytes, metrics: bytes) -> None:
    assert_it_can_be_told(read(folder, log, metrics))


@settings(STEADY, max_examples=40)
@given(
    name=st.sampled_from(["llamacpp_busy", "triton_queue_reject"]),
    damage=st.lists(st.tuples(st.integers(0, 1 << 16), st.sampled_from(_VALUES)), max_size=20),
)
def test_a_recording_with_damaged_samples_does_not_raise(
    folder: Path, name: str, damage: list[tuple[int, str]]
) -> None:
    lines = metrics_of(name).split(b"\n")
    samples = [place for place, line in enumerate(lines) if _OM_LINE.match(line)]
    for number, value in damage:
        place = samples[number % len(samples)]
        series, _, time = lines[place].rsplit(b" ", 2)
        lines[place] = b"%s %s %s" % (series, value.encode(), time)
    assert_it_can_be_told(read(folder, None, b"\n".join(lines)))


# Lines of other processes

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


# Dates

_STAMPS = (
    (re.compile(rb"(?<=[A-Z] )\d\d-\d\d \d\d:\d\d:\d\d"), "%m-%d %H:%M:%S"),  # vLLM
    (re.compile(rb"(?<=\"asctime\": \")\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "%Y-%m-%d %H:%M:%S"),  # in JSON
    (re.compile(rb"(?m)(?<=^[IWE])\d{4} \d\d:\d\d:\d\d"), "%m%d %H:%M:%S"),  # Triton
)


def shifted_log(log: bytes, by: timedelta) -> bytes:
    """The log as it would be had it been written later."""
    for expression, form in _STAMPS:

        def later(match: re.Match[bytes], form: str = form) -> bytes:
            year = "" if "%Y" in form else "2026 "
            moment = datetime.strptime(year + match.group().decode(), ("%Y " if year else "") + form)
            return (moment + by).strftime(form).encode()

        log = expression.sub(later, log)
    return log


_SAMPLE_TIME = re.compile(rb"(?m)(?<= )(\d{10}(?:\.\d+)?)$")


def shifted_metrics(metrics: bytes, by: timedelta) -> bytes:
    """The scrapes as they would be had they been taken later."""
    seconds = by.total_seconds()
    return _SAMPLE_TIME.sub(lambda match: b"%.3f" % (float(match.group(1)) + seconds), metrics)


OFFSETS = {
    "a second": timedelta(seconds=1),
    "over midnight": timedelta(hours=4, minutes=15, seconds=25),
    "over the new year": timedelta(days=40, hours=4, minutes=15, seconds=25),
    "months back": timedelta(days=-200),
    "years on": timedelta(days=800),
}


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("name", [*(name for name in SMALL if not name.startswith("llamacpp")), *FAILURES])
def test_the_date_of_a_log_does_not_matter(judge: Judge, name: str, offset: str) -> None:
    assert judge(shifted_log(log_of(name), OFFSETS[offset])) == judge(log_of(name))


def test_a_log_is_really_shifted() -> None:
    log = b"(APIServer pid=1) INFO 12-31 23:59:58 [a.py:1] x\nI1231 23:59:59.5 7 b.cc:2] y\n"
    assert shifted_log(log, timedelta(seconds=3)) == (
        b"(APIServer pid=1) INFO 01-01 00:00:01 [a.py:1] x\nI0101 00:00:02.5 7 b.cc:2] y\n"
    )


@pytest.mark.parametrize("name", ["kv_preemption", "stuck_engine", "ttft_queue_burst", "healthy_steady"])
@pytest.mark.parametrize("minutes", [*range(258, 262), 57_858, 57_860])
def test_midnight_and_new_year_within_a_log_do_not_matter(judge: Judge, name: str, minutes: int) -> None:
    """Some of these offsets put the turn of the day, or of the year, between two lines of the busy time."""
    assert judge(shifted_log(log_of(name), timedelta(minutes=minutes))) == judge(log_of(name))


@pytest.mark.parametrize("offset", ["over midnight", "over the new year", "months back", "years on"])
@pytest.mark.parametrize("name", ["kv_preemption", "stuck_engine", "llamacpp_busy", "triton_queue_reject"])
def test_the_date_of_metrics_does_not_matter(judge: Judge, name: str, offset: str) -> None:
    metrics = metrics_of(name)
    later = shifted_metrics(metrics, OFFSETS[offset])
    assert later != metrics
    assert judge(None, later) == judge(None, metrics)


# A healthy hour before


def healthy_hour() -> bytes:
    """What a healthy engine prints in an hour, up to a minute before the recordings and failures begin."""
    begin = datetime(2026, 11, 21, 18, 20, tzinfo=UTC)
    lines: list[str] = []
    for number in range(360):
        clock = (begin + timedelta(seconds=10 * number)).strftime("%m-%d %H:%M:%S")
        lines.append(
            f"(APIServer pid=10) INFO {clock} [loggers.py:273] Engine 000: Avg prompt throughput: 310.5 tokens/s, "
            f"Avg generation throughput: {900 + number % 40}.0 tokens/s, Running: {4 + number % 3} reqs, "
            "Waiting: 0 reqs, GPU KV cache usage: 6.1%, Prefix cache hit rate: 0.0%"
        )
        lines += ['(APIServer pid=10) INFO:     10.0.0.9:40000 - "POST /v1/completions HTTP/1.1" 200 OK'] * 3
    return "\n".join(lines).encode() + b"\n"


VLLM_INCIDENTS = [name for name in bundled() if load(name).engine == "vllm" and load(name).cause != "healthy"]


@pytest.mark.parametrize("name", [*VLLM_INCIDENTS, *FAILURES])
def test_a_healthy_hour_in_the_log_before_does_not_hide_the_failure(judge: Judge, name: str) -> None:
    assert judge(healthy_hour() + log_of(name)) == judge(log_of(name))


def _model_in(recording: Recording, text: bytes) -> bytes:
    return text.replace(b'model_name="llama-2-7b"', b'model_name="%s"' % recording.model.encode())


def with_healthy_hour(recording: Recording) -> bytes:
    """The recording's scrapes after an hour of those of the healthy one, in the same process: its counters go on."""
    counters = {
        line.split()[2].removesuffix(b"_total")
        for line in metrics_of("healthy_steady").split(b"\n")
        if line.startswith(b"# TYPE ") and line.endswith((b" counter", b" histogram"))
    }

    def is_counter(series: bytes) -> bool:
        name = series.partition(b"{")[0]
        return any(name.removesuffix(part) in counters for part in (b"_total", b"_bucket", b"_sum", b"_count"))

    ups = [scrape for scrape in scrapes(load("healthy_steady")) if scrape.up]
    first, last = (dict(_values(_model_in(recording, scrape.exposition))) for scrape in (ups[2], ups[-3]))
    span = ups[-3].time_seconds - ups[2].time_seconds
    begin = min(scrape.time_seconds for scrape in scrapes(recording) if scrape.up) - 3630
    hour: list[bytes] = []
    gained: dict[bytes, float] = {}
    for number in range(61):
        for series, value in last.items():
            if is_counter(series):
                gained[series] = (value - first.get(series, value)) * number * 60 / span
            hour.append(b"%s %r %.3f" % (series, gained.get(series, value), begin + number * 60))
    after = []
    for line in metrics_of(recording.name).split(b"\n"):
        match = _OM_LINE.match(line)
        bare = _bare(match["series"]) if match else b""
        if match and bare in gained:
            after.append(b"%s %r %s" % (match["series"], float(match["value"]) + gained[bare], match["time"]))
        else:
            after.append(line)
    labelled = [_with_job(line) for line in hour]
    return b"\n".join([*labelled, *after])


def _values(exposition: bytes) -> Iterator[tuple[bytes, float]]:
    for line in exposition.split(b"\n"):
        if line and not line.startswith(b"#"):
            series, _, value = line.rpartition(b" ")
            yield series, float(value)


_JOB = re.compile(rb'job="[^"]*",instance="[^"]*",?')


def _bare(series: bytes) -> bytes:
    """A series of a recording as the engine itself names it."""
    return _JOB.sub(b"", series).replace(b"{}", b"")


def _with_job(sample: bytes) -> bytes:
    name, brace, labels = sample.partition(b"{")
    job = b'job="vllm",instance="127.0.0.1:8000"'
    if not brace:
        series, value, time = sample.rsplit(b" ", 2)
        return b"%s{%s} %s %s" % (series, job, value, time)
    return b"%s{%s,%s" % (name, job, labels)


@pytest.mark.parametrize("name", ["kv_preemption", "ttft_queue_burst", "stuck_engine", "ttft_long_prefill"])
def test_a_healthy_hour_of_metrics_before_does_not_hide_the_failure(folder: Path, judge: Judge, name: str) -> None:
    longer = with_healthy_hour(load(name))
    hour = longer.removesuffix(metrics_of(name))[: longer.index(metrics_of(name)[:40])]
    assert diagnosis_of(folder, None, hour).verdict == "healthy"
    assert judge(None, longer) == judge(None, metrics_of(name))


# What carries a log

Wrap = Callable[[bytes, str], bytes]
"""A line and the time at which it was written (ISO, in UTC, to nanoseconds) -> the line as the carrier gives it."""


def _docker(line: bytes, time: str) -> bytes:
    return json.dumps({"log": line.decode("utf-8", "replace") + "\n", "stream": "stderr", "time": time}).encode()


def _journald(line: bytes, time: str) -> bytes:
    moment = datetime.fromisoformat(time[:19] + "+00:00")
    return moment.strftime("%b %d %H:%M:%S gpu-node-01 vllm[1234]: ").encode() + line


def _journald_json(line: bytes, time: str) -> bytes:
    microseconds = round(datetime.fromisoformat(time[:19] + "+00:00").timestamp() * 1e6)
    return json.dumps(
        {
            "__REALTIME_TIMESTAMP": str(microseconds),
            "_HOSTNAME": "gpu-node-01",
            "SYSLOG_IDENTIFIER": "vllm",
            "PRIORITY": "6",
            "MESSAGE": line.decode("utf-8", "replace"),
        }
    ).encode()


_LEVELS = re.compile(rb"\b(INFO|WARNING|ERROR)\b")
_PROCESS = re.compile(rb"^(\([A-Za-z]\w* pid=\d+\)) ?")


def _coloured(line: bytes, _time: str) -> bytes:
    line = _LEVELS.sub(lambda level: b"\x1b[32m%s\x1b[0m" % level[1], line)
    return _PROCESS.sub(lambda process: b"\x1b[1;36m%s\x1b[0;0m " % process[1], line)


WRAPPERS: Mapping[str, Wrap] = {
    "CRLF": lambda line, _: line + b"\r",
    "colours": _coloured,
    "kubectl --timestamps": lambda line, time: time.encode() + b" " + line,
    "kubectl --prefix": lambda line, _: b"[pod/vllm-0/vllm] " + line,
    "kubectl --prefix --timestamps": lambda line, time: b"[pod/vllm-0/vllm] " + time.encode() + b" " + line,
    "CRI": lambda line, time: time.encode() + b" stderr F " + line,
    "docker JSON": _docker,
    "docker compose": lambda line, _: b"vllm-1  | " + line,
    "docker compose --timestamps": lambda line, time: b"vllm-1  | " + time.encode() + b" " + line,
    "journald": _journald,
    "journald JSON": _journald_json,
    "CRLF in docker JSON": lambda line, time: _docker(line + b"\r", time),
    "colours in CRI": lambda line, time: time.encode() + b" stdout F " + _coloured(line, time),
}


def wrapped(name: str, wrap: Wrap) -> bytes:
    if name in FAILURES:
        begin = datetime(2026, 11, 21, 19, 44, tzinfo=UTC).timestamp()
        timed = [(float(number), line) for number, line in enumerate(log_of(name).splitlines(keepends=True))]
    else:
        begin = load(name).started_unix_seconds
        timed = timed_lines(load(name))
    carried = []
    for seconds, line in timed:
        moment = datetime.fromtimestamp(begin + seconds, UTC)
        carried.append(wrap(line.removesuffix(b"\n"), moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"))
    return b"\n".join(carried) + b"\n"


CARRIED = [
    *((name, carrier) for name in (*SMALL, *FAILURES) for carrier in WRAPPERS),
    *((name, carrier) for name in bundled() if name not in SMALL for carrier in ("docker JSON", "colours in CRI")),
]


@pytest.mark.parametrize(("name", "carrier"), CARRIED)
def test_what_carries_a_log_does_not_change_the_diagnosis(judge: Judge, name: str, carrier: str) -> None:
    assert judge(wrapped(name, WRAPPERS[carrier])) == judge(log_of(name))


@pytest.mark.parametrize("carrier", WRAPPERS)
@pytest.mark.parametrize("name", ["kv_preemption", "c_json_native", "oom_no_kv_blocks", "thr_preemption_thrash"])
def test_engine_and_settings_are_read_through_every_carrier(folder: Path, name: str, carrier: str) -> None:
    carried = diagnosis_of(folder, wrapped(name, WRAPPERS[carrier]))
    assert carried.engine == diagnosis_of(folder, log_of(name)).engine


@settings(STEADY, max_examples=40)
@given(
    name=st.sampled_from([*SMALL, *FAILURES]),
    carriers=st.lists(st.sampled_from([name for name in WRAPPERS if "JSON" not in name]), min_size=2, max_size=2),
)
def test_carriers_within_carriers_do_not_change_the_diagnosis(judge: Judge, name: str, carriers: list[str]) -> None:
    """`docker compose logs` piped into the journal, CRI lines shown with a prefix, ..."""

    def wrap(line: bytes, time: str) -> bytes:
        for carrier in carriers:
            line = WRAPPERS[carrier](line, time)
        return line

    assert judge(wrapped(name, wrap)) == judge(log_of(name))


@settings(STEADY, max_examples=15)
@given(prefix=st.text(string.ascii_lowercase, min_size=1, max_size=12), name=st.sampled_from([*SMALL, *FAILURES]))
def test_the_container_may_have_any_name(judge: Judge, prefix: str, name: str) -> None:
    log = b"\n".join(f"{prefix}-1  | ".encode() + line for line in log_of(name).split(b"\n"))
    assert judge(log) == judge(log_of(name))
