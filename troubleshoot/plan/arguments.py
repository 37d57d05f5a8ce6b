"""The arguments of each engine that follow from an estimate, held against the flags that its version has."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from pathlib import Path

from catalog.flags import flag_exists, parse_version
from troubleshoot.model_table import CONFIGS
from troubleshoot.plan.chunking import chunks_by_default, chunks_prompts, newest
from troubleshoot.plan.estimate import Estimate
from troubleshoot.plan.inputs import Question

_TGI_DEFAULT_REQUESTS = 128
_QUANTIZES_AT_START = {"vllm": ("fp8", "bitsandbytes"), "sglang": ("fp8",), "tgi": ("fp8", "bitsandbytes")}
_BF16_CAPABILITY = 8.0


@dataclass(frozen=True, slots=True)
class Arguments:
    """A command line for one replica. `version` is the one that its flags were held against, empty where unknown."""

    engine: str
    version: str
    program: str
    flags: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The command line word by word."""
        return (*shlex.split(self.program), *(word for flag in self.flags for word in flag if word))


def arguments(question: Question, estimate: Estimate) -> Arguments:
    """The command line of the asked engine. A flag that its version lacks is left out, and said."""
    version = question.engine_version or newest(question.engine)
    wanted = _BUILDERS[question.engine](question, estimate, version)
    kept: list[tuple[str, str]] = []
    notes = list(_notes(question, estimate))
    for flag, value in wanted:
        if flag_exists(question.engine, flag, version) is False:
            notes.append(f"{question.engine} {version} has no {flag}: {value or 'on'} cannot be set")
        else:
            kept.append((flag, value))
    if version and parse_version(version) is None:
        notes.append(f"{version!r} is no release number: flags were not checked")
    elif question.engine in {"vllm", "sglang"} and any(
        flag_exists(question.engine, flag, version) is None for flag, _ in kept
    ):
        notes.append(f"flags of {question.engine} {version} were not read: check them against its --help")
    return Arguments(
        question.engine,
        version,
        _PROGRAMS[question.engine].format(shlex.quote(served(question))),
        tuple(kept),
        (*notes,),
    )


_PROGRAMS = {
    "vllm": "vllm serve {}",
    "sglang": "python -m sglang.launch_server",
    "tgi": "text-generation-launcher",
    "tensorrt_llm": "trtllm-serve {}",
}


def _vllm(question: Question, estimate: Estimate, version: str) -> list[tuple[str, str]]:
    layout, sequences = estimate.layout, estimate.most_sequences
    step = max(question.batched_tokens, sequences)
    chunked = chunks_prompts("vllm", version)
    if not chunked:
        step = max(step, estimate.context)
    return [
        *_parallel("--tensor-parallel-size", "--pipeline-parallel-size", estimate),
        ("--max-model-len", str(estimate.context)),
        ("--max-num-seqs", str(sequences)),
        ("--max-num-batched-tokens", str(step)),
        *([("--enable-chunked-prefill", "")] if chunked and not chunks_by_default(version) else []),
        ("--gpu-memory-utilization", f"{question.utilization:g}"),
        *_dtype(question, "--dtype"),
        *_quantization(question, "--quantization"),
        *([("--kv-cache-dtype", "fp8")] if question.kv_dtype == "fp8" else []),
        *([("--distributed-executor-backend", "ray")] if layout.group > 8 else []),
    ]


def _sglang(question: Question, estimate: Estimate, version: str) -> list[tuple[str, str]]:
    memory = estimate.memory
    held = (memory.weights_bytes + memory.kv_bytes) / memory.total_bytes
    return [
        ("--model-path", served(question)),
        *_parallel("--tp-size", "--pp-size", estimate),
        ("--context-length", str(estimate.context)),
        ("--max-running-requests", str(estimate.most_sequences)),
        ("--chunked-prefill-size", str(question.batched_tokens)),
        ("--mem-fraction-static", f"{math.floor(held * 1000) / 1000:g}"),
        *_dtype(question, "--dtype"),
        *_quantization(question, "--quantization"),
        *([("--kv-cache-dtype", "fp8_e4m3")] if question.kv_dtype == "fp8" else []),
    ]


def _tgi(question: Question, estimate: Estimate, version: str) -> list[tuple[str, str]]:
    output = max(math.ceil(question.load.output_tokens), 1)
    prompt = max(estimate.context - output, 1)
    return [
        ("--model-id", served(question)),
        *([("--num-shard", str(estimate.layout.tensor_parallel))] if estimate.layout.tensor_parallel > 1 else []),
        ("--max-input-tokens", str(prompt)),
        ("--max-total-tokens", str(estimate.context)),
        ("--max-batch-prefill-tokens", str(max(prompt, question.batched_tokens))),
        ("--max-batch-total-tokens", str(max(estimate.memory.tokens, estimate.context, question.batched_tokens))),
        ("--max-concurrent-requests", str(max(_TGI_DEFAULT_REQUESTS, 2 * estimate.most_sequences))),
        ("--cuda-memory-fraction", f"{question.utilization:g}"),
        *_dtype(question, "--dtype"),
        *_quantization(question, "--quantize"),
        *([("--kv-cache-dtype", "fp8_e4m3fn")] if question.kv_dtype == "fp8" else []),
    ]


def _tensorrt_llm(question: Question, estimate: Estimate, version: str) -> list[tuple[str, str]]:
    memory = estimate.memory
    free = memory.total_bytes - memory.budget_bytes + memory.kv_bytes
    return [
        *_parallel("--tp_size", "--pp_size", estimate),
        ("--max_seq_len", str(estimate.context)),
        ("--max_batch_size", str(estimate.most_sequences)),
        ("--max_num_tokens", str(max(question.batched_tokens, estimate.context, estimate.most_sequences))),
        ("--kv_cache_free_gpu_memory_fraction", f"{math.floor(memory.kv_bytes / free * 100) / 100:g}"),
    ]


_BUILDERS = {"vllm": _vllm, "sglang": _sglang, "tgi": _tgi, "tensorrt_llm": _tensorrt_llm}


def _parallel(tensor: str, pipeline: str, estimate: Estimate) -> list[tuple[str, str]]:
    layout = estimate.layout
    sizes = ((tensor, layout.tensor_parallel), (pipeline, layout.pipeline_parallel))
    return [(flag, str(size)) for flag, size in sizes if size > 1]


def served(question: Question) -> str:
    """What to name to the engine: the folder of a config.json, else what was asked for."""
    given = Path(question.model)
    return str(given.parent) if given.suffix == ".json" else question.model


def lacks_bfloat16(question: Question) -> bool:
    """Whether the GPU is older than bfloat16 (compute capability 8.0), so that engines refuse a bf16 checkpoint."""
    try:
        return float(question.gpu.compute_capability) < _BF16_CAPABILITY
    except ValueError:
        return False


def _dtype(question: Question, flag: str) -> list[tuple[str, str]]:
    wanted = "float16" if question.dtype == "auto" and lacks_bfloat16(question) else question.dtype
    return [] if wanted == "auto" else [(flag, wanted)]


def _quantization(question: Question, flag: str) -> list[tuple[str, str]]:
    """The flag for a method that the engine applies while it loads; a quantized checkpoint says its own."""
    if question.quantization in _QUANTIZES_AT_START.get(question.engine, ()) and not question.shape.quantization:
        return [(flag, question.quantization)]
    return []


def _notes(question: Question, estimate: Estimate) -> list[str]:
    notes = []
    if question.model in CONFIGS:
        notes.append(f"{question.model} in the arguments stands for your model's folder or full name on the hub")
    method = question.quantization
    at_start = method in _QUANTIZES_AT_START.get(question.engine, ())
    if method not in ("auto", question.shape.quantization) and not at_start:
        notes.append(f"{method} weights need a checkpoint quantized so: name that one in place of {question.model}")
    if question.engine == "tensorrt_llm" and question.kv_dtype == "fp8":
        notes.append("an fp8 KV cache is set in the YAML of --extra_llm_api_options (kv_cache_config: dtype: fp8)")
    if question.engine == "tensorrt_llm" and question.gpu.name.startswith("AMD"):
        notes.append("TensorRT-LLM runs on NVIDIA GPUs only")
    if question.engine == "tgi" and estimate.layout.pipeline_parallel > 1:
        notes.append("TGI has no pipeline parallelism: take another engine or larger GPUs")
    if estimate.layout.group > 8 and question.engine == "vllm":
        notes.append("more than one node works together: start Ray on all of them first")
    return notes
