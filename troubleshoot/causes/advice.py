"""How each engine spells a setting, so that advice names a flag that the reader's engine has."""

from __future__ import annotations

from collections.abc import Mapping

from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, SettingValue

_SPELLING: Mapping[str, Mapping[str, str]] = {
    "sglang": {
        "gpu_memory_utilization": "--mem-fraction-static",
        "max_num_seqs": "--max-running-requests",
        "max_model_len": "--context-length",
        "max_num_batched_tokens": "--chunked-prefill-size",
        "tensor_parallel_size": "--tp-size",
        "enforce_eager": "--disable-cuda-graph",
        "kv_cache_dtype": "--kv-cache-dtype",
        "quantization": "--quantization",
    },
    "tgi": {
        "gpu_memory_utilization": "--cuda-memory-fraction",
        "max_num_seqs": "--max-batch-size",
        "max_model_len": "--max-total-tokens",
        "max_num_batched_tokens": "--max-batch-prefill-tokens",
        "tensor_parallel_size": "--num-shard",
        "enforce_eager": "--cuda-graphs",
        "quantization": "--quantize",
    },
    "llamacpp": {
        "max_num_seqs": "--parallel",
        "max_model_len": "--ctx-size",
        "max_num_batched_tokens": "--batch-size",
        "kv_cache_dtype": "--cache-type-k",
    },
    "triton": {
        "max_num_seqs": "config.pbtxt: instance_group count",
        "max_queue_size": "config.pbtxt: max_queue_size",
    },
}
_SETTING_KEYS: Mapping[str, Mapping[str, str]] = {
    "sglang": {
        "gpu_memory_utilization": "mem_fraction_static",
        "max_num_seqs": "max_running_requests",
        "max_num_batched_tokens": "chunked_prefill_size",
    },
}


def spelling(evidence: Evidence, key: str) -> str | None:
    """The engine's own name of a setting; None where it has none. An unknown engine is taken for vLLM."""
    table = _SPELLING.get(evidence.engine)
    return table.get(key) if table is not None else "--" + key.replace("_", "-")


def current(evidence: Evidence, key: str) -> SettingValue:
    """The value in force where the log tells, under the engine's own key."""
    own = _SETTING_KEYS.get(evidence.engine, {}).get(key)
    value = evidence.settings.get(own) if own else None
    return value if value is not None else evidence.settings.get(key)


def change(
    evidence: Evidence,
    key: str,
    to: SettingValue,
    why: str,
    effect: str = "",
    current_value: SettingValue = None,
) -> list[Fix]:
    """The fix as a list of one; empty where the engine has no such setting or it already stands at `to`."""
    setting = spelling(evidence, key)
    before = current_value if current_value is not None else current(evidence, key)
    if setting is None or (to is not None and before == to):
        return []
    return [Fix(setting, before, to, why, effect)]


def split_wider(evidence: Evidence, why: str) -> list[Fix]:
    """Twice the tensor parallelism, or the next size above it into which the model can be cut; empty for none.

    A size that the attention heads do not divide by is refused at start-up. Where the model's shape is unknown,
    twice.
    """
    from troubleshoot.parallel import tensor_parallel_sizes

    twice, shape = evidence.tensor_parallel * 2, evidence.shape
    method = evidence.settings.get("quantization")
    sizes = tensor_parallel_sizes(shape, _MOST_GPUS, str(method) if method else None) if shape else (twice,)
    size = next((size for size in sizes if size >= twice), None)
    if size is None:
        return []
    share = evidence.tensor_parallel / size
    effect = f"{evidence.weights_gib * share:.1f} GiB of weights a GPU" if evidence.weights_gib else ""
    return change(evidence, "tensor_parallel_size", size, why, effect, evidence.tensor_parallel)


_MOST_GPUS = 64
