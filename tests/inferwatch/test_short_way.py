"""The entry of the program: plain diagnoses without click, everything else through it, the same either way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from inferwatch.commands import diagnose_run
from inferwatch.commands.diagnose import command
from inferwatch.commands.diagnose_arguments import Arguments, plain
from recordings.reader import load

LOG = load("kv_preemption").log_path
PLAIN = [
    ["--log", "a"],
    ["--log", "-"],
    ["--log", "a", "--log", "b"],
    ["--log", "a", "--format", "json"],
    ["--format", "text", "--log", "a", "--format", "markdown"],
    ["--log", "a", "--engine", "sglang", "--symptom", "ttft", "--fail-on", "critical"],
    ["--log", "", "--fail-on", "info"],
]
NOT_PLAIN = [
    [],
    ["--help"],
    ["a"],
    ["--log"],
    ["--log=a"],
    ["--lo", "a"],
    ["--log", "--help"],
    ["--log", "a", "b"],
    ["--log", "a", "--format"],
    ["--log", "a", "--format", "yaml"],
    ["--log", "a", "--format", "JSON"],
    ["--log", "a", "--format", "html"],
    ["--log", "a", "--", "b"],
    ["--log", "a", "-o", "b"],
    ["--log", "a", "--metrics", "b"],
    ["--log", "a", "--window", "5s"],
    ["--metrics", "a"],
    ["--format", "json"],
]


def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command_line = [sys.executable, "-m", "inferwatch", *map(str, arguments)]
    return subprocess.run(command_line, text=True, timeout=60, check=False, **options)


@pytest.mark.parametrize("words", PLAIN, ids=" ".join)
def test_a_plain_command_line_means_what_click_reads_in_it(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Arguments] = []

    def keep(arguments: Arguments, _show: object) -> int:
        seen.append(arguments)
        return 0

    monkeypatch.setattr(diagnose_run, "run", keep)
    assert CliRunner().invoke(command, words).exit_code == 0
    assert [plain(words)] == seen


@pytest.mark.parametrize("words", NOT_PLAIN, ids=" ".join)
def test_everything_else_is_left_to_click(words: list[str]) -> None:
    assert plain(words) is None


def test_a_plain_diagnosis_loads_no_click() -> None:
    script = (
        "import atexit, sys\n"
        f"sys.argv = ['inferwatch', 'diagnose', '--log', {str(LOG)!r}]\n"
        "atexit.register(lambda: print('click' in sys.modules, file=sys.stderr))\n"
        "from inferwatch.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "False\n")


@pytest.mark.parametrize("report", ["text", "json", "markdown"])
def test_the_short_way_says_the_same_as_the_long_one(report: str) -> None:
    short = run("diagnose", "--log", LOG, "--format", report, capture_output=True)
    long = run("diagnose", f"--log={LOG}", "--format", report, capture_output=True)
    assert short.stdout
    assert (short.returncode, short.stdout, short.stderr) == (long.returncode, long.stdout, long.stderr)


def test_what_cannot_be_read_is_said_the_same() -> None:
    short = run("diagnose", "--log", "missing", "--log", LOG, capture_output=True)
    long = run("diagnose", "--log=missing", "--log", LOG, capture_output=True)
    assert "missing: no such file" in short.stderr
    assert (short.returncode, short.stdout, short.stderr) == (long.returncode, long.stdout, long.stderr)


def test_a_closed_pipe_is_quiet_on_the_short_way() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run("diagnose", "--log", LOG, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_profiler_gets_its_end() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cProfile", "-m", "inferwatch", "diagnose", "--log", str(LOG)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "function calls" in done.stdout
