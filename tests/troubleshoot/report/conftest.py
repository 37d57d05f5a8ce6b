from __future__ import annotations

import pytest

from troubleshoot.findings import (
    Diagnosis,
    EngineSummary,
    Finding,
    Fix,
    InputSummary,
    LogEvidence,
    MetricEvidence,
    NotEvaluated,
    RuledOut,
    Severity,
)


@pytest.fixture
def thrash() -> Diagnosis:
    """An incident with everything that a report can show."""
    finding = Finding(
        cause="thr_preemption_thrash",
        family="throughput",
        severity=Severity.CRITICAL,
        confidence=0.97,
        title="The KV cache is too small for this load: requests are preempted",
        explanation="KV use 99 % (14 400 tokens), 8.9 preemptions/s, 43 of 64 requests waiting",
        evidence=(
            MetricEvidence("vllm:num_preemptions_total", 134, "", (100.0, 115.0)),
            LogEvidence("engine.log", 12, "non-default args: {'num_gpu_blocks_override': 900, 'note': '[bold]x[/]'}"),
            MetricEvidence("vllm:kv_cache_usage_perc", 0.99, "ratio"),
        ),
        fixes=(
            Fix("--num-gpu-blocks-override", 900, "remove", "the GPU holds 235 632 tokens"),
            Fix("--max-num-seqs", 128, 22, "14 400 tokens / 650 a request", "no preemption"),
        ),
        runbook="runbooks/causes/thr_preemption_thrash.md",
    )
    return Diagnosis(
        verdict="incident",
        summary="The KV cache is too small for this load",
        engine=EngineSummary("vllm", "0.24.0", "llama-2-7b", {"max_num_seqs": 128, "api_key": "hunter2"}),
        findings=(finding,),
        ruled_out=(RuledOut("thr_sequence_cap", "running 21 < 128"),),
        not_evaluated=(
            *(NotEvaluated(f"gpu_{index}", ("metrics: GPU series",)) for index in range(40)),
            NotEvaluated("host_memory", ("metrics: container memory",)),
        ),
        numbers={"ttft_p95_seconds": 11.0, "kv_cache_tokens": 14400},
        inputs=(
            InputSummary("engine.log.gz", "log", 14_000_000, 90_000, None, "truncated gzip: 3.1 MB read"),
            InputSummary("http://localhost:8000/metrics", "metrics", 90_000, 900, 15.0),
        ),
        hardware="1 x NVIDIA H200",
        interrupted=True,
    )


@pytest.fixture
def healthy() -> Diagnosis:
    return Diagnosis(
        verdict="healthy",
        summary="Nothing is wrong in what was read",
        engine=EngineSummary("sglang"),
        numbers={"ttft_p95_seconds": 0.25, "generation_tokens_per_second": 12345.6},
    )
