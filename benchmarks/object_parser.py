"""The exporter's engine half done with prometheus_client's parser: fetch, parse into objects, translate, render.

    python -m benchmarks.object_parser INTERVAL_SECONDS URL...

What the line relabeller is measured against. Prints a line after each round.
"""

from __future__ import annotations

import http.client
import sys
import time
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from catalog.engines import ENGINES
from catalog.exposition import Sample
from catalog.translate import Translator


class _Collected:
    """Gives what was translated to a registry."""

    def __init__(self) -> None:
        self.families: dict[str, Metric] = {}

    def collect(self) -> list[Metric]:
        return list(self.families.values())


def main() -> None:
    """Run until killed."""
    interval_seconds, *urls = sys.argv[1:]
    translators = {url: Translator(ENGINES["vllm"], "0.24.0") for url in urls}
    connections = {url: http.client.HTTPConnection(urlsplit(url).netloc) for url in urls}
    collected, registry = _Collected(), CollectorRegistry()
    registry.register(collected)
    while True:
        begun = time.monotonic()
        collected.families = {}
        for url, connection in connections.items():
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
            raw = [
                Sample(sample.name, sample.labels, sample.value, None)
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            ]
            for name, labels, value, _ in translators[url].translate_all(raw):
                metric = collected.families.setdefault(name, Metric(name, "", "untyped"))
                metric.add_sample(name, {**labels, "pod": url}, value)
        print(len(generate_latest(registry)), flush=True)
        time.sleep(max(0.0, float(interval_seconds) - (time.monotonic() - begun)))


if __name__ == "__main__":
    main()
