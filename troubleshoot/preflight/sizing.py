"""From a workload to the arithmetic of `troubleshoot.capacity`: which model, which GPU, how many tokens."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.cloud_gpus import INSTANCE_LABELS, PRODUCT_LABELS, gpu_of_instance, gpu_of_product
from catalog.hardware import Gpu
from catalog.mig_profiles import MIG_RESOURCE_PREFIX, mig_profile
from troubleshoot import capacity
from troubleshoot.model_shape import ModelShape
from troubleshoot.models import known_shape, parameters_from_name
from troubleshoot.preflight.engine import Engine
from troubleshoot.preflight.workload import Container, Workload
from troubleshoot.profiled_memory import activation_peak_bytes, non_torch_bytes

DEFAULT_SHARE = {"vllm": 0.9, "tgi": 1.0}
"""The share of the GPU that an engine takes by default. SGLang works its own out, from GPU and settings."""

# What engines call their ways of quantising, by the name that the arithmetic knows.
_QUANTIZATION = {
    "bitsandbytes-nf4": "bitsandbytes",
    "bitsandbytes-fp4": "bitsandbytes",
    "eetq": "int8",
    "marlin": "gptq",
    "modelopt": "fp8",
    "modelopt_fp4": "nvfp4",
    "fbgemm_fp8": "fp8",
    "w8a8_fp8": "fp8",
    "w8a8_int8": "int8",
}


@dataclass(frozen=True, slots=True)
class Model:
    """A model by its name. `shape` is None where only the size is known. `weights_bytes` is for all GPUs together.

    `stored_bytes` is what is read from disk: the 16-bit weights where the engine quantises while it loads.
    """

    name: str
    weights_bytes: float
    stored_bytes: float
    shape: ModelShape | None
    quantization: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU as a container sees it: a whole one, or a MIG slice of `memory_bytes`. `shared` is time-slicing."""

    name: str
    memory_bytes: float
    gpu: Gpu | None
    shared: bool = False


def model_of(engine: Engine) -> Model | None:
    """The model's weights; None where its name says no size, or the quantization is not known here."""
    name = engine.model.value if engine.model else None
    if not name:
        return None
    asked = engine.setting("quantization") or engine.setting("dtype")
    method = (asked.value or "auto").lower() if asked else "auto"
    shape = known_shape(name)
    size: ModelShape | float | None = shape or parameters_from_name(name)
    if size is None:
        return None
    try:
        weights = capacity.weight_bytes(size, _QUANTIZATION.get(method, method))
    except ValueError:
        return None
    on_the_fly = method.startswith(("bitsandbytes", "eetq", "fp8")) and not (shape and shape.quantization)
    stored = capacity.weight_bytes(size) if on_the_fly else weights
    return Model(name, weights, stored, shape, None if method == "auto" else _QUANTIZATION.get(method, method))


def card_of(workload: Workload, container: Container) -> Card | None:
    """The GPU that a container gets: of its MIG resource, or of the nodes' labels."""
    gpu, label = _gpu_of_nodes(workload)
    resources = [name for name, _ in container.gpu_resources()]
    slices = [name.removeprefix(MIG_RESOURCE_PREFIX) for name in resources if name.startswith(MIG_RESOURCE_PREFIX)]
    if not slices and "-MIG-" in label:
        slices = [label.partition("-MIG-")[2]]
    if slices:
        profile = mig_profile(slices[0], gpu)
        return Card(f"MIG {slices[0]}", profile.memory_bytes, gpu) if profile else None
    if gpu is None:
        return None
    shared = label.endswith("-SHARED") or "nvidia.com/gpu.shared" in resources
    return Card(gpu.name, float(gpu.memory_bytes), gpu, shared)


def _gpu_of_nodes(workload: Workload) -> tuple[Gpu | None, str]:
    for key, value in workload.node_labels():
        if key in PRODUCT_LABELS:
            return gpu_of_product(value.text), value.text
        if key in INSTANCE_LABELS and (gpu := gpu_of_instance(value.text)):
            return gpu, value.text
    return None, ""


def memory_share(engine: Engine) -> float | None:
    """The share of the GPU's memory that the engine takes; None where it cannot be known here."""
    asked = engine.setting("memory share")
    return asked.number if asked else DEFAULT_SHARE.get(engine.name)


@dataclass(frozen=True, slots=True)
class Cache:
    """What is left for the KV cache on one GPU. Both are None where the model's shape is not known; may be negative."""

    free_bytes: float
    tokens: int | None
    bytes_per_token: float | None


def cache_of(engine: Engine, model: Model, card: Card, share: float, *, at_best: bool = False) -> Cache | None:
    """The KV cache of an engine on this GPU; None where a setting cannot be read or its width is not known.

    `at_best` counts the weights alone, so that what does not fit even then is certain.
    """
    tensor, pipeline = engine.count("tensor parallel"), engine.count("pipeline parallel")
    if not tensor or not pipeline:
        return None
    weights = model.weights_bytes / tensor / pipeline
    if model.shape is None:
        return Cache(capacity.kv_budget_bytes(card.memory_bytes, share, weights), None, None)
    beside = (activation_peak_bytes(model.shape, tensor_parallel=tensor), non_torch_bytes(tensor * pipeline))
    free = capacity.kv_budget_bytes(card.memory_bytes, share, weights, *((0.0, 0.0) if at_best else beside))
    kv_dtype, block = engine.setting("KV dtype"), engine.setting("block size")
    try:
        each = (
            capacity.kv_bytes_per_token(model.shape, (kv_dtype.value if kv_dtype else "") or "auto", tensor) / pipeline
        )
    except ValueError:
        return None
    block_size = (block.integer if block else None) or capacity.DEFAULT_BLOCK_SIZE
    return Cache(free, capacity.tokens_that_fit(free, each, block_size), each)
