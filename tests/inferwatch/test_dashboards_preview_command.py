"""`inferwatch dashboards preview`: a page, or one line that says what is wrong."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from charts.library import ChartsUnavailableError
from inferwatch.commands.dashboards_preview import command
from tests.dashboards.preview.boards import SMALL
from tests.dashboards.preview.stub_prometheus import Stub, stub_prometheus


@pytest.fixture
def stub() -> Iterator[Stub]:
    with stub_prometheus() as running:
        yield running


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(command, list(arguments), catch_exceptions=False)


def refused(result: Result) -> str:
    """The one line of a refusal."""
    assert result.exit_code == 2
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


def test_a_board_from_a_file_becomes_a_page(stub: Stub, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = run(str(SMALL), "--prometheus", stub.url, "--at", "1140", "--range", "4m", "-o", str(page))
    assert done.exit_code == 0
    assert done.output.startswith(f"{page}: 1 board, 2")
    assert "<title>Preview: Small</title>" in page.read_text("utf-8")


def test_a_variable_may_have_several_values(stub: Stub, tmp_path: Path) -> None:
    chosen = ["--variable", "model=a=b", "--variable", "model=c", "--variable", "namespace=serving"]
    done = run(str(SMALL), "--prometheus", stub.url, *chosen, "-o", str(tmp_path / "page.html"))
    assert done.exit_code == 0
    assert any('{namespace=~"serving",model=~"(a=b|c)"}' in query for _, query, _ in stub.asked)


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_token_is_sent(stub: Stub, tmp_path: Path, how: str) -> None:
    options = [
        str(SMALL),
        "--prometheus",
        stub.url,
        "-o",
        str(tmp_path / "page.html"),
        "--header",
        "X-Scope-OrgID: a:b",
    ]
    done = (
        run(*options, "--token", "s3cret") if how == "option" else run(*options, INFERWATCH_PROMETHEUS_TOKEN="s3cret")
    )
    assert done.exit_code == 0
    assert {headers["Authorization"] for _, _, headers in stub.asked} == {"Bearer s3cret"}
    assert {headers["X-Scope-OrgID"] for _, _, headers in stub.asked} == {"a:b"}
    assert "s3cret" not in (tmp_path / "page.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--at", "yesterday"], "--at: 'yesterday' is no moment; write it like now-2h, 2026-01-31T14:00:00Z"),
        (["--range", "long"], "--range: 'long' is no length of time; write it like 30m, 6h or 1h30m"),
        (["--variable", "model"], "--variable: 'model' is no NAME=VALUE; write it like model=llama-2-7b"),
        (["--variable", "modle=a"], "--variable: no board has 'modle'; there are model, namespace"),
        (["--header", "X-Scope-OrgID"], "--header: write it like 'X-Scope-OrgID: team-a'"),
        (["--prometheus", "prometheus:9090"], "prometheus:9090: no address; write it like http://prometheus:9090"),
    ],
)
def test_a_wrong_option_is_named(stub: Stub, tmp_path: Path, arguments: list[str], complaint: str) -> None:
    options = ["--prometheus", stub.url, "-o", str(tmp_path / "page.html"), *arguments]
    assert refused(run(str(SMALL), *options)).startswith(complaint)
    assert not (tmp_path / "page.html").exists()


def test_a_board_that_is_not_there_is_named(stub: Stub, tmp_path: Path) -> None:
    options = ["--prometheus", stub.url, "-o", str(tmp_path / "page.html")]
    assert refused(run("flet", *options)) == "'flet' is no board; did you mean fleet?"
    assert refused(run("xyz", *options)).startswith("'xyz' is no board; there are fleet, model, ")
    missing = refused(run("missing.json", *options))
    assert missing == "missing.json: cannot be read: No such file or directory; give a board's name or its JSON"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no dashboard of Grafana: Expected `object`, got `array`"),
        (json.dumps({"title": "T", "panels": [{}]}).encode(), "no dashboard of Grafana: panels[0]"),
    ],
)
def test_a_file_that_is_no_board_is_named(stub: Stub, tmp_path: Path, content: bytes, complaint: str) -> None:
    board = tmp_path / "board.json"
    board.write_bytes(content)
    line = refused(run(str(board), "--prometheus", stub.url, "-o", str(tmp_path / "page.html")))
    assert line.startswith(f"{board}: {complaint}")


def test_a_page_that_cannot_be_written_is_named(stub: Stub, tmp_path: Path) -> None:
    page = tmp_path / "missing" / "page.html"
    complaint = f"{page}: there is no folder {page.parent}; choose another --output"
    assert refused(run(str(SMALL), "--prometheus", stub.url, "-o", str(page))) == complaint
    full = Path("/dev/full")
    if full.exists():
        line = refused(run(str(SMALL), "--prometheus", stub.url, "-o", str(full)))
        assert line == "/dev/full: cannot be written (No space left on device); choose another --output"


def test_without_the_chart_library_it_is_said_what_to_install(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> str:
        raise ChartsUnavailableError("plots need plotly: pip install 'inferwatch[preview]'")

    monkeypatch.setattr("charts.library.plotly_script", missing)
    line = refused(run(str(SMALL), "--prometheus", stub.url, "-o", str(tmp_path / "page.html")))
    assert line == "plots need plotly: pip install 'inferwatch[preview]'"
    assert stub.asked == []


def test_nobody_at_the_address_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    line = refused(run(str(SMALL), "--prometheus", address, "-o", str(tmp_path / "page.html")))
    assert line == f"{address}: cannot be reached (Connection refused); is Prometheus there?"
    assert not (tmp_path / "page.html").exists()
