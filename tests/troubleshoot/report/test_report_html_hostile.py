"""Nothing that was read is more than text on the page, wherever it comes to stand."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from charts.library import draw_script, integrity, plotly_script
from recordings.reader import load, read_log
from tests.troubleshoot.conftest import Scrapes
from tests.troubleshoot.report.page_reader import ReadPage
from troubleshoot.collect import Request, collect
from troubleshoot.diagnosis import diagnose
from troubleshoot.evidence import Evidence
from troubleshoot.findings import (
    Diagnosis,
    EngineSummary,
    Fix,
    InputSummary,
    LogEvidence,
    MetricEvidence,
    NotEvaluated,
    RuledOut,
)
from troubleshoot.report.html import render_html

HOSTILE = [
    "<script>window.struck=1</script>",
    "</script><script>window.struck=1</script>",
    "</style><img src=x onerror=window.struck=1>",
    "--><svg onload=window.struck=1>",
    "<!-- <![CDATA[ ]]> <?php ?>",
    "' onmouseover='window.struck=1",
    '" onmouseover="window.struck=1" style="position:fixed',
    "&lt;b&gt; &amp; &#x3c;i&#x3e; &",
    "javascript:alert(1) [x](javascript:alert(1)) ![i](https://elsewhere.example/i.png)",
    "{{7*7}} ${7*7} %{y} `x`",
]
CONTROLS = {
    "null and bell": "a\x00b\x07c",
    "an escape": "a\x1b[31mb\x1b[0mc\x1b]0;title\x07",
    "overrides": "abc\u202egnp.exe\u202c",
    "isolates": "a\u2066b\u2069c",
    "zero width": "a\u200bb\u200dc\ufeff",
    "line ends": "a\r\nb\u2028c\u2029d",
    "half a surrogate": "a\ud800b",
    "C1": "a\x9b31mb\x85c",
}


def everywhere(text: str) -> Diagnosis:
    """A diagnosis with a text in every place that one can have."""
    from troubleshoot.findings import Finding, Severity

    finding = Finding(
        text,
        "oom",
        Severity.CRITICAL,
        0.5,
        text,
        text,
        (LogEvidence(text, 3, text), MetricEvidence(text, 1.0, text, (1.7e9, 1.7e9 + 60), text)),
        (Fix(text, text, text, text, text), Fix(text, text, None, text)),
        text,
    )
    return Diagnosis(
        "incident",
        text,
        EngineSummary(text, text, text, {text: text}),
        (finding, replace(finding, explained_by=text)),
        (RuledOut(text, text),),
        (NotEvaluated(text, (text, text)),),
        {text: text, f"{text}_seconds": 2.0},
        (InputSummary(text, "log", 1, 2, 3.0, text),),
        text,
    )


CALM = ReadPage(render_html(everywhere("calm")))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_makes_an_element_or_an_attribute(text: str) -> None:
    page = ReadPage(render_html(everywhere(text)))
    assert page.unbalanced == []
    assert page.tags == CALM.tags
    assert [sorted(attributes) for _, attributes in page.elements] == [sorted(found) for _, found in CALM.elements]
    assert page.scripts == CALM.scripts


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_it_stands(text: str) -> None:
    page = ReadPage(render_html(everywhere(text)))
    for part in ("finding-1", "ruled-out", "not-checked", "settings", "inputs", "numbers"):
        assert " ".join(text.split()) in page.text(part)


@pytest.mark.parametrize("text", CONTROLS.values(), ids=CONTROLS)
def test_what_a_browser_would_act_on_or_hide_is_gone(text: str) -> None:
    document = render_html(everywhere(text))
    assert [sign for sign in document if ord(sign) < 32 and sign != "\n"] == []
    assert (
        set(document) & set("\u200b\u200d\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2069\u2028\u2029\ufeff\x9b\x85")
        == set()
    )
    assert document.encode("utf-8")
    assert ReadPage(document).tags == CALM.tags


def test_names_keep_their_order_beside_text_from_right_to_left() -> None:
    page = ReadPage(render_html(everywhere("שלום engine")))
    assert page.tags.count("bdi") == CALM.tags.count("bdi") > 10
    assert {attributes["dir"] for tag, attributes in page.elements if tag == "code"} == {"ltr"}


def test_a_very_long_word_makes_no_wider_page_and_no_more_elements() -> None:
    document = render_html(everywhere("x" * 50_000))
    assert ReadPage(document).tags == CALM.tags
    assert "overflow-wrap: anywhere" in document


def test_a_very_long_line_of_a_log_is_quoted_in_part(tmp_path: Path) -> None:
    error = b"ValueError: No available memory for the cache blocks."
    log = tmp_path / "engine.log"
    log.write_bytes(read_log(load("oom_no_kv_blocks")).replace(error, error + b" <script>" + b"y" * 300_000))
    document = render_html(*diagnosed(log))
    assert "y" * 401 not in document
    assert "&lt;script&gt;yyy" in document
    assert len(document) < 100_000


def diagnosed(log: Path, metrics: Path | None = None) -> tuple[Diagnosis, Evidence]:
    collected = collect(Request([str(log)], [str(metrics)] if metrics else []))
    assert collected.evidence is not None
    return diagnose(collected.evidence, collected.inputs), collected.evidence


def test_labels_of_metrics_are_text_in_charts_too(tmp_path: Path) -> None:
    text = "</script><script>window.struck=1</script>"
    scrapes = Scrapes(gpu="NVIDIA H200").phase(60, running=4, generation=100.0, finished=1.0)
    metrics = tmp_path / "metrics.om"
    hostile = scrapes.text.replace('finished_reason="stop"', f'finished_reason="{text}"').replace(
        'gpu="0"', f'gpu="{text}"'
    )
    metrics.write_text(hostile.removesuffix("# EOF\n") + hostile.replace(text, "second"))
    log = tmp_path / "engine.log"
    log.write_bytes(read_log(load("healthy_steady")))
    page = ReadPage(render_html(*diagnosed(log, metrics)))
    assert page.unbalanced == []
    figures = [json.loads(script) for script in page.scripts if script.startswith('{"times"')]
    names = {trace["name"] for figure in figures for trace in figure["traces"]}
    assert any("&lt;script&gt;" in name for name in names), names
    assert page.tags.count("script") == len(figures) + 2


# What the page may do


def policy_of(page: ReadPage) -> dict[str, list[str]]:
    (policy,) = [
        attributes["content"] or "" for tag, attributes in page.elements if tag == "meta" and "http-equiv" in attributes
    ]
    return {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}


@pytest.fixture(scope="module")
def drawn() -> ReadPage:
    recording = load("kv_preemption")
    return ReadPage(render_html(*diagnosed(recording.log_path, recording.metrics_path)))


def test_the_policy_allows_the_pages_own_scripts_and_no_request(drawn: ReadPage) -> None:
    rules = policy_of(drawn)
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == [integrity(draw_script()), integrity(plotly_script())]
    assert rules["img-src"] == ["data:"]
    assert rules["form-action"] == rules["base-uri"] == ["'none'"]
    assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}


def test_a_page_without_charts_may_run_its_own_script_alone() -> None:
    assert policy_of(CALM)["script-src"] == [integrity(draw_script())]


def test_nothing_on_the_page_is_fetched(drawn: ReadPage) -> None:
    fetched = {"src", "srcset", "href", "action", "data", "poster", "background", "xlink:href"}
    sources = [value for _, attributes in drawn.elements for name, value in attributes.items() if name in fetched]
    assert [source for source in sources if source and not source.startswith(("#", "data:"))] == []
    assert not {"iframe", "object", "embed", "form", "base", "audio", "video", "img"} & set(drawn.tags)
    styles = "".join(attributes.get("style") or "" for _, attributes in drawn.elements)
    assert "url(" not in styles


def test_the_library_is_the_packages_own(drawn: ReadPage) -> None:
    packed: list[Any] = [script for script in drawn.scripts if len(script) > 1_000_000]
    assert [gzip.decompress(b64decode(script)).decode() for script in packed] == [plotly_script()]
