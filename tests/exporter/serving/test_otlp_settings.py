"""What of the settings for OTLP is refused before anything is pushed, and that no refusal shows a secret."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from catalog.settings import SettingsError
from exporter.config import Otlp
from exporter.serving.otlp import Pusher, read_headers


def pusher(endpoint: str, headers: str = "") -> Pusher:
    return Pusher(Otlp(endpoint=endpoint, headers_file=headers), lambda: None, {}, "1.2.3")


@pytest.mark.parametrize("line", ["hunter2", "X hunter2: a", ": hunter2", "X-Key:", "X-Key: hunter2\x01"])
def test_a_bad_header_is_named_by_its_line_alone(tmp_path: Path, line: str) -> None:
    path = tmp_path / "headers"
    path.write_text(f"Good: yes\n{line}\n", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        read_headers(path)
    assert str(caught.value) == f"otlp.headers_file: {path}: line 2 is no `Name: value`"


def test_a_headers_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"otlp\.headers_file: .*absent: cannot be read: No such file"):
        pusher("http://h", headers=str(tmp_path / "absent"))
    (tmp_path / "latin").write_bytes(b"X: \xe9\n")
    with pytest.raises(SettingsError, match="only printable ASCII"):
        read_headers(tmp_path / "latin")


@pytest.mark.parametrize("endpoint", ["", "ftp://h", "http://", "http://user:hunter2@h:99999/", "http://[::1/"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(SettingsError, match=r"^otlp\.endpoint: is no http or https URL") as caught:
        Pusher(Otlp(endpoint=endpoint), lambda: None, {}, "1")
    assert "hunter2" not in str(caught.value)


def test_a_password_in_the_endpoint_is_refused_unseen() -> None:
    with pytest.raises(SettingsError, match=r"otlp\.headers_file") as caught:
        pusher("http://user:hunter2@host/")
    assert "hunter2" not in str(caught.value)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.metric_exporter", None)
    with pytest.raises(SettingsError, match=r"^otlp\.endpoint: needs a package .*: install inferwatch\[otlp\]$"):
        pusher("http://host")
