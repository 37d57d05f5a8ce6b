"""Memory of the GPU that does not suffice when the engine starts: weights, profiling, graphs, KV cache."""

from __future__ import annotations

import re
from collections.abc import Sequence

from troubleshoot.capacity import GIB, utilization_needed, utilization_that_fits
from troubleshoot.causes.advice import change, current, spelling
from troubleshoot.causes.base import Cause, Judgement, SignatureCause, spread
from troubleshoot.causes.gpu_oom import UNCERTAIN, Stage, gib, hinted_stage, oom_events, stage_of
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity
from troubleshoot.logs.events import Event

_START_FAILURES = frozenset({"crash_unrecognised_exception", "crash_engine_dead_killed"})
MAX_SENSIBLE_UTILIZATION = 0.98


class StagedOom(Cause):
    """Base of the causes that are an out-of-memory error of the GPU at one stage of the engine's life.

    The stage is read from the traceback before the error, else from how far the start had come.
    """

    stages: frozenset[Stage]
    also: tuple[str, ...] = ()
    needs = ("log: the error with its traceback",)
    consequences = _START_FAILURES

    def own_events(self, evidence: Evidence) -> list[tuple[Event, float]]:
        """The events that mean this cause, with how sure each is."""
        log = evidence.log
        if log is None:
            return []
        staged = [
            (event, stage)
            for event in oom_events(log)
            for stage in [stage_of(event, evidence)]
            if stage.stage in self.stages
        ]
        found = [(event, stage.confidence) for event, stage in staged]
        return found + [(event, 0.95) for event in log.all(*self.also)]

    def judge(self, evidence: Evidence) -> Judgement:
        """See the class."""
        if evidence.log is None:
            return self.not_evaluated()
        found = self.own_events(evidence)
        if not found:
            return (
                self.ruled_out("no such out-of-memory error in the log")
                if evidence.log.begins_at_start
                else self.not_evaluated("log: from the engine's start")
            )
        events = [event for event, _ in found]
        severity = Severity.CRITICAL
        if evidence.log.served_after(events[-1]):
            severity = Severity.WARNING if evidence.log.was_ready_before(events[-1]) else Severity.INFO
        sure = max(sure for _, sure in found)
        guessed = " The log does not show at which stage; this one is a guess." if sure <= UNCERTAIN else ""
        proof = [evidence.quote(event) for event in spread(events)]
        return self.finding(
            severity, sure, self.explain(events, evidence) + guessed, proof, self.fixes(events, evidence)
        )

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """What happened, with the figures of the error."""
        raise NotImplementedError

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """What to change."""
        return ()


def figures(events: Sequence[Event]) -> str:
    """ " (wanted 1.25 GiB, 0.27 GiB free of 15.8 GiB)" as far as an error tells."""
    for event in events:
        wanted, free, capacity = (gib(event.fields.get(name)) for name in ("wanted", "free", "capacity"))
        if wanted is not None:
            of = f", {free:.2f} GiB free" if free is not None else ""
            total = f" of {capacity:.1f} GiB" if capacity is not None else ""
            return f" (wanted {wanted:.2f} GiB{of}{total})"
    return ""


class WeightsDoNotFit(StagedOom):
    """The weights alone are more than the GPU, or than its budget, holds."""

    id = "oom_weights_do_not_fit"
    family = "oom"
    title = "The model's weights do not fit into GPU memory"
    stages = frozenset({Stage.WEIGHTS})
    also = ("weights_do_not_fit",)

    def own_events(self, evidence: Evidence) -> list[tuple[Event, float]]:
        """Besides errors while loading: no room for KV cache where the weights exceed what any budget allows."""
        elsewhere = (Stage.PROFILE, Stage.RUNTIME)
        found = [(event, sure) for event, sure in super().own_events(evidence) if hinted_stage(event) not in elsewhere]
        if evidence.log and weights_exceed_card(evidence):
            found += [(event, 0.9) for event in evidence.log.all("kv_no_blocks")]
        return found

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        weights, total = evidence.weights_gib, evidence.gpu_total_gib
        size = f" The weights need {weights:.1f} GiB a GPU" if weights else ""
        card = f"{' of' if size else ' The GPU has'} {total:.1f} GiB" if total else ""
        return (
            f"Memory ran out while the weights were loaded{figures(events)}.{size}{card}{'.' if size or card else ''}"
        )

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """More GPUs, or fewer bytes a weight. A shorter context does not help."""
        parallel = evidence.tensor_parallel
        fixes = []
        if not current(evidence, "quantization"):
            fixes += change(
                evidence,
                "quantization",
                "a quantised checkpoint (fp8 or awq)",
                "fp8 halves the weights, 4 bits quarter them",
                "the context length does not matter here",
            )
        fixes += change(
            evidence,
            "tensor_parallel_size",
            parallel * 2,
            "weights are split over the GPUs",
            f"{evidence.weights_gib / 2:.1f} GiB a GPU" if evidence.weights_gib else "",
            parallel,
        )
        if evidence.engine in ("", "vllm"):
            fixes.append(
                Fix(
                    "--cpu-offload-gb",
                    None,
                    "GiB to keep in host memory",
                    "last resort: every step reads them over PCIe",
                    "slow",
                )
            )
        if evidence.engine == "llamacpp":
            fixes.append(Fix("--n-gpu-layers", None, "fewer layers", "the rest runs on the CPU"))
        return fixes


def weights_exceed_card(evidence: Evidence) -> bool:
    """True where weights and card are known and no `--gpu-memory-utilization` makes room."""
    weights, total = evidence.weights_gib, evidence.gpu_total_gib
    return weights is not None and total is not None and weights > MAX_SENSIBLE_UTILIZATION * total


class KvCacheNoBlocks(SignatureCause):
    """After weights and profiling nothing is left for the KV cache."""

    id = "oom_kv_cache_no_blocks"
    family = "oom"
    title = "No GPU memory is left for the KV cache"
    signatures = ("kv_no_blocks",)
    consequences = _START_FAILURES | {"oom_cudagraph_capture"}
    confidence = 0.95

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """Not where the weights alone exceed the card, nor where a later line gives a positive budget."""
        if weights_exceed_card(evidence) or evidence.log is None:
            return False
        later = [e for e in evidence.log.all("kv_below_one_request") if e.file == event.file]
        return not later or not event.fields.get("available")

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        memory = evidence.log.memory if evidence.log else None
        parts = [
            "The budget that the memory setting allows is used up by weights and the profiling run, so not one KV block fits."
        ]
        if memory and memory.kv_gib is not None and memory.kv_gib <= 0:
            parts.append(f"The engine computed {memory.kv_gib:.2f} GiB for the KV cache.")
        utilization, total = self._utilization(evidence), evidence.gpu_total_gib
        if utilization and total and evidence.weights_gib:
            parts.append(
                f"Budget: {utilization:g} x {total:.1f} GiB = {utilization * total:.1f} GiB, weights {evidence.weights_gib:.1f} GiB."
            )
        return " ".join(parts)

    @staticmethod
    def _utilization(evidence: Evidence) -> float | None:
        value = current(evidence, "gpu_memory_utilization")
        if isinstance(value, int | float):
            return float(value)
        return evidence.log.memory.utilization if evidence.log else None

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Raise the budget by what is missing for one request of full length; else fewer bytes of weights."""
        utilization, total = self._utilization(evidence), evidence.gpu_total_gib
        memory = evidence.log.memory if evidence.log else None
        available = memory.kv_gib if memory else None
        fixes: list[Fix] = []
        name = spelling(evidence, "gpu_memory_utilization")
        if utilization and total and available is not None and available <= 0 and name:
            want = one_request_gib(evidence)
            deficit = -available + (want or 1.0)
            needed = utilization_needed(
                total * GIB,
                utilization,
                deficit * GIB,
                memory.free_gib * GIB if memory and memory.free_gib else None,
            )
            if needed is not None:
                goal = f"one request of full length ({want:.2f} GiB)" if want else "1 GiB of KV cache"
                fixes.append(
                    Fix(
                        name,
                        utilization,
                        needed,
                        f"{-available:.2f} GiB are missing, plus {goal}: {deficit:.2f} GiB of {total:.1f} GiB",
                        "the least that starts; up to 0.9 where nothing else uses the card gives room for more requests",
                    )
                )
            else:
                return WeightsDoNotFit().fixes(events, evidence)
        elif name:
            ceiling = 0.95 if (utilization or 0) < 0.9 else None
            if ceiling or utilization is None:
                fixes.append(
                    Fix(
                        name,
                        utilization,
                        ceiling or "higher, up to 0.95",
                        "MORE of the card for the engine, if nothing else uses it",
                        "a lower value makes this worse",
                    )
                )
        fixes += change(
            evidence,
            "max_num_batched_tokens",
            "lower",
            "a smaller profiling run leaves more for the KV cache",
        )
        if not evidence.settings.is_true("enforce_eager") and evidence.engine in ("", "vllm"):
            fixes += change(evidence, "enforce_eager", True, "no memory for CUDA graphs", "slower decode: a stopgap")
        fixes += change(
            evidence,
            "tensor_parallel_size",
            evidence.tensor_parallel * 2,
            "half of the weights on each GPU",
            "",
            evidence.tensor_parallel,
        )
        return fixes


def one_request_gib(evidence: Evidence) -> float | None:
    """KV cache of one request of full length, on one GPU, in GiB; None where model or length is unknown."""
    if evidence.shape is None or evidence.log is None:
        return None
    length = evidence.settings.number("max_model_len")
    printed = evidence.log.last("max_model_len")
    tokens = length or (printed.number("value") if printed else None)
    if not tokens:
        return None
    from troubleshoot.capacity import request_kv_bytes

    try:
        kv_dtype = str(evidence.settings.get("kv_cache_dtype") or "auto")
        return request_kv_bytes(evidence.shape, int(tokens), kv_dtype, evidence.tensor_parallel) / GIB
    except ValueError:
        return None


class MaxLenExceedsKvCache(SignatureCause):
    """The KV cache has room, but not for one request of the configured length."""

    id = "oom_max_len_exceeds_kv_cache"
    family = "oom"
    title = "The KV cache cannot hold one request of the configured context length"
    signatures = ("kv_below_one_request",)
    consequences = _START_FAILURES | {
        "oom_kv_cache_no_blocks",
        "oom_weights_do_not_fit",
        "oom_runtime_kv_pressure_or_fragmentation",
        "crash_model_config_or_tokenizer",
    }
    confidence = 0.96

    def _figures(self, events: Sequence[Event]) -> dict[str, float]:
        names = ("max_len", "needed", "available", "tokens", "estimate")
        return {name: value for event in events for name in names if (value := event.number(name)) is not None}

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        found = self._figures(events)
        if "needed" in found and "available" in found:
            return f"One request of {found.get('max_len', 0):.0f} tokens needs {found['needed']:.2f} GiB of KV cache, {found['available']:.2f} GiB are there."
        if "tokens" in found:
            return f"The context is {found.get('max_len', 0):.0f} tokens, the KV cache holds {found['tokens']:.0f}."
        return "The memory left after the weights does not hold the KV cache of one request at this context length."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """The engine's own estimate of the longest context, else the same by proportion; or more memory."""
        found = self._figures(events)
        length = found.get("max_len") or evidence.settings.number("max_model_len")
        before = int(length) if length else None
        fits = longest_fitting(found)
        fixes = change(
            evidence,
            "max_model_len",
            fits or "shorter",
            "the longest context that the KV cache holds" if fits else "a shorter context needs less KV cache",
            "longer requests are refused",
            before,
        )
        utilization, total = current(evidence, "gpu_memory_utilization"), evidence.gpu_total_gib
        name = spelling(evidence, "gpu_memory_utilization")
        if name and "needed" in found and isinstance(utilization, int | float) and total:
            missing = found["needed"] - found["available"]
            needed = utilization_needed(total * GIB, float(utilization), missing * GIB)
            if needed is not None:
                fixes.append(
                    Fix(
                        name,
                        utilization,
                        needed,
                        f"{missing:.2f} GiB more for the KV cache",
                        "keeps the context length; the card must be free",
                    )
                )
        elif name and (not isinstance(utilization, int | float) or utilization < 0.95):
            fixes.append(Fix(name, utilization, 0.95, "MORE of the card for the engine, if nothing else uses it"))
        if "needed" in found and found["available"] >= found["needed"] / 2 and not current(evidence, "kv_cache_dtype"):
            fixes += change(evidence, "kv_cache_dtype", "fp8", "halves the KV cache of a request")
        fixes += change(
            evidence,
            "tensor_parallel_size",
            evidence.tensor_parallel * 2,
            "weights and KV heads split over more GPUs",
            "",
            evidence.tensor_parallel,
        )
        return fixes


def longest_fitting(found: dict[str, float]) -> int | None:
    """Tokens that fit: the engine's estimate, the cache's size, or needed and available by proportion in blocks."""
    if "estimate" in found:
        return int(found["estimate"])
    if "tokens" in found:
        return int(found["tokens"])
    if {"max_len", "needed", "available"} <= found.keys() and found["needed"] > 0 and found["available"] > 0:
        return int(found["max_len"] * found["available"] / found["needed"] / 16) * 16 or None
    return None


class GpuMemoryShared(SignatureCause):
    """Another process holds memory that the engine wants."""

    id = "oom_gpu_memory_shared_with_other_process"
    family = "oom"
    title = "Another process holds GPU memory that the engine asks for"
    signatures = ("free_memory_below_target", "memory_changed_while_profiling", "cuda_oom")
    consequences = _START_FAILURES | {
        "oom_weights_do_not_fit",
        "oom_kv_cache_no_blocks",
        "oom_activation_peak_profile_run",
        "oom_runtime_kv_pressure_or_fragmentation",
    }
    confidence = 0.95

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """An out-of-memory error only where it shows that others hold much of the card."""
        if event.signature != "cuda_oom":
            return True
        others, capacity = others_gib(event), gib(event.fields.get("capacity"))
        return others is not None and capacity is not None and others >= max(1.0, 0.15 * capacity)

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        for event in events:
            free, total, wanted, share = (event.number(name) for name in ("free", "total", "wanted", "utilization"))
            if event.signature == "free_memory_below_target" and free is not None and total is not None:
                want = (
                    f" The engine asks for {share:g} of the card, {wanted:.1f} GiB."
                    if share is not None and wanted is not None
                    else ""
                )
                return f"{total - free:.1f} GiB of {total:.1f} GiB were in use before the engine started; {free:.1f} GiB are free.{want}"
            if event.signature == "cuda_oom" and (others := others_gib(event)) is not None:
                return f"Other processes hold {others:.1f} GiB of the card{figures([event])}."
        return (
            "The memory in use changed while the engine measured it: another process takes or frees memory of this GPU."
        )

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Stop the other process, or ask for no more than is free."""
        fixes = [
            Fix(
                "other process on the GPU",
                "running",
                "stop",
                "`nvidia-smi` names it; a stale worker of a crashed engine is the usual one",
                "the setting may stay as it is",
            )
        ]
        for event in events:
            free, total, share = (event.number(name) for name in ("free", "total", "utilization"))
            name = spelling(evidence, "gpu_memory_utilization")
            if name and free is not None and total and share is not None:
                fits = utilization_that_fits(free * GIB, total * GIB)
                weights = evidence.weights_gib
                if fits is not None and fits < share and (weights is None or weights < fits * total):
                    fixes.append(
                        Fix(
                            name,
                            share,
                            fits,
                            f"{free:.2f} of {total:.2f} GiB are free: {fits:g} x {total:.2f} = {fits * total:.2f} GiB",
                            "LESS; start engines that share a card one after the other",
                        )
                    )
                break
        return fixes


def others_gib(event: Event) -> float | None:
    """GiB that other processes hold: what is neither free nor the process's own.

    Inside a container PyTorch cannot tell its own process and lists it as "Process N": without a "this process has",
    a listed process that holds at least what PyTorch allocated is the failing one itself.
    """
    listed, own, allocated = (gib(event.fields.get(name)) for name in ("other", "own", "allocated"))
    capacity, free = (gib(event.fields.get(name)) for name in ("capacity", "free"))
    if own is None and listed is not None:
        all_in_use = capacity is not None and free is not None and listed >= 0.97 * (capacity - free)
        if all_in_use or (allocated is not None and listed >= allocated):
            own, listed = listed, None
    if listed is not None:
        return listed
    if capacity is None or free is None or own is None:
        return None
    return capacity - free - own


class ActivationPeak(StagedOom):
    """The profiling run, or a prefill like it, needs more than is left."""

    id = "oom_activation_peak_profile_run"
    family = "oom"
    title = "The profiling run exceeds GPU memory: the token budget of a step is too large"
    stages = frozenset({Stage.PROFILE})
    also = ("prefill_profile_too_large",)

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        budget = current(evidence, "max_num_batched_tokens")
        return f"Before serving, the engine runs one step of the largest allowed size{f' ({budget} tokens)' if budget else ''}; its activations did not fit{figures(events)}."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Smaller steps."""
        budget = current(evidence, "max_num_batched_tokens")
        half = max(512, int(budget) // 2) if isinstance(budget, int) and budget > 512 else "lower (2048 for a start)"
        fixes = change(
            evidence,
            "max_num_batched_tokens",
            half,
            "activations grow with the tokens of a step",
            "long prompts take more steps",
        )
        seqs = current(evidence, "max_num_seqs")
        fixes += change(
            evidence,
            "max_num_seqs",
            max(1, int(seqs) // 2) if isinstance(seqs, int) and seqs > 1 else "lower",
            "logits and sampler buffers grow with it",
        )
        if evidence.settings.is_false("enable_chunked_prefill") and evidence.engine in ("", "vllm"):
            fixes = [
                Fix("--enable-chunked-prefill", False, True, "without it a step must hold a whole prompt"),
                *fixes,
            ]
        return fixes


def _is_about_memory(event: Event) -> bool:
    reason = event.fields.get("reason", "")
    text = " ".join((event.message, *event.context[-4:]))
    return not reason.strip() or bool(re.search(r"memory|OOM|alloc", text, re.IGNORECASE))


class CudaGraphCapture(StagedOom):
    """Memory runs out while CUDA graphs are captured."""

    id = "oom_cudagraph_capture"
    family = "oom"
    title = "GPU memory runs out while CUDA graphs are captured"
    stages = frozenset({Stage.GRAPH})
    also = ("graph_capture_failed",)

    def own_events(self, evidence: Evidence) -> list[tuple[Event, float]]:
        """A capture that failed for another reason than memory is another cause's."""
        return [
            (event, sure)
            for event, sure in super().own_events(evidence)
            if event.signature != "graph_capture_failed" or _is_about_memory(event)
        ]

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        return f"Weights and KV cache fit, the graphs captured after them did not{figures(events)}. Each captured batch size costs memory."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Leave more outside the KV cache, or capture less."""
        utilization = current(evidence, "gpu_memory_utilization")
        lower = round(float(utilization) - 0.05, 2) if isinstance(utilization, int | float) else "lower by 0.05"
        fixes = change(evidence, "gpu_memory_utilization", lower, "LESS for the KV cache leaves room for graphs")
        if evidence.engine == "sglang":
            fixes.append(Fix("--cuda-graph-max-bs", None, "lower", "fewer and smaller graphs"))
        if evidence.engine in ("", "vllm"):
            fixes.append(
                Fix(
                    "--cudagraph-capture-sizes",
                    None,
                    "fewer, smaller sizes",
                    "each size is a graph of its own",
                )
            )
            fixes += change(evidence, "enforce_eager", True, "no graphs at all", "slower decode: a stopgap")
        return fixes


class MultimodalEncoder(StagedOom):
    """The encoder of images, video or audio exceeds memory."""

    id = "oom_multimodal_encoder"
    family = "oom"
    title = "The image, video or audio encoder exceeds GPU memory"
    stages = frozenset({Stage.MULTIMODAL})

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        return f"The error stands inside the multi-modal encoder{figures(events)}. It is sized for the largest input allowed."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Fewer and smaller inputs."""
        if evidence.engine not in ("", "vllm"):
            return change(evidence, "max_num_batched_tokens", "lower", "smaller encoder batches")
        return [
            Fix(
                "--limit-mm-per-prompt",
                current(evidence, "limit_mm_per_prompt"),
                '{"image": 1, "video": 0}',
                "the encoder is profiled for as many inputs as this allows",
            ),
            Fix("--mm-processor-kwargs", None, '{"max_pixels": ...}', "fewer pixels are fewer encoder tokens"),
            *change(evidence, "max_num_batched_tokens", "lower", "bounds the encoder's batch"),
        ]


class Lora(StagedOom):
    """Buffers of LoRA adapters exceed memory."""

    id = "oom_lora"
    family = "oom"
    title = "The buffers of LoRA adapters exceed GPU memory"
    stages = frozenset({Stage.LORA})

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        return f"Memory ran out where the adapters' buffers are made{figures(events)}. They are reserved for max_loras x max_lora_rank in every layer, used or not."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Fewer and thinner adapters."""
        loras, rank = current(evidence, "max_loras"), current(evidence, "max_lora_rank")
        if evidence.engine == "sglang":
            return [Fix("--max-loras-per-batch", None, "lower", "adapters held at once")]
        return [
            *change(
                evidence,
                "max_loras",
                max(1, int(loras) // 2) if isinstance(loras, int) else "lower",
                "adapters held on the GPU at once",
            ),
            *change(
                evidence,
                "max_lora_rank",
                max(8, int(rank) // 2) if isinstance(rank, int) else "the largest rank in use",
                "buffers grow with the rank",
            ),
        ]


class LogitsOrSampler(StagedOom):
    """Logits or sampler buffers exceed memory."""

    id = "oom_logits_or_sampler"
    family = "oom"
    title = "Logits or the sampler exceed GPU memory"
    stages = frozenset({Stage.LOGITS})
    also = ("sampler_warmup_oom",)
    consequences = _START_FAILURES | {
        "oom_activation_peak_profile_run",
        "oom_runtime_kv_pressure_or_fragmentation",
        "oom_weights_do_not_fit",
    }

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        requests = next((e.fields["requests"] for e in events if "requests" in e.fields), None)
        return f"One float for each word of the vocabulary and each sequence{f' ({requests} sequences in the warm-up)' if requests else ''} did not fit{figures(events)}."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Fewer sequences at once, or more room beside the KV cache."""
        seqs = current(evidence, "max_num_seqs") or next(
            (int(e.fields["requests"]) for e in events if "requests" in e.fields), None
        )
        utilization = current(evidence, "gpu_memory_utilization")
        lower = round(float(utilization) - 0.05, 2) if isinstance(utilization, int | float) else "lower by 0.05"
        fixes = change(
            evidence,
            "max_num_seqs",
            max(1, int(seqs) // 2) if isinstance(seqs, int) else "lower",
            "logits and sampler buffers grow with it",
            "",
            seqs,
        )
        return fixes + change(
            evidence, "gpu_memory_utilization", lower, "LESS for the KV cache leaves room for the sampler"
        )


class RuntimeKvPressure(StagedOom):
    """The engine started well and ran out of memory while serving."""

    id = "oom_runtime_kv_pressure_or_fragmentation"
    family = "oom"
    title = "GPU memory runs out while serving"
    stages = frozenset({Stage.RUNTIME})
    also = ("runtime_allocation_failed", "llamacpp_no_kv_slot")
    consequences = _START_FAILURES | {
        "crash_engine_dead_cuda_error",
        "crash_backend_request_error",
        "crash_context_length_request_error",
        "thr_client_disconnects",
    }

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        if all(event.signature == "llamacpp_no_kv_slot" for event in events):
            return "The slots share one KV cache, and together they filled it: the server then fails every running request, inside answers that have begun. No single request is too long."
        return f"The engine had started; a later step needed more than was left beside weights and KV cache{figures(events)}."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Leave more beside the KV cache; smaller steps; less fragmentation."""
        if evidence.engine == "llamacpp":
            return [
                *change(
                    evidence,
                    "max_model_len",
                    "higher: slots x longest request",
                    "a KV cache that holds all slots at their longest",
                ),
                *change(evidence, "max_num_seqs", "lower", "fewer requests share it"),
            ]
        utilization = current(evidence, "gpu_memory_utilization")
        lower = round(float(utilization) - 0.05, 2) if isinstance(utilization, int | float) else "lower by 0.05"
        fixes = change(evidence, "gpu_memory_utilization", lower, "LESS for the KV cache leaves room for activations")
        fixes += change(evidence, "max_num_batched_tokens", "lower", "smaller steps need less memory")
        return [
            *fixes,
            Fix(
                "PYTORCH_CUDA_ALLOC_CONF",
                None,
                "expandable_segments:True",
                "less fragmentation where much is reserved but unallocated",
            ),
        ]
