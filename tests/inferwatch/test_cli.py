from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from inferwatch import cli
from inferwatch.version import VERSION


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inferwatch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> type[Probe]:
    """A subcommand `probe` whose behaviour a test sets."""
    monkeypatch.setitem(cli._COMMANDS, "probe", cli._Entry(f"{__name__}:probe_command", "Probe."))
    monkeypatch.setattr(sys, "argv", ["inferwatch", "probe"])
    return Probe


class Probe:
    """What the subcommand `probe` raises or exits with."""

    error: BaseException | None = None
    status = 0


@click.command("probe")
@click.pass_context
def probe_command(ctx: click.Context) -> None:
    if Probe.error is not None:
        raise Probe.error
    ctx.exit(Probe.status)


def status_of_main() -> object:
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"inferwatch {VERSION}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_names_every_subcommand(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    for name, entry in cli._COMMANDS.items():
        assert name in done.stdout
        assert entry.summary in " ".join(done.stdout.split())


def test_help_imports_no_subcommand_and_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['inferwatch', '--help']\n"
        "from inferwatch.cli import main\n"
        "try: main()\n"
        "finally: print(*sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stderr.split())
    ours = {"inferwatch", "inferwatch.cli", "inferwatch.version"}
    packages = {"inferwatch", "catalog", "recordings", "troubleshoot", "runbooks"}
    assert {module for module in loaded if module.partition(".")[0] in packages} == ours
    assert loaded.isdisjoint({"yaml", "httpx", "rich", "hyperscan", "zstandard", "http.server", "importlib.metadata"})


@pytest.mark.parametrize("name", cli._COMMANDS)
def test_every_subcommand_is_where_the_table_says(name: str) -> None:
    done = CliRunner().invoke(cli.root, [name, "--help"])
    assert done.exit_code == 0
    assert done.output.startswith(f"Usage: root {name}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["diagnos"], "inferwatch: No such command 'diagnos'."),
        (["--nonsense"], "inferwatch: No such option"),
        (["replay", "--nonsense"], "inferwatch replay: No such option"),
        (["replay", "c_idle", "--port", "x"], "inferwatch replay: Invalid value for '--port'"),
    ],
)
def test_bad_usage_is_one_line_on_standard_error_and_status_2(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("status", [0, 1, 3])
def test_a_subcommand_sets_the_exit_status(probe: type[Probe], status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "status", status)
    assert status_of_main() == status


def test_every_click_error_is_status_2_in_one_line(
    probe: type[Probe], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, click's own for such errors, means a finding here."""
    monkeypatch.setattr(probe, "error", click.ClickException("engine.log:\n  cannot be read"))
    assert status_of_main() == 2
    assert capsys.readouterr().err == "inferwatch: engine.log: cannot be read\n"


def test_an_interrupt_that_a_subcommand_leaves_is_quiet(
    probe: type[Probe], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe, "error", KeyboardInterrupt())
    assert status_of_main() == 130
    assert capsys.readouterr().err.strip() == ""


def test_a_defect_is_not_hidden(probe: type[Probe], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "error", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_a_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "inferwatch", "replay", "--list"],
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
