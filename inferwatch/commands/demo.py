"""`inferwatch demo`: a failing engine without a GPU, diagnosed while it runs."""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path

import click


@click.command("demo")
@click.option("--recording", default="kv_preemption", show_default=True, help="Bundled recording to play.")
@click.option(
    "--window",
    "window_seconds",
    type=click.FloatRange(2, 120),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to watch it.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write the report as Markdown to FILE.",
)
def command(recording: str, window_seconds: float, output: Path | None) -> None:
    """Play a recorded run of a real engine as a live server and diagnose it over HTTP.

    The run's true cause is printed at the end, to compare with.
    """
    from recordings.reader import RecordingError, load
    from recordings.replay import ReplayServer, play
    from troubleshoot.collect import Request, collect
    from troubleshoot.diagnosis import diagnose
    from troubleshoot.progress import progress_on
    from troubleshoot.report import render

    try:
        played = load(recording)
        server = ReplayServer(played, start="ready")
    except RecordingError as error:
        raise click.UsageError(str(error)) from error
    stop = threading.Event()
    with tempfile.TemporaryDirectory(prefix="inferwatch-demo-") as folder, server:
        log = Path(folder) / "engine.log"
        with log.open("wb") as stream:
            player = threading.Thread(target=play, args=(server, stream, stop), kwargs={"once": False}, daemon=True)
            player.start()
            click.echo(f"playing {recording} ({played.engine} {played.engine_version}) at {server.url}", err=True)
            try:
                with progress_on(sys.stderr) as progress:
                    request = Request([str(log)], [server.url], window_seconds)
                    collected = collect(request, progress)
            finally:
                stop.set()
                player.join()
    for problem in collected.problems:
        click.echo(f"inferwatch: {problem}", err=True)
    if collected.evidence is None:
        raise click.ClickException("the replay could not be read; see above")
    diagnosis = diagnose(collected.evidence, collected.inputs, interrupted=collected.interrupted)
    render(diagnosis, "text", stream=sys.stdout)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("w", encoding="utf-8") as stream_out:
            render(diagnosis, "markdown", stream=stream_out)
        click.echo(f"report written to {output}", err=True)
    click.echo(f"true cause of this recording: {played.cause}", err=True)
