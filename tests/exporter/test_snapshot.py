"""One collection as finished bytes."""

from __future__ import annotations

import gzip

from exporter.exposition import Family
from exporter.snapshot import Snapshot

UP = Family("llm_up", "gauge", "Whether it answers.")


def test_every_form_holds_the_same_series() -> None:
    snapshot = Snapshot([{UP: b"llm_up 1\n"}], 5.0)
    text = snapshot.body(openmetrics=False, gzipped=False)
    assert text.endswith(b"llm_up 1\n")
    assert gzip.decompress(snapshot.body(openmetrics=False, gzipped=True)) == text
    openmetrics = snapshot.body(openmetrics=True, gzipped=False)
    assert openmetrics.endswith(b"llm_up 1\n# EOF\n")
    assert gzip.decompress(snapshot.body(openmetrics=True, gzipped=True)) == openmetrics


def test_a_form_is_rendered_once_and_only_when_needed() -> None:
    snapshot = Snapshot([{UP: b"llm_up 1\n"}], 0.0)
    assert snapshot.forms == set()
    first = snapshot.body(openmetrics=False, gzipped=True)
    assert snapshot.forms == {(False, True)}
    assert snapshot.body(openmetrics=False, gzipped=True) is first


def test_what_was_prepared_is_there_but_was_not_asked_for() -> None:
    snapshot = Snapshot([], 0.0)
    snapshot.prepare([(False, True)])
    assert snapshot.forms == {(False, True)}
    assert snapshot.asked == {}
    snapshot.body(openmetrics=True, gzipped=False)
    assert snapshot.asked.keys() == {(True, False)}
