"""The page says all that the diagnosis says, each thing in its place."""

from __future__ import annotations

import builtins
import io
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from charts import library
from recordings.reader import bundled, load
from tests.troubleshoot.report.page_reader import ReadPage
from troubleshoot.collect import Request, collect
from troubleshoot.diagnosis import diagnose
from troubleshoot.evidence import Evidence
from troubleshoot.findings import (
    Diagnosis,
    EngineSummary,
    Finding,
    Fix,
    MetricEvidence,
    Severity,
)
from troubleshoot.report import render, wording
from troubleshoot.report.html import render_html

ALL = bundled()
NOTHING_MEASURED = {"c_port_in_use"}


@cache
def said_of(name: str, parts: str = "log+metrics") -> tuple[Diagnosis, Evidence]:
    recording = load(name)
    logs = [str(recording.log_path)] if "log" in parts else []
    metrics = [str(recording.metrics_path)] if "metrics" in parts else []
    collected = collect(Request(logs, metrics))
    assert collected.evidence is not None, collected.problems
    return diagnose(collected.evidence, collected.inputs), collected.evidence


@cache
def page_of(name: str, parts: str = "log+metrics") -> ReadPage:
    return ReadPage(render_html(*said_of(name, parts)))


def charts_on(page: ReadPage) -> list[str]:
    """What each plot says of itself to those who do not see it."""
    return [attributes["aria-label"] or "" for attributes in page.of_class("chart")]


def spaced(text: str) -> str:
    return " ".join(text.split())


# Everything is on it


@pytest.mark.parametrize("name", ALL)
def test_every_recording_gives_a_whole_page(name: str) -> None:
    diagnosis, _ = said_of(name)
    page = page_of(name)
    words = page.text()
    assert page.unbalanced == []
    assert spaced(diagnosis.summary) in page.text()
    assert page.tags.count("h1") == page.tags.count("main") == 1
    for part in wording.header_parts(diagnosis):
        assert spaced(part) in words
    for number, finding in enumerate(diagnosis.findings, 1):
        assert_told(finding, page.text(f"finding-{number}"))
    for ruled_out in diagnosis.ruled_out:
        assert ruled_out.cause in page.text("ruled-out").split()
        assert spaced(ruled_out.because) in page.text("ruled-out")
    for missing in diagnosis.not_evaluated:
        assert missing.cause in page.text("not-checked").split()
        assert spaced("; ".join(missing.needs)) in page.text("not-checked")
    assert set(diagnosis.numbers) <= set(page.text("numbers").split())
    assert set(diagnosis.engine.settings) <= set(page.text("settings").split()) | unset(diagnosis)
    assert {item.name for item in diagnosis.inputs} <= set(page.text("inputs").split())
    assert bool(charts_on(page)) == (name not in NOTHING_MEASURED)


def unset(diagnosis: Diagnosis) -> set[str]:
    return {name for name, value in diagnosis.engine.settings.items() if value is None}


def assert_told(finding: Finding, words: str) -> None:
    assert finding.severity.label in words
    assert finding.cause in words
    assert wording.confidence(finding.confidence) in words
    assert spaced(finding.explanation) in words
    for fix in finding.fixes if not finding.explained_by else ():
        for text in (fix.setting, wording.setting_value(fix.to_value), fix.why, fix.effect):
            assert spaced(text) in words
    for item in finding.evidence:
        told = (item.series, item.note) if isinstance(item, MetricEvidence) else (item.text, wording.place(item))
        for text in told:
            assert spaced(text) in words
    assert f"inferwatch explain {finding.cause}" in words


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("parts", ["log", "metrics"])
def test_each_input_alone_gives_a_page(name: str, parts: str) -> None:
    diagnosis, _ = said_of(name, parts)
    page = page_of(name, parts)
    assert page.unbalanced == []
    assert spaced(diagnosis.summary) in page.text()
    assert charts_on(page) or "No charts" in page.text("window")


def test_the_links_lead_to_parts_of_the_page() -> None:
    page = page_of("kv_preemption")
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert len(links) > 5
    assert {(link or "").removeprefix("#") for link in links} <= page.ids()


def test_ids_are_unique() -> None:
    ids = [attributes["id"] or "" for _, attributes in page_of("kv_preemption").elements if "id" in attributes]
    assert sorted({one for one in ids if ids.count(one) > 1}) == []


# What stands where


def test_a_fix_says_from_what_to_what_and_why(thrash: Diagnosis) -> None:
    words = ReadPage(render_html(thrash)).text("finding-1")
    assert "--num-gpu-blocks-override from 900 → to remove the GPU holds 235 632 tokens" in words
    assert "--max-num-seqs from 128 → to 22 14 400 tokens / 650 a request Effect: no preemption" in words


def test_a_consequence_has_its_root_and_no_fixes(thrash: Diagnosis) -> None:
    late = replace(thrash.findings[0], cause="ttft_queueing", explained_by="thr_preemption_thrash")
    page = ReadPage(render_html(replace(thrash, findings=(thrash.findings[0], late))))
    assert "Brought about by thr_preemption_thrash" in page.text("finding-2")
    assert "--max-num-seqs" not in page.text("finding-2")
    assert page.text("also").startswith("Also found")


def test_secrets_in_settings_are_masked(thrash: Diagnosis) -> None:
    document = render_html(thrash)
    assert "hunter2" not in document
    assert "api_key ***" in ReadPage(document).text("settings")


def test_wrong_inputs_and_an_early_end_are_said(thrash: Diagnosis) -> None:
    words = ReadPage(render_html(thrash)).text("inputs")
    assert "truncated gzip: 3.1 MB read" in words
    assert wording.INTERRUPTED in words


def test_numbers_are_written_with_their_units(thrash: Diagnosis) -> None:
    numbers: dict[str, float | int | str] = {
        "ttft_p95_seconds": 0.25,
        "queue_share_of_ttft_ratio": 0.984,
        "weights_gib": 12.6,
        "source": "metrics",
    }
    words = ReadPage(render_html(replace(thrash, numbers=numbers))).text("numbers")
    for told in ("TTFT p95 250 ms", "Queue share of TTFT 98.4 %", "Weights 12.6 GiB", "Source metrics"):
        assert told in words


@pytest.mark.parametrize(
    ("verdict", "tone"), [("healthy", "healthy"), ("inconclusive", "inconclusive"), ("incident", "critical")]
)
def test_the_verdict_is_said_in_a_word_and_a_colour(thrash: Diagnosis, verdict: Any, tone: str) -> None:
    findings = thrash.findings if verdict == "incident" else ()
    document = render_html(replace(thrash, verdict=verdict, findings=findings))
    page = ReadPage(document)
    (banner,) = page.of_class("banner")
    assert banner["class"] == f"banner {tone}"
    assert page.text().startswith(f"To the content {'critical incident' if findings else verdict}")
    assert f"<title>{tone.capitalize()}" in document


def test_an_inconclusive_page_is_whole() -> None:
    diagnosis = Diagnosis("inconclusive", "Nothing can be said", EngineSummary())
    page = ReadPage(render_html(diagnosis, Evidence()))
    assert page.unbalanced == []
    assert "Nothing can be said" in page.text()
    assert "unknown engine" in page.text()
    assert "No charts: they need metrics of two scrapes or more" in page.text("window")
    assert page.ids() >= {"content", "window"}
    assert not page.ids() & {"cause", "also", "ruled-out", "not-checked", "numbers", "settings", "inputs"}


def test_a_warning_first_has_its_own_colour(thrash: Diagnosis) -> None:
    warned = replace(thrash.findings[0], severity=Severity.WARNING)
    (banner,) = ReadPage(render_html(replace(thrash, findings=(warned,)))).of_class("banner")
    assert banner["class"] == "banner warning"


@pytest.mark.parametrize(
    "item",
    [
        MetricEvidence("x", float("nan"), "seconds", (float("nan"), float("inf"))),
        MetricEvidence("x", float("inf"), "", (1.0, 1e300)),
        MetricEvidence("x", 1e308, "ratio", (-1e12, 2e9)),
    ],
)
def test_figures_out_of_all_bounds_are_written(thrash: Diagnosis, item: MetricEvidence) -> None:
    odd = replace(thrash.findings[0], evidence=(item,), confidence=float("nan"), fixes=(Fix("a", True, None, "", "b"),))
    numbers = {"ttft_p95_seconds": float("inf"), "x_ratio": float("nan")}
    page = ReadPage(render_html(replace(thrash, findings=(odd,), numbers=numbers)))
    assert page.unbalanced == []
    assert "confidence unknown" in page.text("finding-1")
    assert "a now on Effect: b" in page.text("finding-1")


def test_render_writes_the_page(thrash: Diagnosis) -> None:
    stream = io.StringIO()
    render(thrash, "html", stream=stream)
    assert stream.getvalue() == render_html(thrash)


def test_two_pages_of_the_same_are_the_same() -> None:
    assert render_html(*said_of("kv_preemption")) == render_html(*said_of("kv_preemption"))


# Charts


def test_an_incident_shows_its_own_charts_first() -> None:
    titles = [label.split(": ", 1)[1] for label in charts_on(page_of("kv_preemption"))]
    assert [title.split(" from ")[0] for title in titles][:4] == [
        "Preemptions per second",
        "KV cache use",
        "Requests running and waiting",
        "Tokens per second",
    ]
    assert charts_on(page_of("stuck_engine"))[0].startswith("Line chart: Engine steps per second")


def test_the_first_token_is_split_in_queue_and_prefill() -> None:
    (label,) = [label for label in charts_on(page_of("kv_preemption")) if "first token" in label]
    assert "queue, mean: last" in label
    assert "prefill, mean: last" in label


def test_the_gpu_is_shown_where_it_was_measured() -> None:
    titles = " ".join(charts_on(page_of("kv_preemption")))
    for title in ("GPU activity", "GPU clock", "GPU power", "GPU memory used"):
        assert title in titles
    assert "GPU" not in " ".join(charts_on(page_of("llamacpp_busy")))


def test_a_log_alone_has_a_time_without_a_date() -> None:
    labels = charts_on(page_of("ttft_queue_burst", "log"))
    assert labels
    assert all("from 10 s to 50 s" in label for label in labels)


def test_what_began_is_told_beside_the_charts() -> None:
    words = page_of("stuck_engine").text("window")
    assert "19:49:06 UTC no engine step from here on" in words
    assert "19:49:32 UTC the engine steps again" in words
    assert "the time that was judged: 26 s, 19:49:06 to 19:49:32 UTC" in words


def test_a_healthy_engine_has_no_troubles() -> None:
    words = page_of("healthy_steady").text("window")
    assert "requests wait" not in words
    assert "KV cache use over" not in words


def test_a_page_without_the_library_says_so_and_tells_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    without_plotly(monkeypatch)
    document = render_html(*said_of("stuck_engine"))
    page = ReadPage(document)
    assert len(document) < 100_000
    assert charts_on(page) == []
    assert "pip install 'inferwatch[preview]'" in page.text("window")
    assert "no engine step from here on" in page.text("window")
    assert "py-spy dump" in page.text("finding-1")


def without_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    own_import = builtins.__import__

    def refusing(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("plotly"):
            raise ImportError(name)
        return own_import(name, *rest, **named)

    library.plotly_script.cache_clear()
    library.packed_library.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refusing)
