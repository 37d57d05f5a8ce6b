from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troubleshoot.sources.address import candidates, looks_like_url, redacted


@pytest.mark.parametrize(
    "spec",
    [
        "http://localhost:8000/metrics",
        "HTTPS://vllm.example",
        "ftp://host/file",
        "localhost:8000",
        "10.0.0.7:8000/metrics",
        "vllm-0.vllm.svc.cluster.local:8000",
        "[::1]:8000",
        "[fe80::1%eth0]:8000/metrics",
    ],
)
def test_addresses(spec: str) -> None:
    assert looks_like_url(spec)


@pytest.mark.parametrize(
    "spec",
    [
        "-",
        "",
        "metrics.prom",
        "dir/metrics.om.gz",
        "/tmp/x:1/y",
        "C:\\x.prom",
        "localhost",
        "host:0",
        "host:70000",
    ],
)
def test_paths(spec: str) -> None:
    assert not looks_like_url(spec)


def test_a_file_of_that_name_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert looks_like_url("scrape:1")
    (tmp_path / "scrape:1").touch()
    assert not looks_like_url("scrape:1")


@pytest.mark.parametrize(
    ("url", "urls"),
    [
        ("host:8000", ("http://host:8000/metrics", "http://host:8000/prometheus/metrics")),
        ("https://host/", ("https://host/metrics", "https://host/prometheus/metrics")),
        (
            "http://host:1/?token=x",
            ("http://host:1/metrics?token=x", "http://host:1/prometheus/metrics?token=x"),
        ),
        ("host:8000/custom", ("http://host:8000/custom",)),
        ("http://u:p@host/metrics", ("http://u:p@host/metrics",)),
    ],
)
def test_a_base_url_is_completed_and_a_path_is_kept(url: str, urls: tuple[str, ...]) -> None:
    assert candidates(url) == urls


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host:8000/metrics", "http://host:8000/metrics"),
        ("http://user:pass@host/metrics", "http://***@host/metrics"),
        ("user:pass@host:8000", "***@host:8000"),
        ("http://user:p/a?s#s@host/m", "http://***@host/m"),
        ("http://host/m?token=abc&x=1&flag#frag", "http://host/m?token=***&x=***&***"),
        ("localhost:8000", "localhost:8000"),
    ],
)
def test_secrets_are_hidden(url: str, shown: str) -> None:
    assert redacted(url) == shown


SECRET = st.text("0123456789SECRET/?#&=:@%", min_size=1).map(lambda text: f"S3CR{text}3T")


@given(SECRET, SECRET, SECRET.filter(lambda text: "@" not in text))
def test_no_secret_is_ever_shown(user: str, password: str, token: str) -> None:
    assert "S3CR" not in redacted(f"http://{user}:{password}@host:1/m?token={token}")
