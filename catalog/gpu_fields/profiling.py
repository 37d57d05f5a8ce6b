"""Profiling ratios and traffic, and dcgm-exporter's own series."""

from __future__ import annotations

from catalog.gpu_fields.base import active, exporters_own, traffic

PROFILING = (
    active(
        1001,
        "GR_ENGINE_ACTIVE",
        "GR_ENGINE_UTIL_RATIO",
        "GRAPHICS_UTIL",
        "Graphics or compute busy.",
        default=True,
    ),
    active(1002, "SM_ACTIVE", "SM_UTIL_RATIO", "SM_UTIL", "Cycles in which an SM had a warp, over all SMs."),
    active(1003, "SM_OCCUPANCY", "SM_OCCUPANCY_RATIO", "SM_OCCUPANCY", "Resident warps of the possible ones."),
    active(
        1004,
        "PIPE_TENSOR_ACTIVE",
        "TENSOR_UTIL_RATIO",
        "ANY_TENSOR_UTIL",
        "Cycles of a busy tensor pipe.",
        default=True,
    ),
    active(
        1005,
        "DRAM_ACTIVE",
        "DRAM_UTIL_RATIO",
        "DRAM_BW_UTIL",
        "Memory bandwidth used: what decode runs at.",
        default=True,
    ),
    active(1006, "PIPE_FP64_ACTIVE", "FP64_UTIL_RATIO", "FP64_UTIL", "Cycles of a busy FP64 pipe."),
    active(1007, "PIPE_FP32_ACTIVE", "FP32_UTIL_RATIO", "FP32_UTIL", "Cycles of a busy FP32 pipe."),
    active(1008, "PIPE_FP16_ACTIVE", "FP16_UTIL_RATIO", "FP16_UTIL", "Cycles of a busy FP16 pipe."),
    active(
        1014,
        "PIPE_TENSOR_HMMA_ACTIVE",
        "HMMA_UTIL_RATIO",
        "HMMA_TENSOR_UTIL",
        "Cycles of a busy half tensor pipe.",
    ),
    active(1016, "PIPE_INT_ACTIVE", "INT_UTIL_RATIO", "INTEGER_UTIL", "Cycles of a busy integer pipe."),
    traffic(1009, "PCIE_TX_BYTES", "PCIE_TX_PER_SEC", "PCIe bytes sent a second, headers included.", default=True),
    traffic(
        1010,
        "PCIE_RX_BYTES",
        "PCIE_RX_PER_SEC",
        "PCIe bytes received a second, headers included.",
        default=True,
    ),
    traffic(1011, "NVLINK_TX_BYTES", "NVLINK_TOTAL_TX_PER_SEC", "NVLink bytes sent a second."),
    traffic(1012, "NVLINK_RX_BYTES", "NVLINK_TOTAL_RX_PER_SEC", "NVLink bytes received a second."),
)

EXPORTER = (
    exporters_own(
        "CLOCK_EVENTS_COUNT",
        "samples",
        "Samples with a clock event in the last five minutes, by clock_event.",
        "nvmlDeviceGetCurrentClocksEventReasons(h)",
    ),
    exporters_own(
        "XID_ERRORS_COUNT",
        "events",
        "XIDs in the last five minutes, by xid.",
        "nvmlEventSetWait_v2(set, ms).eventData",
    ),
    exporters_own("GPU_HEALTH_STATUS", "status", "0 pass, 10 warn, 20 fail, by health_watch.", "DCGM only"),
    exporters_own(
        "P2P_STATUS",
        "enum",
        "Whether two GPUs reach each other over NVLink.",
        "nvmlDeviceGetP2PStatus(h1, h2, NVML_P2P_CAPS_INDEX_NVLINK)",
    ),
)
