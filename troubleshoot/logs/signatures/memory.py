"""Lines about memory that ran out: on the GPU, on the host, in /dev/shm.

Wordings: vLLM 0.2.7 to 0.33 sources, PyTorch's caching allocator (1.x to 2.x), SGLang 0.3 to 0.5, TGI 0.8 to 3.3,
llama.cpp, TensorRT-LLM, NCCL, the Linux kernel, the kubelet and Ray.
"""

from __future__ import annotations

from troubleshoot.logs.signature import Signature

_TRACEBACK = 90

SIGNATURES: tuple[Signature, ...] = (
    Signature(
        "cuda_oom",
        (
            "CUDA out of memory",
            "OutOfMemoryError",
            "HIP out of memory",
            "XPU out of memory",
            "CUDA error: out of memory",
            "cudaErrorMemoryAllocation",
            "CUBLAS_STATUS_ALLOC_FAILED",
            "cudaMalloc failed: out of memory",
            "CUDA runtime error in .{1,80}: out of memory",
            "CUDA_ERROR_OUT_OF_MEMORY",
            "would exceed allowed memory",
            "RESOURCE_EXHAUSTED: Out of memory",
        ),
        fields=(
            r"Tried to allocate (?P<wanted>[\d.]+ (?:[KMG]i?B|bytes))",
            r"(?:total capac?ity of |GPU \d+; )(?P<capacity>[\d.]+ [KMG]i?B)",
            r"of which (?P<free>[\d.]+ (?:[KMG]i?B|bytes)) is free",
            r"already allocated; (?P<free>[\d.]+ (?:[KMG]i?B|bytes)) free",
            r"Process (?P<other_pid>\d+) has (?P<other>[\d.]+ [KMG]i?B) memory in use",
            r"this process has (?P<own>[\d.]+ [KMG]i?B) memory in use",
            r"Of the allocated memory (?P<allocated>[\d.]+ [KMG]i?B)",
        ),
        follow=40,
        context_lines=_TRACEBACK,
    ),
    Signature(
        "cuda_oom_free_memory",
        ("is free\\. (?:Including non-PyTorch|Process )", "bytes is free"),
        fields=(
            r"total capac?ity of (?P<capacity>[\d.]+ [KMG]i?B) of which (?P<free>[\d.]+ (?:[KMG]i?B|bytes)) is free",
        ),
    ),
    Signature(
        "other_process_uses_gpu",
        ("Process \\d+ has [\\d.]+ [KMG]iB memory in use",),
        fields=(r"Process (?P<pid>\d+) has (?P<used>[\d.]+ [KMG]i?B) memory in use",),
    ),
    Signature(
        "kv_no_blocks",
        (
            "No available memory for the cache blocks",
            "# (?:GPU|cuda|gpu|hpu|xpu|rocm|hip) blocks: 0\\b",
            "Cannot auto-fit max_model_len",
            "Please try to increase --mem-fraction-static",
            "Available KV cache memory: -",
            "No available blocks for the KV cache",
            "Can.t allocate 0 blocks",
            "max tokens in paged KV cache \\(0\\)",
            "larger than the profiled value -",
        ),
        fields=(r"Available KV cache memory: (?P<available>-?[\d.]+) GiB",),
    ),
    Signature(
        "kv_below_one_request",
        (
            "To serve at least one request with the model",
            "larger than the maximum number of tokens that can be stored in KV cache",
            "maximum number of tokens that can be stored in",
            "KV cache is needed, which is larger than",
            "Not enough memory to handle .?max_total_tokens",
            "failed to allocate buffer for kv cache",
            "llama_kv_cache_init\\(\\) failed",
            "llama_kv_cache_init: failed to allocate",
            "is larger than the KV cache size",
        ),
        fields=(
            r"(?:max seq len\s*\((?P<max_len>[\d,]+)\))"
            r"(?:.*?(?P<needed>-?[\d.]+) Gi?B\s+KV\s+cache\s+is\s+needed)?"
            r"(?:.*?available\s+KV\s+cache\s+memory\s+\((?P<available>-?[\d.]+) Gi?B\))?"
            r"(?:.*?stored\s+in\s+KV\s+cache\s*\((?P<tokens>[\d,]+)\))?"
            r"(?:.*?stimated\s+maximum\s+model\s+length\s+is\s+(?P<estimate>[\d,]+))?",
        ),
        follow=4,
    ),
    Signature(
        "free_memory_below_target",
        ("on startup is less than", "is less than desired GPU memory utilization"),
        fields=(
            r"Free memory on device\s*(?P<device>\S+)?\s*\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\)\s+on startup is less"
            r"\s+than.*?\((?P<utilization>[\d.]+),\s*(?P<wanted>[\d.]+) GiB\)",
        ),
        follow=3,
    ),
    Signature(
        "memory_changed_while_profiling",
        ("Error in memory profiling", "processes sharing the same container release GPU memory"),
        fields=(
            r"nitial (?:free|used) memory (?P<before>[\d.]+)(?: GiB)?, current (?:free|used) memory (?P<after>[\d.]+)",
        ),
        follow=2,
    ),
    Signature(
        "weights_do_not_fit",
        (
            "Failed to load model - not enough GPU memory",
            "unable to allocate (?:CUDA|ROCm|Vulkan|Metal|SYCL|HIP|MUSA)\\w* buffer",
            "failed to allocate (?:CUDA|ROCm|Vulkan|Metal|SYCL|HIP|MUSA)\\w* buffer of size",
            "enough memory to load the (?:model|weights|engine)",
            "weights do(?:es)? not fit",
        ),
        context_lines=20,
    ),
    Signature(
        "sampler_warmup_oom",
        ("out of memory occurred when warming up sampler", "out of memory occurred when warming up pooler"),
        fields=(r"with (?P<requests>\d+) dummy requests",),
    ),
    Signature(
        "graph_capture_failed",
        (
            "Capture cuda graph failed",
            "during (?:CUDA|cuda)[- ]graph capture",
            "[Oo]ut of memory.{0,60}(?:cuda ?graph|graph capture)",
            "graph capture.{0,60}out of memory",
        ),
        fields=(r"failed: (?P<reason>.{0,120})",),
    ),
    Signature(
        "prefill_profile_too_large",
        ("Not enough memory to handle \\d+ prefill tokens", "Not enough memory to handle .{1,40}prefill"),
        fields=(r"handle (?P<tokens>\d+) prefill",),
    ),
    Signature(
        "runtime_allocation_failed",
        (
            "Prefill out of memory\\. Try to lower your batch size",
            "Decode out of memory\\. Try to lower your batch size",
            "alloc_req_slots runs out of memory",
        ),
    ),
    Signature(
        "lora_buffers",
        ("create_lora_weights", "lora_manager\\.py|LoRAModelManager|lora/layers", "lora_a_stacked"),
    ),
    Signature(
        "kernel_oom_kill",
        (
            "[Oo]ut of memory: Killed process",
            "oom-kill:",
            "Memory cgroup out of memory",
            "oom_reaper: reaped process",
            "invoked oom-killer",
            "OOMKilled",
            "[Oo]om[- _]?[Kk]illed",
            "Killed process \\d+ \\(.{1,40}\\) total-vm",
        ),
        fields=(
            r"(?:Killed process (?P<pid>\d+)[, ]+\(?(?P<name>[^),]+)\)?|task=(?P<task>[^,\s]+)|process (?P<pid2>\d+) \((?P<name2>[^)]+)\))",
        ),
    ),
    Signature(
        "node_memory_pressure",
        (
            "[Nn]ode (?:was|is|running) low on (?:resource: )?memory",
            "running low on memory",
            "memory usage exceeds the memory usage threshold|exceeding the memory usage threshold",
        ),
    ),
    Signature(
        "exit_137",
        (
            "exit(?:ed)?(?: with)? code[:= ]{1,3}137\\b|exit status 137\\b|exited \\(?137\\b|[Ee]xit [Cc]ode 137\\b",
            "[Ee]xit [Cc]ode:\\s+137\\b",
            "exitCode.{1,4}137\\b",
        ),
    ),
    Signature(
        "host_allocation_failed",
        (
            "DefaultCPUAllocator: (?:can.t allocate|not enough) memory",
            "std::bad_alloc",
            "\\bMemoryError\\b",
            "Cannot allocate memory",
            "not enough memory: you tried to allocate",
            "allocate CPU buffer",
            "ggml_backend_cpu_buffer_type_alloc_buffer: failed",
            "Unable to allocate [\\d.]+ [KMGT]iB for an array",
        ),
        context_lines=25,
    ),
    Signature(
        "shm_too_small",
        (
            "insufficient shared memory",
            "Error while creating shared memory segment",
            "failed to extend /dev/shm",
            "Bus error",
            "unable to (?:write to|open|allocate) (?:file|shared memory|shared memory object) .{0,4}/?(?:dev/shm|torch_)",
            "unable to allocate shared memory",
            "[Nn]o space left on device.{0,40}(?:/dev/shm|psm_)",
            "/dev/shm.{0,80}[Nn]o space left on device",
            "shared memory.{0,80}[Nn]o space left on device",
            "[Nn]o space left on device.{0,20}shm",
            "Failed to increase the shared memory pool size",
            "Unable to initialize shared memory key",
            "posix_fallocate failed.{0,40}shm",
            "increase shm[- ]size|increase the shm[- ]size|--shm-size",
            "The object store is using /tmp instead of /dev/shm",
        ),
        context_lines=8,
    ),
    Signature("no_space_left", ("[Nn]o space left on device",), context_lines=30),
    Signature(
        "swap_space_too_large",
        (
            "Too large swap space",
            "lack of CPU swap space",
            "HiSparse pinned host pool needs",
            "swap_space.{0,60}(?:exceed|larger than|too large)",
            "cudaHostAlloc",
            "cudaHostRegister",
            "[Ff]ailed to (?:allocate|pin|register) (?:pinned memory|host memory|page-locked memory)",
            "RLIMIT_MEMLOCK",
            "memlock limit",
            "pinned memory allocation failed",
        ),
        fields=(r"(?P<swap>[\d.]+) GiB out of (?:the )?(?P<ram>[\d.]+) GiB",),
        context_lines=20,
    ),
)
