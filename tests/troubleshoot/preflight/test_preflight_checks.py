"""Each check, by one change to a manifest that is correct: it finds that change, and no other check does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.troubleshoot.preflight.good import (
    Manifest,
    argument,
    engine,
    found,
    good,
    judged,
    message,
    not_checked,
    pod,
)
from troubleshoot.preflight import Options
from troubleshoot.preflight.checks import CHECKS

Objects = dict[str, Manifest]
Change = Callable[[Objects], None]

CHANGES: dict[str, tuple[str, Change, set[tuple[str, str]]]] = {}


def change(name: str, *expected: str, of: str = "vllm-chat.yaml") -> Callable[[Change], Change]:
    """A change to a correct manifest, and the findings (`check:severity`) that it has to bring."""

    def keep(function: Change) -> Change:
        wanted = {(check, severity) for check, _, severity in (each.partition(":") for each in expected)}
        CHANGES[name] = (of, function, wanted)
        return function

    return keep


# What the API server takes


@change("a selector that selects nothing", "required_fields:critical")
def _(objects: Objects) -> None:
    objects["Deployment"]["spec"]["selector"]["matchLabels"]["app"] = "other"


@change("an autoscaler without a maximum", "required_fields:critical", of="tgi-writer.yaml")
def _(objects: Objects) -> None:
    del objects["HorizontalPodAutoscaler"]["spec"]["maxReplicas"]


@change("an autoscaler of a version that is gone", "api_version:critical", of="tgi-writer.yaml")
def _(objects: Objects) -> None:
    objects["HorizontalPodAutoscaler"]["apiVersion"] = "autoscaling/v2beta2"


@change("a GPU request without limit", "gpu_resources:critical")
def _(objects: Objects) -> None:
    del engine(objects)["resources"]["limits"]["nvidia.com/gpu"]


@change("GPU limits and requests that differ", "gpu_resources:critical")
def _(objects: Objects) -> None:
    engine(objects)["resources"]["requests"]["nvidia.com/gpu"] = 2


@change("half a GPU", "gpu_resources:critical", of="tgi-writer.yaml")
def _(objects: Objects) -> None:
    engine(objects)["resources"] = {"limits": {"nvidia.com/gpu": "0.5", "cpu": 8, "memory": "64Gi"}}


# GPUs and memory


@change("no GPU", "gpu_count:critical", of="vllm-short.yaml")
def _(objects: Objects) -> None:
    del engine(objects)["resources"]["limits"]["nvidia.com/gpu"]


@change("more GPUs than the engine spans", "gpu_count:warning")
def _(objects: Objects) -> None:
    engine(objects)["resources"]["limits"]["nvidia.com/gpu"] = 8
    engine(objects)["resources"]["requests"]["nvidia.com/gpu"] = 8


@change("fewer GPUs than the engine spans", "gpu_count:critical")
def _(objects: Objects) -> None:
    argument(objects, "--pipeline-parallel-size", "2")


@change("fewer visible GPUs than the engine spans", "gpu_count:critical")
def _(objects: Objects) -> None:
    engine(objects)["env"].append({"name": "CUDA_VISIBLE_DEVICES", "value": "0,1"})


@change("heads that do not divide", "gpu_count:critical")
def _(objects: Objects) -> None:
    for part in ("limits", "requests"):
        engine(objects)["resources"][part]["nvidia.com/gpu"] = 3
    argument(objects, "--tensor-parallel-size", "3")
    argument(objects, "--max-num-seqs", None)


@change("no /dev/shm for four GPUs", "shared_memory:critical")
def _(objects: Objects) -> None:
    engine(objects)["volumeMounts"].pop()


@change("a small /dev/shm for four GPUs", "shared_memory:warning")
def _(objects: Objects) -> None:
    pod(objects)["volumes"][2]["emptyDir"]["sizeLimit"] = "256Mi"


@change("/dev/shm on disk", "shared_memory:warning")
def _(objects: Objects) -> None:
    pod(objects)["volumes"][2]["emptyDir"] = {}


@change("a slice that no GPU is cut into", "mig_profile:critical", of="mig-pod.yaml")
def _(objects: Objects) -> None:
    limits = engine(objects)["resources"]["limits"]
    limits["nvidia.com/mig-3g.30gb"] = limits.pop("nvidia.com/mig-3g.40gb")


@change("an engine over two slices", "mig_profile:critical", "shared_memory:critical", of="mig-pod.yaml")
def _(objects: Objects) -> None:
    engine(objects)["resources"]["limits"]["nvidia.com/mig-3g.40gb"] = 2
    engine(objects)["args"] += ["--tensor-parallel-size", "2"]


@change("weights that do not fit", "weights_fit:critical", "host_memory:warning", "startup_time:warning")
def _(objects: Objects) -> None:
    for part in ("limits", "requests"):
        engine(objects)["resources"][part]["nvidia.com/gpu"] = 1
    argument(objects, "--tensor-parallel-size", None)
    argument(objects, "--model", "/models/llama-2-70b")


@change("a context beyond the model's", "kv_cache:critical")
def _(objects: Objects) -> None:
    argument(objects, "--max-model-len", "8192")


@change("a context beyond the cache", "kv_cache:critical", of="mig-pod.yaml")
def _(objects: Objects) -> None:
    container = engine(objects)
    container["args"] = [
        "--model=/models/Qwen2.5-14B-Instruct",
        "--max-model-len=32768",
        "--gpu-memory-utilization=0.8",
    ]
    container["resources"]["limits"]["memory"] = "64Gi"


@change("far more sequences than fit", "kv_cache:warning")
def _(objects: Objects) -> None:
    argument(objects, "--max-num-seqs", "2048")


@change("no room for an answer", "kv_cache:critical", of="tgi-writer.yaml")
def _(objects: Objects) -> None:
    engine(objects)["args"] += ["--max-input-length", "8192"]


@change("more tokens in TGI's batches than fit", "kv_cache:warning", of="tgi-writer.yaml")
def _(objects: Objects) -> None:
    engine(objects)["env"].append({"name": "MAX_BATCH_TOTAL_TOKENS", "value": "1048576"})


@change("the whole GPU's memory", "memory_share:critical")
def _(objects: Objects) -> None:
    argument(objects, "--gpu-memory-utilization", "1.0")


@change("a share in percent", "memory_share:critical")
def _(objects: Objects) -> None:
    argument(objects, "--gpu-memory-utilization", "95")


@change("most of a shared GPU", "memory_share:critical", of="vllm-short.yaml")
def _(objects: Objects) -> None:
    pod(objects)["nodeSelector"] = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB-SHARED"}


@change("a limit below the weights", "host_memory:warning")
def _(objects: Objects) -> None:
    argument(objects, "--swap-space", "0")
    engine(objects)["resources"]["limits"]["memory"] = "20Gi"


@change("a limit below the engine", "host_memory:critical")
def _(objects: Objects) -> None:
    engine(objects)["resources"]["limits"]["memory"] = "8Gi"


@change("no CPU and no memory", "resources:warning")
def _(objects: Objects) -> None:
    engine(objects)["resources"] = {"limits": {"nvidia.com/gpu": 4}}


# Staying up


@change("one replica", "replicas:warning")
def _(objects: Objects) -> None:
    objects["Deployment"]["spec"]["replicas"] = 1


@change("an autoscaler's floor of one", "replicas:warning", of="vllm-short.yaml")
def _(objects: Objects) -> None:
    objects["HorizontalPodAutoscaler"]["spec"]["minReplicas"] = 1


@change("no spreading", "spread:warning")
def _(objects: Objects) -> None:
    del pod(objects)["topologySpreadConstraints"]


@change("a spreading rule that selects other pods", "spread:warning")
def _(objects: Objects) -> None:
    pod(objects)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"]["app"] = "other"


@change("spread over nodes only", "spread:info")
def _(objects: Objects) -> None:
    pod(objects)["topologySpreadConstraints"].pop()


@change("no disruption budget", "disruption_budget:warning")
def _(objects: Objects) -> None:
    del objects["PodDisruptionBudget"]


@change("a disruption budget that blocks drains", "disruption_budget:warning")
def _(objects: Objects) -> None:
    objects["PodDisruptionBudget"]["spec"]["maxUnavailable"] = 0


@change("a disruption budget of all pods", "disruption_budget:warning", of="tgi-writer.yaml")
def _(objects: Objects) -> None:
    objects["PodDisruptionBudget"]["spec"]["minAvailable"] = "100%"


@change("no readiness probe", "probes:critical")
def _(objects: Objects) -> None:
    del engine(objects)["readinessProbe"]


@change("no liveness probe", "probes:warning")
def _(objects: Objects) -> None:
    del engine(objects)["livenessProbe"]


@change("a probe of a port that is not named", "probe_target:critical")
def _(objects: Objects) -> None:
    engine(objects)["livenessProbe"]["httpGet"]["port"] = "web"


@change("a probe of a path that is not served", "probe_target:critical")
def _(objects: Objects) -> None:
    engine(objects)["livenessProbe"]["httpGet"]["path"] = "/healthz"


@change("probes shorter than a slow disk", "startup_time:warning")
def _(objects: Objects) -> None:
    del engine(objects)["startupProbe"]


@change("probes shorter than the fastest disk", "startup_time:critical")
def _(objects: Objects) -> None:
    engine(objects)["startupProbe"]["failureThreshold"] = 1


@change("the default time to end", "termination:warning")
def _(objects: Objects) -> None:
    del pod(objects)["terminationGracePeriodSeconds"]


@change("spot nodes alone", "spot:warning")
def _(objects: Objects) -> None:
    pod(objects)["nodeSelector"]["karpenter.sh/capacity-type"] = "spot"


@change("spot nodes without a budget", "spot:warning", "disruption_budget:warning", of="karpenter-spot.yaml")
def _(objects: Objects) -> None:
    del objects["PodDisruptionBudget"]


@change("spot nodes tolerated without a budget", "spot:warning", "disruption_budget:warning")
def _(objects: Objects) -> None:
    del objects["PodDisruptionBudget"]
    pod(objects)["tolerations"] = [{"key": "cloud.google.com/gke-spot", "operator": "Equal", "value": "true"}]


@change("a short timeout of KServe", "kserve_timeout:warning", of="kserve-chat.yaml")
def _(objects: Objects) -> None:
    objects["InferenceService"]["spec"]["predictor"]["timeout"] = 30


@change("no timeout of KServe", "kserve_timeout:info", of="kserve-chat.yaml")
def _(objects: Objects) -> None:
    del objects["InferenceService"]["spec"]["predictor"]["timeout"]


# Scaling and seeing


@change("replicas beside an autoscaler", "autoscaled_replicas:warning", of="tgi-writer.yaml")
def _(objects: Objects) -> None:
    objects["Deployment"]["spec"]["replicas"] = 3


@change("a metric that nobody gives", "autoscaling_metric:critical", of="tgi-writer.yaml")
def _(objects: Objects) -> None:
    objects["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["pods"]["metric"]["name"] = "tgi_queue_length"


@change("a metric that this version has not", "autoscaling_metric:critical", of="vllm-short.yaml")
def _(objects: Objects) -> None:
    objects["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["pods"]["metric"]["name"] = "vllm:kv_cache_usage_perc"


@change("a query of KEDA over a name that is not", "autoscaling_metric:critical", of="vllm-short.yaml")
def _(objects: Objects) -> None:
    scaler = objects.pop("HorizontalPodAutoscaler")
    query = 'sum(vllm_num_requests_waiting{pod=~"chat.*"})'
    scaler["apiVersion"], scaler["kind"] = "keda.sh/v1alpha1", "ScaledObject"
    scaler["spec"] = {
        "scaleTargetRef": {"name": "chat-7b"},
        "minReplicaCount": 2,
        "triggers": [{"type": "prometheus", "metadata": {"query": query}}],
    }
    objects["ScaledObject"] = scaler


@change("the CPU alone", "autoscaling_signal:warning", of="tgi-writer.yaml")
def _(objects: Objects) -> None:
    target = {"type": "Utilization", "averageUtilization": 70}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    objects["HorizontalPodAutoscaler"]["spec"]["metrics"] = [metric]


@change("no metrics at all", "autoscaling_signal:warning", of="tgi-writer.yaml")
def _(objects: Objects) -> None:
    del objects["HorizontalPodAutoscaler"]["spec"]["metrics"]


@change("GPU utilisation", "autoscaling_signal:warning", of="tgi-writer.yaml")
def _(objects: Objects) -> None:
    objects["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["pods"]["metric"]["name"] = "DCGM_FI_DEV_GPU_UTIL"


@change("KServe scaled by CPU", "autoscaling_signal:warning", of="kserve-chat.yaml")
def _(objects: Objects) -> None:
    objects["InferenceService"]["spec"]["predictor"]["scaleMetric"] = "cpu"


@change("nobody scrapes", "scraping:warning")
def _(objects: Objects) -> None:
    del objects["PodMonitor"]


@change("a monitor of another namespace", "scraping:warning")
def _(objects: Objects) -> None:
    objects["PodMonitor"]["metadata"]["namespace"] = "monitoring"


@change("a monitor of a port that is not there", "scraping:warning")
def _(objects: Objects) -> None:
    objects["PodMonitor"]["spec"]["podMetricsEndpoints"][0]["port"] = "metrics"


@change("a service monitor of a port that is not there", "scraping:warning", of="triton-mixed.yaml")
def _(objects: Objects) -> None:
    objects["ServiceMonitor"]["spec"]["endpoints"][0]["port"] = "web"


@change("an annotation of another port", "scraping:warning", of="tgi-writer.yaml")
def _(objects: Objects) -> None:
    objects["Deployment"]["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] = "9090"


@change("a rule over a name that is not", "rule_metrics:warning", of="vllm-rules.yaml")
def _(objects: Objects) -> None:
    objects["PrometheusRule"]["spec"]["groups"][0]["rules"][0]["expr"] = "rate(vllm_num_generation_tokens_total[1m])"


@change("a service of a port that is not there", "service_ports:critical")
def _(objects: Objects) -> None:
    objects["Service"]["spec"]["ports"][0]["targetPort"] = 8080


# The engine, its image and its secrets


@change("no model", "model_source:critical")
def _(objects: Objects) -> None:
    argument(objects, "--model", None)


@change("a model on no volume", "model_source:critical")
def _(objects: Objects) -> None:
    argument(objects, "--model", "/weights/llama-2-13b")


@change("eager", "enforce_eager:warning")
def _(objects: Objects) -> None:
    argument(objects, "--enforce-eager", "")


@change("TGI without CUDA graphs", "enforce_eager:warning", of="tgi-writer.yaml")
def _(objects: Objects) -> None:
    engine(objects)["args"].append("--cuda-graphs=0")


@change("remote code", "trust_remote_code:warning")
def _(objects: Objects) -> None:
    argument(objects, "--trust-remote-code", "")


@change("a flag of later releases", "engine_flags:critical")
def _(objects: Objects) -> None:
    argument(objects, "--enable-chunked-prefill", "")


@change("polling", "triton_repository:warning", of="triton-mixed.yaml")
def _(objects: Objects) -> None:
    engine(objects)["command"][2] = "--model-control-mode=poll"


@change("Triton's verbose log", "verbose_logging:info", of="triton-mixed.yaml")
def _(objects: Objects) -> None:
    engine(objects)["command"].append("--log-verbose=2")


@change("vLLM's debug log", "verbose_logging:info")
def _(objects: Objects) -> None:
    engine(objects)["env"].append({"name": "VLLM_LOGGING_LEVEL", "value": "debug"})


@change("a cache that cannot be written", "model_cache:warning")
def _(objects: Objects) -> None:
    engine(objects)["env"][0]["value"] = "/models/cache"


@change("models on the node's disk", "model_cache:warning")
def _(objects: Objects) -> None:
    pod(objects)["volumes"][0] = {"name": "models", "hostPath": {"path": "/data/models"}}


@change("a download at each start", "model_cache:info", of="tgi-writer.yaml")
def _(objects: Objects) -> None:
    pod(objects)["volumes"][0] = {"name": "hub", "emptyDir": {}}


@change("a key in the arguments", "secrets:critical")
def _(objects: Objects) -> None:
    argument(objects, "--api-key", "correct-horse")


@change("a token in the environment", "secrets:critical")
def _(objects: Objects) -> None:
    engine(objects)["env"].append({"name": "HF_TOKEN", "value": "hunter2"})


@change("a token by its form", "secrets:critical")
def _(objects: Objects) -> None:
    engine(objects)["env"].append({"name": "EXTRA", "value": "hf_" + "abcdefghij0123456789"})


@change("the latest image", "image:warning")
def _(objects: Objects) -> None:
    engine(objects)["image"] = "vllm/vllm-openai:latest"
    argument(objects, "--max-num-seqs", None)


@change("an image without tag", "image:warning")
def _(objects: Objects) -> None:
    engine(objects)["image"] = "registry.example:5000/vllm/vllm-openai"


@change("an image without digest", "image:info")
def _(objects: Objects) -> None:
    engine(objects)["image"] = "vllm/vllm-openai:v0.3.0"


@change("privileged", "security_context:warning")
def _(objects: Objects) -> None:
    engine(objects)["securityContext"] = {"privileged": True}


@change("maybe root", "security_context:info")
def _(objects: Objects) -> None:
    del pod(objects)["securityContext"]


@change("a canary of its own", "canary:critical", of="kserve-chat.yaml")
def _(objects: Objects) -> None:
    objects["InferenceService"]["metadata"]["name"] = "chat-13b-canary"
    selector = objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
    selector["serving.kserve.io/inferenceservice"] = "chat-13b-canary"
    constraint = objects["InferenceService"]["spec"]["predictor"]["topologySpreadConstraints"][0]
    constraint["labelSelector"]["matchLabels"]["serving.kserve.io/inferenceservice"] = "chat-13b-canary"


@change("a canary of an old API", "canary:critical", of="kserve-chat.yaml")
def _(objects: Objects) -> None:
    spec = objects["InferenceService"]["spec"]
    spec["canaryTrafficPercent"] = spec["predictor"].pop("canaryTrafficPercent")


@change("a canary without revisions", "canary:critical", "termination:warning", of="kserve-chat.yaml")
def _(objects: Objects) -> None:
    objects["InferenceService"]["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] = "RawDeployment"


@change("a canary of 110 percent", "canary:critical", of="kserve-chat.yaml")
def _(objects: Objects) -> None:
    objects["InferenceService"]["spec"]["predictor"]["canaryTrafficPercent"] = 110


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found_and_nothing_else(name: str) -> None:
    manifest, apply, wanted = CHANGES[name]
    objects = good(manifest)
    apply(objects)
    assert found(objects) == wanted


def test_every_check_is_seen_to_find_something() -> None:
    assert {check.id for check in CHECKS} == {check for _, _, wanted in CHANGES.values() for check, _ in wanted}


def test_no_secret_is_shown() -> None:
    objects = good()
    engine(objects)["env"].append({"name": "HF_TOKEN", "value": "hunter2"})
    argument(objects, "--api-key", "correct-horse")
    said = repr(judged(objects))
    assert "hunter2" not in said
    assert "correct-horse" not in said


def test_a_reference_to_a_secret_is_no_secret() -> None:
    objects = good()
    argument(objects, "--api-key", "$(API_KEY)")
    reference = {"secretKeyRef": {"name": "keys", "key": "api"}}
    engine(objects)["env"].append({"name": "API_KEY", "valueFrom": reference})
    assert found(objects) == set()


def test_numbers_are_the_arithmetics_own() -> None:
    objects = good()
    argument(objects, "--max-num-seqs", "256")
    # 0.95 x 80 GiB - 6.06 GiB of weights - 1.6 GiB beside them, at 0.195 MiB a token, is 87 requests of 4096 tokens.
    assert "87 requests of the full 4096 tokens" in message(objects, "kv_cache")
    objects = good()
    del engine(objects)["startupProbe"]
    # 26 GB at 125 MiB/s and 60 s are 259 s; half as long again is 390 s in steps of 10.
    assert "take 259 s" in message(objects, "startup_time")
    assert "to_value=39" in message(objects, "startup_time")


def test_the_rate_that_is_told_decides() -> None:
    objects = good()
    del engine(objects)["startupProbe"]
    engine(objects)["livenessProbe"]["failureThreshold"] = 4
    assert ("startup_time", "warning") in found(objects)
    assert found(objects, Options(load_bytes_per_second=1e9)) == set()
    assert ("startup_time", "critical") in found(objects, Options(load_bytes_per_second=1e8))


def unreadable_parallelism(objects: Objects) -> None:
    argument(objects, "--tensor-parallel-size", "$(TP)")
    engine(objects)["volumeMounts"].pop()


@pytest.mark.parametrize(
    ("check", "spoil", "needs"),
    [
        ("startup_time", lambda objects: argument(objects, "--model", "/models/our-own"), "model's size"),
        ("host_memory", lambda objects: argument(objects, "--model", "/models/our-own"), "model's size"),
        ("weights_fit", lambda objects: pod(objects).pop("nodeSelector"), "6.1 GiB of weights"),
        ("kv_cache", lambda objects: pod(objects).pop("nodeSelector"), "GPU"),
        ("engine_flags", lambda objects: engine(objects).update(image="own/vllm:v7@sha256:0"), "version"),
        ("shared_memory", unreadable_parallelism, "how many GPUs"),
        ("gpu_count", unreadable_parallelism, "how many GPUs"),
    ],
)
def test_what_is_unknown_is_not_checked(check: str, spoil: Change, needs: str) -> None:
    objects = good()
    spoil(objects)
    assert needs in not_checked(objects, check)
    assert check not in {each.check for each in judged(objects).passed}


def test_a_metric_of_others_is_not_checked() -> None:
    objects = good("tgi-writer.yaml")
    objects["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["pods"]["metric"]["name"] = "our_backlog"
    assert "our_backlog" in not_checked(objects, "autoscaling_metric")
