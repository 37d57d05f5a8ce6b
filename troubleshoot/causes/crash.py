"""An engine that does not start, or dies, or answers requests with errors: causes that are named in so many words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from troubleshoot.causes.advice import change, current
from troubleshoot.causes.base import Judgement, SignatureCause, times
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Finding, Fix, Severity
from troubleshoot.logs.events import Event

_FALLBACK = frozenset({"crash_unrecognised_exception"})
_DEATH = _FALLBACK | {"crash_engine_dead_killed"}
_CUDA_DEATHS = frozenset({"crash_engine_dead_cuda_error"})


class NcclOrDistributedInit(SignatureCause):
    """A collective library or a process group failed."""

    id = "crash_nccl_or_distributed_init"
    family = "crash"
    title = "Communication between the GPU workers failed"
    signatures = ("nccl_error", "nccl_watchdog", "process_group_failed")
    consequences = _DEATH | {"hang_shm_broadcast"}
    confidence = 0.9

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """NCCL's warnings count where they are errors; the benign hostname and leak notices of c10d do not."""
        if "NCCL WARN" in event.message and "nvls" in event.message and evidence.log:
            # NVLink multicast is optional: NCCL falls back to other transports and goes on.
            return evidence.log.has("engine_dead_consequence", "engine_process_died", "nccl_watchdog")
        if event.signature == "nccl_error" and "NCCL WARN" in event.message:
            return bool(
                re.search(
                    r"error|fail|abort|timed? ?out|refused|unreachable|mismatch|not found|closed|invalid|Call to|lost",
                    event.message,
                    re.IGNORECASE,
                )
            )
        return not re.search(
            r"destroy_process_group\(\) was not called|hostname of the client socket cannot be retrieved",
            event.message,
        )

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        if any(event.signature == "nccl_watchdog" for event in events):
            return "A collective operation did not finish in time on every rank: one rank is stuck, gone, or cannot reach the others."
        if all(event.signature == "process_group_failed" for event in events):
            return "The workers could not form, or lost, their process group: a rank is missing, an address or port is unreachable, or a rank died first."
        return "NCCL, the library that moves data between GPUs, returned an error."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Interface, peer-to-peer, versions; in the order in which they are usual."""
        fixes = [
            Fix("NCCL_DEBUG", None, "INFO", "the lines before the error then name the transport and the peer"),
            Fix(
                "NCCL_SOCKET_IFNAME",
                None,
                "the interface that all ranks share",
                "several networks, or a container's own",
            ),
            Fix(
                "NCCL_P2P_DISABLE",
                None,
                "1",
                "where peer-to-peer over PCIe is broken (IOMMU, ACS, virtual machines)",
            ),
        ]
        if evidence.engine in ("", "vllm") and not evidence.settings.is_true("disable_custom_all_reduce"):
            fixes.append(
                Fix(
                    "--disable-custom-all-reduce",
                    current(evidence, "disable_custom_all_reduce"),
                    True,
                    "falls back to NCCL where vLLM's own all-reduce fails",
                )
            )
        return fixes


class CudaFault(SignatureCause):
    """A kernel faulted on the device and took the engine with it."""

    id = "crash_engine_dead_cuda_error"
    family = "crash"
    title = "A fault inside a GPU kernel killed the engine"
    signatures = ("cuda_fault", "xid", "segfault")
    consequences = _DEATH | {
        "crash_nccl_or_distributed_init",
        "hang_shm_broadcast",
        "crash_backend_request_error",
    }
    confidence = 0.88

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """Xids that programs cause (13, 31, 43, 45...); errors that say another cause by name are left to it."""
        if event.signature == "xid":
            return xid_kind(event) == "application"
        if event.signature == "segfault":
            return True
        near = "\n".join((*event.context[-6:], event.message))
        return not re.search(
            r"NCCL|nccl|DistBackendError|no kernel image|unsupported toolchain|out of memory|OutOfMemory",
            near,
        )

    def weigh(self, events: Sequence[Event], evidence: Evidence) -> tuple[Severity, float]:
        """A crash of the process itself (segmentation fault) says less about the GPU."""
        severity, confidence = super().weigh(events, evidence)
        return severity, 0.5 if all(event.signature == "segfault" for event in events) else confidence

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        codes = sorted(
            {int(event.fields["xid"]) for event in events if event.signature == "xid" and event.fields.get("xid")}
        )
        if codes:
            return f"The driver reports {xid_meanings(codes)}. These are caused by the program: the GPU is not lost."
        if all(event.signature == "segfault" for event in events):
            return "The process crashed in native code (segmentation fault)."
        return "The GPU reported an illegal operation. CUDA reports it late, so the line in the traceback may not be the faulty one."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Locate, then avoid the kernel."""
        fixes = [
            Fix(
                "CUDA_LAUNCH_BLOCKING",
                None,
                "1",
                "the traceback then names the kernel",
                "slow: to locate only",
            )
        ]
        if evidence.engine in ("", "vllm"):
            fixes += change(evidence, "enforce_eager", True, "tells a fault of graph replay from one of the kernel")
            fixes.append(
                Fix(
                    "--attention-backend",
                    current(evidence, "attention_backend"),
                    "another backend",
                    "if the fault is in attention",
                )
            )
        fixes.append(
            Fix(
                "engine version",
                evidence.version or None,
                "newer",
                "kernel faults are usually fixed upstream",
            )
        )
        return fixes


def xid_meanings(codes: Sequence[int]) -> str:
    """The driver's error codes with their meaning, by the catalogue."""
    from catalog.gpu import XIDS

    return "; ".join(f"Xid {code}: {XIDS[code].meaning}" for code in codes if code in XIDS)


def xid_kind(event: Event) -> str:
    """Where an Xid comes from, by the catalogue; "" for one that it does not know."""
    from catalog.gpu import XIDS

    code = event.fields.get("xid")
    known = XIDS.get(int(code)) if code else None
    return known.kind if known else ""


class XidOrGpuLost(SignatureCause):
    """The GPU failed or was lost."""

    id = "crash_xid_or_gpu_lost"
    family = "crash"
    title = "The GPU failed or was lost"
    signatures = ("gpu_lost", "xid")
    consequences = (
        _DEATH
        | _CUDA_DEATHS
        | {
            "crash_nccl_or_distributed_init",
            "hang_shm_broadcast",
            "hang_engine_stuck",
            "crash_driver_or_cuda_mismatch",
        }
    )
    confidence = 0.92

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """Hardware and driver Xids; an unknown code counts too, a program's own or an informational one not."""
        return event.signature != "xid" or xid_kind(event) in ("hardware", "driver", "")

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        codes = sorted({int(event.fields["xid"]) for event in events if event.fields.get("xid", "").isdigit()})
        meanings = xid_meanings(codes)
        return f"The driver reports a hardware failure or a lost device{f' ({meanings})' if meanings else ''}. No engine setting helps."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Take the node out."""
        return [
            Fix("node", "in service", "cordon and drain", "the next engine on this GPU fails as well"),
            Fix(
                "GPU",
                None,
                "reset (nvidia-smi --gpu-reset) or power-cycle; exchange it if it comes back",
                "a lost device returns only after a reset",
            ),
        ]


class DriverMismatch(SignatureCause):
    """Driver, CUDA runtime and build do not go together."""

    id = "crash_driver_or_cuda_mismatch"
    family = "crash"
    title = "Driver, CUDA libraries and this build do not go together"
    signatures = ("driver_mismatch",)
    consequences = (
        _DEATH
        | _CUDA_DEATHS
        | {
            "crash_nccl_or_distributed_init",
            "crash_unsupported_arch_or_dtype",
            "crash_model_config_or_tokenizer",
        }
    )
    confidence = 0.92

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """Triton without a GPU warns of it at every start and goes on; so does any engine that then serves."""
        if event.level in ("INFO", "DEBUG"):
            return False
        if evidence.engine == "triton" and re.search(r"NVML|DCGM|pinned system memory", event.message):
            return False
        if event.level == "WARNING" or re.search(r"pinned (?:system )?memory|warn", event.message, re.IGNORECASE):
            return bool(
                evidence.log
                and not evidence.log.served_after(event)
                and evidence.log.has("engine_dead_consequence", "traceback")
            )
        return True

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        text = " ".join(event.message for event in events)
        if re.search(
            r"too old|insufficient|unsupported toolchain|UnsupportedPtx|please update your driver|unsatisfied condition",
            text,
        ):
            return "The installed driver is older than the CUDA version that this build was made for."
        if re.search(
            r"[Nn]o NVIDIA driver|could not select device driver|libcuda|infer device type|[Nn]o CUDA GPUs|NVML|nvidia-container-cli|no CUDA-capable",
            text,
        ):
            return "The process sees no usable NVIDIA driver or GPU: the container was started without GPUs, or the driver's libraries are missing in it."
        return "Libraries of different builds are mixed (torch, CUDA, vLLM's own kernels)."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """One of the two must move."""
        return [
            Fix(
                "NVIDIA driver",
                next((e.fields["found"] for e in events if e.fields.get("found")), None),
                "newer (compare `nvidia-smi` with the image's CUDA)",
                "a driver runs builds for its own and older CUDA versions",
            ),
            Fix(
                "image or wheel",
                evidence.version or None,
                "one built for the driver's CUDA",
                "where the driver cannot be changed",
            ),
            Fix(
                "container GPUs",
                None,
                "--gpus all, or resources.limits nvidia.com/gpu",
                "without it the driver is not mounted",
            ),
        ]


class UnsupportedArchOrDtype(SignatureCause):
    """This build does not support the GPU, the number format or the model's architecture."""

    id = "crash_unsupported_arch_or_dtype"
    family = "crash"
    title = "This build supports neither this GPU, number format nor model architecture as configured"
    signatures = ("unsupported_hardware",)
    consequences = _DEATH | _CUDA_DEATHS | {"crash_model_config_or_tokenizer"}
    confidence = 0.9

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """A notice that falls back to something else is no failure."""
        if event.level in ("INFO", "DEBUG"):
            return False
        if re.search(
            r"[Ff]all(?:ing)? ?back|[Uu]sing \S+ instead|will be used instead|disabl(?:ed|ing)|skipping",
            event.message,
        ):
            return False
        return event.level != "WARNING" or bool(
            evidence.log and not evidence.log.served_after(event) and evidence.log.has("engine_dead_consequence")
        )

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        text = " ".join(event.message for event in events)
        if "no kernel image" in text or "sm_" in text.lower() or "PTXAS" in text:
            return "The build holds no kernels for this GPU's compute capability."
        if re.search(r"[Bb]float16|bf16|dtype|float8|fp8|FP8", text):
            return "The GPU does not support the number format asked for."
        if re.search(r"[Mm]odel architectures?|model architecture|Unsupported (?:model|architecture)", text):
            return "This version does not know the model's architecture."
        return "A kernel or method that was asked for does not support this GPU."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Another format, method or build."""
        text = " ".join(event.message for event in events)
        fixes: list[Fix] = []
        if re.search(r"[Bb]float16|bf16", text):
            fixes += change(evidence, "dtype", "half", "float16 works on GPUs before compute capability 8.0")
        if re.search(r"quantiz|fp8|FP8|nvfp4|marlin|awq|gptq", text):
            fixes += change(
                evidence,
                "quantization",
                "a method that this GPU supports",
                "see the minimum capability in the message",
            )
        fixes.append(
            Fix(
                "engine version",
                evidence.version or None,
                "newer, or built for this GPU",
                "new GPUs and models need new builds",
            )
        )
        return fixes


class ModelConfigOrTokenizer(SignatureCause):
    """Model files, configuration, tokenizer and library versions do not fit together."""

    id = "crash_model_config_or_tokenizer"
    family = "crash"
    title = "The model's files, configuration or tokenizer cannot be used as they are"
    signatures = ("model_config_invalid",)
    consequences = _DEATH
    confidence = 0.85

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """Notices of a start that goes on are none."""
        if event.level in ("INFO", "DEBUG"):
            return False
        if re.search(r"trust_remote_code|--trust-remote-code", event.message) and not re.search(
            r"[Ee]rror|must|please|set the|requires?|contains custom code", event.message
        ):
            return False
        if (
            event.level == "WARNING"
            or event.message.lstrip().startswith(("'", "{", "Namespace("))
            or "non-default args" in event.message
        ):
            return False
        return not (evidence.log and evidence.log.served_after(event))

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        text = " ".join(event.message for event in events)
        if re.search(r"gated|401|403|RepositoryNotFound|Repository Not Found", text):
            return "The model cannot be fetched: it is gated, private or named wrongly."
        if re.search(r"[Tt]okenizer|vocab", text):
            return "The tokenizer cannot be loaded, or does not fit the model."
        if re.search(r"divisible", text):
            return "The model's dimensions cannot be split over this many GPUs."
        if re.search(r"[Ss]afetensor|HeaderTooLarge|size mismatch|shape|gguf|magic|missing tensor|loading model", text):
            return "The weight files are incomplete, damaged or of another model."
        return "The configuration asks for something that this version or these files do not provide."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """By what the message names."""
        text = " ".join(event.message for event in events)
        fixes: list[Fix] = []
        if re.search(r"trust[_-]remote[_-]code|custom code", text):
            fixes += change(evidence, "trust_remote_code", True, "the model brings code of its own: read it first")
        if re.search(r"gated|401|403", text):
            fixes.append(
                Fix(
                    "HF_TOKEN",
                    None,
                    "a token with access to the model",
                    "accept its licence with that account",
                )
            )
        if re.search(r"does not recognize|Transformers|transformers", text):
            fixes.append(Fix("transformers", None, "newer", "the architecture is younger than the installed library"))
        if "divisible" in text:
            fixes += change(
                evidence,
                "tensor_parallel_size",
                "a divisor of the number of attention heads",
                "heads are split evenly",
            )
        if "max_model_len" in text:
            fixes += change(evidence, "max_model_len", "at most the model's own limit", "see the message")
        if re.search(r"[Ss]afetensor|HeaderTooLarge|size mismatch|No such file|does not appear|magic|incomplete", text):
            fixes.append(
                Fix(
                    "model files",
                    None,
                    "fetch again, compare sizes and checksums",
                    "a download that broke off is the usual reason",
                )
            )
        return fixes or [
            Fix(
                "model files and engine version",
                None,
                "a pair that is documented to work together",
                "the message names what does not fit",
            )
        ]


class RayCluster(SignatureCause):
    """Ray cannot place the workers, or its nodes do not find each other."""

    id = "crash_ray_cluster"
    family = "crash"
    title = "Ray cannot place the workers or its nodes do not agree on addresses"
    signatures = ("ray_cluster",)
    consequences = _DEATH | {"crash_nccl_or_distributed_init"}
    confidence = 0.88

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """An actor that died is Ray's way to report any crash: only without another named reason. Waiting that ends
        is none either."""
        if re.search(r"ActorDiedError|RayActorError|ActorUnavailable|RayTaskError", event.message):
            return bool(
                evidence.log
                and not evidence.log.has(
                    "cuda_oom",
                    "kv_no_blocks",
                    "kv_below_one_request",
                    "cuda_fault",
                    "nccl_error",
                    "driver_mismatch",
                    "unsupported_hardware",
                    "kernel_oom_kill",
                )
            )
        if "Waiting for creating a placement group" in event.message:
            return bool(evidence.log and not evidence.log.served_after(event))
        return True

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        text = " ".join(event.message for event in events)
        if "node:" in text or "IP" in text or "address" in text:
            return "Ray looks for a node by an address that no node of the cluster has: the nodes know each other by other addresses."
        return "The cluster does not have the GPUs that tensor x pipeline parallelism asks for, or does not offer them to this job."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Addresses, then resources."""
        return [
            Fix(
                "VLLM_HOST_IP",
                None,
                "on each node, its own address in the network that Ray uses",
                "must equal what `ray status` and `ray list nodes` show",
            ),
            *change(
                evidence,
                "tensor_parallel_size",
                "tensor x pipeline parallel size <= free GPUs (ray status)",
                "each worker needs a GPU of its own",
            ),
        ]


class PortInUse(SignatureCause):
    """Another process holds the port."""

    id = "crash_port_in_use"
    family = "crash"
    title = "The server could not bind its port: another process holds it"
    signatures = ("port_in_use",)
    consequences = _DEATH | {"crash_nccl_or_distributed_init", "crash_backend_request_error"}
    confidence = 0.95

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """A server that then serves found another port."""
        return event.level not in ("INFO", "DEBUG") and not (evidence.log and evidence.log.served_after(event))

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        port = self._port(events, evidence)
        return f"Binding {f'port {port}' if port else 'the listening port'} failed with 'address already in use', and the server exited."

    @staticmethod
    def _port(events: Sequence[Event], evidence: Evidence) -> int | None:
        for event in events:
            match = re.search(r"(?::|[Pp]ort[ =:]{0,2}|, )(\d{4,5})\b", event.message)
            if match:
                return int(match.group(1))
        value = evidence.settings.number("port")
        if value is None and evidence.engine == "vllm" and evidence.log and evidence.log.has("engine_args"):
            return 8000
        return int(value) if value else None

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Free it or take another."""
        port = self._port(events, evidence)
        return [
            Fix(
                "process on the port",
                "running",
                "stop",
                f"`ss -ltnp 'sport = :{port}'` names it" if port else "`ss -ltnp` names it",
                "often the old replica, still stopping, or a second one on the host network",
            ),
            *change(evidence, "port", port + 1 if port else "a free one", "where both must run", "", port),
        ]


class BackendRequestError(SignatureCause):
    """The model's own code fails for some requests; the server goes on."""

    id = "crash_backend_request_error"
    family = "crash"
    title = "The model's code or the request handler fails for some requests; the server goes on"
    signatures = ("backend_request_error",)
    min_failed = 3
    min_share = 0.05
    severity = Severity.WARNING
    consequences = _FALLBACK
    confidence = 0.8

    def judge(self, evidence: Evidence) -> Judgement:
        """By the log's lines; by the counter of failed requests where the server only counts them."""
        judged = super().judge(evidence)
        timeline = evidence.metrics.timeline if evidence.metrics else None
        if isinstance(judged, Finding) or timeline is None or timeline.window is None:
            return judged
        failed = timeline.increase("llm_requests_total", timeline.window, reason="error") or 0.0
        failed -= timeline.increase("llm_requests_rejected_total", timeline.window) or 0.0
        finished = timeline.increase("llm_requests_total", timeline.window) or 0.0
        if failed < self.min_failed or failed < self.min_share * finished:
            return judged
        return self.finding(
            Severity.CRITICAL if failed >= 0.5 * finished else Severity.WARNING,
            0.75,
            f"{failed:.0f} of {finished:.0f} requests failed inside the server, which goes on answering.",
            [evidence.metric("llm_requests_total", failed, "increase", "failed")],
            self.fixes([], evidence),
        )

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        number = evidence.log.count(*self.signatures) if evidence.log else len(events)
        return f"Requests failed inside the server {times(number)}; others are still answered. Triton's python backend counts such requests as successes."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """In the code."""
        return [
            Fix(
                "model code or request",
                None,
                "reproduce the first failing request, then fix the code or refuse such input at the edge",
                "engine flags do not help",
            )
        ]


class ContextLengthRequestError(SignatureCause):
    """Requests longer than the context are refused; the server goes on."""

    id = "crash_context_length_request_error"
    family = "crash"
    title = "Requests are longer than the model's context and are refused"
    signatures = ("context_length_error",)
    severity = Severity.WARNING
    min_refused = 5
    min_refused_share = 0.02
    confidence = 0.9
    consequences = _FALLBACK | {
        "crash_backend_request_error",
        "thr_client_disconnects",
        "thr_requests_rejected_queue_full",
    }

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """A notice of a tokenizer or of the start is none."""
        return "Token indices sequence length" not in event.message or event.level not in ("WARNING", "")

    def judge(self, evidence: Evidence) -> Judgement:
        """By the message; where the server sends it to the client alone (vLLM 0.24 and later), by answers of 400."""
        judged = super().judge(evidence)
        log = evidence.log
        if isinstance(judged, Finding) or log is None:
            return judged
        refused = [
            e
            for e in log.all("http_4xx")
            if e.fields.get("status") in ("400", "413", "422") and e.fields.get("method") == "POST"
        ]
        if len(refused) < self.min_refused or log.count("http_4xx") < self.min_refused_share * log.count(
            "served_request"
        ):
            return judged
        return self.finding(
            Severity.WARNING,
            0.6,
            f"At least {len(refused)} requests were answered {refused[-1].fields['status']}. The reason went to the client alone; a prompt with max_tokens beyond the context is the usual one.",
            [evidence.quote(event) for event in (refused[0], refused[-1])],
            self.fixes([], evidence),
            title="Requests are refused with status 400, most likely because they exceed the model's context",
        )

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        number = evidence.log.count(*self.signatures) if evidence.log else len(events)
        limit, longest = (
            self._limit(events),
            max(
                (v for e in events for n in ("requested", "prompt", "prompt2") if (v := e.number(n)) is not None),
                default=None,
            ),
        )
        size = (
            f" The limit is {limit:.0f} tokens" + (f", the longest seen asked for {longest:.0f}." if longest else ".")
            if limit
            else ""
        )
        return f"Refused {times(number)} with status 400; the server itself is well.{size}"

    @staticmethod
    def _limit(events: Sequence[Event]) -> float | None:
        return next(
            (value for event in events for name in ("limit", "limit2") if (value := event.number(name)) is not None),
            None,
        )

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Shorter requests, or a longer context where memory allows."""
        limit = self._limit(events)
        fixes = [
            Fix(
                "client",
                None,
                "truncate prompts, or lower max_tokens",
                f"prompt + max_tokens must stay within {limit:.0f}"
                if limit
                else "prompt + max_tokens must fit the context",
            )
        ]
        slots = evidence.settings.number("parallel")
        if evidence.engine == "llamacpp":
            slots_event = evidence.log.last("llamacpp_slots") if evidence.log else None
            number = slots_event.number("slots") if slots_event else slots
            per_slot = (
                f"each of {number:.0f} slots gets --ctx-size / {number:.0f}"
                if number
                else "each slot gets --ctx-size / --parallel"
            )
            total = int(limit * number * 2) if limit and number else "higher"
            return [
                *fixes,
                Fix(
                    "--ctx-size",
                    int(limit * number) if limit and number else None,
                    total,
                    per_slot,
                    "more KV memory",
                ),
            ]
        return fixes + change(
            evidence,
            "max_model_len",
            "higher, if the model and the KV cache allow it",
            "the limit in the message",
            "",
            int(limit) if limit else None,
        )
