"""Where engines listen and what they answer: ports and paths by engine.

Source: each engine's server (vLLM entrypoints, SGLang http_server, TGI router, Triton's HTTP API, llama-server,
trtllm-serve), their documentation and container images.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from troubleshoot.preflight.engine import Engine

_PORTS = {"vllm": 8000, "sglang": 30000, "tgi": 3000, "triton": 8000, "tensorrt_llm": 8000, "llamacpp": 8080}
_IN_IMAGE = {"tgi": 80}
"""TGI's launcher listens on 3000; its image sets PORT=80."""

_TRITON_METRICS = 8002

KNOWN_PATHS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "vllm": frozenset({"/health", "/ping", "/load", "/version", "/v1/models", "/metrics", "/is_sleeping"}),
        "sglang": frozenset(
            {"/health", "/health_generate", "/v1/models", "/metrics", "/get_model_info", "/model_info", "/ping"}
            | {"/get_server_info", "/server_info"}
        ),
        "tgi": frozenset({"/health", "/info", "/ping", "/metrics", "/v1/models", ""}),
        "triton": frozenset({"/v2/health/live", "/v2/health/ready", "/v2", "/metrics"}),
        "llamacpp": frozenset({"/health", "/v1/health", "/v1/models", "/models", "/metrics", "/slots", "/props", ""}),
    }
)
"""Paths that an engine answers to a GET once it serves; Triton's `/v2/models/...` are not judged."""


def health_path(engine: str, *, live: bool) -> str:
    """The path for a liveness or readiness probe."""
    if engine == "triton":
        return "/v2/health/live" if live else "/v2/health/ready"
    return "/health"


def serving_port(engine: Engine) -> int:
    """The port that it serves on: what it is told, else what the container declares, else the default."""
    for flag in ("--http-port", "--port"):
        if flag in engine.settings and (port := engine.settings[flag].integer):
            return port
    declared = engine.container.port_numbers()
    default = _IN_IMAGE.get(engine.name, _PORTS[engine.name])
    return default if default in declared or not declared else declared[0]


def metrics_port(engine: Engine) -> int:
    """The port of its metrics: Triton has one of its own."""
    if engine.name == "triton":
        told = engine.settings.get("--metrics-port")
        return (told.integer if told else None) or _TRITON_METRICS
    return serving_port(engine)
