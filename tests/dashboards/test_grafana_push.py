"""Importing boards over Grafana's HTTP API, against a stub that follows its documentation: no Grafana can run here."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from dashboards.push import Grafana, GrafanaError, Pushed, push
from tests.dashboards.pages import NAMES, page
from tests.dashboards.raw_servers import dripping_server, tls_server
from tests.dashboards.stub_grafana import TOKEN, Answer, StubGrafana, serving

BOARDS = [page(name) for name in NAMES]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stub is asked itself, whatever stands between this machine and others."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def stub() -> Iterator[StubGrafana]:
    with serving() as server:
        yield server


def imported(stub: StubGrafana, boards: list[dict[str, Any]] | None = None, **values: Any) -> list[Pushed]:
    return list(push(Grafana(**{"url": stub.url, "token": TOKEN, **values}), BOARDS if boards is None else boards))


def refusal(stub: StubGrafana, **values: Any) -> str:
    """What is said, in one line, to somebody whose boards cannot be imported."""
    with pytest.raises(GrafanaError) as caught:
        imported(stub, **values)
    said = str(caught.value)
    assert "\n" not in said
    assert TOKEN not in said
    return said


def at(method: str, path: str, answer: Answer) -> Callable[[str, str], Answer | None]:
    return lambda asked, where: answer if (asked, where) == (method, path) else None


# What it does


def test_all_boards_go_into_a_folder_that_is_made(stub: StubGrafana) -> None:
    done = imported(stub)
    assert [one["title"] for one in stub.folders] == ["InferWatch"]
    assert {one["folder"] for one in stub.boards.values()} == {stub.folders[0]["uid"]}
    assert {uid: one["board"] for uid, one in stub.boards.items()} == {board["uid"]: board for board in BOARDS}
    assert done[0] == Pushed("InferWatch / Fleet", f"{stub.url}/d/inferwatch-fleet/slug", 1)


def test_again_they_replace_what_is_there(stub: StubGrafana) -> None:
    imported(stub)
    assert {one.version for one in imported(stub)} == {2}
    assert len(stub.folders) == 1
    assert len(stub.boards) == len(BOARDS)


def test_a_folder_is_found_behind_a_thousand_others(stub: StubGrafana) -> None:
    stub.folders = [{"uid": f"other-{number}", "title": f"Other {number}"} for number in range(1000)]
    stub.folders.append({"uid": "mine", "title": "LLM"})
    imported(stub, folder="LLM")
    assert {one["folder"] for one in stub.boards.values()} == {"mine"}
    assert len(stub.folders) == 1001


def test_a_folder_that_somebody_makes_in_between_is_used(stub: StubGrafana) -> None:
    def in_between(method: str, path: str) -> Answer | None:
        if (method, path) == ("POST", "/api/folders") and not stub.folders:
            stub.folders.append({"uid": "theirs", "title": "InferWatch"})
        return None

    stub.instead = in_between
    imported(stub)
    assert {one["folder"] for one in stub.boards.values()} == {"theirs"}


def test_without_a_folder_they_go_to_the_top(stub: StubGrafana) -> None:
    imported(stub, folder="")
    assert stub.folders == []
    assert {one["folder"] for one in stub.boards.values()} == {""}


def test_each_request_carries_the_token_and_json(stub: StubGrafana) -> None:
    imported(stub)
    assert {headers["Authorization"] for _, _, headers in stub.asked} == {f"Bearer {TOKEN}"}
    posted = [headers["Content-Type"] for method, _, headers in stub.asked if method == "POST"]
    assert set(posted) == {"application/json"}


def test_a_sub_path_is_kept() -> None:
    class Below(StubGrafana):
        def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
            if not path.startswith("/grafana/"):
                return Answer(404, b"nothing here")
            answer = super().answer(method, path.removeprefix("/grafana"), headers, body)
            if isinstance(answer.body, dict) and "url" in answer.body:
                return Answer(answer.status, {**answer.body, "url": f"/grafana{answer.body['url']}"})
            return answer

    with serving(Below()) as stub:
        done = imported(stub, BOARDS[:1], url=f"{stub.url}/grafana/")
        assert done[0].url == f"{stub.url}/grafana/d/inferwatch-fleet/slug"
        assert "is its sub-path missing, such as /grafana?" in refusal(stub)


def test_its_certificate_is_checked(tmp_path: Path) -> None:
    """A certificate of one's own authority is trusted by --ca-file alone."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "none.pem").write_text("no certificate")
    with tls_server(authority) as port:
        stub = StubGrafana(url=f"https://127.0.0.1:{port}")
        assert "certificate verify failed" in refusal(stub)
        assert "certificate verify failed" in refusal(stub, url=stub.url.replace("https", "HTTPS"))
        assert "answers 404 and not as Grafana does" in refusal(stub, ca_file=str(tmp_path / "ca.pem"))
        assert "none.pem: no certificates" in refusal(stub, ca_file=str(tmp_path / "none.pem"))


# What may go wrong


def test_a_wrong_token(stub: StubGrafana) -> None:
    with pytest.raises(GrafanaError, match="the token is refused; make one for a service account"):
        imported(stub, token="glsa_another")
    assert stub.boards == {}


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "/api/folders", "may not list folders"),
        ("POST", "/api/folders", "may not make the folder 'InferWatch'"),
        ("POST", "/api/dashboards/db", "may not write the board inferwatch-fleet"),
    ],
)
def test_a_token_that_may_not(stub: StubGrafana, method: str, path: str, action: str) -> None:
    stub.instead = at(method, path, Answer(403, {"message": "You'll need additional permissions"}))
    said = refusal(stub)
    assert action in said
    assert "additional permissions" in said
    assert "role Editor" in said


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("version-mismatch", "somebody changed it; import it without --no-overwrite"),
        ("name-exists", "it is there already; import it without --no-overwrite"),
        ("plugin-dashboard", "belongs to a plugin"),
        ("something-new", "The reason in words"),
    ],
)
def test_a_board_that_is_not_replaced(stub: StubGrafana, status: str, advice: str) -> None:
    body = {"message": "The reason in words", "status": status}
    stub.instead = at("POST", "/api/dashboards/db", Answer(412, body))
    said = refusal(stub)
    assert "board inferwatch-fleet is not written" in said
    assert advice in said


def test_what_is_there_stays_without_overwriting(stub: StubGrafana) -> None:
    imported(stub, BOARDS[:1])
    assert "it is there already" in refusal(stub, overwrite=False)
    assert stub.boards["inferwatch-fleet"]["version"] == 1


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_grafanas_own_words_are_passed_on(stub: StubGrafana, status: int) -> None:
    stub.instead = at("POST", "/api/dashboards/db", Answer(status, {"message": "bad\x1b[31m request\ndata"}))
    assert f"board inferwatch-fleet is refused ({status}): bad [31m request data" in refusal(stub)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("path", ["/api/folders", "/api/dashboards/db"])
def test_a_server_in_trouble(stub: StubGrafana, status: int, path: str) -> None:
    stub.instead = lambda _, where: Answer(status, b"<html>bad gateway</html>") if where == path else None
    assert f"answers {status}; try again, what was imported stays" in refusal(stub)


def test_what_was_imported_before_an_error_stays(stub: StubGrafana) -> None:
    def third(method: str, path: str) -> Answer | None:
        return Answer(500, {"message": "database is locked"}) if len(stub.boards) == 2 and "db" in path else None

    stub.instead = third
    assert "answers 500: database is locked" in refusal(stub)
    assert list(stub.boards) == ["inferwatch-fleet", "inferwatch-model"]


def test_a_server_that_does_not_answer(stub: StubGrafana) -> None:
    stub.slow = True
    assert "no answer within 0.2 s" in refusal(stub, timeout_seconds=0.2)


def test_a_server_that_answers_by_drops() -> None:
    """A byte now and then keeps each read in time, and never ends."""
    with dripping_server() as port:
        stub = StubGrafana(url=f"http://127.0.0.1:{port}")
        assert "no answer within 0.5 s" in refusal(stub, timeout_seconds=0.5)


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "cannot be reached (Connection refused)" in refusal(StubGrafana(url=f"http://127.0.0.1:{port}"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(200, b"<html>Log in</html>"), "answers 200 and not as Grafana does"),
        (Answer(200, b'{"status": "success"}'), "answers 200 and not as Grafana does"),
        (Answer(200, b"[" * 100_000), "answers 200 and not as Grafana does"),
        (Answer(404, b"404 page not found"), "is its sub-path missing"),
        (Answer(503, b"upstream unavailable"), "answers 503; try again"),
        (Answer(302, b"", {"Location": "https://sso.example/login?token=hidden"}), "redirects to https://sso.example/login;"),
        (Answer(401, b""), "the token is refused"),
    ],
)  # fmt: skip
def test_no_grafana(stub: StubGrafana, answer: Answer, said: str) -> None:
    stub.instead = at("GET", "/api/health", answer)
    assert said in refusal(stub)
    assert len(stub.asked) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/folders", {"folders": []}),
        ("GET", "/api/folders", ["InferWatch"]),
        ("POST", "/api/folders", {"id": 1}),
        ("POST", "/api/dashboards/db", {"status": "success"}),
        ("POST", "/api/dashboards/db", []),
        ("POST", "/api/dashboards/db", b"{"),
    ],
)
def test_json_of_another_shape(stub: StubGrafana, method: str, path: str, body: object) -> None:
    stub.instead = at(method, path, Answer(200, body))
    assert "not as Grafana does" in refusal(stub)


def test_an_old_grafana(stub: StubGrafana) -> None:
    stub.health["version"] = "9.5.2"
    assert "Grafana 9.5 is too old; the boards need 10.4" in refusal(stub)


@pytest.mark.parametrize("version", ["10.4.0", "13.2.3+security-01", "dev", ""])
def test_other_versions(stub: StubGrafana, version: str) -> None:
    """A Grafana may hide its version."""
    stub.health["version"] = version
    assert len(imported(stub)) == len(BOARDS)


@pytest.mark.parametrize("url", ["grafana:3000", "ftp://grafana", "http://", "http://[::1", "", "http://g:99999"])
def test_no_address(url: str) -> None:
    assert "no address; write it like https://" in refusal(StubGrafana(url=url))


def test_a_password_in_the_address_is_not_shown(stub: StubGrafana) -> None:
    said = refusal(stub, url=stub.url.replace("//", "//admin:hunter2@"))
    assert "leave it out" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "größe"])
def test_no_token(stub: StubGrafana, token: str) -> None:
    with pytest.raises(GrafanaError, match="the token is empty, or has characters that no token has") as caught:
        imported(stub, token=token)
    assert "größe" not in str(caught.value)
    assert stub.asked == []


def test_a_server_that_repeats_the_token_shows_it_to_nobody(stub: StubGrafana) -> None:
    stub.instead = at("POST", "/api/dashboards/db", Answer(400, {"message": f"bad header: Bearer {TOKEN}"}))
    assert "bad header: Bearer ***" in refusal(stub)
