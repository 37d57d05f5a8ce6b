"""A store's HTTP API: credentials, bounds, redirects, and every way in which it can fail, each in one line."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import trustme

from troubleshoot.sources.access import TENANT_HEADER, Access
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.http_api import LONGEST_GET_CHARACTERS, HttpApi, RefusedError, TooLargeError

from .conftest import LocalServer, http_answer

Start = Callable[..., LocalServer]
OK = http_answer(b'{"status":"success"}', "200 OK", "Content-Type: application/json")
SECRET = "s3cr3t-t0ken-value"


Sleep = Callable[[float], None]


def ask(server: LocalServer, access: Access | None = None, query: str = "up", sleep: Sleep = time.sleep) -> bytes:
    with HttpApi(f"http://{server.address}", access or Access(), sleep=sleep) as api:
        return api.ask("/api/v1/query", {"query": query})


def problem(server: LocalServer, access: Access | None = None, sleep: Sleep = time.sleep) -> str:
    with pytest.raises(InputError) as raised:
        ask(server, access, sleep=sleep)
    text = str(raised.value)
    assert "\n" not in text and SECRET not in text
    assert text.startswith(f"http://{server.address}: ")
    return text


def headers(request: bytes) -> dict[str, str]:
    lines = request.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(SECRET + "\n")
    return str(path)


# What is asked


def test_a_short_query_is_a_get_and_a_long_one_a_form(start: Start) -> None:
    server = start(OK)
    ask(server, query="up")
    ask(server, query="x" * LONGEST_GET_CHARACTERS)
    short, long = server.requests
    assert short.startswith(b"GET /api/v1/query?query=up HTTP/1.1")
    assert long.startswith(b"POST /api/v1/query HTTP/1.1")
    assert headers(long)["content-type"] == "application/x-www-form-urlencoded"


def test_the_form_holds_the_query(start: Start) -> None:
    bodies = []

    def respond(head: bytes, connection: socket.socket) -> None:
        length = int(headers(head)["content-length"])
        body = head.split(b"\r\n\r\n", 1)[1]
        while len(body) < length:
            body += connection.recv(65536)
        bodies.append(body)
        connection.sendall(OK)

    ask(start(respond), query="sum(" + "x" * 3000 + ")")
    assert parse_qs(bodies[0].decode())["query"] == ["sum(" + "x" * 3000 + ")"]


@pytest.mark.parametrize("status", ["405 Method Not Allowed", "403 Forbidden"])
def test_a_long_query_is_tried_as_a_get_where_posts_are_refused(start: Start, status: str) -> None:
    def respond(head: bytes, connection: socket.socket) -> None:
        connection.sendall(OK if head.startswith(b"GET") else http_answer(b"", status))

    assert ask(start(respond), query="x" * 2000) == b'{"status":"success"}'


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("", "/api/v1/query"),
        ("/", "/api/v1/query"),
        ("/prometheus", "/prometheus/api/v1/query"),
        ("/select/0/prometheus/", "/select/0/prometheus/api/v1/query"),
        ("/graph?g0.expr=up", "/api/v1/query"),
        ("/prom/api/v1/query?query=up", "/prom/api/v1/query"),
        ("/loki/api/v1/query_range", "/api/v1/query"),
        ("/graphs", "/graphs/api/v1/query"),
    ],
)
def test_the_base_of_a_pasted_address_is_found(start: Start, base: str, path: str) -> None:
    server = start(OK)
    with HttpApi(f"{server.address}{base}", Access()) as api:
        api.ask("/api/v1/query", {"query": "up"})
    assert server.paths == [f"{path}?query=up"]


def test_credentials_tenant_and_headers_are_sent(start: Start, token: str, tmp_path: Path) -> None:
    more = tmp_path / "headers"
    more.write_text("# for the gateway\nX-Team: inference\n\nCF-Access: abc\n")
    server = start(OK)
    ask(server, Access(bearer_token_file=token, tenant="team-a", headers_file=str(more)))
    sent = headers(server.requests[0])
    assert sent["authorization"] == f"Bearer {SECRET}"
    assert sent[TENANT_HEADER.lower()] == "team-a"
    assert (sent["x-team"], sent["cf-access"]) == ("inference", "abc")


def test_user_and_password_are_sent(start: Start, token: str) -> None:
    server = start(OK)
    ask(server, Access(username="oncall", password_file=token))
    assert headers(server.requests[0])["authorization"] == "Basic b25jYWxsOnMzY3IzdC10MGtlbi12YWx1ZQ=="


def test_user_and_password_of_the_address_are_sent_and_not_shown(start: Start) -> None:
    server = start(http_answer(b"", "401 Unauthorized"))
    with HttpApi(f"http://oncall:{SECRET}@{server.address}", Access()) as api, pytest.raises(InputError) as raised:
        api.ask("/api/v1/query", {"query": "up"})
    assert headers(server.requests[0])["authorization"].startswith("Basic ")
    assert SECRET not in str(raised.value)


def test_gzip_is_read(start: Start) -> None:
    assert ask(start(http_answer(gzip.compress(b"{}" * 9), "200 OK", "Content-Encoding: gzip"))) == b"{}" * 9


# TLS


def test_certificates_are_checked_against_the_given_authority(start: Start, tmp_path: Path) -> None:
    import ssl

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = start(OK, lambda connection: context.wrap_socket(connection, server_side=True))
    pem = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(pem)
    url = f"https://{server.address}"
    for access in (Access(ca_file=str(pem)), Access(insecure=True)):
        with HttpApi(url, access) as api:
            assert api.ask("/api/v1/query", {"query": "up"})
    with HttpApi(url, Access()) as api, pytest.raises(InputError, match=r"not trusted.*--tls-ca"):
        api.ask("/api/v1/query", {"query": "up"})


def test_an_own_certificate_is_shown(start: Start, tmp_path: Path) -> None:
    import ssl

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = start(OK, lambda connection: context.wrap_socket(connection, server_side=True))
    own, pem = tmp_path / "own.pem", tmp_path / "ca.pem"
    authority.issue_cert("oncall@example.org").private_key_and_cert_chain_pem.write_to_path(own)
    authority.cert_pem.write_to_path(pem)
    with HttpApi(f"https://{server.address}", Access(ca_file=str(pem), cert_file=str(own))) as api:
        assert api.ask("/api/v1/query", {"query": "up"})
    with HttpApi(f"https://{server.address}", Access(ca_file=str(pem))) as api, pytest.raises(InputError):
        api.ask("/api/v1/query", {"query": "up"})


# Redirects


def test_a_redirect_on_the_same_server_keeps_the_query(start: Start) -> None:
    moved = http_answer(b"", "302 Found", "Location: /prom/api/v1/query")
    server = start({"/api/v1/query?query=up": moved, "/prom/api/v1/query?query=up": OK})
    assert ask(server) == b'{"status":"success"}'


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
def test_no_credentials_go_to_another_server(start: Start, token: str, tmp_path: Path, status: str) -> None:
    more = tmp_path / "headers"
    more.write_text(f"Cookie: session={SECRET}\n")
    other = start(OK)
    server = start(http_answer(b"", status, f"Location: http://{other.address}/login?next={SECRET}"))
    access = Access(bearer_token_file=token, tenant="team-a", headers_file=str(more))
    text = problem(server, access)
    assert f"redirects to another server, http://{other.address}/, which gets no credentials" in text
    assert "--bearer-token-file" in text
    assert other.requests == []


def test_a_circle_of_redirects_ends(start: Start) -> None:
    assert "redirects more than 3 times" in problem(start(http_answer(b"", "302 Found", "Location: /api/v1/query")))


# Failures


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with HttpApi(f"http://127.0.0.1:{port}", Access()) as api, pytest.raises(InputError) as raised:
        api.ask("/api/v1/query", {"query": "up"})
    assert str(raised.value).endswith(
        "connection refused: nothing listens there; check host and port, and that it runs"
    )


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            "400 Bad Request",
            b'{"status":"error","errorType":"bad_data","error":"1:5: parse error"}',
            ": 1:5: parse error;",
        ),
        ("400 Bad Request", b"parse error at line 1, col 5: syntax error\n", ": parse error at line 1, col 5: syntax"),
        ("401 Unauthorized", b"<html>no</html>", "answered 401 Unauthorized; give credentials: --bearer-token-file"),
        ("403 Forbidden", b"", "answered 403 Forbidden; these credentials may not read that"),
        ("404 Not Found", b"404 page not found\n", "the API is not at this address"),
        ("422 Unprocessable Entity", b'{"status":"error","error":"too many samples"}', ": too many samples; the store"),
        (
            "500 Internal Server Error",
            b'{"error":"boom"}',
            "500 Internal Server Error: boom; look at the store's own log",
        ),
        ("418 I'm a Teapot", b"\x1b[31mred\x1b[0m", "418 I'm a Teapot: red; check the address"),
        ("599 Odd", b"", "answered 599; look at the store's own log"),
    ],
)
def test_a_refusal_is_said_in_the_stores_words(start: Start, status: str, body: bytes, said: str) -> None:
    text = problem(start(http_answer(body, status)))
    assert said in text
    assert "\x1b" not in text


def test_a_refusal_that_holds_a_secret_does_not_show_it(start: Start) -> None:
    text = problem(start(http_answer(f"bad header Authorization: Bearer {SECRET}".encode(), "400 Bad Request")))
    assert "answered 400 Bad Request" in text


def test_a_refusal_that_passes_is_tried_again_at_the_pace_asked_for(start: Start) -> None:
    answers = iter([http_answer(b"", "429 Too Many Requests", "Retry-After: 7"), http_answer(b"", "503 Busy"), OK])
    waits: list[float] = []
    assert ask(start(lambda _head, connection: connection.sendall(next(answers))), sleep=waits.append)
    assert waits == [7.0, 2.0]


@pytest.mark.parametrize("status", ["429 Too Many Requests", "502 Bad Gateway", "503 Service Unavailable", "504 Late"])
def test_a_refusal_that_stays_is_said(start: Start, status: str) -> None:
    waits: list[float] = []
    server = start(http_answer(b"", status))
    assert f"answered {status[:3]}" in problem(server, sleep=waits.append)
    assert (len(server.requests), waits) == (3, [1.0, 2.0])


def test_a_wait_longer_than_the_deadline_is_not_made(start: Start) -> None:
    waits: list[float] = []
    server = start(http_answer(b"", "429 Too Many Requests", "Retry-After: 3600"))
    text = problem(server, sleep=waits.append)
    assert "answered 429 Too Many Requests (asks to wait 3600 s)" in text
    assert (len(server.requests), waits) == (1, [])


def test_a_date_to_wait_for_is_understood(start: Start) -> None:
    server = start(http_answer(b"", "503 Busy", "Retry-After: Wed, 21 Oct 2065 07:28:00 GMT"))
    assert "asks to wait" in problem(server, sleep=lambda _seconds: None)
    assert len(server.requests) == 1


def test_a_server_that_never_answers(start: Start) -> None:
    server = start(lambda _head, connection: connection.recv(1))
    assert "gave no answer within 0.3 s; ask for less" in problem(server, Access(timeout_seconds=0.3))


def test_a_server_that_drips(start: Start) -> None:
    """A byte at a time never meets a client's own timeout."""

    def drip(_head: bytes, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not server.stopping.wait(0.02):
            connection.sendall(b" ")

    server = start(drip)
    assert "its answer was not whole within 0.4 s" in problem(server, Access(timeout_seconds=0.4))


def test_answers_that_take_too_long_together_end(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is within its own bound."""
    now = [1000.0]
    monkeypatch.setattr("troubleshoot.sources.http_api.time.monotonic", lambda: now[0])
    server = start(OK)
    with HttpApi(f"http://{server.address}", Access(timeout_seconds=10)) as api:
        for _ in range(6):
            api.ask("/api/v1/query", {})
            now[0] += 10
        with pytest.raises(InputError, match="all answers together took more than 60 s; ask for less"):
            api.ask("/api/v1/query", {})
    assert len(server.requests) == 6


def test_an_answer_that_is_cut_off(start: Start) -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b'{"status":'
    assert "closed midway" in problem(start(cut))


def test_damaged_gzip(start: Start) -> None:
    broken = gzip.compress(bytes(range(256)) * 50)[:60] + b"\xff" * 60
    assert "damaged gzip" in problem(start(http_answer(broken, "200 OK", "Content-Encoding: gzip")))


def test_an_encoding_that_was_not_asked_for(start: Start) -> None:
    assert "encoding br, which" in problem(start(http_answer(b"x", "200 OK", "Content-Encoding: br")))


def test_a_huge_answer_is_not_read_to_its_end(start: Start) -> None:
    bomb = http_answer(gzip.compress(b" " * (5 << 20)), "200 OK", "Content-Encoding: gzip")
    with HttpApi(f"http://{start(bomb).address}", Access(), max_bytes=1 << 20) as api:
        with pytest.raises(TooLargeError, match=r"more than 1\.0 MB"):
            api.ask("/api/v1/query", {})
        assert api.bytes_read < 2 << 20


def test_what_does_not_speak_http(start: Start) -> None:
    assert "does not speak HTTP" in problem(start(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"))


def test_a_connection_closed_without_an_answer(start: Start) -> None:
    assert "closed without an answer" in problem(start(b""))


@pytest.mark.parametrize("url", ["ftp://host", "unix:///run/x", "http://", "http://[::1", "http://ho st"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(InputError, match=r"is not"), HttpApi(url, Access()) as api:
        api.ask("/api/v1/query", {})


def test_the_status_is_kept_for_who_asks(start: Start) -> None:
    with pytest.raises(RefusedError) as raised:
        ask(start(http_answer(b"why", "422 No")))
    assert (raised.value.status, raised.value.said) == (422, b"why")
