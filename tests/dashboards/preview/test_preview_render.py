"""A board's page: each panel with its data or with the reason why there is none."""

from __future__ import annotations

import re
from html import unescape

from dashboards.preview.board_json import read_board
from dashboards.preview.prometheus import connect
from dashboards.preview.render import preview, unknown_variables
from dashboards.preview.variables import Period
from tests.dashboards.preview.boards import small
from tests.dashboards.preview.stub_prometheus import Answer, calm, ok, refused, stub_prometheus

PERIOD = Period(900, 1140, 1)


def words(document: str) -> str:
    inside = document.partition("<body>")[2]
    return " ".join(unescape(re.sub(r"<script.*?</script>|<[^>]*>", " ", inside, flags=re.DOTALL)).split())


def test_the_page_says_what_it_is_and_of_when() -> None:
    with stub_prometheus() as stub:
        said = words(preview([small()], connect(stub.url), PERIOD))
    assert "A preview, drawn without Grafana" in said
    assert f"Prometheus {stub.url}" in said
    assert "from 1970-01-01 00:15:00 UTC to 1970-01-01 00:19:00 UTC step 1 s" in said
    assert "$namespace All $model All" in said
    assert "Latency of All" in said


def test_variables_and_macros_reach_prometheus() -> None:
    with stub_prometheus() as stub:
        preview([small()], connect(stub.url), PERIOD, variables={"model": ("llama",)}, scrape_seconds=30)
    asked = [query for _, query, _ in stub.asked]
    assert 'sum(rate(llm_requests_total{namespace=~".+",model=~"llama"}[120s]))' in asked
    assert not any("$" in query for query in asked)


def test_one_panels_trouble_stays_its_own() -> None:
    def answer(path: str, query: str) -> Answer:
        return refused(400, "parse <b>error</b>") if "llm_generation" in query else calm(path, query)

    with stub_prometheus(answer) as stub:
        document = preview([small()], connect(stub.url), PERIOD)
    assert "This panel's query failed: parse <b>error</b>" in words(document)
    assert "<b>error</b>" not in document
    assert document.count('data-figure="') == 2


def test_why_there_is_no_data_is_said() -> None:
    def answer(path: str, query: str) -> Answer:
        return calm(path, query) if path.endswith("/values") or query == "vector(1)" else ok([])

    with stub_prometheus(answer) as stub:
        said = words(preview([small()], connect(stub.url), PERIOD))
    assert "No data: the series are there, but none is left for these variables and this time." in said
    assert (
        "No data: in this time, Prometheus has no model:llm_time_to_first_token_seconds:p50_rate5m, no "
        "model:llm_time_to_first_token_seconds:p95_rate5m. Names with colons are recorded by rules: are they loaded?"
    ) in said
    assert "No data: in this time, Prometheus has no llm_spec_decode_draft_tokens_total." in said
    assert "Not in the preview: these lines come from Loki." in said


def test_what_a_panel_says_of_nothing_goes_before_the_reason() -> None:
    panel = {"type": "stat", "targets": [{"expr": "x{}"}], "fieldConfig": {"defaults": {"noValue": "none"}}}
    with stub_prometheus(lambda path, query: ok([]) if query == "x{}" else calm(path, query)) as stub:
        said = words(preview([read_board({"title": "B", "panels": [panel]})], connect(stub.url), PERIOD))
    assert said.endswith("none (no data: in this time, Prometheus has no x)")


def test_only_so_many_series_are_drawn_and_that_is_said() -> None:
    many = ok([{"metric": {"pod": f"pod-{number}"}, "values": [[1000, "1"]]} for number in range(70)])
    panel = {"type": "timeseries", "title": "T", "targets": [{"expr": "x", "legendFormat": "{{pod}}"}]}
    with stub_prometheus(lambda path, query: many if query == "x" else calm(path, query)) as stub:
        document = preview([read_board({"title": "B", "panels": [panel]})], connect(stub.url), PERIOD)
    assert "The first 60 of 70 series." in words(document)
    assert "pod-59" in document
    assert "pod-60" not in document


def test_what_is_left_undone_is_said() -> None:
    panel = {
        "type": "table",
        "targets": [{"expr": "x", "instant": True}],
        "transformations": [{"id": "groupBy", "options": {}}],
    }
    with stub_prometheus() as stub:
        said = words(preview([read_board({"title": "B", "panels": [panel]})], connect(stub.url), PERIOD))
    assert "Not done here: groupBy." in said


def test_annotations_mark_the_moments_at_which_they_begin() -> None:
    runs = [[1000, "1"], [1001, "1"], [1002, "1"], [1010, "1"], [1020, "0"]]
    marks = {"name": "Restart", "expr": "x", "titleFormat": "{{pod}}", "textFormat": "again", "iconColor": "red"}
    board = read_board({"title": "B", "panels": [], "annotations": {"list": [marks, {**marks, "expr": "bad"}]}})

    def answer(path: str, query: str) -> Answer:
        found = ok([{"metric": {"pod": "a"}, "values": runs}])
        return {"x": found, "bad": refused(422, "no")}.get(query, calm(path, query))

    with stub_prometheus(answer) as stub:
        said = words(preview([board], connect(stub.url), PERIOD))
    assert "2 marked moments 1970-01-01 00:16:40 UTC a · again 1970-01-01 00:16:50 UTC a · again" in said


def test_a_variable_that_no_board_has_is_found() -> None:
    assert unknown_variables([small()], ["model", "modle", "datasource"]) == ["modle", "datasource"]
