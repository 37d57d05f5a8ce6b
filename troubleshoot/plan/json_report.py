"""A plan as JSON, for scripts. Bytes, seconds, tokens and dollars; what is unknown or unbounded is null."""

from __future__ import annotations

import json
import math
from typing import Any

from troubleshoot.plan.answer import Found, Planned
from troubleshoot.plan.arguments import Arguments
from troubleshoot.plan.estimate import Estimate
from troubleshoot.plan.inputs import Question
from troubleshoot.plan.options import Option
from troubleshoot.plan.search import Demand, Fleet
from troubleshoot.plan.sections import Report
from troubleshoot.steady_state import Pace

SCHEMA_VERSION = 1


def render_json(answer: Planned | Found, report: Report) -> str:
    """The answer as indented JSON in ASCII, with a line end."""
    body = _found(answer) if isinstance(answer, Found) else _planned(answer)
    whole = {"schema_version": SCHEMA_VERSION, "verdict": report.verdict, "summary": report.summary, **body}
    return json.dumps(_finite(whole), indent=2, allow_nan=False) + "\n"


def _planned(planned: Planned) -> dict[str, Any]:
    return {
        "question": _question(planned.question),
        "estimate": _estimate(planned.estimate, planned.dollars_per_hour),
        "dollars_per_gpu_hour": planned.dollars_per_hour,
        "arguments": _arguments(planned.arguments),
        "options": {
            "widths": [_option(option) for option in planned.variants],
            "mig": [_option(option) for option in planned.slices],
            "time_slicing": [_option(option) for option in planned.shared],
        },
        "notes": list(planned.notes),
    }


def _found(found: Found) -> dict[str, Any]:
    return {
        "question": {
            **_question(found.question),
            "gpu": None,
            "gpus": None,
            "requests_per_second": found.demand.requests_per_second,
            "headroom": found.demand.headroom,
        },
        "fleets": [_fleet(fleet, found.demand) for fleet in found.fleets],
        "refused": [{"gpu": refusal.gpu.name, "because": refusal.because} for refusal in found.refused],
        "arguments": _arguments(found.arguments),
        "notes": list(found.notes),
    }


def _question(question: Question) -> dict[str, Any]:
    return {
        "model": question.model,
        "parameters": question.shape.parameters,
        "gpu": question.gpu.name,
        "gpus": question.gpus,
        "dtype": question.dtype,
        "quantization": question.quantization,
        "kv_cache_dtype": question.kv_dtype,
        "context": question.context,
        "concurrency": question.concurrency,
        "prompt_tokens": question.load.prompt_tokens,
        "cached_tokens": question.load.cached_tokens,
        "output_tokens": question.load.output_tokens,
        "gpu_memory_utilization": question.utilization,
        "ttft_seconds": question.ttft_seconds,
        "tpot_seconds": question.tpot_seconds,
    }


def _estimate(estimate: Estimate, dollars_per_hour: float | None) -> dict[str, Any]:
    memory, layout = estimate.memory, estimate.layout
    priced = dollars_per_hour is not None and estimate.loaded is not None
    return {
        "fits": estimate.fits,
        "obstacle": estimate.obstacle or None,
        "tensor_parallel": layout.tensor_parallel,
        "pipeline_parallel": layout.pipeline_parallel,
        "replicas": layout.replicas,
        "memory_bytes": {
            "visible": round(memory.total_bytes),
            "budget": round(memory.budget_bytes),
            "weights": round(memory.weights_bytes),
            "activations": round(memory.activation_bytes),
            "outside_allocator": round(memory.non_torch_bytes),
            "kv_cache": round(memory.kv_bytes),
        },
        "kv_bytes_per_token": memory.kv_bytes_a_token,
        "kv_tokens": memory.tokens,
        "kv_blocks": memory.blocks,
        "longest_context": memory.longest,
        "context": estimate.context,
        "full_length_requests": estimate.full_length,
        "max_num_seqs": estimate.most_sequences,
        "paces": [_pace(pace) for pace in estimate.paces],
        "total_output_tokens_per_second": estimate.total_tokens_per_second,
        "dollars_per_million_output_tokens": estimate.dollars_per_million(dollars_per_hour or 0.0) if priced else None,
    }


def _pace(pace: Pace) -> dict[str, Any]:
    return {
        "running": pace.batch,
        "ttft_seconds": pace.ttft_seconds,
        "tpot_seconds": pace.tpot_seconds,
        "requests_per_second": pace.requests_per_second,
        "output_tokens_per_second": pace.output_tokens_per_second,
    }


def _option(option: Option) -> dict[str, Any]:
    return {
        "name": option.name,
        "fits": option.estimate.fits,
        "obstacle": option.estimate.obstacle or None,
        "engines": option.copies,
        "kv_tokens": option.tokens,
        "max_num_seqs": option.estimate.most_sequences,
        "output_tokens_per_second": option.tokens_per_second,
        "note": option.note,
    }


def _fleet(fleet: Fleet, demand: Demand) -> dict[str, Any]:
    return {
        "gpu": fleet.gpu.name,
        "gpus": fleet.gpus,
        "replicas": fleet.replicas,
        "tensor_parallel": fleet.estimate.layout.tensor_parallel,
        "pipeline_parallel": fleet.estimate.layout.pipeline_parallel,
        "max_num_seqs": fleet.estimate.most_sequences,
        "capacity": _pace(fleet.capacity),
        "expected": _pace(fleet.pace),
        "dollars_per_hour": fleet.dollars_per_hour,
        "dollars_per_million_output_tokens": fleet.dollars_per_million(demand),
    }


def _arguments(command: Arguments | None) -> dict[str, Any] | None:
    if command is None:
        return None
    return {"engine": command.engine, "version": command.version, "words": list(command.words)}


def _finite(value: Any) -> Any:
    """The same with null for what JSON has no number for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
