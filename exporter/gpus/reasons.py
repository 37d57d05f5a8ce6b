"""Why a value is missing: a closed list of reasons, and the counts of what happened."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

import pynvml

__all__ = ["REASONS", "RESTART", "SESSION_LOST", "Counts", "Reason", "reason_of"]

Reason = Literal[
    "not_supported",
    "function_not_found",
    "no_permission",
    "gpu_lost",
    "reset_required",
    "uninitialized",
    "driver_not_loaded",
    "library_not_found",
    "version_mismatch",
    "timeout",
    "unknown",
    "other",
    "hanging",
    "blank",
    "out_of_range",
    "undecodable",
    "too_many",
]

REASONS: tuple[Reason, ...] = get_args(Reason)
"""All values of `reason`: what NVML answered, a call that did not return, or why a value was dropped."""

SESSION_LOST: frozenset[Reason] = frozenset({"uninitialized", "driver_not_loaded", "version_mismatch"})
"""Answers that no GPU gets past without NVML being initialised anew."""

RESTART: frozenset[Reason] = frozenset({"unknown", "no_permission", "version_mismatch", "other"})
"""Answers that may mean that only a new container or process gets at the GPUs again."""

_BY_CODE: Mapping[int, Reason] = MappingProxyType(
    {
        pynvml.NVML_ERROR_NOT_SUPPORTED: "not_supported",
        pynvml.NVML_ERROR_VGPU_ECC_NOT_SUPPORTED: "not_supported",
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: "function_not_found",
        pynvml.NVML_ERROR_NO_PERMISSION: "no_permission",
        pynvml.NVML_ERROR_GPU_IS_LOST: "gpu_lost",
        pynvml.NVML_ERROR_RESET_REQUIRED: "reset_required",
        pynvml.NVML_ERROR_UNINITIALIZED: "uninitialized",
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "driver_not_loaded",
        pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "library_not_found",
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "version_mismatch",
        pynvml.NVML_ERROR_TIMEOUT: "timeout",
        pynvml.NVML_ERROR_UNKNOWN: "unknown",
    }
)


def reason_of(code: int) -> Reason:
    """Return the reason for an nvmlReturn_t that is not success (nvml.h 13.5)."""
    return _BY_CODE.get(code, "other")


class Counts:
    """How often each reason happened since the start; counted from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Reason, int] = dict.fromkeys(REASONS, 0)

    def add(self, reason: Reason) -> None:
        """Count one."""
        with self._lock:
            self._counts[reason] += 1

    def snapshot(self) -> Mapping[Reason, int]:
        """Return every reason with its count, those that never happened as 0."""
        with self._lock:
            return MappingProxyType(dict(self._counts))
