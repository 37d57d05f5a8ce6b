"""Addresses of metrics endpoints: telling them from paths, completing them, hiding what is secret in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

METRICS_PATHS: Final = ("/metrics", "/prometheus/metrics")
"""What a base URL is completed with: trtllm-serve has JSON at the first and Prometheus text at the second."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST_PORT: Final = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+(?:%\w+)?\]):(?P<port>\d{1,5})(?:[/?]\S*)?\Z")


def looks_like_url(spec: str) -> bool:
    """Whether `spec` is an address, not a path: it has a scheme, or is `HOST:PORT` and no file's name."""
    if _SCHEME.match(spec):
        return True
    match = _HOST_PORT.match(spec)
    return match is not None and 0 < int(match["port"]) < 65536 and not Path(spec).exists()


def has_scheme(spec: str) -> bool:
    """Whether `spec` says its protocol."""
    return _SCHEME.match(spec) is not None


def redacted(url: str) -> str:
    """Return `url` for messages: without user and password, query values and fragment.

    All before the last `@` goes, because a password with an unescaped `/` or `?` parses as something else.
    """
    scheme = _SCHEME.match(url)
    start = scheme.end() if scheme else 0
    rest = url[start:]
    if "@" in rest:
        rest = "***@" + rest.rpartition("@")[2]
    rest = rest.partition("#")[0]
    path, mark, query = rest.partition("?")
    if mark:
        path += "?" + "&".join(_redacted_parameter(parameter) for parameter in query.split("&"))
    return url[:start] + path


def _redacted_parameter(parameter: str) -> str:
    name, equals, _ = parameter.partition("=")
    return f"{name}=***" if equals else "***"


def candidates(url: str) -> tuple[str, ...]:
    """Return the URLs to try in turn: `url` itself, or its metrics paths when it has no path.

    Raises ValueError when `url` cannot be split.
    """
    complete = url if has_scheme(url) else f"http://{url}"
    parts = urlsplit(complete)
    if parts.path not in {"", "/"}:
        return (complete,)
    return tuple(parts._replace(path=path).geturl() for path in METRICS_PATHS)
