from __future__ import annotations

import gzip
import io
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from troubleshoot.sources.errors import InputError
from troubleshoot.sources.exposition import read_exposition
from troubleshoot.sources.exposition_text import kind_of, looks_like

SCRAPE = (
    b"# HELP vllm:num_requests_running Number of requests.\n"
    b"# TYPE vllm:num_requests_running gauge\n"
    b'vllm:num_requests_running{engine="0",model_name="llama"} 3.0\n'
)
SHARED = Path(__file__).resolve().parents[3] / ".." / "shared"


def refusal(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_exposition(str(path))
    assert caught.value.name == str(path)
    return f"{caught.value.problem}; {caught.value.advice}"


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_saved_scrape_is_read_plain_or_compressed(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "metrics.prom"
    path.write_bytes(compress(SCRAPE))
    scrapes = read_exposition(str(path))
    assert (scrapes.name, scrapes.kind, scrapes.body, scrapes.note) == (str(path), "exposition", SCRAPE, "")


def test_it_comes_from_standard_input_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(SCRAPE))))
    assert read_exposition("-").body == SCRAPE


def test_a_truncated_recording_keeps_its_note(tmp_path: Path) -> None:
    path = tmp_path / "metrics.om.gz"
    body = b"".join(b'a_total{i="%d"} %d 1750000000.5\n' % (i, i * 2654435761 % 2**32) for i in range(20_000))
    path.write_bytes(gzip.compress(body)[:60_000])
    scrapes = read_exposition(str(path))
    assert scrapes.kind == "openmetrics"
    assert body.startswith(scrapes.body)
    assert scrapes.note.startswith("truncated gzip: read ")


def test_a_utf_8_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xef\xbb\xbf" + SCRAPE)
    assert read_exposition(str(path)).body == SCRAPE


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (SCRAPE, "exposition"),
        (b"up 1", "exposition"),
        (b"up 1 1750000000000\n", "exposition"),
        (b"up 1\n# EOF\n", "openmetrics"),
        (b"up 1\n# EOF", "openmetrics"),
        (b"up 1 1750000000.25\n", "openmetrics"),
        (b"# TYPE a counter\n# UNIT a seconds\na_seconds_total 1\n", "openmetrics"),
        (b'a_bucket{le="+Inf"} 7 # {trace_id="x"} 0.5 1750000000\n', "openmetrics"),
        (b'{"a.b",x="1"} 1e-9\n', "exposition"),
        (b'a{x="y z } 1"} NaN\r\n', "exposition"),
        (b"a -Inf\n", "exposition"),
        (b'a{x="\\"} # "} 1\n', "exposition"),
        (b"", None),
        (b"# HELP a b\n# TYPE a gauge\n", None),
        (b"INFO 07-01 12:00:00 Engine 000: Running: 3 reqs\n", None),
        (b'{"status": 200}\n', None),
    ],
)
def test_the_format_is_told_by_its_samples(body: bytes, kind: str | None) -> None:
    assert kind_of(body) == kind


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b" \n", "nothing"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"\n <html>", "an HTML page"),
        (b"<?xml version='1.0'?>", "XML"),
        (b'{"object": "list"}', "JSON"),
        (b"[{}]", "JSON"),
        (b"# TYPE a gauge\n", "metric descriptions without samples"),
        (b"INFO 07-01 12:00:00 [x.py:1] hello\n", "a log"),
        (b"Traceback (most recent call last):\n", "a log"),
        (b"hello\n", "other text"),
    ],
)
def test_what_is_no_exposition_is_named(body: bytes, what: str) -> None:
    assert kind_of(body) is None
    assert looks_like(body) == what


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            b"<html><title>Grafana</title></html>",
            "it looks like an HTML page; save the engine's /metrics page",
        ),
        (b'{"status":"success","data":{}}', "it looks like JSON; give the text of /metrics"),
        (b"INFO 07-01 12:00:00 [x.py:1] hello\n", "it looks like a log; give it to --log"),
        (b"# TYPE a gauge\n", "descriptions without samples; scrape the engine again"),
        (b"hello\n", "it looks like other text; give a saved /metrics page"),
        (b"", "is empty"),
        (b"\x7fELF" + bytes(90), "an ELF program"),
    ],
)
def test_a_file_without_metrics_is_refused_with_what_to_do(tmp_path: Path, data: bytes, said: str) -> None:
    assert said in refusal(tmp_path / "x", data)


def test_more_than_the_limit_is_refused_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        for _ in range(64):
            out.write(b"up 1\n" * 200_000)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"holds more than 4\.2 MB of metrics; cut it") as caught:
            read_exposition(str(path), limit_bytes=4 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.name == str(path)
    assert peak < 16 << 20


def test_every_recording_of_a_real_engine_is_openmetrics() -> None:
    recordings = sorted(SHARED.glob("recordings/*/metrics.om.gz"))
    if not recordings:
        pytest.skip("the shared recordings are not here")
    for path in recordings:
        scrapes = read_exposition(str(path))
        assert (scrapes.kind, scrapes.note) == ("openmetrics", ""), path


def test_every_saved_scrape_of_the_engines_is_an_exposition() -> None:
    payloads = sorted(SHARED.glob("payloads/*.prom"))
    if not payloads:
        pytest.skip("the shared payloads are not here")
    for path in payloads:
        assert read_exposition(str(path)).kind == "exposition", path
