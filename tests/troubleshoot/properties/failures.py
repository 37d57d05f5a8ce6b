"""The failures that properties are tried on: every bundled recording, and starts and deaths written by hand."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, settings

from recordings.reader import bundled, load, read_log
from troubleshoot.collect import Collected, Request, collect
from troubleshoot.diagnosis import diagnose
from troubleshoot.findings import Diagnosis

STEADY = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

Judgement = tuple[str, list[tuple[str, str]]]
"""The verdict, and each finding's cause and severity in order."""

Judge = Callable[..., Judgement]
OM_LINE = re.compile(rb"^(?P<series>\S.*?) (?P<value>\S+) (?P<time>\d+(?:\.\d+)?)$")
"""A sample with its time."""


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
