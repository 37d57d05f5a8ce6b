"""What went wrong with a call to the API server, and what to do about it, one line each."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from troubleshoot.redact import quote
from troubleshoot.sources.endpoint_problems import Problem
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.kube.calls import Call

_QUOTED_CHARACTERS: Final = 240
_TLS: Final = (
    ("certificate has expired", "the API server's certificate has expired", "renew it, or check this machine's clock"),
    ("alert certificate expired", "the client certificate has expired", "log in again, or renew it in the kubeconfig"),
    (
        "certificate verify failed",
        "its TLS certificate is not trusted",
        "check certificate-authority in the kubeconfig",
    ),
    ("alert bad certificate", "it does not accept the client certificate", "log in again"),
    ("wrong version number", "it does not speak TLS", "check the port of server in the kubeconfig"),
)
_NETWORK: Final = (
    ("ProxyError", "the proxy does not let the request through", "check proxy-url in the kubeconfig, or HTTPS_PROXY"),
    ("refused", "connection refused: nothing listens there", "check server in the kubeconfig, and VPN or tunnel"),
    ("NameResolution", "its host name is not known", "check server in the kubeconfig, and VPN or DNS"),
    ("getaddrinfo", "its host name is not known", "check server in the kubeconfig, and VPN or DNS"),
    ("ConnectTimeout", "no connection in time", "check server in the kubeconfig, and VPN or firewall"),
    ("unreachable", "no route to the host", "check server in the kubeconfig, and VPN or tunnel"),
)
NO_ANSWER: Final = ("connected, but got no answer in time", "the API server may be overloaded: try again")
CUT_OFF: Final = ("the connection closed midway through the answer", "try again")


class ClusterError(InputError):
    """A call that gave nothing. `status` is the HTTP status, 0 where no answer came; `said` is the server's reason."""

    def __init__(self, name: str, problem: Problem, call: Call, status: int = 0, said: str = "") -> None:
        super().__init__(name, *problem)
        self.call = call
        self.status = status
        self.said = said

    @property
    def is_forbidden(self) -> bool:
        """Whether a right is missing."""
        return self.status == HTTPStatus.FORBIDDEN


def transport_problem(error: BaseException) -> Problem:
    """The problem of a call that got no answer."""
    text = f"{type(error).__name__} {error}"
    for needle, problem, advice in (*_TLS, *_NETWORK):
        if needle.lower() in text.lower():
            return problem, advice
    if "SSL" in text:
        return "the TLS handshake failed", "check server and certificate-authority in the kubeconfig"
    if "Timeout" in text or "timed out" in text:
        return NO_ANSWER
    return "the connection closed without an answer", "check server in the kubeconfig"


def status_problem(call: Call, status: int, said: str, namespace: str) -> Problem:
    """The problem of an error status; `said` is the API server's reason."""
    told = f": {said}" if said else ""
    if status == HTTPStatus.UNAUTHORIZED:
        return "answered 401: the credentials are not accepted, or have expired", "log in again"
    if status == HTTPStatus.FORBIDDEN:
        where = f" in namespace {namespace}" if namespace else ""
        return (
            f"forbidden: {call.gives} {'are' if call.gives.endswith('s') else 'is'} not read",
            f"the right to {call.right}{where} is missing (see {call.page})",
        )
    if status == HTTPStatus.NOT_FOUND:
        return f"answered 404{told}", "check name, namespace and context"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return f"answered 429: it limits requests{told}", "try again later"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"answered {status}{told}", "try again; if it stays, the API server or the kubelet behind it is ill"
    if status in range(300, 400):
        return f"answered {status}: it redirects, which is not followed", "check server in the kubeconfig"
    return f"answered {status}{told}", "check the request's names"


def reason_in(body: bytes) -> str:
    """The message of a Status object, or the text of the answer; one line, without secrets."""
    text = body.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return "" if text.lstrip().startswith("<") else quote(" ".join(text.split()), _QUOTED_CHARACTERS)
    message = answer.get("message") if isinstance(answer, dict) else None
    return quote(" ".join(message.split()), _QUOTED_CHARACTERS) if isinstance(message, str) else ""
