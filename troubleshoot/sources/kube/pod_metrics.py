"""An engine's metrics by way of the API server's proxy: no port of the pod has to be reachable from here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from troubleshoot.sources.endpoint_problems import body_problem
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.exposition_text import kind_of, looks_like
from troubleshoot.sources.kube.calls import SCRAPE
from troubleshoot.sources.kube.cluster import Cluster
from troubleshoot.sources.kube.objects import Object, arguments_of, child, children, text_of
from troubleshoot.sources.kube.problems import ClusterError

MAX_BODY_BYTES: Final = 16 << 20
_DEFAULT_PATH: Final = "metrics"
_OTHER_PATH: Final = "prometheus/metrics"
"""Where trtllm-serve has its Prometheus text."""

_MOST_TRIED: Final = 6
_METRICS_NAME: Final = re.compile(r"metrics|prom", re.IGNORECASE)
_PORT_FLAG: Final = re.compile(r"--(?:metrics-port|prometheus-port|http-port|port)[= ]+(\d{1,5})\b")
_DEFAULT_PORTS: Final = (8000, 8080, 30000, 3000, 8002)
"""Where engines listen by default: vLLM and trtllm-serve, llama.cpp and KServe, SGLang, TGI, Triton's metrics."""


class Endpoint(NamedTuple):
    """Where metrics may be."""

    port: int
    path: str = _DEFAULT_PATH
    scheme: str = ""


def endpoints_of(pod: Object, container: Object, asked: str = "") -> list[Endpoint]:
    """Where to look, the likeliest first. `asked` is `PORT` or `PORT/PATH`, and then the only place."""
    if asked:
        port, _, path = asked.partition("/")
        return [Endpoint(int(port), path or _DEFAULT_PATH)]
    found = [endpoint for endpoint in _candidates(pod, container) if 0 < endpoint.port < 65536]
    return list(dict.fromkeys(found))[:_MOST_TRIED]


def _candidates(pod: Object, container: Object) -> Iterator[Endpoint]:
    annotations = child(pod, "metadata", "annotations")
    port = text_of(annotations, "prometheus.io/port")
    scheme = "https" if text_of(annotations, "prometheus.io/scheme") == "https" else ""
    if port.isdigit():
        path = text_of(annotations, "prometheus.io/path").strip("/")
        yield Endpoint(int(port[:6]), path or _DEFAULT_PATH, scheme)
    ports = sorted(children(container, "ports"), key=lambda p: not _METRICS_NAME.search(text_of(p, "name")))
    numbers = [number for entry in ports if isinstance(number := entry.get("containerPort"), int)]
    numbers += [int(number) for number in _PORT_FLAG.findall(arguments_of(container))]
    for number in numbers or _DEFAULT_PORTS:
        yield Endpoint(number, _DEFAULT_PATH, scheme)
    for number in numbers[:2]:
        yield Endpoint(number, _OTHER_PATH, scheme)


class PodScraper:
    """One pod's metrics. The first scrape settles where they are. Raises `InputError`."""

    def __init__(self, cluster: Cluster, namespace: str, pod: str, endpoints: list[Endpoint]) -> None:
        self.name = f"{namespace}/{pod}"
        self._cluster = cluster
        self._place = {"namespace": namespace}
        self._pod = pod
        self._endpoints = endpoints

    def scrape(self) -> bytes:
        """One exposition."""
        first: InputError | None = None
        for endpoint in self._endpoints:
            try:
                body = self._scrape(endpoint)
            except ClusterError as error:
                if error.is_forbidden:
                    raise
                first = first or error
            except InputError as error:
                first = first or error
            else:
                self._endpoints = [endpoint]
                self.name = f"{self._place['namespace']}/{self._pod}:{endpoint.port}/{endpoint.path}"
                return body
        raise first or InputError(self.name, "has no port that could serve metrics", "give --kube-metrics PORT")

    def _scrape(self, endpoint: Endpoint) -> bytes:
        scheme = f"{endpoint.scheme}:" if endpoint.scheme else ""
        place: Mapping[str, str] = {
            **self._place,
            "name": f"{scheme}{self._pod}:{endpoint.port}",
            "path": endpoint.path,
        }
        body = self._cluster.body(SCRAPE, MAX_BODY_BYTES, retried=False, **place)
        if kind_of(body) is None:
            problem, advice = body_problem(body, looks_like(body))
            raise InputError(f"{self.name}:{endpoint.port}/{endpoint.path}", problem, advice)
        return body
