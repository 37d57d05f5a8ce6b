"""The exporter's configuration: frozen, typed, checked whole before anything is served.

Every key has a default, so an empty file is a valid one. Unknown keys, wrong types and values out of range are
refused with the file's name, the key's path and what is wanted.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from catalog.settings import Part, SettingsError, read

__all__ = [
    "Config",
    "DcgmExporter",
    "Engines",
    "Gpu",
    "GpuFields",
    "Kubernetes",
    "Otlp",
    "Target",
    "check_listen",
    "load",
]

_LISTEN = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]*):\d{1,5}", re.ASCII)
_HIGHEST_PORT = 65535

Seconds = Annotated[float, Meta(gt=0, le=3600)]
Count = Annotated[int, Meta(ge=1)]


class GpuFields(Part, frozen=True, kw_only=True):
    """Which GPU fields to read: a list in dcgm-exporter's CSV format, or changes to the default set.

    `csv_file` replaces the default set; `include` and `exclude` then add and take away, by the name of either
    DCGM spelling.
    """

    csv_file: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Gpu(Part, frozen=True, kw_only=True):
    """Reading GPUs by NVML. `names` is the spelling of field names, `hostname_label` of the host's label."""

    enabled: bool = True
    names: Literal["dcgm4", "dcgm4.6"] = "dcgm4"
    hostname_label: Literal["Hostname", "hostname"] = "Hostname"
    fields: GpuFields = GpuFields()
    profiling: bool = True
    processes: bool = False
    timeout_seconds: Seconds = 2.0


class Target(Part, frozen=True, kw_only=True):
    """One engine at a fixed address.

    `name` becomes the label `pod` unless `pod` is given: it tells replicas apart, so it must be unique.
    `engine` skips recognition by metric names. Secrets are read from files at each scrape, never written here.
    """

    url: Annotated[str, Meta(pattern=r"^https?://[^/]+")]
    name: str = ""
    engine: str = ""
    namespace: str = ""
    pod: str = ""
    container: str = ""
    bearer_token_file: str = ""
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    insecure_skip_verify: bool = False


class Engines(Part, frozen=True, kw_only=True):
    """Scraping engines. `max_body_bytes` and `max_series` bound what one endpoint may cost."""

    targets: tuple[Target, ...] = ()
    timeout_seconds: Seconds = 3.0
    max_body_bytes: Annotated[int, Meta(ge=1024, le=1 << 30)] = 32 << 20
    max_series: Count = 50_000
    passthrough: bool = False


class Kubernetes(Part, frozen=True, kw_only=True):
    """Finding pods and which GPUs they hold.

    `discovery` "auto" takes the kubelet's Pods API where its socket exists, else the API server inside a
    cluster, else nothing. `gpu_resources` are resource names beside `nvidia.com/gpu`, `nvidia.com/gpu.shared`
    and `nvidia.com/mig-*`. `probe_all_pods` probes pods without a GPU too.
    """

    discovery: Literal["auto", "pods_api", "api_server", "none"] = "auto"
    pods_api_socket: str = "/var/lib/kubelet/pods-api/pods-api.sock"
    pod_resources_socket: str = "/var/lib/kubelet/pod-resources/kubelet.sock"
    gpu_resources: tuple[str, ...] = ()
    refresh_seconds: Seconds = 15.0
    probe_all_pods: bool = False


class DcgmExporter(Part, frozen=True, kw_only=True):
    """A dcgm-exporter on this node, merged without doubling: `url`, or found among the node's pods."""

    url: Annotated[str, Meta(pattern=r"^(https?://[^/]+.*)?$")] = ""
    discover: bool = True


class Otlp(Part, frozen=True, kw_only=True):
    """Push over OTLP/HTTP; off without `endpoint`. Needs the extra `otlp`."""

    endpoint: Annotated[str, Meta(pattern=r"^(https?://[^/]+.*)?$")] = ""
    interval_seconds: Seconds = 30.0
    headers_file: str = ""


class Config(Part, frozen=True, kw_only=True):
    """The whole configuration. `node` is by default `$NODE_NAME`, else the host's name."""

    listen: str = "0.0.0.0:9400"
    node: str = ""
    interval_seconds: Seconds = 5.0
    gpu: Gpu = Gpu()
    engines: Engines = Engines()
    kubernetes: Kubernetes = Kubernetes()
    dcgm_exporter: DcgmExporter = DcgmExporter()
    otlp: Otlp = Otlp()

    @property
    def node_name(self) -> str:
        """The value of the labels `node` and `Hostname`."""
        return self.node or os.environ.get("NODE_NAME") or socket.gethostname()


def load(path: Path | None) -> Config:
    """Read and check a YAML file; None gives the defaults.

    Raises SettingsError with one line that names the file and the key.
    """
    if path is None:
        return Config()
    config = read(path, Config)
    check_listen(f"{path}: listen", config.listen)
    _check_targets(path, config.engines.targets)
    if config.dcgm_exporter.url:
        _check_url(f"{path}: dcgm_exporter.url", config.dcgm_exporter.url)
    return config


def check_listen(where: str, address: str) -> None:
    """Raise SettingsError for what is no `HOST:PORT`, `[IPV6]:PORT` or `:PORT`."""
    if not _LISTEN.fullmatch(address) or int(address.rpartition(":")[2]) > _HIGHEST_PORT:
        raise SettingsError(f"{where}: {address!r} is not HOST:PORT with a port up to {_HIGHEST_PORT}")


def _check_url(where: str, url: str) -> None:
    """Refuse what would show a secret on a page or in a label, or cannot be connected to."""
    try:
        parts = urlsplit(url)
        host, port, has_credentials = parts.hostname, parts.port, "@" in parts.netloc
    except ValueError:
        host, port, has_credentials = None, None, "@" in url
    if has_credentials:
        raise SettingsError(f"{where}: no credentials in an address; use username and password_file")
    if port == 0 or not host:
        raise SettingsError(f"{where}: {url!r} needs a host, and a port from 1 to 65535 if it names one")


def _check_targets(path: Path, targets: tuple[Target, ...]) -> None:
    from catalog.engines import ENGINES

    seen: dict[tuple[str, str, str], int] = {}
    for number, target in enumerate(targets):
        where = f"{path}: engines.targets[{number}]"
        _check_url(f"{where}.url", target.url)
        if target.engine and target.engine not in ENGINES:
            raise SettingsError(f"{where}.engine: {target.engine!r} is none of {', '.join(ENGINES)}")
        if target.bearer_token_file and target.username:
            raise SettingsError(f"{where}: either bearer_token_file or username, not both")
        if bool(target.username) != bool(target.password_file):
            raise SettingsError(f"{where}: username and password_file belong together")
        identity = (target.namespace, target.pod or target.name or urlsplit(target.url).netloc, target.container)
        if identity in seen:
            raise SettingsError(f"{where}: the same name as targets[{seen[identity]}]; give each its own name")
        seen[identity] = number
