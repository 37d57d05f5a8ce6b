"""What a plan is asked: model, GPU, numbers. Everything wrong with them is an `InputError`, one line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from catalog.hardware import GPUS, Gpu, matching_gpus
from troubleshoot.capacity import kv_bytes_per_token, weight_parts
from troubleshoot.model_shape import ModelShape
from troubleshoot.model_table import CONFIGS
from troubleshoot.models import known_shape, shape_from_config
from troubleshoot.profiled_memory import DEFAULT_BATCHED_TOKENS
from troubleshoot.sources.errors import InputError
from troubleshoot.steady_state import Load

ENGINES = ("vllm", "sglang", "tgi", "tensorrt_llm")
DTYPES = ("auto", "bfloat16", "float16", "float32")
QUANTIZATIONS = ("auto", "fp8", "int8", "awq", "gptq", "int4", "bitsandbytes", "mxfp4", "nvfp4")
KV_DTYPES = ("auto", "fp8")

_LARGEST_CONFIG_BYTES = 4 << 20
_GENERATES = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
# Files that lie beside a config.json and are taken for it, by a key that only they have.
_OTHER_FILES: Mapping[str, str] = {
    "tokenizer_class": "a tokenizer's configuration",
    "added_tokens": "a tokenizer",
    "peft_type": "an adapter's configuration",
    "weight_map": "an index of weight files",
    "_class_name": "an image generator's configuration (diffusers)",
    "do_sample": "a generation configuration",
    "image_processor_type": "an image processor's configuration",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to plan. None means: to be found. `load` is the usual request, `context` the longest to admit.

    `dollars_per_hour` is the price of one GPU; `reserved_bytes` replaces what is reckoned for activations and outside
    the engine's allocator on each GPU.
    """

    shape: ModelShape
    model: str
    gpu: Gpu
    load: Load
    gpus: int | None = None
    quantization: str = "auto"
    kv_dtype: str = "auto"
    dtype: str = "auto"
    tensor_parallel: int | None = None
    pipeline_parallel: int | None = None
    context: int | None = None
    concurrency: int | None = None
    utilization: float = 0.9
    reserved_bytes: float | None = None
    batched_tokens: int = DEFAULT_BATCHED_TOKENS
    dollars_per_hour: float | None = None
    engine: str = "vllm"
    engine_version: str = ""
    ttft_seconds: float = math.inf
    tpot_seconds: float = math.inf


def checked(question: Question) -> Question:
    """The question as it is, where its numbers go together; InputError names the option where they do not."""
    shape, load = question.shape, question.load
    longest = shape.max_position_embeddings
    context = question.context or longest
    if question.context and longest and question.context > longest:
        raise InputError("--context", f"{shape.name} was made for {longest} tokens", f"give {longest} or less")
    if context and load.prompt_tokens + load.output_tokens > context:
        wanted = f"{load.prompt_tokens:g} prompt and {load.output_tokens:g} output tokens"
        raise InputError("--prompt-tokens", f"{wanted} exceed the context of {context}", "lower one of them")
    if load.cached_tokens > load.prompt_tokens:
        raise InputError("--cached-tokens", "more tokens than the prompt has", f"at most {load.prompt_tokens:g}")
    if question.pipeline_parallel and question.pipeline_parallel > shape.layers:
        raise InputError("--pipeline-parallel", f"{shape.name} has {shape.layers} layers", "give fewer stages")
    group = (question.tensor_parallel or 1) * (question.pipeline_parallel or 1)
    if question.gpus and group > question.gpus:
        raise InputError("--gpus", f"{question.gpus} are fewer than the {group} that work together", f"give {group}")
    try:
        weight_parts(shape, question.quantization)
        kv_bytes_per_token(shape, question.kv_dtype)
    except ValueError as error:
        raise InputError(question.model, str(error), "name it with --quantization") from None
    return question


def read_gpu(name: str) -> Gpu:
    """The GPU of this name; InputError lists those that it may mean."""
    found = matching_gpus(name)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(repr(gpu.name) for gpu in found)
        raise InputError(name, f"the name fits {len(found)} GPUs", f"give one of {names}")
    known = {gpu.name.lower(): gpu.name for gpu in GPUS}
    words = {word: gpu.name for gpu in GPUS for word in gpu.name.lower().split()}
    near = [({**words, **known})[each] for each in get_close_matches(name.lower(), [*known, *words], n=3, cutoff=0.5)]
    hint = f"near it: {', '.join(dict.fromkeys(near))}" if near else "--list-gpus shows all"
    raise InputError(name, "no data sheet for this GPU", hint)


def read_model(name: str, dtype: str = "auto") -> ModelShape:
    """The model of a config.json, of the folder that holds one, or of a well-known name."""
    path = Path(name)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError):
        is_folder = is_file = False
    if is_file or is_folder or path.suffix == ".json":
        shape = _from_file(path / "config.json" if is_folder else path, name)
    else:
        shape = _from_name(name)
    return replace(shape, dtype_bytes=4) if dtype == "float32" else shape


def _from_name(name: str) -> ModelShape:
    shape = known_shape(name)
    if shape is not None:
        return shape
    near = get_close_matches(name.lower().rsplit("/", 1)[-1], CONFIGS, n=3, cutoff=0.5)
    hint = f"near it: {', '.join(near)}" if near else "--list-models shows those that are"
    raise InputError(name, "neither a file nor a model known by name", f"{hint}; or give its config.json")


def _from_file(path: Path, name: str) -> ModelShape:
    config = _loaded(path, name)
    architectures = config.get("architectures")
    if isinstance(architectures, list) and architectures:
        kinds = [str(each) for each in architectures]
        if not any(kind.endswith(_GENERATES) for kind in kinds):
            raise InputError(name, f"{', '.join(kinds)[:100]} generates no text", "give a language model's config.json")
    elif "model_type" not in config:
        found = next((what for key, what in _OTHER_FILES.items() if key in config), "no model's configuration")
        raise InputError(name, f"this is {found}", "give the model's own config.json")
    try:
        return shape_from_config(config, name=_shown(config, path))
    except ValueError as error:
        raise InputError(name, str(error).partition(": ")[2] or str(error)) from None


def _shown(config: Mapping[str, Any], path: Path) -> str:
    given = config.get("_name_or_path")
    return str(given) if isinstance(given, str) and given else path.resolve().parent.name or path.name


def _loaded(path: Path, name: str) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_CONFIG_BYTES + 1)
    except OSError as error:
        raise InputError(name, f"cannot be read ({error.strerror})", "give a config.json or a known name") from None
    if len(text) > _LARGEST_CONFIG_BYTES:
        raise InputError(name, "larger than any config.json", "give the model's own config.json")
    if not text.strip():
        raise InputError(name, "the file is empty", "give the model's own config.json")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(name, "no JSON", "give the model's own config.json") from None
    if not isinstance(config, dict):
        raise InputError(name, "no model's configuration", "give the model's own config.json")
    return config


def seconds_of(text: str) -> float:
    """`200ms`, `2s` or plain seconds, above 0; ValueError says what is wrong."""
    unit = next((unit for unit in ("ms", "s") if text.endswith(unit)), "")
    try:
        value = float(text.removesuffix(unit)) * (1e-3 if unit == "ms" else 1.0)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"{text!r} is no duration above 0; write 200ms or 2s")
    return value
