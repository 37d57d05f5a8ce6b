"""One collection as finished bytes."""

from __future__ import annotations

import gzip

from exporter.exposition import Family
from exporter.snapshot import Snapshot

UP = Family("llm_up", "gauge", "Whether it answers.")


def test_every_form_holds_the_same_series() -> None:
    snapshot = Snapshot(
        [{UP: b"llm_up 1\n"}], 5.0, tail=lambda openmetrics: b"tail_om 1\n" if openmetrics else b"tail 1\n"
    )
    text = snapshot.body(openmetrics=False, gzipped=False)
    assert text.endswith(b"llm_up 1\ntail 1\n")
    assert gzip.decompress(snapshot.body(openmetrics=False, gzipped=True)) == text
    openmetrics = snapshot.body(openmetrics=True, gzipped=False)
    assert openmetrics.endswith(b"llm_up 1\ntail_om 1\n# EOF\n")
    assert gzip.decompress(snapshot.body(openmetrics=True, gzipped=True)) == openmetrics


def test_a_form_is_rendered_once_and_only_when_needed() -> None:
    rendered: list[bool] = []

    def tail(openmetrics: bool) -> bytes:
        rendered.append(openmetrics)
        return b""

    snapshot = Snapshot([], 0.0, tail=tail)
    assert rendered == []
    for _ in range(3):
        snapshot.body(openmetrics=False, gzipped=True)
        snapshot.body(openmetrics=False, gzipped=False)
    assert rendered == [False]


def test_what_was_prepared_is_there_but_was_not_asked_for() -> None:
    snapshot = Snapshot([], 0.0)
    snapshot.prepare([(False, True)])
    assert snapshot.forms == {(False, False), (False, True)}
    assert snapshot.asked == set()
    snapshot.body(openmetrics=True, gzipped=False)
    assert snapshot.asked == {(True, False)}
