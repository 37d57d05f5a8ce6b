"""The node's pods from the API server, where the kubelet has no Pods API.

The list is asked anew at each refresh, with `resourceVersion=0`: the server answers from its watch cache, which
is indexed by node, and 110 pods (0.5 MiB of JSON) cost this process under 2 ms. A watch would save bytes, but needs a
connection that never rests, bookmarks, expiry and a state that can drift; with very many nodes, a longer
`refresh_seconds` saves more. It speaks by http.client, for the kubernetes package would cost 20 to 40 MiB.

The service account's token is read from its file at each call, for it is rotated, and is sent to the API server
only: redirects are not followed.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from exporter.pods.pod import Container, ContainerPort, Pod, is_name, metrics_annotations
from exporter.pods.problems import Reason, SourceError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
MAX_ANSWER_BYTES = 32 << 20
"""Of one page: 500 pods of 64 KiB. A node runs 110 pods by default."""
PAGE_PODS = 500
MAX_PAGES = 20
_CHUNK_BYTES = 1 << 16

_REASONS: Mapping[int, tuple[Reason, str]] = {
    401: ("unauthorized", "it does not accept the service account's token"),
    403: ("forbidden", "the service account may not list pods: its ClusterRole needs list on pods"),
    404: ("not_found", "it has no such path; is KUBERNETES_SERVICE_HOST the API server?"),
    410: ("expired", "the list changed while it was read page by page"),
    429: ("throttled", "it asks for fewer requests"),
}


class ApiServer(Struct, frozen=True):
    """Where the API server is, and what proves who asks."""

    host: str
    port: int
    token_file: Path = SERVICE_ACCOUNT / "token"
    ca_file: Path = SERVICE_ACCOUNT / "ca.crt"


class _Named(msgspec.Struct, rename="camel"):
    name: str = ""


class _Port(_Named):
    container_port: int = 0


class _Container(_Named):
    ports: list[_Port] | None = None


class _Status(_Named):
    ready: bool = False


class _Address(msgspec.Struct):
    ip: str = ""


class _Metadata(_Named):
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _PodSpec(msgspec.Struct):
    containers: list[_Container] | None = None


class _PodStatus(msgspec.Struct, rename="camel"):
    phase: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    pod_ips: list[_Address] | None = msgspec.field(default=None, name="podIPs")
    container_statuses: list[_Status] | None = None


class _Pod(msgspec.Struct):
    metadata: _Metadata
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class _ListMetadata(msgspec.Struct, rename={"next_page": "continue"}):
    next_page: str = ""


class _PodList(msgspec.Struct):
    """A core/v1 PodList, only the fields that are read."""

    kind: str
    items: list[_Pod] | None = None
    metadata: _ListMetadata = msgspec.field(default_factory=_ListMetadata)


def in_cluster(environment: Mapping[str, str]) -> ApiServer | None:
    """Return the API server that Kubernetes names in a pod's environment; None outside of a cluster.

    Raises SourceError("not_in_cluster") where the port is none.
    """
    host = environment.get("KUBERNETES_SERVICE_HOST", "").strip("[]")
    if not host:
        return None
    port = environment.get("KUBERNETES_SERVICE_PORT_HTTPS") or environment.get("KUBERNETES_SERVICE_PORT") or "443"
    if not (port.isascii() and port.isdecimal() and 1 <= int(port[:6]) <= 65535):
        raise SourceError("not_in_cluster", f"KUBERNETES_SERVICE_PORT is {port[:20]!a}, no port from 1 to 65535")
    return ApiServer(host, int(port))


def list_pods(server: ApiServer, node_name: str, timeout_seconds: float) -> tuple[Pod, ...]:
    """Ask the API server for the pods of a node, page by page.

    `timeout_seconds` bounds each read and, roughly, the whole. Raises SourceError.
    """
    deadline_seconds = time.monotonic() + timeout_seconds
    context = _tls_context(server)
    pods: list[Pod] = []
    next_page = ""
    for _ in range(MAX_PAGES):
        page = _page(server, context, _path(node_name, next_page), deadline_seconds)
        pods += [_plain(pod) for pod in page.items or () if _is_named(pod)]
        next_page = page.metadata.next_page
        if not next_page:
            return tuple(pods)
    raise SourceError("too_large", f"API server: more than {MAX_PAGES} pages of pods on one node")


def _path(node_name: str, next_page: str) -> str:
    query = {"fieldSelector": f"spec.nodeName={node_name}", "limit": str(PAGE_PODS)}
    # A page that continues another has that one's version and must not name one.
    query |= {"continue": next_page} if next_page else {"resourceVersion": "0"}
    return f"/api/v1/pods?{urlencode(query)}"


def _tls_context(server: ApiServer) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=server.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SourceError("ca_unreadable", f"{server.ca_file}: no readable certificate authority") from error


def _token(server: ApiServer) -> str:
    try:
        token = server.token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            "token_unreadable", f"{server.token_file}: cannot be read; automountServiceAccountToken must be true"
        ) from error
    # http.client would put a bad header's value into its error, and so into a log.
    if not token or not token.isprintable() or " " in token:
        raise SourceError("token_unreadable", f"{server.token_file}: holds no token")
    return token


def _page(server: ApiServer, context: ssl.SSLContext, path: str, deadline_seconds: float) -> _PodList:
    headers = {"Authorization": f"Bearer {_token(server)}", "Accept": "application/json"}
    connection = http.client.HTTPSConnection(server.host, server.port, timeout=_left(deadline_seconds), context=context)
    try:
        connection.request("GET", path, headers=headers)
        # A response whose end is the connection's end owns the socket, and must be closed itself.
        with connection.getresponse() as response:
            if response.status != http.HTTPStatus.OK:
                raise _refused(response)
            body = _body(connection, response, deadline_seconds)
    except TimeoutError as error:
        raise _timeout() from error
    except ssl.SSLError as error:
        raise SourceError("tls_error", f"API server: TLS failed: {error.reason or 'handshake'}") from error
    except ConnectionRefusedError as error:
        raise SourceError("connection_refused", "API server: nothing listens at its address") from error
    except (ConnectionError, http.client.RemoteDisconnected) as error:
        raise SourceError("connection_lost", "API server: the connection ended before the answer") from error
    except http.client.IncompleteRead as error:
        raise SourceError("truncated", "API server: the answer was cut off") from error
    except http.client.HTTPException as error:
        raise SourceError("malformed", f"API server: no HTTP answer ({type(error).__name__})") from error
    except OSError as error:
        raise SourceError("unreachable", f"API server: {error.strerror or 'cannot be reached'}") from error
    finally:
        connection.close()
    return _decoded(body)


def _left(deadline_seconds: float) -> float:
    left = deadline_seconds - time.monotonic()
    if left <= 0:
        raise _timeout()
    return left


def _timeout() -> SourceError:
    return SourceError("timeout", "API server: no whole answer in time")


def _body(
    connection: http.client.HTTPSConnection, response: http.client.HTTPResponse, deadline_seconds: float
) -> bytes:
    promised = response.length
    chunks: list[bytes] = []
    received_bytes = 0
    while received_bytes != promised:
        left_seconds = _left(deadline_seconds)
        if connection.sock is not None:
            connection.sock.settimeout(left_seconds)
        chunk = response.read1(_CHUNK_BYTES)
        if not chunk:
            break
        received_bytes += len(chunk)
        if received_bytes > MAX_ANSWER_BYTES:
            raise SourceError("too_large", f"API server: the answer is over {MAX_ANSWER_BYTES} bytes")
        chunks.append(chunk)
    if promised is not None and received_bytes < promised:
        raise SourceError("truncated", "API server: the answer was cut off")
    return b"".join(chunks)


def _refused(response: http.client.HTTPResponse) -> SourceError:
    status = response.status
    reason, meaning = _REASONS.get(status, ("http_status", "it gave an answer that is no list"))
    if 300 <= status < 400:
        reason, meaning = "redirect", "it redirects, which is not followed: the token would go elsewhere"
    elif status >= 500:
        reason, meaning = "server_error", "it failed"
    asked = response.getheader("Retry-After", "")
    seconds = float(asked) if asked.isascii() and asked.isdecimal() and len(asked) <= 6 else 0.0
    return SourceError(reason, f"API server: {meaning} (HTTP {status})", seconds)


def _decoded(body: bytes) -> _PodList:
    try:
        page = msgspec.json.decode(body, type=_PodList)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceError("malformed", f"API server: the answer is no list of pods: {error}") from error
    if page.kind != "PodList":
        raise SourceError("malformed", "API server: the answer is no list of pods")
    return page


def _is_named(pod: _Pod) -> bool:
    return is_name(pod.metadata.namespace) and is_name(pod.metadata.name)


def _plain(pod: _Pod) -> Pod:
    ready = {status.name for status in pod.status.container_statuses or () if status.ready}
    return Pod(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        ip=pod.status.pod_ip or next((address.ip for address in pod.status.pod_ips or ()), ""),
        phase=pod.status.phase,
        annotations=metrics_annotations(pod.metadata.annotations or {}),
        labels=pod.metadata.labels or {},
        containers=tuple(
            Container(
                container.name,
                tuple(ContainerPort(port.name, port.container_port) for port in container.ports or ()),
                container.name in ready,
            )
            for container in pod.spec.containers or ()
        ),
    )
