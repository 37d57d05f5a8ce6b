from __future__ import annotations

import gzip
import itertools
import re
import shutil
import socket
import ssl
import struct
import subprocess
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from troubleshoot.sources.access import Access
from troubleshoot.sources.endpoint import Clock, Watch, fetch, scrape_offsets, watch
from troubleshoot.sources.errors import InputError

SCRAPE = b"# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running 3.0\n"
Answer = Callable[..., bytes]
Start = Callable[..., Any]
SOON_SECONDS = 2.0
"""A time limit that is meant to pass, long enough for what must come before it on a busy machine.

Servers that must be in time are given the default limit.
"""


def refusal(url: str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        fetch(url, **options)
    assert str(caught.value).isprintable()
    assert caught.value.advice
    return f"{caught.value.problem}; {caught.value.advice}"


class TestAddresses:
    @pytest.mark.parametrize("form", ["http://{}/metrics", "{}/metrics", "{}", "http://{}", "HTTP://{}/"])
    def test_the_scheme_and_the_path_may_be_left_out(self, start: Start, answer: Answer, form: str) -> None:
        server = start({"/metrics": answer(SCRAPE)})
        assert fetch(form.format(server.address)) == SCRAPE
        assert server.paths == ["/metrics"]

    def test_tensorrt_llm_is_found_behind_its_json(self, start: Start, answer: Answer) -> None:
        """trtllm-serve has iteration statistics as JSON at /metrics."""
        server = start({"/metrics": answer(b'[{"iter": 1}]'), "/prometheus/metrics": answer(SCRAPE)})
        assert fetch(server.address) == SCRAPE

    def test_the_second_path_is_tried_after_a_404(self, start: Start, answer: Answer) -> None:
        server = start({"/prometheus/metrics": answer(SCRAPE)})
        assert fetch(server.address) == SCRAPE

    def test_a_path_that_is_given_is_the_only_one_tried(self, start: Start, answer: Answer) -> None:
        server = start({"/prometheus/metrics": answer(SCRAPE)})
        assert "404" in refusal(f"{server.address}/metrics")
        assert server.paths == ["/metrics"]

    def test_a_port_is_below_65536(self) -> None:
        assert refusal("http://host:99999/").startswith("is not a valid address; give http://HOST:PORT")

    @pytest.mark.parametrize("url", ["ftp://host/metrics", "file:///etc/passwd", "redis://host:1"])
    def test_only_http_is_spoken(self, url: str) -> None:
        assert refusal(url).startswith("is not an http:// or https:// address")

    @pytest.mark.parametrize(
        "url",
        [
            "http://",
            "http://host:99999/",
            "http://[::1/metrics",
            "http://a b/",
            "http:///x",
            f"http://{'a' * 70}.x/",
        ],
    )
    def test_what_is_no_address_says_so(self, url: str) -> None:
        assert re.match("is not a valid address|the host name is not", refusal(url))

    def test_the_request_asks_for_the_text_format(self, start: Start, answer: Answer) -> None:
        server = start(answer(SCRAPE))
        fetch(server.address)
        head = server.requests[0].lower()
        assert b"accept: text/plain;version=0.0.4" in head
        assert b"accept-encoding: gzip\r\n" in head


class TestBodies:
    def test_gzip_is_decoded(self, start: Start, answer: Answer) -> None:
        body = gzip.compress(SCRAPE * 5000)
        assert fetch(start(answer(body, "200 OK", "Content-Encoding: gzip")).address) == SCRAPE * 5000

    def test_chunks_are_joined(self, start: Start, answer: Answer) -> None:
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (SCRAPE, SCRAPE)) + b"0\r\n\r\n"
        head = answer(b"", "200 OK", "Transfer-Encoding: chunked", length=False)
        assert fetch(start(head + chunks).address) == SCRAPE * 2

    def test_a_body_may_end_with_the_connection(self, start: Start, answer: Answer) -> None:
        assert fetch(start(answer(SCRAPE, length=False)).address) == SCRAPE

    def test_a_body_cut_within_a_line_is_not_used(self, start: Start, answer: Answer) -> None:
        assert refusal(start(answer(SCRAPE[:-5], length=False)).address).startswith("the connection closed midway")

    def test_a_body_shorter_than_announced_is_not_used(self, start: Start, answer: Answer) -> None:
        assert refusal(start(answer(SCRAPE * 2)[: -len(SCRAPE)]).address).startswith("the connection closed midway")

    def test_a_chunked_body_without_its_end_is_not_used(self, start: Start, answer: Answer) -> None:
        head = answer(b"", "200 OK", "Transfer-Encoding: chunked", length=False)
        body = b"%x\r\n%s\r\n" % (len(SCRAPE), SCRAPE)
        assert refusal(start(head + body).address).startswith("the connection closed midway")

    def test_a_reset_connection(self, start: Start, answer: Answer) -> None:
        def reset(_request: bytes, connection: socket.socket) -> None:
            connection.sendall(answer(SCRAPE * 9)[:100])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

        assert refusal(start(reset).address).startswith("the connection closed midway")

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (gzip.compress(SCRAPE * 99)[:-9], "closed midway"),
            (b"\x1f\x8bnonsense", "answered with damaged gzip"),
        ],
    )
    def test_gzip_that_is_not_whole(self, start: Start, answer: Answer, body: bytes, said: str) -> None:
        assert said in refusal(start(answer(body, "200 OK", "Content-Encoding: gzip")).address)

    def test_an_encoding_that_was_not_asked_for(self, start: Start, answer: Answer) -> None:
        server = start(answer(SCRAPE, "200 OK", "Content-Encoding: br"))
        assert refusal(server.address).startswith("answered in the encoding br")

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b"", "answered with an empty body; the engine may still be starting"),
            (b"# TYPE a gauge\n", "answered with metric names but no samples"),
            (b"<html><title>Sign\nin</title>", "answered with an HTML page titled 'Sign\\nin', not metrics"),
            (b"<!doctype html>", "answered with an HTML page, not metrics"),
            (b'{"detail":"x"}', "answered with JSON, not metrics; TensorRT-LLM"),
            (b"OK\n", "answered with text that holds no metrics"),
        ],
    )
    def test_an_answer_without_samples_is_named(self, start: Start, answer: Answer, body: bytes, said: str) -> None:
        assert said in refusal(f"{start(answer(body)).address}/metrics").replace("\\\\", "\\")

    def test_a_large_body_is_not_read_beyond_the_cap(self, start: Start, answer: Answer) -> None:
        sent = []

        def stream(_request: bytes, connection: socket.socket) -> None:
            block = b"up 1\n" * 13_000
            connection.sendall(answer(b"", "200 OK", f"Content-Length: {200 << 20}", length=False))
            for _ in range((200 << 20) // len(block)):
                connection.sendall(block)
                sent.append(len(block))

        server = start(stream)
        tracemalloc.start()
        try:
            said = refusal(server.address, max_bytes=4 << 20)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        server.stop()
        assert said.startswith("answered with more than 4.2 MB")
        assert peak < 16 << 20
        assert sum(sent) < 100 << 20

    def test_a_gzip_bomb_is_not_inflated_beyond_the_cap(self, start: Start, answer: Answer) -> None:
        compressor = zlib.compressobj(9, wbits=31)
        block = b"up 1\n" * 200_000
        bomb = b"".join(compressor.compress(block) for _ in range(200)) + compressor.flush()
        server = start(answer(bomb, "200 OK", "Content-Encoding: gzip"))
        tracemalloc.start()
        try:
            said = refusal(server.address, max_bytes=4 << 20)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert said.startswith("answered with more than 4.2 MB")
        assert peak < 16 << 20


class TestStatuses:
    @pytest.mark.parametrize(
        ("status", "said"),
        [
            ("401 Unauthorized", "answered 401 Unauthorized; give --bearer-token-file"),
            ("403 Forbidden", "answered 403 Forbidden; give --bearer-token-file"),
            ("404 Not Found", "SGLang needs --enable-metrics, llama.cpp needs --metrics"),
            ("501 Not Implemented", "start llama-server with --metrics"),
            ("500 Internal Server Error", "the engine may have died behind its web server"),
            ("503 Service Unavailable", "may still be loading its model"),
            ("400 Bad Request", "if the server speaks TLS, use https://"),
            ("204 No Content", "answered 204 No Content; give the address"),
            ("799 What", "answered 799; "),
            ("304 Not Modified", "answered 304 Not Modified"),
        ],
    )
    def test_each_has_its_advice(self, start: Start, answer: Answer, status: str, said: str) -> None:
        assert said in refusal(f"{start(answer(b'', status)).address}/metrics")

    def test_a_404_elsewhere_asks_for_the_base_address(self, start: Start, answer: Answer) -> None:
        said = refusal(f"{start(answer(b'', '404 Not Found')).address}/v1")
        assert "metrics are rarely at /v1: give HOST:PORT alone" in said

    def test_llama_cpp_is_known_by_its_server_header(self, start: Start, answer: Answer) -> None:
        server = start(answer(b"", "404 Not Found", "Server: llama.cpp"))
        assert refusal(server.address) == "answered 404 Not Found; start llama-server with --metrics"


class TestCredentials:
    @pytest.fixture
    def files(self, tmp_path: Path) -> Path:
        (tmp_path / "token").write_text("S3CRET-token\n")
        (tmp_path / "headers").write_text("X-Api-Key: S3CRET-key\n")
        return tmp_path

    def test_without_them_nothing_is_sent(self, start: Start, answer: Answer) -> None:
        server = start(answer(SCRAPE))
        assert fetch(server.address) == SCRAPE
        assert b"authorization" not in server.requests[0].lower()

    @pytest.mark.parametrize(
        ("access", "sent"),
        [
            ({"bearer_token_file": "token"}, b"Authorization: Bearer S3CRET-token\r\n"),
            ({"username": "u", "password_file": "token"}, b"Authorization: Basic dTpTM0NSRVQtdG9rZW4=\r\n"),
            ({"headers_file": "headers"}, b"X-Api-Key: S3CRET-key\r\n"),
            ({"tenant": "team-a"}, b"X-Scope-OrgID: team-a\r\n"),
        ],
    )
    def test_each_kind_is_sent(
        self, start: Start, answer: Answer, files: Path, access: dict[str, Any], sent: bytes
    ) -> None:
        paths: dict[str, Any] = {
            name: str(files / text) if name.endswith("file") else text for name, text in access.items()
        }
        server = start(answer(SCRAPE))
        assert fetch(server.address, access=Access(**paths)) == SCRAPE
        assert sent.lower() in server.requests[0].lower()

    def test_a_redirect_of_the_same_server_gets_them(self, start: Start, answer: Answer, files: Path) -> None:
        moved = answer(b"", "307 Temporary Redirect", "Location: /metrics/")
        server = start({"/metrics": moved, "/metrics/": answer(SCRAPE)})
        assert fetch(server.address, access=Access(headers_file=str(files / "headers"))) == SCRAPE
        assert b"x-api-key" in server.requests[1].lower()

    @pytest.mark.parametrize("kind", ["token", "headers", "password"])
    def test_another_server_gets_none(self, start: Start, answer: Answer, files: Path, kind: str) -> None:
        access = {
            "token": Access(bearer_token_file=str(files / "token")),
            "headers": Access(headers_file=str(files / "headers")),
            "password": Access(username="u", password_file=str(files / "token")),
        }[kind]
        other = start(answer(SCRAPE))
        server = start(answer(b"", "302 Found", f"Location: http://{other.address}/metrics"))
        said = refusal(server.address, access=access)
        assert said.startswith(f"redirects to another server, http://{other.address}/, which gets no credentials; ")
        assert other.requests == []

    @pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
    def test_a_refusal_names_the_options_and_no_secret(
        self, start: Start, answer: Answer, files: Path, status: str
    ) -> None:
        server = start(answer(b"S3CRET", status))
        said = refusal(server.address, access=Access(bearer_token_file=str(files / "token")))
        assert said == f"answered {status}; give --bearer-token-file or --basic-user, or go past the proxy"

    def test_a_file_that_is_not_there(self) -> None:
        with pytest.raises(InputError, match=r"^/nowhere: cannot be read"):
            fetch("127.0.0.1:1", access=Access(bearer_token_file="/nowhere"))


class TestRedirects:
    def test_they_are_followed(self, start: Start, answer: Answer) -> None:
        server = start(
            {
                "/metrics": answer(b"", "307 Temporary Redirect", "Location: /metrics/"),
                "/metrics/": answer(SCRAPE),
            }
        )
        assert fetch(server.address) == SCRAPE

    def test_only_three_times(self, start: Start, answer: Answer) -> None:
        server = start(answer(b"", "302 Found", "Location: /metrics"))
        assert refusal(server.address).startswith("redirects more than 3 times")
        assert len(server.requests) == 4

    def test_only_to_http(self, start: Start, answer: Answer) -> None:
        server = start(answer(b"", "302 Found", "Location: ftp://u:S3CRET@host/x?t=S3CRET"))
        assert refusal(server.address).startswith("redirects to ftp://***@host/x?t=***; ")

    def test_the_body_of_a_redirect_is_not_read(self, start: Start, answer: Answer) -> None:
        def endless(request: bytes, connection: socket.socket) -> None:
            if b"/metrics/" in request:
                connection.sendall(answer(SCRAPE))
                return
            connection.sendall(answer(b"", "302 Found", "Location: /metrics/", length=False))
            while True:
                connection.sendall(bytes(65536))

        assert fetch(start(endless).address) == SCRAPE


class TestConnections:
    def test_nothing_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        assert refusal(f"127.0.0.1:{port}").startswith("connection refused: nothing listens there")

    def test_an_unknown_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*_args: object, **_options: object) -> None:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        assert refusal("vllm.nowhere:8000").startswith("the host name is not known")

    def test_no_route(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unreachable(*_args: object, **_options: object) -> None:
            raise OSError(113, "No route to host")

        monkeypatch.setattr(socket, "create_connection", unreachable)
        assert refusal("10.9.8.7:8000").startswith("no route to the host")

    def test_a_connection_that_is_never_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def late(*_args: object, **_options: object) -> None:
            raise TimeoutError("timed out")

        monkeypatch.setattr(socket, "create_connection", late)
        assert refusal("10.9.8.7:8000").startswith("no connection within 10 s")

    def test_a_connection_made_after_the_deadline(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        """A slow resolver is not under the client's time limits."""
        connect = socket.create_connection
        server: Any = start(lambda _request, _connection: server.stopping.wait())

        def late(*args: Any, **options: Any) -> socket.socket:
            assert not server.stopping.wait(2 * SOON_SECONDS)
            return connect(*args, **options)

        monkeypatch.setattr(socket, "create_connection", late)
        said = refusal(server.address, timeout_seconds=SOON_SECONDS)
        assert said.startswith(f"connected, but got no answer within {SOON_SECONDS:.0f} s")

    def test_a_server_that_never_answers(self, start: Start) -> None:
        server: Any = start(lambda _request, _connection: server.stopping.wait())
        said = refusal(server.address, timeout_seconds=SOON_SECONDS)
        assert said.startswith(f"connected, but got no answer within {SOON_SECONDS:.0f} s")

    @pytest.mark.parametrize(
        ("prefix", "said"),
        [
            (b"", "connected, but got no answer"),
            (b"HTTP/1.1 200 OK\r\n\r\n", "the answer was not whole"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", "the answer was not whole"),
        ],
        ids=["head", "body", "announced-body"],
    )
    def test_an_answer_that_drips_forever(self, start: Start, prefix: bytes, said: str) -> None:
        """Each read is in time; only a deadline over all of them ends this."""

        def drip(_request: bytes, connection: socket.socket) -> None:
            connection.sendall(prefix)
            for byte in itertools.cycle(b"HTTP/1.1 200 OK\r\nX: 1\r\n" if not prefix else b"up 1\n"):
                connection.sendall(bytes([byte]))
                if server.stopping.wait(0.02):
                    return

        server = start(drip)
        assert refusal(server.address, timeout_seconds=SOON_SECONDS).startswith(f"{said} within {SOON_SECONDS:.0f} s")

    def test_a_connection_closed_without_an_answer(self, start: Start) -> None:
        assert refusal(start(b"").address).startswith("the connection closed without an answer")

    def test_a_server_of_another_protocol(self, start: Start) -> None:
        assert refusal(start(b"SSH-2.0-OpenSSH_9.6\r\n\r\n").address).startswith(
            "what answers there does not speak HTTP"
        )

    def test_a_proxy_that_refuses(self, start: Start, answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{start(answer(b'', '403 Forbidden')).address}")
        assert refusal("https://vllm.example/metrics").startswith("the proxy refused the request")

    def test_a_proxy_that_the_environment_spells_wrong(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "gopher://proxy:1")
        assert refusal("127.0.0.1:1").startswith("the proxy or certificate settings")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of `localhost` and its key, in one PEM file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    files = ["-keyout", f"{path}.key", "-out", f"{path}.crt"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([openssl, "req", *options.split(), *files, *names], check=True, capture_output=True)
    path.write_text(Path(f"{path}.key").read_text() + Path(f"{path}.crt").read_text())
    return path


class TestTls:
    @pytest.fixture
    def server(self, start: Start, answer: Answer, certificate: Path) -> Any:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        return start(answer(SCRAPE), lambda connection: context.wrap_socket(connection, server_side=True))

    def test_a_certificate_of_nobody_known(self, server: Any) -> None:
        said = refusal(f"https://127.0.0.1:{server.port}")
        assert said.startswith("its TLS certificate is not trusted: self")
        assert "SSL_CERT_FILE" in said

    def test_the_advice_works(self, server: Any, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
        assert fetch(f"https://localhost:{server.port}") == SCRAPE
        assert "not trusted: IP address mismatch" in refusal(f"https://127.0.0.1:{server.port}")

    def test_https_to_a_plain_port(self, start: Start, answer: Answer) -> None:
        def complain(connection: socket.socket) -> socket.socket:
            connection.sendall(answer(b"", "400 Bad Request"))
            return connection

        said = refusal(f"https://{start(b'', complain).address}")
        assert said.startswith("the TLS handshake failed (")
        assert "use http://" in said

    def test_so_does_the_option(self, server: Any, certificate: Path) -> None:
        for access in (Access(ca_file=f"{certificate}.crt"), Access(insecure=True)):
            assert fetch(f"https://localhost:{server.address.rpartition(':')[2]}", access=access) == SCRAPE

    def test_http_to_a_tls_port(self, server: Any) -> None:
        said = refusal(f"http://127.0.0.1:{server.port}/metrics")
        assert "https://" in said


class TestSecrets:
    def test_credentials_are_sent_and_never_shown(self, start: Start, answer: Answer) -> None:
        server = start(answer(b"", "403 Forbidden"))
        with pytest.raises(InputError) as caught:
            fetch(f"http://user:S3CRET@{server.address}/metrics?token=S3CRET")
        assert b"Authorization: Basic dXNlcjpTM0NSRVQ=" in server.requests[0]
        assert b"?token=S3CRET" in server.requests[0]
        assert caught.value.name == f"http://***@{server.address}/metrics?token=***"
        assert "S3CRET" not in repr(caught.value)

    @pytest.mark.parametrize("url", ["http://u:S3CRET/@host:x/", "ftp://u:S3CRET@h/", "http://u:S3CRET@[/?k=S3CRET"])
    def test_not_even_of_an_address_that_is_wrong(self, url: str) -> None:
        with pytest.raises(InputError) as caught:
            fetch(url)
        assert "S3CRET" not in str(caught.value)

    def test_another_host_does_not_get_them(self, start: Start, answer: Answer) -> None:
        other = start(answer(SCRAPE))
        server = start(answer(b"", "302 Found", f"Location: http://{other.address}/metrics"))
        assert fetch(f"http://user:S3CRET@{server.address}/metrics") == SCRAPE
        assert b"Authorization" in server.requests[0]
        assert b"Authorization" not in other.requests[0]


class FakeTime:
    """A clock whose time passes only in `sleep` and in scrapes that take `scrape_seconds`."""

    def __init__(self) -> None:
        self.now = 500.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> Clock:
        return Clock(unix=lambda: self.now + 1_750_000_000, monotonic=lambda: self.now, sleep=self.sleep)


class TestWatch:
    def watched(
        self,
        start: Start,
        answers: Callable[[int], bytes],
        window_seconds: float,
        scrape_seconds: float = 0.0,
    ) -> tuple[Watch, FakeTime]:
        fake = FakeTime()
        numbers = itertools.count()

        def respond(_request: bytes, connection: socket.socket) -> None:
            fake.now += scrape_seconds
            connection.sendall(answers(next(numbers)))

        return watch(start(respond).address, window_seconds, clock=fake.clock()), fake

    def test_a_short_window_is_scraped_every_two_seconds(self, start: Start, answer: Answer) -> None:
        seen, _ = self.watched(start, lambda number: answer(b"up %d\n" % number), 15)
        assert [body for _, body in seen.scrapes] == [b"up %d\n" % number for number in range(9)]
        times = [at - 1_750_000_500 for at, _ in seen.scrapes]
        assert times == pytest.approx([15 * index / 8 for index in range(9)])
        assert seen.failures == []

    def test_a_time_stamp_is_the_middle_of_its_request(self, start: Start, answer: Answer) -> None:
        seen, _ = self.watched(start, lambda _: answer(SCRAPE), 4, scrape_seconds=0.5)
        assert [at - 1_750_000_500 for at, _ in seen.scrapes] == pytest.approx([0.25, 2.25, 4.25])

    def test_slow_scrapes_skip_turns_and_the_last_is_kept(self, start: Start, answer: Answer) -> None:
        seen, _ = self.watched(start, lambda _: answer(SCRAPE), 10, scrape_seconds=5.0)
        assert [at - 1_750_000_500 for at, _ in seen.scrapes] == pytest.approx([2.5, 7.5, 12.5])

    def test_an_engine_that_dies_is_evidence(self, start: Start, answer: Answer) -> None:
        seen, _ = self.watched(
            start,
            lambda number: answer(SCRAPE) if number < 2 else answer(b"", "500 Internal Server Error"),
            6,
        )
        assert len(seen.scrapes) == 2
        assert [at - 1_750_000_500 for at, _ in seen.failures] == pytest.approx([4.0, 6.0])
        assert {problem for _, problem in seen.failures} == {"answered 500 Internal Server Error"}

    def test_a_server_that_goes_away_is_refused_connections(self, start: Start, answer: Answer) -> None:
        fake = FakeTime()
        server = start(answer(SCRAPE))
        seen = watch(server.address, 4, clock=fake.clock(), on_scrape=lambda _at, _body: server.stop())
        assert len(seen.scrapes) == 1
        assert [problem.split(":")[0] for _, problem in seen.failures] == ["connection refused"] * 2

    def test_a_first_failure_is_an_error(self, start: Start, answer: Answer) -> None:
        with pytest.raises(InputError, match="answered 500"):
            self.watched(start, lambda _: answer(b"", "500 Internal Server Error"), 6)

    def test_the_path_is_settled_once(self, start: Start, answer: Answer) -> None:
        server = start({"/prometheus/metrics": answer(SCRAPE)})
        watch(server.address, 4, clock=FakeTime().clock())
        assert server.paths == [
            "/metrics",
            "/prometheus/metrics",
            "/prometheus/metrics",
            "/prometheus/metrics",
        ]

    def test_each_scrape_is_handed_on_as_it_comes(self, start: Start, answer: Answer) -> None:
        handed: list[tuple[float, bytes]] = []
        seen = watch(
            start(answer(SCRAPE)).address,
            9,
            interval_seconds=3,
            clock=FakeTime().clock(),
            on_scrape=lambda at, body: handed.append((at, body)),
        )
        assert handed == seen.scrapes
        assert len(handed) == 4


class TestOffsets:
    def test_there_are_at_least_two(self) -> None:
        assert scrape_offsets(0.5) == [0, 0.5]
        assert scrape_offsets(15, interval_seconds=60) == [0, 15]

    def test_a_long_window_is_split_into_fifteen(self) -> None:
        assert scrape_offsets(30) == [index * 2 for index in range(16)]
        assert scrape_offsets(300) == [index * 20 for index in range(16)]

    @pytest.mark.parametrize("window", [0, -1, float("nan"), float("inf")])
    def test_a_window_is_positive_and_finite(self, window: float) -> None:
        with pytest.raises(ValueError, match="a window is a positive number"):
            scrape_offsets(window)

    def test_an_interval_is_positive(self) -> None:
        with pytest.raises(ValueError, match="an interval is a positive number"):
            scrape_offsets(10, 0)
