"""Lines that tell what was started, with which settings and memory, and how far it came.

Wordings: vLLM 0.2.7 to 0.33 sources, SGLang, TGI, llama.cpp, Triton core.
"""

from __future__ import annotations

from troubleshoot.logs.signature import Keep, Signature

_FACT = Keep.FACT

SIGNATURES: tuple[Signature, ...] = (
    Signature(
        "engine_start",
        (
            "vLLM (?:API )?server version",
            "version 0\\.\\d+\\.\\d+",
            "Initializing an? (?:V[01] )?LLM engine",
            "server_args=ServerArgs\\(",
            "load_model: loading model",
            "Create CacheManager",
            "text_generation_launcher: Args",
            "Triton server is starting|triton.{0,20}server_version",
        ),
        fields=(r"(?:version:? v?|\(v)(?P<version>\d+\.\d+(?:\.\d+)?(?:\.?(?:post|rc|dev)\d+)?)",),
        keep=_FACT,
    ),
    Signature(
        "engine_args",
        (
            "non-default args: ",
            "\\bargs: Namespace\\(",
            "server_args=ServerArgs\\(",
            "ServerArgs\\(model_path",
        ),
        keep=_FACT,
    ),
    Signature(
        "engine_config",
        ("LLM engine \\(v[^)]{1,40}\\) with config: ", "Initializing an LLM engine with config: "),
        keep=_FACT,
    ),
    Signature(
        "command_line",
        (
            "vllm serve ",
            "-m vllm\\.entrypoints\\.",
            "sglang\\.launch_server",
            "text-generation-launcher ",
            "llama-server ",
            "tritonserver --",
            "trtllm-serve ",
        ),
        follow=24,
        keep=_FACT,
    ),
    Signature(
        "flag_assignment",
        (
            "--(?:gpu-memory-utilization|max-model-len|max-num-seqs|max-num-batched-tokens|tensor-parallel-size|mem-fraction-static|ctx-size)[= ]",
            "--enforce-eager\\s*(?:$|\\\\|--)",
            "MAX_MODEL_LEN=|MAX_NUM_SEQS=|GPU_MEMORY_UTILIZATION=|MAX_NUM_BATCHED_TOKENS=",
        ),
        keep=_FACT,
    ),
    Signature("max_model_len", ("Using max model len \\d",), fields=(r"max model len (?P<value>\d+)",), keep=_FACT),
    Signature(
        "chunk_budget",
        ("Chunked prefill is enabled with max_num_batched_tokens",),
        fields=(r"max_num_batched_tokens=(?P<value>\d+)",),
        keep=_FACT,
    ),
    Signature("architecture", ("Resolved architecture: \\w",), fields=(r"architecture: (?P<value>\w+)",), keep=_FACT),
    Signature(
        "weights_memory",
        ("Model loading took ", "Loading model weights took ", "Load weight end", "model weights take "),
        fields=(r"(?:took|take|mem usage=)\s*(?P<gib>[\d.]+)\s?(?P<unit>Gi?B)",),
        keep=_FACT,
    ),
    Signature("kv_memory", ("Available KV cache memory: ",), fields=(r"memory: (?P<gib>-?[\d.]+) GiB",), keep=_FACT),
    Signature(
        "kv_tokens",
        (
            "KV cache size: [\\d,]+ tokens",
            "# (?:GPU|cuda|CPU|cpu|hip|xpu) blocks: \\d",
            "max_total_num_tokens=",
            "#tokens: \\d+, K",
            "KV-cache blocks: \\d",
            "Setting max batch total tokens to",
        ),
        fields=(
            r"(?:KV cache size: (?P<tokens>[\d,]+) tokens|# \w+ blocks: (?P<blocks>\d+)|max_total_num_tokens=(?P<total>\d+)|#tokens: (?P<sglang>\d+), K|blocks: (?P<tgi_blocks>\d+), size: (?P<tgi_size>\d+)|total tokens to (?P<tgi>\d+))",
        ),
        keep=_FACT,
    ),
    Signature(
        "kv_override",
        ("Overriding num_gpu_blocks=",),
        fields=(r"num_gpu_blocks=(?P<profiled>\d+) with num_gpu_blocks_override=(?P<override>\d+)",),
        keep=_FACT,
    ),
    Signature(
        "max_concurrency",
        ("Maximum concurrency for ",),
        fields=(r"for (?P<context>[\d,]+) tokens per request: (?P<times>[\d.]+)x",),
        keep=_FACT,
    ),
    Signature(
        "memory_profile",
        ("the current vLLM instance can use",),
        fields=(
            r"total_gpu_memory \((?P<total>[\d.]+)GiB\) x gpu_memory_utilization \((?P<utilization>[\d.]+)\) = (?P<budget>[\d.]+)GiB",
        ),
        follow=2,
        keep=_FACT,
    ),
    Signature(
        "free_memory_hint",
        ("GiB\\) on startup\\. Desired GPU memory utilization is",),
        fields=(
            r"\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup\. Desired GPU memory utilization is \((?P<utilization>[\d.]+), (?P<wanted>[\d.]+) GiB\)",
        ),
        keep=_FACT,
    ),
    Signature(
        "sglang_limits",
        ("max_running_requests=\\d",),
        fields=(r"max_running_requests=(?P<running>\d+)(?:.*?context_len=(?P<context>\d+))?",),
        keep=_FACT,
    ),
    Signature(
        "llamacpp_slots",
        ("n_slots = \\d", "n_ctx_slot = \\d", "new slot .{0,12}n_ctx_slot"),
        fields=(r"n_slots = (?P<slots>\d+)(?:, n_ctx_slot = (?P<context>\d+))?(?:, kv_unified = '(?P<unified>\w+)')?",),
        keep=_FACT,
    ),
    Signature(
        "triton_queue_limit",
        ("max_queue_size: \\d", "default_timeout_microseconds: \\d"),
        fields=(r"(?:max_queue_size: (?P<size>\d+)|default_timeout_microseconds: (?P<timeout>\d+))",),
        keep=_FACT,
    ),
    Signature(
        "gpu_name",
        ("NVIDIA (?:H|A|L|B|GB|GH|RTX|GeForce|Tesla|T4|V100|DGX)\\w*", "\\bTesla [VTPK]\\d"),
        fields=(
            r"(?P<name>(?:NVIDIA |Tesla )(?:GeForce |RTX |Tesla )?[\w]+(?:[ -](?:SXM\d?|PCIe|NVL|Ti|SUPER|Laptop|Ada|\d+GB))*(?:-\d+GB)?)",
        ),
        keep=Keep.MARK,
    ),
    Signature(
        "cpu_backend",
        (
            "reqs, CPU KV cache usage",
            "CPU KV cache size",
            "device_config=cpu",
            "_CPUWorker|cpu_worker\\.py|cpu_model_runner",
            "CpuPlatform|Automatically detected platform cpu",
        ),
        keep=Keep.MARK,
    ),
    Signature(
        "weights_loading",
        (
            "Loading safetensors checkpoint shards",
            "Starting to load model ",
            "Loading pt checkpoint shards",
            "Load weight begin",
            "Loading model from scratch",
            "loading model tensors",
        ),
        keep=_FACT,
    ),
    Signature(
        "graph_capture_started",
        (
            "Capturing CUDA graph",
            "Capturing cudagraphs for decoding",
            "Capturing the model for CUDA graphs",
            "Capture cuda graph begin",
        ),
        keep=_FACT,
    ),
    Signature(
        "ready",
        (
            "Application startup complete",
            "Uvicorn running on",
            "The server is fired up and ready",
            "server is listening on",
            "llama_server: listening on",
            "Started HTTPService at",
            "Started GRPCInferenceService at",
            "text_generation_router.{0,60}Connected",
            "Starting vLLM (?:API )?server (?:\\d+ )?on http",
        ),
        keep=_FACT,
    ),
    Signature(
        "shutdown",
        (
            "Shutting down",
            "Application shutdown complete",
            "Waiting for application shutdown",
            "Received SIGTERM|got signal|SIGTERM received|Received shutdown signal|cleaning up before exit|Finished server process",
        ),
        keep=_FACT,
    ),
    Signature(
        "served_request",
        tuple(
            f"{path} HTTP/1\\.1{quote} 200"
            for path in (
                "completions",
                "/generate",
                "/generate_stream",
                "/responses",
                "/messages",
                "/infer",
                "/completion",
                "/embeddings",
            )
            for quote in ('"', r'\\"')
        ),
        keep=Keep.ROUTINE,
    ),
    Signature(
        "engine_vllm",
        ("vllm/", "\\bvLLM\\b", "\\(EngineCore", "\\(APIServer pid", "\\bvllm\\b"),
        keep=Keep.MARK,
    ),
    Signature(
        "engine_sglang",
        ("sglang", "SGLang", "#queue-req:", "#running-req:", "server_args=ServerArgs\\(", "--mem-fraction-static"),
        keep=Keep.MARK,
    ),
    Signature(
        "engine_tgi",
        ("text_generation_(?:launcher|router|server)", "text-generation-(?:launcher|inference|router)"),
        keep=Keep.MARK,
    ),
    Signature(
        "engine_llamacpp",
        (
            "llama_(?:model|init|context|kv|server|new)\\w*",
            "srv  \\s*\\w",
            "slot \\s*(?:launch|release|print_timing|update)",
            "ggml_",
            "llama-server",
            "llama\\.cpp",
        ),
        keep=Keep.MARK,
    ),
    Signature(
        "engine_triton",
        (
            "TRITONBACKEND",
            "tritonserver",
            "model_lifecycle\\.cc",
            "Triton Inference Server",
            "infer_request\\.cc",
            "python_be\\.cc",
        ),
        keep=Keep.MARK,
    ),
    Signature("engine_tensorrt_llm", ("\\[TensorRT-LLM\\]", "tensorrt_llm", "trtllm-serve"), keep=Keep.MARK),
)
