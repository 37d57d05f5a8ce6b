"""The checks, in the order in which they are listed: what the API server takes, what stays up, what fits, what is seen."""

from __future__ import annotations

from troubleshoot.preflight.checks.availability.autoscaled_replicas import AutoscaledReplicas
from troubleshoot.preflight.checks.availability.disruption_budget import DisruptionBudget
from troubleshoot.preflight.checks.availability.kserve_timeout import KServeTimeout
from troubleshoot.preflight.checks.availability.probe_target import ProbeTarget
from troubleshoot.preflight.checks.availability.probes import Probes
from troubleshoot.preflight.checks.availability.replicas import Replicas
from troubleshoot.preflight.checks.availability.spot import Spot
from troubleshoot.preflight.checks.availability.spread import Spread
from troubleshoot.preflight.checks.availability.startup_time import StartupTime
from troubleshoot.preflight.checks.availability.termination import Termination
from troubleshoot.preflight.checks.base import Check, ObjectCheck, WorkloadCheck
from troubleshoot.preflight.checks.engine.enforce_eager import EnforceEager
from troubleshoot.preflight.checks.engine.engine_flags import EngineFlags
from troubleshoot.preflight.checks.engine.model_cache import ModelCache
from troubleshoot.preflight.checks.engine.model_source import ModelSource
from troubleshoot.preflight.checks.engine.triton_repository import TritonRepository
from troubleshoot.preflight.checks.engine.trust_remote_code import TrustRemoteCode
from troubleshoot.preflight.checks.engine.verbose_logging import VerboseLogging
from troubleshoot.preflight.checks.gpu.gpu_count import GpuCount
from troubleshoot.preflight.checks.gpu.gpu_resources import GpuResources
from troubleshoot.preflight.checks.gpu.host_memory import HostMemory
from troubleshoot.preflight.checks.gpu.kv_cache import KvCache
from troubleshoot.preflight.checks.gpu.memory_share import MemoryShare
from troubleshoot.preflight.checks.gpu.mig_profile import MigProfileName
from troubleshoot.preflight.checks.gpu.resources import Resources
from troubleshoot.preflight.checks.gpu.shared_memory import SharedMemory
from troubleshoot.preflight.checks.gpu.weights_fit import WeightsFit
from troubleshoot.preflight.checks.kubernetes.api_version import ApiVersion
from troubleshoot.preflight.checks.kubernetes.canary import Canary
from troubleshoot.preflight.checks.kubernetes.image import PinnedImage
from troubleshoot.preflight.checks.kubernetes.required_fields import RequiredFields
from troubleshoot.preflight.checks.kubernetes.secrets import PlainSecrets
from troubleshoot.preflight.checks.kubernetes.security_context import SecurityContext
from troubleshoot.preflight.checks.kubernetes.service_ports import ServicePorts
from troubleshoot.preflight.checks.metrics.autoscaling_metric import AutoscalingMetric
from troubleshoot.preflight.checks.metrics.autoscaling_signal import AutoscalingSignal
from troubleshoot.preflight.checks.metrics.rule_metrics import RuleMetrics
from troubleshoot.preflight.checks.metrics.scraping import Scraping

__all__ = ["CHECKS", "Check", "ObjectCheck", "WorkloadCheck"]

CHECKS: tuple[Check, ...] = (
    RequiredFields(),
    ApiVersion(),
    Canary(),
    AutoscalingMetric(),
    RuleMetrics(),
    ModelSource(),
    EngineFlags(),
    GpuResources(),
    GpuCount(),
    MigProfileName(),
    SharedMemory(),
    WeightsFit(),
    KvCache(),
    MemoryShare(),
    HostMemory(),
    Resources(),
    Probes(),
    ProbeTarget(),
    StartupTime(),
    Termination(),
    KServeTimeout(),
    Replicas(),
    Spread(),
    DisruptionBudget(),
    Spot(),
    AutoscaledReplicas(),
    AutoscalingSignal(),
    Scraping(),
    ServicePorts(),
    EnforceEager(),
    TrustRemoteCode(),
    TritonRepository(),
    ModelCache(),
    PlainSecrets(),
    PinnedImage(),
    VerboseLogging(),
    SecurityContext(),
)
