"""Reads saved metrics: one scrape in the Prometheus text format, or many in one OpenMetrics file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

from troubleshoot.sources.errors import InputError
from troubleshoot.sources.exposition_text import ExpositionKind, kind_of, looks_like
from troubleshoot.sources.files import ByteSource, human_size, open_bytes

LIMIT_BYTES: Final = 512 << 20
_READ_BYTES: Final = 1 << 20
_UTF8_MARK: Final = b"\xef\xbb\xbf"

_ADVICE: Final = {
    "an HTML page": "save the engine's /metrics page: curl -s http://HOST:PORT/metrics",
    "XML": "save the engine's /metrics page: curl -s http://HOST:PORT/metrics",
    "metric descriptions without samples": "scrape the engine again once it has served a request",
    "JSON": "give the text of /metrics, not an API's answer (TensorRT-LLM has it at /prometheus/metrics)",
    "a log": "give it to --log",
}


@dataclass(frozen=True, slots=True)
class RawScrapes:
    """The undecoded text of saved metrics. `note` says what was wrong with the file, if anything."""

    name: str
    kind: ExpositionKind
    body: bytes
    note: str = ""


def read_exposition(spec: str, *, limit_bytes: int = LIMIT_BYTES) -> RawScrapes:
    """Read `spec` (a path or `-`, plain or compressed); raise `InputError` when it holds no samples."""
    with open_bytes(spec, "metrics") as source:
        body = _body(source, limit_bytes)
        note, name = source.note, source.name
    body = body.removeprefix(_UTF8_MARK)
    kind = kind_of(body)
    if kind is None:
        what = looks_like(body)
        raise InputError(
            spec,
            f"holds no metrics: it looks like {what}",
            _ADVICE.get(what, "give a saved /metrics page or an OpenMetrics file"),
        )
    return RawScrapes(name, kind, body, note)


def _body(source: ByteSource, limit_bytes: int) -> bytes:
    body = io.BytesIO()
    buffer = memoryview(bytearray(_READ_BYTES))
    while count := source.readinto(buffer):
        body.write(buffer[:count])
        if body.tell() > limit_bytes:
            raise InputError(
                source.name,
                f"holds more than {human_size(limit_bytes)} of metrics",
                "cut it to the minutes around the incident",
            )
    return body.getvalue()
