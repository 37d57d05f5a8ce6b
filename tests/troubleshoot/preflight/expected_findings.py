"""What is wrong with the manifests of `manifests/as_written`, decided by reading them before any check was run.

One entry a finding: (check, severity, object, text on the line that it points to). Nothing else may be found.
"""

from __future__ import annotations

Expected = tuple[str, str, str, str]

CHAT = "Deployment inference/chat-13b"
WRITER, WRITER_HPA = "Deployment inference/writer-7b", "HorizontalPodAutoscaler inference/writer-7b"
MIXED = "Deployment inference/mixed"
KSERVE = "InferenceService inference/chat-13b"
CANARY = "InferenceService inference/chat-13b-canary"
SHORT, SHORT_HPA = "Deployment chat-7b", "HorizontalPodAutoscaler chat-7b"

EXPECTED: dict[str, tuple[Expected, ...]] = {
    "vllm-chat.yaml": (
        # Deciding: 26 GB at 125 MiB/s and a minute of start-up are 4.5 minutes; 120 + 3 x 30 s of patience are less.
        ("startup_time", "warning", CHAT, "livenessProbe:"),
        ("termination", "warning", CHAT, "    spec:"),
        ("disruption_budget", "warning", CHAT, "name: chat-13b"),
        ("scraping", "warning", CHAT, "name: chat-13b"),
        ("enforce_eager", "warning", CHAT, "--enforce-eager"),
        ("trust_remote_code", "warning", CHAT, "--trust-remote-code"),
        # The hub's cache lies on a volume that is mounted read-only.
        ("model_cache", "warning", CHAT, "HF_HOME"),
        # 256 x 4096 tokens are three times what fits; vLLM preempts, it does not fail.
        ("kv_cache", "info", CHAT, "--max-num-seqs 256"),
        ("spread", "info", CHAT, "podAffinityTerm:"),
        ("image", "info", CHAT, "image: vllm/vllm-openai:v0.3.0"),
        ("security_context", "info", CHAT, "- name: engine"),
    ),
    "tgi-writer.yaml": (
        ("probes", "critical", WRITER, "- name: tgi"),
        ("probes", "warning", WRITER, "- name: tgi"),
        ("termination", "warning", WRITER, "    spec:"),
        ("spread", "warning", WRITER, "    spec:"),
        ("disruption_budget", "warning", WRITER, "name: writer-7b"),
        ("scraping", "warning", WRITER, "name: writer-7b"),
        ("autoscaled_replicas", "warning", WRITER, "replicas: 3"),
        # The queue is among the metrics and exists; the CPU beside it can only add replicas.
        ("autoscaling_signal", "info", WRITER, "- type: Resource"),
        ("model_cache", "info", WRITER, "- name: cache"),
        ("image", "info", WRITER, "image: ghcr.io"),
        ("security_context", "info", WRITER, "- name: tgi"),
    ),
    "triton-mixed.yaml": (
        ("termination", "warning", MIXED, "    spec:"),
        ("spread", "warning", MIXED, "    spec:"),
        ("disruption_budget", "warning", MIXED, "name: mixed"),
        # A ServiceMonitor selects Services, and there is none.
        ("scraping", "warning", MIXED, "  selector:"),
        ("triton_repository", "warning", MIXED, "--model-control-mode=poll"),
        # The image of this tag has no TensorRT-LLM backend.
        ("triton_repository", "warning", MIXED, "image: nvcr.io"),
        ("verbose_logging", "info", MIXED, "--log-verbose=1"),
        ("image", "info", MIXED, "image: nvcr.io"),
        ("security_context", "info", MIXED, "- name: triton"),
    ),
    "kserve-chat.yaml": (
        ("shared_memory", "critical", f"{KSERVE} (predictor)", "volumeMounts:"),
        ("probes", "warning", f"{KSERVE} (predictor)", "- name: kserve-container"),
        ("spread", "warning", f"{KSERVE} (predictor)", "  predictor:"),
        ("disruption_budget", "warning", f"{KSERVE} (predictor)", "name: chat-13b"),
        ("scraping", "warning", f"{KSERVE} (predictor)", "metadata:"),
        ("kserve_timeout", "info", f"{KSERVE} (predictor)", "  predictor:"),
        ("image", "info", f"{KSERVE} (predictor)", "image: vllm/vllm-openai:v0.3.0"),
        ("security_context", "info", f"{KSERVE} (predictor)", "- name: kserve-container"),
        ("replicas", "warning", f"{KSERVE} (transformer)", "  transformer:"),
        ("image", "warning", f"{KSERVE} (transformer)", "preprocessor:latest"),
        ("canary", "critical", CANARY, "canaryTrafficPercent: 10"),
        ("model_source", "critical", f"{CANARY} (predictor)", "- name: kserve-container"),
        ("gpu_count", "critical", f"{CANARY} (predictor)", "- name: kserve-container"),
        ("resources", "warning", f"{CANARY} (predictor)", "- name: kserve-container"),
        ("probes", "warning", f"{CANARY} (predictor)", "- name: kserve-container"),
        ("replicas", "warning", f"{CANARY} (predictor)", "minReplicas: 1"),
        ("scraping", "warning", f"{CANARY} (predictor)", "metadata:"),
        ("kserve_timeout", "info", f"{CANARY} (predictor)", "  predictor:"),
        ("image", "info", f"{CANARY} (predictor)", "image: vllm/vllm-openai:v0.3.1"),
        ("security_context", "info", f"{CANARY} (predictor)", "- name: kserve-container"),
    ),
    "mig-pod.yaml": (
        # Without --model, vLLM serves a small model for tests. The slice itself exists.
        ("model_source", "critical", "Pod chat-7b-mig", "- name: engine"),
        ("probes", "critical", "Pod chat-7b-mig", "- name: engine"),
        ("probes", "warning", "Pod chat-7b-mig", "- name: engine"),
        ("resources", "warning", "Pod chat-7b-mig", "      resources:"),
        ("replicas", "warning", "Pod chat-7b-mig", "kind: Pod"),
        ("termination", "warning", "Pod chat-7b-mig", "spec:"),
        ("scraping", "warning", "Pod chat-7b-mig", "name: chat-7b-mig"),
        ("image", "info", "Pod chat-7b-mig", "image: vllm"),
        ("security_context", "info", "Pod chat-7b-mig", "- name: engine"),
    ),
    "karpenter-spot.yaml": (
        ("api_version", "critical", "Provisioner gpu-mixed", "karpenter.sh/v1alpha5"),
        ("required_fields", "critical", "Deployment chat-70b", "spec:"),
        ("required_fields", "critical", "Deployment chat-7b-dev", "spec:"),
    ),
    "vllm-short.yaml": (
        # No selector, and no labels that one could select.
        ("required_fields", "critical", SHORT, "spec:"),
        # scaleTargetRef without kind, and a target without type.
        ("required_fields", "critical", SHORT_HPA, "scaleTargetRef:"),
        ("required_fields", "critical", SHORT_HPA, "target:"),
        ("autoscaling_metric", "critical", SHORT_HPA, "name: vllm_queue_size"),
        # The path lies on no volume.
        ("model_source", "critical", SHORT, "--model=/models/llama-2-7b"),
        ("probes", "critical", SHORT, "- name: vllm"),
        ("probes", "warning", SHORT, "- name: vllm"),
        ("resources", "warning", SHORT, "          resources:"),
        ("termination", "warning", SHORT, "    spec:"),
        ("spread", "warning", SHORT, "    spec:"),
        ("disruption_budget", "warning", SHORT, "name: chat-7b"),
        ("autoscaled_replicas", "warning", SHORT, "replicas: 2"),
        ("scraping", "warning", SHORT, "name: chat-7b"),
        ("image", "info", SHORT, "image: vllm"),
        ("security_context", "info", SHORT, "- name: vllm"),
    ),
    "vllm-rules.yaml": (
        ("rule_metrics", "warning", "PrometheusRule chat-alerts", "vllm_request_duration_seconds_bucket"),
        ("rule_metrics", "warning", "PrometheusRule chat-alerts", "vllm_num_requests_waiting"),
    ),
}
