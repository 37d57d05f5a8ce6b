"""`inferwatch diagnose --format html`: where the page goes, and what is said where it has no charts."""

from __future__ import annotations

import builtins
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from charts import library
from inferwatch.commands.diagnose import command
from recordings.reader import load

RECORDING = load("kv_preemption")
GIVEN = ["--log", str(RECORDING.log_path), "--metrics", str(RECORDING.metrics_path), "--format", "html"]


def test_the_page_has_the_charts_of_what_was_read(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = CliRunner().invoke(command, [*GIVEN, "-o", str(page)])
    assert (done.exit_code, done.output) == (1, "")
    document = page.read_text("utf-8")
    assert document.startswith("<!doctype html>")
    assert document.count('class="chart"') >= 8


def test_without_a_file_the_page_goes_to_a_pipe() -> None:
    done = CliRunner().invoke(command, GIVEN)
    assert done.exit_code == 1
    assert done.stdout.startswith("<!doctype html>")
    assert done.stdout.endswith("</html>\n")


def test_a_terminal_is_not_filled_with_a_page() -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "inferwatch", "diagnose", *GIVEN],
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "give -o report.html" in done.stderr


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [*GIVEN, "-o", str(tmp_path / "no" / "report.html")])
    assert done.exit_code == 2
    assert "cannot be written" in done.output


def test_without_the_library_the_page_is_written_and_the_lack_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_import = builtins.__import__

    def refusing(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("plotly"):
            raise ImportError(name)
        return own_import(name, *rest, **named)

    library.plotly_script.cache_clear()
    library.packed_library.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refusing)
    page = tmp_path / "report.html"
    done = CliRunner().invoke(command, [*GIVEN, "-o", str(page)])
    assert done.exit_code == 1
    assert done.stderr == (
        "inferwatch: the page is written without charts: plots need plotly: pip install 'inferwatch[preview]'\n"
    )
    assert "pip install &#x27;inferwatch[preview]&#x27;" in page.read_text("utf-8")
