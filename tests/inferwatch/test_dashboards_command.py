"""`inferwatch dashboards`: generate, check, list, push."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dashboards.pages import NAMES
from tests.dashboards.stub_grafana import TOKEN, Answer, StubGrafana, serving

VARIABLE = "INFERWATCH_GRAFANA_TOKEN"


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != VARIABLE and "proxy" not in name.lower()}
    return subprocess.run(
        [sys.executable, "-m", "inferwatch", "dashboards", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**kept, **variables},
    )


def refusal(*arguments: str, **variables: str) -> str:
    """What is said to somebody who asked for what cannot be had: one line, and nothing on standard output."""
    done = run(*arguments, **variables)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert TOKEN not in done.stderr
    return done.stderr


@pytest.fixture
def stub() -> Iterator[StubGrafana]:
    with serving() as server:
        yield server


def test_generate_writes_what_check_accepts(tmp_path: Path) -> None:
    folder = tmp_path / "boards"
    assert "24 of 24 files written" in run("generate", "-o", str(folder)).stdout
    assert "0 of 24 files written" in run("generate", "-o", str(folder)).stdout
    done = run("check", "-o", str(folder))
    assert (done.returncode, done.stdout) == (0, "")


def test_check_names_what_differs(tmp_path: Path) -> None:
    run("generate", "-o", str(tmp_path))
    board = tmp_path / "api/model.json"
    board.write_text(json.dumps({**json.loads(board.read_text()), "title": "By hand"}))
    (tmp_path / "configmap/gpu.yaml").unlink()
    (tmp_path / "operator/old.yaml").write_text("kind: GrafanaDashboard\n")
    done = run("check", "-o", str(tmp_path))
    assert done.returncode == 1
    named = [Path(line).relative_to(tmp_path).as_posix() for line in done.stdout.splitlines()]
    assert named == ["api/model.json", "configmap/gpu.yaml", "operator/old.yaml"]


def test_list_names_every_board() -> None:
    lines = run("list").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [[name, f"inferwatch-{name}"] for name in NAMES]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "api").write_text("a file in the way")
    assert "cannot be written" in refusal("generate", "-o", str(tmp_path))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    run("generate", "-o", str(tmp_path))
    (tmp_path / "api/model.json").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in refusal("check", "-o", str(tmp_path))


# Push


def test_push_imports_all_boards(stub: StubGrafana) -> None:
    done = run("push", "--url", stub.url, **{VARIABLE: TOKEN})
    assert done.returncode == 0, done.stderr
    assert list(stub.boards) == [f"inferwatch-{name}" for name in NAMES]
    assert done.stdout.splitlines()[0] == f"InferWatch / Fleet: {stub.url}/d/inferwatch-fleet/slug (version 1)"
    assert TOKEN not in done.stdout + done.stderr


def test_push_imports_chosen_boards_once(stub: StubGrafana) -> None:
    run("push", "gpu", "model", "gpu", "--url", stub.url, "--folder", "LLM", "--token", TOKEN)
    assert list(stub.boards) == ["inferwatch-gpu", "inferwatch-model"]
    assert [one["title"] for one in stub.folders] == ["LLM"]


def test_a_tokens_file_goes_before_the_environment(stub: StubGrafana, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    done = run("push", "slo", "--url", stub.url, "--token-file", str(file), **{VARIABLE: "another"})
    assert done.returncode == 0, done.stderr


def test_bad_usage(stub: StubGrafana, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\x00")
    url = ("--url", stub.url)
    assert f"a token is needed: set {VARIABLE}, or give --token-file" in refusal("push", *url)
    assert "a token is needed" in refusal("push", *url, "--token-file", str(tmp_path / "empty"))
    assert "cannot be read as text" in refusal("push", *url, "--token-file", str(tmp_path / "binary"))
    assert "not both" in refusal("push", *url, "--token", TOKEN, "--token-file", str(tmp_path / "empty"))
    assert "'modle' is no board; did you mean model" in refusal("push", "modle", *url, "--token", TOKEN)
    assert "'xyz' is no board; there are fleet, model" in refusal("push", "xyz", *url, "--token", TOKEN)
    assert "no address" in refusal("push", "--url", "grafana:3000", "--token", TOKEN)
    assert stub.asked == []


def test_a_refused_token(stub: StubGrafana) -> None:
    assert "the token is refused" in refusal("push", "--url", stub.url, "--token", "glsa_wrong")


def test_what_was_imported_is_said_before_an_error(stub: StubGrafana) -> None:
    def second(method: str, path: str) -> Answer | None:
        return Answer(500, {"message": "full"}) if "db" in path and stub.boards else None

    stub.instead = second
    done = run("push", "--url", stub.url, "--token", TOKEN)
    assert done.returncode == 2
    assert done.stdout.startswith("InferWatch / Fleet: ")
    assert "answers 500: full; try again, what was imported stays" in done.stderr
