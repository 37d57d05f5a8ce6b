"""`inferwatch explain`, as a person or a script meets it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from runbooks import PAGES, page, title

ESCAPE = "\x1b["


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inferwatch", "explain", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def run_on_a_terminal(cause: str, **environment: str) -> str:
    """What a terminal shows: the command with a pseudo terminal as its standard output."""
    outer, inner = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    env |= {"TERM": "xterm-256color", "COLUMNS": "100", **environment}
    command = [sys.executable, "-m", "inferwatch", "explain", cause]
    with subprocess.Popen(command, stdout=inner, stdin=subprocess.DEVNULL, env=env) as process:
        os.close(inner)
        shown = b""
        while True:
            try:
                piece = os.read(outer, 65536)
            except OSError:  # Linux says "input/output error" once the other end is closed
                break
            if not piece:
                break
            shown += piece
        assert process.wait(timeout=60) == 0
    os.close(outer)
    return shown.decode()


def test_in_a_pipe_the_page_comes_out_as_it_is() -> None:
    done = run("thr_preemption_thrash")
    assert done.returncode == 0
    assert done.stdout == page("thr_preemption_thrash")
    assert done.stderr == ""


def test_on_a_terminal_the_page_is_laid_out_in_colour() -> None:
    shown = run_on_a_terminal("oom_kv_cache_no_blocks")
    assert "Mitigation" in shown
    assert "## Mitigation" not in shown
    assert "oom_weights_do_not_fit" in shown
    assert "oom_weights_do_not_fit.md" not in shown
    assert f"{ESCAPE}3" in shown or f"{ESCAPE}1;3" in shown


def test_no_color_leaves_colours_out_on_a_terminal() -> None:
    shown = run_on_a_terminal("oom_kv_cache_no_blocks", NO_COLOR="1")
    assert "Mitigation" in shown
    codes = {code for part in shown.split(ESCAPE)[1:] for code in part.partition("m")[0].split(";")}
    assert not {code for code in codes if code.isdigit() and 30 <= int(code) <= 107}


def test_a_command_stays_on_one_line_in_a_narrow_terminal() -> None:
    shown = run_on_a_terminal("thr_preemption_thrash", COLUMNS="60", NO_COLOR="1")
    commands = [line for line in page("thr_preemption_thrash").splitlines() if line.startswith("curl ")]
    assert len(commands) == 1
    assert len(commands[0]) > 60
    assert commands[0] in shown


def test_the_list_has_a_line_for_each_cause() -> None:
    done = run("--list")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(PAGES)
    first = lines[0].split(None, 2)
    assert first == ["oom_weights_do_not_fit", "oom", title("oom_weights_do_not_fit")]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("thr_preemption_trash", "thr_preemption_thrash"),
        ("oom-kv-cache-no-blocks", "oom_kv_cache_no_blocks"),
        ("guided", "thr_guided_decoding"),
        ("oom_no_kv", "oom_kv_cache_no_blocks"),
    ],
)
def test_an_unknown_cause_gets_one_line_with_near_matches(typed: str, meant: str) -> None:
    done = run(typed)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert typed in done.stderr
    assert meant in done.stderr


@pytest.mark.parametrize("typed", ["zzzz", "", "../README"])
def test_a_cause_like_no_other_gets_one_line_without_guesses(typed: str) -> None:
    done = run(typed)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "did you mean" not in done.stderr
    assert "--list" in done.stderr


def test_no_cause_at_all_is_bad_usage() -> None:
    done = run()
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_pipe_needs_no_rich() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from inferwatch.commands.explain import command\n"
        "result = CliRunner().invoke(command, ['oom_shm'])\n"
        "print(result.exit_code, 'rich' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "False"]
