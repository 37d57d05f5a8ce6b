"""The listening socket: bound before anything else starts, so that a bad address ends the start at once."""

from __future__ import annotations

import errno
import socket

from catalog.settings import SettingsError

__all__ = ["listen"]

_BACKLOG = 128
_REASONS = {
    errno.EADDRINUSE: "another process listens there; end it or take another port",
    errno.EACCES: "not permitted; take a port from 1024 up",
    errno.EADDRNOTAVAIL: "this host has no such address; take one of its own, or 0.0.0.0",
}


def listen(address: str) -> socket.socket:
    """Return a socket that listens at `HOST:PORT`, `[IPV6]:PORT` or `:PORT`.

    `[::]` and an empty host take IPv4 too, as Prometheus exporters do; port 0 takes a free one. Raises
    SettingsError with one line that names the address.
    """
    host, _, port_text = address.rpartition(":")
    if not (port_text.isascii() and port_text.isdigit() and int(port_text) <= 65535):
        raise SettingsError(f"listen: {address}: wants HOST:PORT with a port up to 65535")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        return _bound(bare or "::", int(port_text))
    except OSError as error:
        if not bare and error.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
            return _on_ipv4(address, int(port_text))
        raise _refused(address, error) from error


def _on_ipv4(address: str, port: int) -> socket.socket:
    """Any address of a host whose kernel has no IPv6."""
    try:
        return _bound("0.0.0.0", port)  # noqa: S104 - an empty host asks for it
    except OSError as error:
        raise _refused(address, error) from error


def _refused(address: str, error: OSError) -> SettingsError:
    if isinstance(error, socket.gaierror):
        return SettingsError(f"listen: {address}: the host's name is not known")
    return SettingsError(f"listen: {address}: {_REASONS.get(error.errno or 0, error.strerror)}")


def _bound(host: str, port: int) -> socket.socket:
    """Listen at once: only that tells whether another socket has the port (SO_REUSEADDR lets both bind)."""
    family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
        0
    ]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        bound.bind(where)
        bound.listen(_BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound
