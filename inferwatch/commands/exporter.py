"""`inferwatch exporter`: serve a node's GPUs and engines under one schema."""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from catalog.settings import SettingsError
from exporter import process
from exporter.memory import collect_cycles, keep_small
from exporter.process import Exporter, Options
from inferwatch.version import VERSION

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command("exporter")
@click.option("--config", "config_file", type=_FILE, help="YAML file; without one, everything has its default.")
@click.option("--listen", metavar="HOST:PORT", help="Address to serve at.  [default: 0.0.0.0:9400]")
@click.option(
    "--web.config.file",
    "--web-config-file",
    "web_config_file",
    type=_FILE,
    help="TLS and basic authentication, in the format of Prometheus's exporters.",
)
@click.option(
    "--gpu-names",
    type=click.Choice(["dcgm4", "dcgm4.6"]),
    help="Spelling of GPU field names: of DCGM to 4.5, or of 4.6 and later.  [default: dcgm4]",
)
@click.option("--passthrough/--no-passthrough", default=None, help="Serve the engines' own series as well.")
@click.option("--demo", is_flag=True, help="Serve recorded engines and a recorded GPU: no hardware needed.")
@click.option("--check", is_flag=True, help="Check the configuration and exit.")
def command(*, demo: bool, check: bool, **chosen: Any) -> None:
    """Serve GPUs and inference engines of this node to Prometheus.

    SIGHUP, or a change of the files, reloads the configuration. SIGTERM drains and ends.
    """
    keep_small()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    options = Options(version=VERSION, **chosen)
    with ExitStack() as running:
        try:
            if check:
                process.check(options)
                click.echo("the configuration is good")
                return
            if demo:
                from exporter.demo import demo_node

                config = running.enter_context(demo_node(options.load()))
                options = Options(
                    web_config_file=options.web_config_file, listen=options.listen, config=config, version=VERSION
                )
            exporter = Exporter(options)
        except SettingsError as error:
            raise click.UsageError(str(error)) from error
        collect_cycles()
        status = exporter.run()
    click.get_current_context().exit(status)
