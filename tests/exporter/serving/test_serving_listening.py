"""The listening socket: one line for every address that cannot be had."""

from __future__ import annotations

import errno
import socket

import pytest

from catalog.settings import SettingsError
from exporter.serving.listening import listen


def test_an_empty_host_falls_back_to_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    original = socket.getaddrinfo

    def without_ipv6(host: str, *arguments: object, **keywords: object) -> object:
        if host == "::":
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return original(host, *arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", without_ipv6)
    with listen(":0") as bound:
        assert bound.getsockname()[0] == "0.0.0.0"


def test_an_empty_host_without_ipv6_says_what_is_wrong_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with listen("0.0.0.0:0") as first:
        original = socket.socket.bind

        def bind(bound: socket.socket, where: tuple[object, ...]) -> None:
            if bound.family == socket.AF_INET6:
                raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
            original(bound, where)

        monkeypatch.setattr(socket.socket, "bind", bind)
        with pytest.raises(SettingsError, match=r"^listen: .*another process listens there"):
            listen(f":{first.getsockname()[1]}")


def test_a_port_in_use_is_said_in_one_line() -> None:
    with listen("127.0.0.1:0") as first:
        address = f"127.0.0.1:{first.getsockname()[1]}"
        with pytest.raises(SettingsError, match=f"^listen: {address}: another process listens there"):
            listen(address)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:65536", "wants HOST:PORT"),
        ("127.0.0.1", "wants HOST:PORT"),
        ("127.0.0.1:http", "wants HOST:PORT"),
        ("203.0.113.7:9400", "this host has no such address"),
        ("no-such-host.invalid:9400", "the host's name is not known"),
    ],
)
def test_a_bad_address_is_said_in_one_line(address: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"^listen: {address}: .*{said}"):
        listen(address)


@pytest.mark.parametrize("address", ["127.0.0.1:80", ":80"])
def test_a_privileged_port_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    def refuse(_: socket.socket, __: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(SettingsError, match=f"^listen: {address}: not permitted; take a port from 1024 up"):
        listen(address)
