"""Which form a client gets for its Accept and Accept-Encoding, with the headers that real scrapers send."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.serving.negotiation import wants_gzip, wants_openmetrics

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
ACCEPT = [
    # Prometheus 2.5 to 2.30 knows OpenMetrics 0.0.1 only, which is not served.
    ("application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", False),
    # 2.42
    (
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
        "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        True,
    ),
    # 2.49 and later 2.x
    (
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        True,
    ),
    # 2.55 with native histograms: protobuf first, which is not served.
    (
        f"{PROTOBUF};q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,"
        "application/openmetrics-text;version=0.0.1;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        True,
    ),
    # 3.x
    (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        True,
    ),
    # 3.x whose scrape_protocols put the text format first; also the collector's receiver configured so.
    (
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,"
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2",
        False,
    ),
    # A target whose fallback is all that is left.
    ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
    # VictoriaMetrics' vmagent, netdata
    ("text/plain;version=0.0.4;q=1,*/*;q=0.1", False),
    # curl, Go's net/http (no header), a browser
    ("*/*", False),
    ("", False),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
    # Telegraf
    (f"{PROTOBUF};q=0.7,text/plain;version=0.0.4;q=0.3", False),
    # By hand
    ("application/openmetrics-text", True),
    ("APPLICATION/OpenMetrics-Text; Version=1.0.0; charset=utf-8", True),
    ('application/openmetrics-text; version="1.0.0"', True),
    ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4", True),
    ("application/openmetrics-text;q=0,*/*", False),
    ("text/plain;q=0,application/*", True),
    ("text/*;q=0.3,application/*;q=0.2", False),
    ("application/openmetrics-text;q=0.2,text/plain;q=0.9", False),
    ("application/openmetrics-text;version=2.0.0", False),
    # What breaks the grammar is passed over.
    ("application/openmetrics-text;q=high,text/plain;q=0.1", False),
    ("application/openmetrics-text;q=2,text/plain;q=0.1", False),
    ("application/openmetrics-text;q=nan,text/plain;q=0.1", False),
    ("openmetrics", False),
    (f"{PROTOBUF}", False),
]


@pytest.mark.parametrize(("accept", "openmetrics"), ACCEPT)
def test_accept_chooses_the_format(accept: str, openmetrics: bool) -> None:
    assert wants_openmetrics(accept.encode()) is openmetrics


@pytest.mark.parametrize(
    ("accept_encoding", "gzipped"),
    [
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("GZIP;q=0.8, identity;q=0.5", True),
        ("x-gzip", True),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("*", True),
        ("gzip;q=0.5", True),
        ("", False),
        ("identity", False),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("gzip;q=0.2, identity;q=0.9", False),
        ("gzip;q=-1", False),
    ],
)
def test_accept_encoding_chooses_the_coding(accept_encoding: str, gzipped: bool) -> None:
    assert wants_gzip(accept_encoding.encode()) is gzipped


@given(st.binary(max_size=200))
@example(b",;=;q=,*/;/;q=1e999,gzip;q==")
def test_no_header_raises(header: bytes) -> None:
    assert isinstance(wants_openmetrics(header), bool)
    assert isinstance(wants_gzip(header), bool)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["application/openmetrics-text", "text/plain", "*/*", "application/*", "image/png"]),
            st.sampled_from(["", ";q=0", ";q=0.3", ";q=1.0", ";version=1.0.0", ";version=0.0.4;q=0.7"]),
        ),
        max_size=5,
    )
)
def test_openmetrics_is_never_sent_to_who_takes_text_alone(ranges: list[tuple[str, str]]) -> None:
    texts = [media + parameters for media, parameters in ranges if media in {"text/plain", "image/png"}]
    assert wants_openmetrics(",".join(texts).encode()) is False
