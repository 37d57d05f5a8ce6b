"""At which stage of an engine's life its GPU ran out of memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from troubleshoot.evidence import Evidence
from troubleshoot.logs.events import Event
from troubleshoot.logs.facts import LogFacts


class Stage(Enum):
    """What the engine was doing. The value is how a reader would call it."""

    LORA = "making adapter buffers"
    MULTIMODAL = "running the multi-modal encoder"
    LOGITS = "computing logits or sampling"
    GRAPH = "capturing CUDA graphs"
    WEIGHTS = "loading weights"
    KV_CACHE = "allocating the KV cache"
    PROFILE = "profiling"
    RUNTIME = "serving"


@dataclass(frozen=True, slots=True)
class Staged:
    """A stage and how sure it is, 0..1."""

    stage: Stage
    confidence: float


# The first that stands in the traceback decides: an inner frame says more than the outer one that all share, and
# what is built while the model is made belongs to its weights, whatever it is called.
# Function and file names: vLLM 0.2 to 0.33, SGLang 0.3 to 0.5, TGI 1 to 3, TensorRT-LLM, transformers.
_FRAMES: tuple[tuple[Stage, str], ...] = (
    (
        Stage.LORA,
        r"create_lora_weights|/lora/|lora_manager|LoRAModelManager|_create_merged_loras|lora_[ab]_stacked|in load_lora|set_active_adapters|add_lora",
    ),
    (
        Stage.WEIGHTS,
        r"_?initialize_model\b|in load_model\b|in load_weights\b|create_weights|process_weights_after_loading|in get_model\b|_load_into_meta|from_pretrained|weight_loader",
    ),
    (
        Stage.MULTIMODAL,
        r"profile_mm|embed_multimodal|get_multimodal_embeddings|_?execute_mm_encoder|_process_(?:image|video|audio)_input|vision_tower|vision_model|vision_transformer|/visual\b|self\.visual|image_encoder|audio_tower|encoder_cache_profil|siglip|mm_encoder|get_image_features?|profile_multimodal|vit\.py|pixel_values",
    ),
    (
        Stage.GRAPH,
        r"capture_model|_capture_cudagraphs?|cuda_graph_runner|cudagraph_utils|capture_one_batch_size|torch/cuda/graphs\.py|torch\.cuda\.graph\(|in graph_capture|cuda_graph_warmup|init_device_graphs|init_cuda_graphs|CUDAGraphRunner|cuda_graph\.py|capture_(?:begin|end)\(",
    ),
    (
        Stage.LOGITS,
        r"compute_logits|logits_processor|_get_logits|_dummy_sampler_run|log_softmax|gather_logprobs|apply_top_k_top_p|prompt_logprobs|/sampler\.py|/sample/|in sample\b|apply_penalties|logits\.to\(|logits\.float\(",
    ),
    (
        Stage.KV_CACHE,
        r"_?allocate_kv_cache|initialize_kv_cache|initialize_from_config|_init_cache_engine|cache_engine\.py|create_kv_cache|init_memory_pool|_create_buffers|init_kv_cache|initialize_cache",
    ),
    (
        Stage.PROFILE,
        r"profile_run|_dummy_run|determine_available_memory|determine_num_available_blocks|profile_num_available|profile_memory|in warmup\b|warmup_model|profile_cudagraph|Unable to warmup",
    ),
    (
        Stage.WEIGHTS,
        r"load_weights|model_loader|make_layers|weight_utils|in init_model\b|safetensors|quantization/.*process_weights|vocab_parallel_embedding|load_shard|in load\b",
    ),
    (
        Stage.RUNTIME,
        r"execute_model|in step\b|run_engine_loop|process_input_queue|_process_engine_step|forward_batch_generation|event_loop_(?:normal|overlap)|generate_token|in decode\b|in prefill\b|run_busy_loop|run_batch|in forward\b|forwardA?[Ss]ync|_prefill\(|_decode\(",
    ),
)
# What lines around the error say, where no traceback does.
_HINTS: tuple[tuple[Stage, str], ...] = (
    (
        Stage.MULTIMODAL,
        r"profile run for multi-?modal|multi-?modal embeddings|[Ee]ncoder cache will be initialized",
    ),
    (Stage.GRAPH, r"during cudagraph capture|graph capture"),
    (
        Stage.RUNTIME,
        r"slot (?:update_slots|launch_slot_|print_timing)|prompt processing progress|all slots are idle",
    ),
    (
        Stage.PROFILE,
        r"determine_num_available_blocks|determine_available_memory|[Pp]rofiling run|warmup|graph_reserve|ggml_gallocr_reserve|compute(?: pp)? buffers|compute \(pp\)",
    ),
    (Stage.WEIGHTS, r"alloc_tensor_range|llama_model_load|unable to allocate \w+ buffer"),
    (
        Stage.RUNTIME,
        r"Added request|Received request|output_handler failed|private pools \(e\.g\., CUDA Graphs\)|Engine loop is not running|encountered a fatal error|EngineDeadError|Request .{1,80} failed",
    ),
)
UNCERTAIN = 0.4
"""The stage is a guess: a report must say so."""
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "b": 1}


def gib(text: str | None) -> float | None:
    """ "565.31 MiB" as GiB; None where the text is no size."""
    match = re.match(r"([\d.]+) ?([KMGb])", text or "")
    if not match:
        return None
    try:
        return float(match.group(1)) * _UNITS[match.group(2)] / 2**30
    except ValueError:
        return None


def oom_events(log: LogFacts) -> list[Event]:
    """The out-of-memory errors of the GPU: those of vLLM's own start-up checks are signatures of their own.

    The same error is printed several times on its way out; the first of each process counts.
    """
    chosen: dict[tuple[str, str, str], Event] = {}
    for event in log.all("cuda_oom"):
        if re.search(
            r"when warming up (?:sampler|pooler)|Capture cuda graph failed|during cudagraph capture, consider",
            event.message,
        ):
            continue
        chosen.setdefault((event.file, event.process, event.message[:120]), event)
    return list(chosen.values())


def stage_of(event: Event, evidence: Evidence) -> Staged:
    """Read the stage from the traceback, else from the progress before the error, else from the error's figures."""
    by_frames = _by_frames((*event.context, event.message)) or _by_frames(event.after)
    if by_frames is not None:
        if by_frames is Stage.KV_CACHE:
            return Staged(Stage.RUNTIME, 0.55)
        return Staged(by_frames, 0.92)
    hinted = hinted_stage(event)
    if hinted is not None:
        return Staged(hinted, 0.7)
    return _by_progress(event, evidence)


def _by_frames(lines: Sequence[str]) -> Stage | None:
    text = "\n".join(line for line in lines if 'File "' in line or ", in " in line or "(" in line)
    return next((stage for stage, expression in _FRAMES if re.search(expression, text)), None)


def hinted_stage(event: Event) -> Stage | None:
    """What the lines around an error say about its stage; None where they say nothing."""
    text = "\n".join((*event.context, event.message, *event.after))
    return next((stage for stage, expression in _HINTS if re.search(expression, text)), None)


def _by_progress(event: Event, evidence: Evidence) -> Staged:
    log = evidence.log
    if log is None:
        return Staged(Stage.WEIGHTS, 0.3)
    if log.was_ready_before(event):
        return Staged(Stage.RUNTIME, 0.85)
    passed = {
        name: any(e.file == event.file and e.offset < event.offset for e in log.all(name))
        for name in ("graph_capture_started", "kv_tokens", "kv_memory", "weights_memory", "weights_loading")
    }
    if passed["graph_capture_started"]:
        return Staged(Stage.GRAPH, 0.75)
    if passed["kv_tokens"] or passed["kv_memory"]:
        return Staged(Stage.RUNTIME, 0.5)
    if passed["weights_memory"]:
        return Staged(Stage.PROFILE, 0.75)
    if passed["weights_loading"]:
        return Staged(Stage.WEIGHTS, 0.8)
    return _by_figures(event, log)


def _by_figures(event: Event, log: LogFacts) -> Staged:
    """Nothing tells the stage: a large single request is an activation, one under load belongs to serving."""
    wanted = gib(event.fields.get("wanted"))
    if log.has("served_request", "http_5xx", "died_while_serving"):
        return Staged(Stage.RUNTIME, 0.6)
    if wanted is not None and wanted >= 2.0:
        return Staged(Stage.PROFILE, UNCERTAIN)
    traced = any('File "' in line for line in event.context)
    return Staged(Stage.RUNTIME if traced else Stage.WEIGHTS, UNCERTAIN)
