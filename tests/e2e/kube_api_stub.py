"""A stub of the Kubernetes API server, for no package that can be had here carries a real one.

It follows the documented API as far as a reader of pods and of what makes them meets it: TLS, bearer tokens, one
object and lists (of a namespace or all) with label and field selectors and pages, discovery of a group, logs with
`container`, `previous`, `tailLines` and `limitBytes`, the proxy subresource, and `Status` objects for what goes wrong,
in the API server's words. Only GET is served: anything else is noted and refused.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import trustme
import yaml

from tests.e2e.kube_api_answers import Answers, Object
from tests.e2e.kube_api_paths import BUILT_IN, PLURALS, SERVED, Asked, as_rbac_sees, discovered, is_served
from tests.e2e.kube_selectors import fields_match, selected

Metrics = Callable[[], tuple[int, str]]
"""Status and body of a scrape."""

TOKEN = "token-of-the-oncall-7d9f2c81aa"
_PAGE = 500
_DISCOVERY: dict[str, Object] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": "pods", "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get", "list"]},
            {"name": "pods/log", "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get"]},
        ],
    },
}
"""What kubectl asks for before anything else; the tool does not."""


@dataclass
class StubPod:
    """A pod as the API shows it, with what its containers wrote and what its ports serve."""

    shown: Object
    logs: dict[str, bytes] = field(default_factory=dict)
    previous: dict[str, bytes] = field(default_factory=dict)
    ports: dict[str, Metrics] = field(default_factory=dict)
    """Name in the proxy's path ("8000", "https:8443") -> what answers."""


Fault = Callable[["Handler"], None]
"""What is sent instead of an answer."""


@dataclass
class StubCluster:
    """What is in the cluster. `faults` are by resource ("pods/log", "discovery"); `asked` is what came.

    `objects` are by resource, namespace ("" for none) and name. `forbidden` are verb and resource, or with a third part
    in that namespace alone, "" for requests over all namespaces. `absent` are custom resources that are not installed.
    """

    pods: dict[tuple[str, str], StubPod] = field(default_factory=dict)
    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    events: list[Object] = field(default_factory=list)
    nodes: dict[str, Object] = field(default_factory=dict)
    forbidden: set[tuple[str, ...]] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    expired_pages: int = 0
    """So many continued lists are answered with 410."""
    url: str = ""
    ca_pem: str = ""

    def add(self, stub: StubPod) -> None:
        """Put a pod into it."""
        metadata = stub.shown["metadata"]
        self.pods[metadata["namespace"], metadata["name"]] = stub

    def put(self, item: Object) -> None:
        """Put any object into it."""
        metadata = item["metadata"]
        if item["kind"] == "Pod":
            self.add(StubPod(item))
        else:
            self.objects[PLURALS[item["kind"]], metadata.get("namespace", ""), metadata["name"]] = item

    def kubeconfig(self, path: Path, **changes: Any) -> Path:
        """Write a kubeconfig for it: context `test`, namespace `llm`. `changes` replace parts of user and cluster."""
        cluster = {"server": self.url, "certificate-authority-data": _base64(self.ca_pem), **changes.get("cluster", {})}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {k: v for k, v in cluster.items() if v is not None}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "oncall", "namespace": "llm"}}],
            "users": [{"name": "oncall", "user": changes.get("user", {"token": TOKEN})}],
        }
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path


def _base64(text: str) -> str:
    from base64 import b64encode

    return b64encode(text.encode()).decode()


@contextmanager
def kube_api(
    cluster: StubCluster,
    *,
    certificate: trustme.LeafCert | None = None,
    ca: trustme.CA | None = None,
    clients: trustme.CA | None = None,
) -> Iterator[StubCluster]:
    """Serve the cluster over TLS on a free port; with `clients`, to those alone who show a certificate of theirs."""
    ca = ca or trustme.CA()
    leaf = certificate or ca.issue_cert("127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf.configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    server = _Server(cluster)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    cluster.url = f"https://127.0.0.1:{server.server_address[1]}"
    cluster.ca_pem = ca.cert_pem.bytes().decode()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield cluster
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, cluster: StubCluster) -> None:
        self.cluster = cluster
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away, or does not trust the certificate, is part of a test."""


class Handler(Answers):
    server: _Server

    def do_GET(self) -> None:  # noqa: N802 (the base class names it so)
        split = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
        if split.path in _DISCOVERY:
            self.json(200, _DISCOVERY[split.path])
            return
        cluster = self.server.cluster
        resources = discovered(split.path, cluster.absent)
        if resources is not None and cluster.faults.get("discovery"):
            cluster.faults["discovery"].pop(0)(self)
            return
        if resources is not None:
            self.json(200, resources)
            return
        asked = as_rbac_sees(unquote(split.path), query)
        if asked is None:
            self._not_served()
            return
        cluster.asked.append(asked)
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token != TOKEN:
            self.status(401, "Unauthorized", "Unauthorized")
        elif {(asked.verb, asked.resource), (asked.verb, asked.resource, asked.namespace)} & cluster.forbidden:
            self._forbid(asked)
        elif not is_served(asked, cluster.absent):
            self._not_served()
        elif cluster.faults.get(asked.resource):
            cluster.faults[asked.resource].pop(0)(self)
        else:
            self._answer(asked)

    def _not_served(self) -> None:
        self.status(404, "NotFound", "the server could not find the requested resource")

    def _refuse(self) -> None:
        self.server.cluster.asked.append(Asked(self.command.lower(), "", "written", "", self.path, {}))
        self.status(405, "MethodNotAllowed", "the stub serves GET alone")

    do_POST = do_PUT = do_PATCH = do_DELETE = _refuse  # noqa: N815

    def _forbid(self, asked: Asked) -> None:
        where = f' in the namespace "{asked.namespace}"' if asked.namespace else " at the cluster scope"
        what = f'cannot {asked.verb} resource "{asked.resource}" in API group "{asked.group}"{where}'
        self.status(403, "Forbidden", f'{asked.resource} is forbidden: User "oncall" {what}')

    def _answer(self, asked: Asked) -> None:
        cluster, name = self.server.cluster, asked.name
        if asked.verb == "list":
            self._list(asked)
        elif asked.resource == "nodes":
            self._object(cluster.nodes.get(name), asked, name)
        elif asked.resource == "pods/proxy":
            self._proxy(asked.namespace, name)
        elif asked.resource.partition("/")[0] != "pods":
            self._object(cluster.objects.get((asked.resource, asked.namespace, name)), asked, name)
        else:
            stub = cluster.pods.get((asked.namespace, name))
            if stub is not None and asked.rest == "/log":
                self._log(stub, name, asked.query)
            else:
                self._object(stub.shown if stub else None, asked, name)

    def _object(self, found: Object | None, asked: Asked, name: str) -> None:
        if found is None:
            self.status(404, "NotFound", f'{asked.resource} "{name}" not found')
        else:
            self.json(200, found)

    def _list(self, asked: Asked) -> None:
        cluster = self.server.cluster
        try:
            found = _selected(cluster, asked)
        except ValueError as error:
            self.status(400, "BadRequest", f"unable to parse requirement: {error}")
            return
        begin = int(asked.query.get("continue", "0"))
        if begin and cluster.expired_pages:
            cluster.expired_pages -= 1
            self.status(
                410, "Expired", "The provided continue parameter is too old to display a consistent list result."
            )
            return
        end = begin + int(asked.query.get("limit") or _PAGE)
        metadata = {"resourceVersion": "1", **({"continue": str(end)} if end < len(found) else {})}
        kind, group, _ = SERVED[asked.resource]
        version = f"{group}/{asked.version}" if group else asked.version
        page = [_as_listed(item, asked.resource) for item in found[begin:end]]
        self.json(200, {"kind": f"{kind}List", "apiVersion": version, "metadata": metadata, "items": page})

    def _log(self, stub: StubPod, name: str, query: Mapping[str, str]) -> None:
        containers = [c["name"] for c in stub.shown["spec"]["containers"]]
        container = query.get("container") or (containers[0] if len(containers) == 1 else "")
        if not container:
            listed = " ".join(containers)
            self.status(
                400, "BadRequest", f"a container name must be specified for pod {name}, choose one of: [{listed}]"
            )
            return
        texts = stub.previous if query.get("previous") == "true" else stub.logs
        if container not in texts:
            reason = (
                f'previous terminated container "{container}" in pod "{name}" not found'
                if texts is stub.previous
                else f'container "{container}" in pod "{name}" is waiting to start: ContainerCreating'
            )
            self.status(400, "BadRequest", reason)
            return
        text = texts[container]
        if "tailLines" in query:
            text = b"".join(text.splitlines(keepends=True)[-int(query["tailLines"]) :])
        if "limitBytes" in query:
            text = text[: int(query["limitBytes"])]
        self.chunked(text)

    def _proxy(self, namespace: str, name: str) -> None:
        scheme, _, rest = name.partition(":") if name.count(":") == 2 else ("", "", name)
        pod, _, port = rest.partition(":")
        stub = self.server.cluster.pods.get((namespace, pod))
        serves = stub.ports.get(f"{scheme}:{port}" if scheme else port) if stub else None
        if serves is None:
            said = f"error trying to reach service: dial tcp 10.1.2.3:{port}: connect: connection refused"
            self.status(503, "ServiceUnavailable", said)
            return
        status, body = serves()
        self.send(status, "text/plain; version=0.0.4; charset=utf-8", body.encode())


def _selected(cluster: StubCluster, asked: Asked) -> list[Object]:
    """The objects of a list, before it is cut into pages; a malformed selector raises ValueError."""
    if asked.resource == "pods":
        found = [stub.shown for _, stub in sorted(cluster.pods.items())]
    elif asked.resource == "events":
        found = cluster.events
    else:
        found = [item for (resource, _, _), item in sorted(cluster.objects.items()) if resource == asked.resource]
    labels, fields = asked.query.get("labelSelector", ""), asked.query.get("fieldSelector", "")
    return [
        item
        for item in found
        if asked.namespace in ("", item["metadata"].get("namespace", ""))
        and selected(item["metadata"].get("labels", {}), labels)
        and fields_match(item, fields)
    ]


def _as_listed(item: Object, resource: str) -> Object:
    """Items of the built-in lists do not say what they are."""
    return {key: value for key, value in item.items() if resource not in BUILT_IN or key not in ("kind", "apiVersion")}
