"""`crash_driver_or_cuda_mismatch`: driver, CUDA libraries and this build do not go together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from troubleshoot.causes.aftermath import CUDA_FAULT, ENGINE_DEATH
from troubleshoot.causes.base import SignatureCause
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class DriverMismatch(SignatureCause):
    """Driver, CUDA runtime and build do not go together."""

    id = "crash_driver_or_cuda_mismatch"
    family = "crash"
    title = "Driver, CUDA libraries and this build do not go together"
    signatures = ("driver_mismatch",)
    consequences = (
        ENGINE_DEATH
        | CUDA_FAULT
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
