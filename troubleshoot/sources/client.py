"""A client for one server, with its credentials, which no other server gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from troubleshoot.sources.access import Access, basic_of, headers_of, tls_of
from troubleshoot.sources.address import redacted
from troubleshoot.sources.errors import InputError

if TYPE_CHECKING:
    import httpx

__all__ = ["open_client", "other_server"]


def open_client(name: str, access: Access, headers: Mapping[str, str], timeout_seconds: float) -> httpx.Client:
    """Open it; raise `InputError`, of `name` or of the file, where settings or credentials are no use."""
    import httpx

    credentials, basic, tls = headers_of(access), basic_of(access), tls_of(access)
    try:
        return httpx.Client(
            timeout=timeout_seconds,
            headers={**headers, **credentials},
            auth=basic,
            verify=True if tls is None else tls,
        )
    except (ValueError, OSError) as error:
        problem = "the proxy or certificate settings of the environment are wrong"
        raise InputError(name, problem, "check HTTP_PROXY and SSL_CERT_FILE") from error


def other_server(url: httpx.URL, target: httpx.URL) -> str:
    """Say so, as a problem, where a redirect from `url` to `target` leaves the server; empty where it does not."""
    if (target.scheme, target.host, target.port) == (url.scheme, url.host, url.port):
        return ""
    there = redacted(str(target.copy_with(path="/", query=None, fragment=None)))
    return f"redirects to another server, {there}, which gets no credentials"
