"""`inferwatch replay`: serve a recording as a live engine."""

from __future__ import annotations

import errno
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue

import click

from recordings.archive import unpacked
from recordings.reader import Recording, RecordingError, bundled, load
from recordings.replay import ReplayServer, Start, play

_MAX_SPEED = 10_000


def _check_speed(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not 0 < value <= _MAX_SPEED:
        raise click.BadParameter(f"{value} is not above 0 and at most {_MAX_SPEED}")
    return value


def _print_list(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    for name in bundled():
        click.echo(_summary(load(name)))
    ctx.exit()


def _summary(recording: Recording) -> str:
    engine = f"{recording.engine} {recording.engine_version.split()[0]}"
    return f"{recording.name:<22} {engine:<16} {recording.duration_seconds:>4.0f} s  {recording.cause}"


@click.command("replay")
@click.argument("recording", metavar="RECORDING")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port to listen on; 0, the default, picks a free one.",
)
@click.option(
    "--speed",
    type=float,
    default=1.0,
    show_default=True,
    callback=_check_speed,
    help="Recorded seconds a second: 60 plays a minute a second.",
)
@click.option(
    "--from",
    "start",
    type=click.Choice(["start", "ready"]),
    default="start",
    show_default=True,
    help="Begin when the server was started, or when it became ready.",
)
@click.option("--once", is_flag=True, help="Exit at the recording's end instead of serving its last scrape.")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_list,
    help="List the bundled recordings with engine, length and true cause, and exit.",
)
def command(*, recording: str, host: str, port: int, speed: float, start: Start, once: bool) -> None:
    """Serve RECORDING as if its engine were running now.

    RECORDING is a bundled recording's name, or a folder or archive of the same shape. /metrics and /health answer as
    the engine did; its log comes out on standard output. Before the recorded server was up both answer 503.
    """
    try:
        with unpacked(recording) as place:
            server = ReplayServer(load(place), host=host, port=port, speed=speed, start=start)
    except RecordingError as error:
        raise click.UsageError(str(error)) from error
    with stop_on_signals() as stop, ExitStack() as running:
        try:
            running.enter_context(server)
        except OSError as error:
            raise click.UsageError(_why_unbound(error, host, port)) from error
        click.echo(f"listening on {server.url}", err=True)
        play(server, sys.stdout.buffer, stop, once=once)


def _why_unbound(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use: choose another --port (0 picks a free one)"
    return f"cannot listen on {host} port {port}: {error.strerror}"


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that is set soon after SIGINT or SIGTERM, so that the server closes instead of dying.

    A handler runs on the main thread wherever that stands, also inside `Event.wait` with the event's lock held,
    where `Event.set` would wait for ever. So it only puts the signal into a queue, whose `put` is reentrant.
    """
    stop = threading.Event()
    arrived: SimpleQueue[int] = SimpleQueue()

    def pass_on() -> None:
        arrived.get()
        stop.set()

    threading.Thread(target=pass_on, name="signals", daemon=True).start()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda received, _: arrived.put(received)) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        arrived.put(0)
