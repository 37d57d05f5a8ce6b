"""A node to try the exporter with: recorded engines and a recorded GPU, no hardware needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from exporter.config import Config, DcgmExporter, Engines, Gpu, Kubernetes, Target
from recordings.reader import load
from recordings.replay import ReplayServer

__all__ = ["DEMO_RECORDINGS", "demo_node"]

# The first was recorded together with its GPU, an H200; its series stand for a dcgm-exporter's.
DEMO_RECORDINGS = ("kv_preemption", "healthy_steady", "llamacpp_busy", "triton_healthy")
_NODE = "demo"


@contextmanager
def demo_node(base: Config) -> Iterator[Config]:
    """Play the recordings over and over while the context is open; yields the configuration that reads them."""
    with ExitStack() as running:
        urls = [
            running.enter_context(ReplayServer(load(name), start="ready", repeat=True)).url for name in DEMO_RECORDINGS
        ]
        targets = tuple(
            Target(url=url, name=name.replace("_", "-"), namespace="demo", container="engine")
            for name, url in zip(DEMO_RECORDINGS, urls, strict=True)
        )
        yield Config(
            listen=base.listen,
            node=_NODE,
            interval_seconds=base.interval_seconds,
            gpu=Gpu(enabled=False, names=base.gpu.names, hostname_label=base.gpu.hostname_label),
            engines=Engines(targets=targets, passthrough=base.engines.passthrough),
            kubernetes=Kubernetes(discovery="none"),
            dcgm_exporter=DcgmExporter(url=urls[0]),
        )
