"""Flags of engines whose source was not read release by release: only those that advice and runbooks use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ShortTable:
    """Flags of one server program; `source` says where, and in which version, they were read."""

    program: str
    source: str
    flags: frozenset[str]


OTHER_ENGINES: Mapping[str, ShortTable] = MappingProxyType(
    {
        "tgi": ShortTable(
            program="text-generation-launcher",
            source="docs/source/reference/launcher.md of TGI 3.x",
            flags=frozenset(
                {
                    "--cuda-graphs",
                    "--cuda-memory-fraction",
                    "--disable-custom-kernels",
                    "--dtype",
                    "--json-output",
                    "--kv-cache-dtype",
                    "--master-port",
                    "--max-batch-prefill-tokens",
                    "--max-batch-size",
                    "--max-batch-total-tokens",
                    "--max-concurrent-requests",
                    "--max-input-tokens",
                    "--max-top-n-tokens",
                    "--max-total-tokens",
                    "--max-waiting-tokens",
                    "--model-id",
                    "--num-shard",
                    "--port",
                    "--quantize",
                    "--revision",
                    "--sharded",
                    "--speculate",
                    "--trust-remote-code",
                    "--validation-workers",
                    "--waiting-served-ratio",
                }
            ),
        ),
        "llamacpp": ShortTable(
            program="llama-server",
            source="tools/server/README.md of llama.cpp, 2026",
            flags=frozenset(
                {
                    "--batch-size",
                    "--cache-type-k",
                    "--cache-type-v",
                    "--ctx-size",
                    "--fit",
                    "--flash-attn",
                    "--gpu-layers",
                    "--host",
                    "--metrics",
                    "--model",
                    "--n-gpu-layers",
                    "--no-kv-offload",
                    "--parallel",
                    "--port",
                    "--slots",
                    "--split-mode",
                    "--tensor-split",
                    "--threads",
                    "--threads-batch",
                    "--ubatch-size",
                    "-b",
                    "-c",
                    "-ctk",
                    "-ctv",
                    "-fa",
                    "-m",
                    "-ngl",
                    "-np",
                    "-t",
                    "-tb",
                    "-ts",
                    "-ub",
                }
            ),
        ),
        "tensorrt_llm": ShortTable(
            program="trtllm-serve",
            source="commands/trtllm-serve of the TensorRT-LLM documentation, 0.18.2 and 1.0",
            flags=frozenset(
                {
                    "--backend",
                    "--ep_size",
                    "--host",
                    "--kv_cache_free_gpu_memory_fraction",
                    "--max_batch_size",
                    "--max_beam_width",
                    "--max_num_tokens",
                    "--max_seq_len",
                    "--port",
                    "--pp_size",
                    "--tokenizer",
                    "--tp_size",
                    "--trust_remote_code",
                }
            ),
        ),
        "triton": ShortTable(
            program="tritonserver",
            source="tritonserver --help of 2.51.0 (23.02 for the older ones)",
            flags=frozenset(
                {
                    "--allow-gpu-metrics",
                    "--allow-metrics",
                    "--backend-config",
                    "--backend-directory",
                    "--cuda-memory-pool-byte-size",
                    "--exit-on-error",
                    "--exit-timeout-secs",
                    "--grpc-port",
                    "--http-port",
                    "--load-model",
                    "--log-verbose",
                    "--metrics-config",
                    "--metrics-port",
                    "--model-control-mode",
                    "--model-repository",
                    "--pinned-memory-pool-byte-size",
                    "--rate-limit",
                    "--strict-readiness",
                }
            ),
        ),
    }
)
