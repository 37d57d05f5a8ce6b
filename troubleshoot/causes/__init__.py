"""Every cause that a diagnosis can name, by id."""

from __future__ import annotations

from collections.abc import Mapping

from troubleshoot.causes.base import Cause
from troubleshoot.causes.crash.backend_request_error import BackendRequestError
from troubleshoot.causes.crash.context_length_request_error import ContextLengthRequestError
from troubleshoot.causes.crash.driver_or_cuda_mismatch import DriverMismatch
from troubleshoot.causes.crash.engine_dead_cuda_error import CudaFault
from troubleshoot.causes.crash.engine_dead_killed import EngineKilled
from troubleshoot.causes.crash.model_config_or_tokenizer import ModelConfigOrTokenizer
from troubleshoot.causes.crash.nccl_or_distributed_init import NcclOrDistributedInit
from troubleshoot.causes.crash.pod_not_started import PodNotStarted
from troubleshoot.causes.crash.port_in_use import PortInUse
from troubleshoot.causes.crash.ray_cluster import RayCluster
from troubleshoot.causes.crash.unrecognised_exception import UnrecognisedException
from troubleshoot.causes.crash.unsupported_arch_or_dtype import UnsupportedArchOrDtype
from troubleshoot.causes.crash.xid_or_gpu_lost import XidOrGpuLost
from troubleshoot.causes.hang.engine_stuck import EngineStuck
from troubleshoot.causes.hang.shm_broadcast import ShmBroadcast
from troubleshoot.causes.oom.activation_peak_profile_run import ActivationPeak
from troubleshoot.causes.oom.cudagraph_capture import CudaGraphCapture
from troubleshoot.causes.oom.gpu_memory_shared_with_other_process import GpuMemoryShared
from troubleshoot.causes.oom.host_memory import HostMemory
from troubleshoot.causes.oom.kv_cache_no_blocks import KvCacheNoBlocks
from troubleshoot.causes.oom.logits_or_sampler import LogitsOrSampler
from troubleshoot.causes.oom.lora import Lora
from troubleshoot.causes.oom.max_len_exceeds_kv_cache import MaxLenExceedsKvCache
from troubleshoot.causes.oom.multimodal_encoder import MultimodalEncoder
from troubleshoot.causes.oom.runtime_kv_pressure_or_fragmentation import RuntimeKvPressure
from troubleshoot.causes.oom.shm import SharedMemoryTooSmall
from troubleshoot.causes.oom.swap_space_pinned import SwapSpacePinned
from troubleshoot.causes.oom.weights_do_not_fit import WeightsDoNotFit
from troubleshoot.causes.throughput.client_disconnects import ClientDisconnects
from troubleshoot.causes.throughput.cpu_bound_frontend_or_tokenizer import CpuBoundFrontend
from troubleshoot.causes.throughput.enforce_eager import EnforceEager
from troubleshoot.causes.throughput.gpu_throttled import GpuThrottled
from troubleshoot.causes.throughput.guided_decoding import GuidedDecoding
from troubleshoot.causes.throughput.insufficient_load import InsufficientLoad
from troubleshoot.causes.throughput.logging_or_metrics_overhead import LoggingOverhead
from troubleshoot.causes.throughput.model_loading_slow import ModelLoadingSlow
from troubleshoot.causes.throughput.preemption_thrash import PreemptionThrash
from troubleshoot.causes.throughput.quantization_slow_kernel import QuantizationSlowKernel
from troubleshoot.causes.throughput.requests_rejected_queue_full import RequestsRejected
from troubleshoot.causes.throughput.slow_attention_backend_fallback import SlowAttentionBackend
from troubleshoot.causes.throughput.small_batch_or_max_num_seqs import SequenceCap
from troubleshoot.causes.throughput.spec_decode_low_acceptance import SpecDecodeLowAcceptance
from troubleshoot.causes.throughput.tp_over_pcie_or_comm import TpOverPcie
from troubleshoot.causes.ttft.chunked_prefill_off_or_misconfigured import ChunkedPrefill
from troubleshoot.causes.ttft.cold_start_or_compile import ColdStart
from troubleshoot.causes.ttft.decode_starvation import DecodeStarvation
from troubleshoot.causes.ttft.long_prefill import LongPrefill
from troubleshoot.causes.ttft.multimodal_preprocessing import MultimodalPreprocessing
from troubleshoot.causes.ttft.prefix_cache_miss_or_off import PrefixCache
from troubleshoot.causes.ttft.queueing import Queueing

_ALL: tuple[Cause, ...] = (
    WeightsDoNotFit(),
    KvCacheNoBlocks(),
    MaxLenExceedsKvCache(),
    GpuMemoryShared(),
    ActivationPeak(),
    CudaGraphCapture(),
    RuntimeKvPressure(),
    MultimodalEncoder(),
    Lora(),
    LogitsOrSampler(),
    HostMemory(),
    SharedMemoryTooSmall(),
    SwapSpacePinned(),
    EnforceEager(),
    PreemptionThrash(),
    SequenceCap(),
    InsufficientLoad(),
    CpuBoundFrontend(),
    TpOverPcie(),
    SlowAttentionBackend(),
    QuantizationSlowKernel(),
    GuidedDecoding(),
    LoggingOverhead(),
    GpuThrottled(),
    ModelLoadingSlow(),
    SpecDecodeLowAcceptance(),
    Queueing(),
    LongPrefill(),
    ChunkedPrefill(),
    ColdStart(),
    PrefixCache(),
    MultimodalPreprocessing(),
    DecodeStarvation(),
    NcclOrDistributedInit(),
    EngineKilled(),
    ShmBroadcast(),
    EngineStuck(),
    CudaFault(),
    XidOrGpuLost(),
    DriverMismatch(),
    UnsupportedArchOrDtype(),
    ModelConfigOrTokenizer(),
    ContextLengthRequestError(),
    RayCluster(),
    PortInUse(),
    PodNotStarted(),
    BackendRequestError(),
    RequestsRejected(),
    ClientDisconnects(),
    UnrecognisedException(),
)

CAUSES: Mapping[str, Cause] = {cause.id: cause for cause in _ALL}
