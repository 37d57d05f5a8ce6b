"""Basic authentication: who gets in, what a guess costs, and what is remembered."""

from __future__ import annotations

import asyncio
import base64
import http.client
from collections.abc import Callable

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from catalog.settings import SettingsError
from exporter.serving.app import Sources
from exporter.serving.authentication import Authenticator
from exporter.serving.server import Server
from exporter.serving.web_config import HttpServerConfig, TlsServerConfig, WebConfig

Serve = Callable[..., Server]


def hashed(password: bytes) -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(4)).decode()


def basic(name: bytes, password: bytes) -> bytes:
    return b"Basic " + base64.b64encode(name + b":" + password)


def accepts(authenticator: Authenticator, header: bytes) -> bool:
    return asyncio.run(authenticator.accepts(header))


@pytest.fixture
def authenticator() -> Authenticator:
    return Authenticator({"alice": hashed(b"open: sesame"), "bj\u00f6rn": hashed("gr\u00fc\u00df".encode())})


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """Every (password, hash) that bcrypt is asked to compare."""
    made: list[tuple[bytes, bytes]] = []
    original = bcrypt.checkpw

    def noted(password: bytes, stored: bytes) -> bool:
        made.append((password, stored))
        return original(password, stored)

    monkeypatch.setattr(bcrypt, "checkpw", noted)
    return made


@pytest.mark.parametrize(
    "header",
    [
        basic(b"alice", b"open: sesame"),
        basic("bj\u00f6rn".encode(), "gr\u00fc\u00df".encode()),
        basic(b"alice", b"open: sesame").replace(b"Basic", b"bAsIc"),
        basic(b"alice", b"open: sesame").replace(b" ", b"   "),
    ],
)
def test_a_right_password_gets_in(authenticator: Authenticator, header: bytes) -> None:
    assert accepts(authenticator, header)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Basic",
        b"Basic ",
        basic(b"alice", b"wrong"),
        basic(b"alice", b""),
        basic(b"alice", b"open: sesame\0"),
        basic(b"bob", b"open: sesame"),
        basic(b"ALICE", b"open: sesame"),
        basic(b"", b"open: sesame"),
        b"Basic " + base64.b64encode(b"alice"),
        b"Basic not base64!",
        b"Basic YWxpY2U",
        b"Bearer " + base64.b64encode(b"alice:open: sesame"),
        b"Basic \xff\xfe",
    ],
)
def test_anything_else_does_not(authenticator: Authenticator, header: bytes) -> None:
    assert not accepts(authenticator, header)


def test_a_password_is_not_right_because_bcrypt_reads_72_bytes_of_it() -> None:
    authenticator = Authenticator({"alice": hashed(b"x" * 72)})
    assert accepts(authenticator, basic(b"alice", b"x" * 72))
    assert not accepts(authenticator, basic(b"alice", b"x" * 73))


def test_a_password_that_bcrypt_refuses_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: bytes, __: bytes) -> bool:
        raise ValueError("password may not contain NUL bytes")

    authenticator = Authenticator({"alice": hashed(b"secret")})
    monkeypatch.setattr(bcrypt, "checkpw", refuse)
    assert not accepts(authenticator, basic(b"alice", b"secret"))


def test_an_unknown_name_stays_out_even_with_the_decoys_password(monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = Authenticator({"alice": hashed(b"secret")})
    monkeypatch.setattr(bcrypt, "checkpw", lambda password, stored: True)
    assert accepts(authenticator, basic(b"alice", b"anything"))
    assert not accepts(authenticator, basic(b"bob", b"anything"))


def test_an_unknown_name_costs_what_a_known_one_costs(comparisons: list[tuple[bytes, bytes]]) -> None:
    authenticator = Authenticator({"alice": hashed(b"secret")})
    assert not accepts(authenticator, basic(b"bob", b"secret"))
    [(password, decoy)] = comparisons
    assert password == b"secret"
    assert decoy.split(b"$")[2] == b"04"


def test_a_right_pair_is_computed_once_and_never_kept_as_text(comparisons: list[tuple[bytes, bytes]]) -> None:
    authenticator = Authenticator({"alice": hashed(b"open sesame")})
    for _ in range(5):
        assert accepts(authenticator, basic(b"alice", b"open sesame"))
    assert len(comparisons) == 1
    assert b"open sesame" not in repr(vars(authenticator)).encode()


def test_simultaneous_first_requests_compute_once(comparisons: list[tuple[bytes, bytes]]) -> None:
    authenticator = Authenticator({"alice": hashed(b"secret")})

    async def together() -> list[bool]:
        return await asyncio.gather(*(authenticator.accepts(basic(b"alice", b"secret")) for _ in range(8)))

    assert asyncio.run(together()) == [True] * 8
    assert len(comparisons) == 1


def test_wrong_pairs_are_computed_each_time(comparisons: list[tuple[bytes, bytes]]) -> None:
    authenticator = Authenticator({"alice": hashed(b"secret")})
    for _ in range(3):
        assert not accepts(authenticator, basic(b"alice", b"wrong"))
    assert len(comparisons) == 3


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"user{number}" for number in range(5)]
    one = hashed(b"secret")
    monkeypatch.setattr("exporter.serving.authentication._REMEMBERED", 3)
    authenticator = Authenticator(dict.fromkeys(names, one))
    for name in names:
        assert accepts(authenticator, basic(name.encode(), b"secret"))
    assert len(authenticator._verified) == 3


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_no_header_raises_or_gets_in(header: bytes) -> None:
    authenticator = Authenticator({"alice": "$2b$04$EP7oDQV7lLeBDvQYWzgCzeMmCEJj/TuGQJvjATRWQ3euyZZrhG4Uq"})
    assert not accepts(authenticator, header)
    assert not accepts(authenticator, b"Basic " + base64.b64encode(header))


def status(server: Server, path: str, authorization: bytes | None = None) -> tuple[int, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        headers = {"Authorization": authorization.decode()} if authorization else {}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("WWW-Authenticate")
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/metrics", "/", "/healthz", "/health", "/readyz", "/nothing"])
def test_every_path_asks_for_the_password(serve: Serve, sources: Sources, path: str) -> None:
    server = serve(sources, WebConfig(basic_auth_users={"alice": hashed(b"secret")}))
    challenge = 'Basic realm="inferwatch", charset="UTF-8"'
    assert status(server, path) == (401, challenge)
    assert status(server, path, basic(b"alice", b"wrong")) == (401, challenge)
    assert status(server, path, basic(b"alice", b"secret")) == (404 if path == "/nothing" else 200, None)


def test_configured_headers_go_out_with_a_refusal(serve: Serve, sources: Sources) -> None:
    web = WebConfig(
        basic_auth_users={"alice": hashed(b"secret")},
        http_server_config=HttpServerConfig(headers={"Strict-Transport-Security": "max-age=60"}),
    )
    connection = http.client.HTTPConnection("127.0.0.1", serve(sources, web).port, timeout=20)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Strict-Transport-Security")) == (401, "max-age=60")
    finally:
        connection.close()


def test_new_users_need_no_restart(serve: Serve, sources: Sources) -> None:
    server = serve(sources, WebConfig(basic_auth_users={"alice": hashed(b"old")}))
    assert status(server, "/metrics", basic(b"alice", b"old"))[0] == 200
    server.apply(WebConfig(basic_auth_users={"alice": hashed(b"new")}))
    assert status(server, "/metrics", basic(b"alice", b"old"))[0] == 401
    assert status(server, "/metrics", basic(b"alice", b"new"))[0] == 200
    server.apply(WebConfig())
    assert status(server, "/metrics")[0] == 200


def test_new_tls_settings_need_a_restart_and_change_nothing(serve: Serve, sources: Sources) -> None:
    server = serve(replace(sources), WebConfig(basic_auth_users={"alice": hashed(b"old")}))
    with pytest.raises(SettingsError, match=r"^tls_server_config: .*next start"):
        server.apply(WebConfig(tls_server_config=TlsServerConfig(cert_file="c", key_file="k")))
    assert status(server, "/metrics")[0] == 401
