"""Lines that say why serving is slow, or that carry its figures: statistics, notices, warnings with a remedy.

Wordings: vLLM 0.2.7 to 0.33 sources, SGLang 0.3 to 0.5, TGI, llama.cpp, Triton core.
"""

from __future__ import annotations

from troubleshoot.logs.signature import Keep, Signature

# uvicorn's access line, as it is and inside a JSON string.
_STATUS_FIELDS = r"(?:(?P<method>[A-Z]+) (?P<path>/\S*) )?HTTP/1\.[01]\\?\"\s+(?P<status>\d{3})"


def _status_lines(codes: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"HTTP/1\\.1{quote} {code}" for code in codes for quote in ('"', r'\\"'))


SIGNATURES: tuple[Signature, ...] = (
    Signature("vllm_stats", ("Running: \\d{1,6}(?: reqs)?,",), keep=Keep.SERIES, follow=2),
    Signature("sglang_decode", ("Decode batch",), keep=Keep.SERIES),
    Signature("sglang_prefill", ("Prefill batch",), keep=Keep.SERIES),
    Signature(
        "llamacpp_timing",
        ("eval time =",),
        keep=Keep.SERIES,
        fields=(r"(?P<what>prompt eval|eval) time =\s*(?P<ms>[\d.]+) ms /\s*(?P<tokens>\d+) (?:tokens|runs)",),
    ),
    Signature(
        "tgi_request",
        ("time_per_token=", "inference_time="),
        keep=Keep.SERIES,
        fields=(r"queue_time=\"?(?P<queue>[\d.]+(?:ns|µs|us|ms|s))",),
    ),
    Signature(
        "spec_decode_stats",
        (
            "Draft acceptance rate",
            "draft acceptance",
            "Mean acceptance length",
            "accept len:",
            "accept rate:",
        ),
        keep=Keep.SERIES,
        follow=2,
    ),
    Signature(
        "preemption",
        (
            "is preempted by",
            "KV cache pool is full\\. Retract",
            "Decode out of memory happened",
            "retract_decode: aborted",
            "Retract requests",
            "[Pp]reempt(?:ed|ing) (?:request|sequence|\\d+)",
        ),
        fields=(
            r"(?:total_num_cumulative_preemption|total_cumulative_preemption_cnt)=(?P<total>\d+)|#retracted_reqs: (?P<retracted>\d+)",
        ),
    ),
    Signature(
        "llamacpp_no_kv_slot",
        (
            "failed to find free space in the KV cache",
            "could not find a KV slot",
            "find a memory slot for",
            "failed to decode the batch",
            "Context size has been exceeded",
        ),
        fields=(r"n_batch = (?P<n_batch>\d+)",),
    ),
    Signature(
        "eager_mode",
        (
            "Enforce eager set",
            "Cudagraph is disabled under eager mode",
            "Cuda Graphs are disabled",
            "CUDA graph is not supported on",
            "cuda graph: False",
            "disable_cuda_graph=True",
            "Skipping CUDA graph capture",
        ),
    ),
    Signature(
        "fast_kernel_missing",
        (
            "package is not found\\. (?:Please install|.pip install|Make sure)",
            "FlashInfer is not available\\. Falling back",
            "flash[_ -]attn is not (?:installed|found)|flash[_ -]attn not (?:installed|found)",
            "[Ff]alling back to .{0,60}(?:attention|TORCH_SDPA|xformers|XFormers|SDPA|slow|eager|naive)",
            "Using (?:Torch SDPA|TORCH_SDPA|naive attention)",
            "[Aa]ttention backend fallback|slower attention",
        ),
        fields=(r"(?P<text>.{0,200})",),
    ),
    Signature(
        "attention_hardware_fallback",
        (
            "Cannot use FlashAttention",
            "Using XFormers backend",
            "FLASH_ATTN_V1|FlashAttention 2 is not supported",
        ),
        fields=(r"(?P<text>.{0,160})",),
    ),
    Signature(
        "slow_quantization",
        (
            "quantization is not fully optimized yet",
            "forcing (?:awq|gptq)\\b",
            "Your GPU does not have native support for FP[48]",
            "speed can be slower than non-quantized",
            "performance may be degraded|may degrade performance for compute-heavy",
            "[Uu]sing (?:emulated|emulation|dequantiz)|emulation kernels|emulation is slow",
            "[Gg]eneric (?:gptq|awq|quantization) kernel|slow quantization kernel",
            "We suggest you to use bitsandbytes|bitsandbytes.{0,60}slow",
            "exllama.{0,40}(?:disabled|not available|not installed)|[Dd]isabling exllama",
            "Weight-only FP[48] compression will be used",
        ),
        fields=(r"(?P<text>.{0,200})",),
    ),
    Signature("trace_function", ("VLLM_TRACE_FUNCTION is enabled", "Trace frame log is saved to")),
    Signature("slot_deferred", ("no slot is available", "defer(?:red|ring)? task, id_task")),
    Signature(
        "prompt_reprocessed", ("forcing full prompt re-processing", "full prompt re-processing due to"), keep=Keep.RARE
    ),
    Signature(
        "shard_progress",
        ("checkpoint shards:",),
        fields=(r".*\b(?P<done>\d+)/(?P<total>\d+) \[(?P<elapsed>(?:\d+:)?\d+:\d\d)<(?P<remaining>(?:\d+:)?\d+:\d\d)",),
        keep=Keep.SERIES,
    ),
    Signature(
        "guided_decoding_slow",
        (
            "xgrammar (?:module )?(?:does not support|is not available|cannot)",
            "[Ff]alling back to (?:use )?(?:outlines|guidance|llguidance|lm-format-enforcer)",
            "[Gg]rammar (?:compilation|compile|build) (?:took|takes|time)|FSM (?:compilation|compile|build)|[Ss]chema compil(?:ation|e|ing) (?:took|takes|time)|[Rr]egex compilation (?:took|time)",
            "Compiling (?:the )?(?:FSM|grammar|regex |schema)",
            "[Gg]rammar (?:compilation|preprocess\\w+|compile).{0,60}(?:slow|timeout|timed out|took|aborted)",
            "Building .{0,40}(?:FSM|index) .{0,60}\\d+s",
            "grammar-queue|num_grammar_queue|#grammar-queue-req: [1-9]",
            "guided decoding.{0,80}(?:slow|overhead|performance)",
        ),
        fields=(r"(?P<text>.{0,200})",),
    ),
    Signature(
        "pcie_allreduce",
        (
            "more than two PCIe-only GPUs",
            "lacks GPU P2P capability|does not support .{0,20}P2P",
            "Custom allreduce is disabled",
            "not fully connected via NVLink",
            "P2P is disabled|[Pp]eer[- ]to[- ]peer (?:access )?is ",
            "via SHM/direct",
        ),
        fields=(r"(?P<text>.{0,200})",),
    ),
    Signature(
        "slow_tokenizer",
        ("Using a slow tokenizer", "use_fast.{0,20}False.{0,60}slow|slow tokenizer"),
        fields=(r"(?P<text>.{0,160})",),
    ),
    Signature(
        "cpu_starved",
        (
            "[Ff]ront-?end.{0,60}(?:bottleneck|saturated|100 ?%)",
            "CPU throttl|CPU starv|CPU quota exceeded|nr_throttled",
            "GIL (?:contention|wait)",
        ),
        fields=(r"(?P<text>.{0,160})",),
    ),
    Signature(
        "gpu_throttled",
        (
            "(?:HW|SW) (?:Thermal|Power(?: Brake)?|Slowdown)[\\w ]{0,24}\\s*: Active",
            "[Cc]locks? throttl|thermal(?:ly)? throttl|[Tt]hrottl\\w+.{0,40}(?:thermal|power cap|temperature|clocks)",
            "[Pp]ower (?:cap|brake|limit) .{0,40}(?:reached|throttl|active|exceeded)",
            "clocks_(?:event|throttle)_reasons\\.\\S+.{0,20}Active",
        ),
        context_lines=16,
        fields=(r"(?P<text>.{0,200})",),
    ),
    Signature("request_logging", ("Received request \\S{1,80}: ",), keep=Keep.MARK),
    Signature(
        "debug_logging",
        (
            "\\bDEBUG \\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d",
            "levelname.{2,6}DEBUG",
            "VLLM_LOGGING_LEVEL.{0,6}DEBUG",
        ),
        keep=Keep.FACT,
    ),
    Signature(
        "request_rejected",
        (
            "Exceeds maximum queue size",
            "Request timeout expired",
            "Model is overloaded",
            "[Rr]equest queue is full|queue is full|The request queue|max(?:imum)? (?:number of )?queued requests|max[-_]num[-_]queued",
            "[Tt]oo many requests|[Tt]oo many concurrent requests|rate limit(?:ed| exceeded)|Admission (?:rejected|control)|admission.{0,20}reject",
            "no slot available|[Ss]erver is (?:busy|overloaded)|[Ss]erver busy|[Ss]erver overloaded",
        ),
        fields=(r"(?P<text>.{0,160})",),
    ),
    Signature("http_429_503", _status_lines((429, 503)), fields=(_STATUS_FIELDS,)),
    Signature(
        "http_4xx",
        _status_lines((400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 499)),
        fields=(_STATUS_FIELDS,),
    ),
    Signature("http_5xx", _status_lines((500, 501, 502, 504)), fields=(_STATUS_FIELDS,)),
    Signature(
        "client_gone",
        (
            "Aborted request",
            "Request \\S{1,80} aborted",
            "Abort(?:ing request|ed request|request)",
            "[Cc]lient disconnected|[Cc]lient closed|[Cc]lient hung up",
            "Incomplete generation",
            "ClientDisconnect|client has disconnected",
            "stop: cancel task",
            "cancelling (?:request|inference)",
            "[Cc]onnection (?:reset|closed) by (?:client|peer during)|broken pipe",
            "Request is disconnected from the client",
        ),
        fields=(r"(?P<text>.{0,160})",),
    ),
    Signature("request_finished", ("Finished request \\S",)),
    Signature(
        "model_loading_time",
        (
            "Loading (?:model )?weights took [\\d.]+ s",
            "Time spent downloading weights",
            "Model loading took .{1,24}[\\d.]+ s",
            "Load weight end\\. elapsed",
            "Shard ready in [\\d.]+s",
            "weights? (?:download|load)\\w* .{0,30}\\d{3,} ?s",
        ),
        fields=(
            r"(?:Loading (?:model )?weights took (?P<load>[\d.]+) s|downloading weights for .*?: (?P<download>[\d.]+) s|Model loading took (?P<gib>[\d.]+) Gi?B(?: memory)? and (?P<model>[\d.]+) s|elapsed=(?P<sglang>[\d.]+) s|Shard ready in (?P<shard>[\d.]+)s)",
        ),
    ),
    Signature("waiting_for_shards", ("Waiting for shard to be ready",), keep=Keep.RARE),
    Signature(
        "compile_time",
        (
            "torch\\.compile (?:takes|took) [\\d.]+ s",
            "Compiling a graph for .{1,60} takes [\\d.]+ s",
            "Graph capturing finished in \\d+ secs",
            "init engine \\(profile, create kv cache, warmup model\\) took",
            "Dynamo bytecode transform time",
            "Capture cuda graph end\\. Time elapsed",
            "[Ww]armup took [\\d.]+ ?s|[Ww]armup finished in|[Ww]arm-up took",
        ),
        fields=(
            r"(?:torch\.compile (?:takes|took) (?P<compile>[\d.]+) s|Compiling a graph for .*? takes (?P<graph>[\d.]+) s|finished in (?P<capture>\d+) secs|warmup model\) took (?P<init>[\d.]+) s|transform time: (?P<dynamo>[\d.]+) s|elapsed: (?P<sglang>[\d.]+) s)",
        ),
    ),
    Signature(
        "jit_while_serving",
        (
            "JIT compilation during inference",
            "latency spike; consider",
            "begins to compile kernel",
            "compilation during (?:inference: |runtime|serving)|compiled at runtime|compiling at runtime|compiled during serving",
            "[Ff]irst request (?:is|was|took|compil)|[Cc]old[- ]start latency",
            "recompil(?:e|ing|ation) .{0,60}(?:limit|triggered|hit)",
            "DeepGEMM (?:warmup|JIT) .{0,40}(?:took|takes)",
        ),
        fields=(r"(?P<text>.{0,200})",),
    ),
    Signature(
        "batch_budget_below_context",
        (
            "is smaller than max_model_len",
            "is larger than max_num_batched_tokens \\(",
            "max_num_batched_tokens .{0,20}must be greater than or equal to max_(?:num_seqs|model_len)",
            "reject longer sequences|effectively limits the maximum sequence length",
            "max_num_batched_tokens (?:is )?(?:too small|smaller than|less than)",
        ),
        fields=(r"max_num_batched_tokens \(?=?(?P<budget>\d+)\)?.*?max_model_len \(?=?(?P<max_len>\d+)\)?",),
        follow=4,
    ),
    Signature(
        "chunked_prefill_off",
        (
            "[Cc]hunked prefill is (?:not enabled|disabled|not supported)|enable_chunked_prefill=False|enable_chunked_prefill': False|no-enable[-_]chunked[-_]prefill|disabling chunked prefill|chunked_prefill_size=-1",
        ),
        fields=(r"(?P<text>.{0,160})",),
    ),
    Signature(
        "prefix_cache_off",
        (
            "enable_prefix_caching=False|enable_prefix_caching': False|no-enable[-_]prefix[-_]caching|[Pp]refix caching is (?:not supported|disabled)|disable_radix_cache=True|[Dd]isabling prefix caching",
        ),
        fields=(r"(?P<text>.{0,160})",),
    ),
    Signature(
        "multimodal_slow",
        (
            "(?:image|video|audio|multi-?modal) preprocessing|(?:image|video|audio) processing (?:took|takes|is slow|timed out)",
            "Fetch(?:ing)? (?:image|video|audio).{0,60}(?:timed? ?out|timeout|slow|took)",
            "mm_processor (?:is slow|took)",
            "use_fast.{0,40}image processor",
        ),
        fields=(r"(?P<text>.{0,200})",),
    ),
    Signature(
        "mixed_batches_stall",
        ("prefills? (?:starv|stall)\\w* |decode (?:is |was )?starv|decode stall",),
        fields=(r"(?P<text>.{0,200})",),
    ),
)
