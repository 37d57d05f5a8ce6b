from __future__ import annotations

import re
import subprocess
import sys
from io import StringIO

import pytest

from troubleshoot import progress
from troubleshoot.progress import SHOW_AFTER_SECONDS, progress_on


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True

    @property
    def drawn(self) -> str:
        """What was drawn, without escapes."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())


class Clock:
    """Real seconds, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setenv("TERM", "xterm-256color")
    return clock


def test_a_pipe_gets_nothing(clock: Clock) -> None:
    stream = StringIO()
    with progress_on(stream) as report:
        clock.seconds += 60
        report("engine.log", 5, 10)
    assert stream.getvalue() == ""


def test_a_short_wait_shows_nothing(clock: Clock) -> None:
    stream = Terminal()
    with progress_on(stream) as report:
        clock.seconds += SHOW_AFTER_SECONDS / 2
        report("engine.log", 5, 10)
    assert stream.getvalue() == ""


def test_a_long_wait_shows_a_bar_with_the_name(clock: Clock) -> None:
    stream = Terminal()
    with progress_on(stream) as report:
        clock.seconds += SHOW_AFTER_SECONDS * 2
        report("engine.log", 5, 10)
        report("engine.log", 10, 10)
    assert "engine.log" in stream.drawn
    assert "100%" in stream.drawn


def test_every_input_has_a_bar(clock: Clock) -> None:
    stream = Terminal()
    with progress_on(stream) as report:
        clock.seconds += 1
        report("a.log", 5, 10)
        report("http://127.0.0.1:8000/metrics", 1, 15)
        report("a.log", 10, 10)
    assert "a.log" in stream.drawn
    assert "http://127.0.0.1:8000/metrics" in stream.drawn


@pytest.mark.parametrize("name", ["[red]x[/red].log", "a[/].log", r"back\slash[", "[pod/vllm-0/vllm]"])
def test_a_name_is_shown_as_it_is(clock: Clock, name: str) -> None:
    stream = Terminal()
    with progress_on(stream) as report:
        clock.seconds += 1
        report(name, 5, 10)
    assert name in stream.drawn


@pytest.mark.parametrize(("done", "total"), [(5, None), (20, 10), (0, 0)])
def test_an_unknown_or_wrong_total_does_not_raise(clock: Clock, done: int, total: int | None) -> None:
    stream = Terminal()
    with progress_on(stream) as report:
        clock.seconds += 1
        report("-", done, total)
    assert "-" in stream.drawn


def test_the_bar_ends_when_the_work_fails(clock: Clock) -> None:
    stream = Terminal()
    with pytest.raises(ZeroDivisionError), progress_on(stream) as report:
        clock.seconds += 1
        report("engine.log", 5, 10)
        raise ZeroDivisionError
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1


def test_the_drawing_library_is_not_loaded_for_a_short_wait() -> None:
    script = (
        "import sys\n"
        "from troubleshoot.progress import progress_on\n"
        "sys.stderr.isatty = lambda: True\n"
        "with progress_on(sys.stderr) as report: report('a', 1, 2)\n"
        "print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
