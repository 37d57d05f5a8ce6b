"""Pages that show every series of an engine, made from its catalogue, and a server for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from catalog.engines.base import EngineCatalog, SeriesMapping
from exporter.exposition import label_text


def synthetic_page(engine: EngineCatalog, *, oldest: bool) -> bytes:
    """Every series that one release may show, of several models and ranks, each sample with a value of its own.

    The series are those of now, or as they were when the first of the names that have gone since was still there.
    """
    lines: dict[str, int] = {}
    ends = [mapping.until for mapping in engine.mappings if mapping.until]
    shown = [
        mapping for mapping in engine.mappings if (mapping.holds_for(min(ends)) if oldest else mapping.until is None)
    ]
    for mapping in sorted(shown, key=lambda mapping: mapping.kind != "histogram"):
        for labels in label_sets(engine, mapping):
            for name, more in sample_names(mapping):
                inside = label_text({**labels, **more})
                lines.setdefault(f"{name}{{{inside}}}", len(lines) + 1)
    return "".join(f"{series} {value}\n" for series, value in lines.items()).encode()


def label_sets(engine: EngineCatalog, mapping: SeriesMapping) -> Iterator[dict[str, str]]:
    common = [{"model_name": "a", "model": "b"}, {engine.model_label or "model": 'c "quoted"'}, {}]
    ranks = [{}, *({label: "1"} for label in engine.rank_labels)]
    raw_values = {
        raw: [*(value for value in mapping.values.get(canonical, {}) if value != "*"), "200", "never heard of"]
        for raw, canonical in mapping.labels.items()
    }
    for model, rank in zip(common, [*ranks, {}, {}], strict=False):
        for raw, values in (raw_values or {"": [""]}).items():
            for value in [*values, ""]:
                chosen = {raw: value} if value else {}
                yield {**model, **rank, **chosen, **mapping.select, "note": "kept"}


def sample_names(mapping: SeriesMapping) -> Iterator[tuple[str, dict[str, str]]]:
    if mapping.kind != "histogram":
        yield mapping.series, {}
        return
    for bound in ("0.1", "2.5", "+Inf"):
        yield f"{mapping.series}_bucket", {"le": bound}
    yield f"{mapping.series}_sum", {}
    yield f"{mapping.series}_count", {}


@contextmanager
def served(page: bytes) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
