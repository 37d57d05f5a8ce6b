"""Every cause that a diagnosis can name, by id."""

from __future__ import annotations

from collections.abc import Mapping

from troubleshoot.causes import crash, death, hang, host, latency, oom, queueing, speed
from troubleshoot.causes.base import Cause

_ALL: tuple[Cause, ...] = (
    oom.WeightsDoNotFit(),
    oom.KvCacheNoBlocks(),
    oom.MaxLenExceedsKvCache(),
    oom.GpuMemoryShared(),
    oom.ActivationPeak(),
    oom.CudaGraphCapture(),
    oom.RuntimeKvPressure(),
    oom.MultimodalEncoder(),
    oom.Lora(),
    oom.LogitsOrSampler(),
    host.HostMemory(),
    host.SharedMemoryTooSmall(),
    host.SwapSpacePinned(),
    speed.EnforceEager(),
    queueing.PreemptionThrash(),
    queueing.SequenceCap(),
    speed.InsufficientLoad(),
    speed.CpuBoundFrontend(),
    speed.TpOverPcie(),
    speed.SlowAttentionBackend(),
    speed.QuantizationSlowKernel(),
    speed.GuidedDecoding(),
    speed.LoggingOverhead(),
    speed.GpuThrottled(),
    speed.ModelLoadingSlow(),
    speed.SpecDecodeLowAcceptance(),
    queueing.Queueing(),
    latency.LongPrefill(),
    latency.ChunkedPrefill(),
    latency.ColdStart(),
    latency.PrefixCache(),
    latency.MultimodalPreprocessing(),
    latency.DecodeStarvation(),
    crash.NcclOrDistributedInit(),
    death.EngineKilled(),
    hang.ShmBroadcast(),
    hang.EngineStuck(),
    crash.CudaFault(),
    crash.XidOrGpuLost(),
    crash.DriverMismatch(),
    crash.UnsupportedArchOrDtype(),
    crash.ModelConfigOrTokenizer(),
    crash.ContextLengthRequestError(),
    crash.RayCluster(),
    crash.PortInUse(),
    crash.BackendRequestError(),
    queueing.RequestsRejected(),
    queueing.ClientDisconnects(),
    death.UnrecognisedException(),
)

CAUSES: Mapping[str, Cause] = {cause.id: cause for cause in _ALL}
