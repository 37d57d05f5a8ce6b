"""The four reports: each says all of it, follows its published shape, and shows nothing hostile or secret."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from markdown_it import MarkdownIt

from tests.troubleshoot.preflight.expected_findings import EXPECTED
from tests.troubleshoot.preflight.good import engine, good, judged
from tests.troubleshoot.preflight.sarif_structure import SARIF
from troubleshoot.findings import Severity
from troubleshoot.preflight import Result, preflight
from troubleshoot.preflight.checks import CHECKS
from troubleshoot.preflight.report import FORMATS, Format, render
from troubleshoot.preflight.report.json import schema
from troubleshoot.preflight.report.text import render_text
from troubleshoot.sources.manifests import read_manifests

FOLDER = Path(__file__).parent / "manifests" / "as_written"


def result_of(name: str) -> Result:
    read = read_manifests([str(FOLDER / name)])
    return replace(preflight(read.objects), files=tuple(read.files))


def rendered(result: Result, report: Format) -> str:
    stream = StringIO()
    render(result, report, stream=stream, version="1.2.3")
    return stream.getvalue()


HOSTILE = '\x1b[31mred\x1b[0m\u202e<script>alert(1)</script> | `x` [a](http://b) "quote" \\'


def hostile() -> Result:
    objects = good()
    del engine(objects)["livenessProbe"]
    for item in objects.values():
        item["metadata"]["namespace"] = HOSTILE
    engine(objects)["name"] = HOSTILE
    engine(objects)["image"] = f"x/vllm-openai:latest {HOSTILE}"
    return replace(judged(objects), problems=(HOSTILE,), notes=(HOSTILE,), files=(HOSTILE,))


RESULTS = {name: result_of(name) for name in EXPECTED} | {
    "correct": judged(good()),
    "hostile": hostile(),
    "empty": Result(),
}


@pytest.mark.parametrize("name", RESULTS)
def test_json_follows_its_schema(name: str) -> None:
    shape = schema()
    jsonschema.Draft202012Validator.check_schema(shape)
    jsonschema.validate(json.loads(rendered(RESULTS[name], "json")), shape)


@pytest.mark.parametrize("name", RESULTS)
def test_sarif_follows_the_standards_structure(name: str) -> None:
    written = json.loads(rendered(RESULTS[name], "sarif"))
    jsonschema.Draft7Validator.check_schema(SARIF)
    jsonschema.validate(written, SARIF)
    (run,) = written["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [check.id for check in CHECKS]
    for each in run["results"]:
        assert rules[each["ruleIndex"]]["id"] == each["ruleId"]
    said = run["invocations"][0]["toolExecutionNotifications"]
    linked = [each["associatedRule"] for each in said if "associatedRule" in each]
    assert all(rules[each["index"]]["id"] == each["id"] for each in linked)


def test_sarif_says_where_and_how_bad() -> None:
    (run,) = json.loads(rendered(RESULTS["vllm-short.yaml"], "sarif"))["runs"]
    worst = next(each for each in run["results"] if each["ruleId"] == "autoscaling_metric")
    assert worst["level"] == "error"
    where = worst["locations"][0]["physicalLocation"]
    assert where["region"] == {"startLine": 34}
    assert where["artifactLocation"]["uri"].endswith("/vllm-short.yaml")
    assert "num_requests_waiting" in worst["message"]["text"]
    assert len({str(each["partialFingerprints"]) for each in run["results"]}) == len(run["results"])


def test_sarif_says_what_could_not_be_read_or_checked() -> None:
    result = replace(RESULTS["vllm-short.yaml"], problems=("x.yaml: is empty",))
    (invocation,) = json.loads(rendered(result, "sarif"))["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    levels = [each["level"] for each in invocation["toolExecutionNotifications"]]
    assert levels == ["error"] + ["note"] * len(result.not_checked)


@pytest.mark.parametrize(
    ("file", "uri"),
    [("a b.yaml", "a%20b.yaml"), ("-", "stdin"), ("/tmp/ä.yaml", "file:///tmp/%C3%A4.yaml"), ("d/a.yaml", "d/a.yaml")],
)
def test_sarif_names_files_as_uris(file: str, uri: str) -> None:
    result = RESULTS["vllm-rules.yaml"]
    moved = tuple(replace(each, place=replace(each.place, file=file)) for each in result.findings)
    (run,) = json.loads(rendered(replace(result, findings=moved), "sarif"))["runs"]
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


@pytest.mark.parametrize("report", FORMATS)
@pytest.mark.parametrize("name", EXPECTED)
def test_every_report_says_every_finding(name: str, report: Format) -> None:
    text = rendered(RESULTS[name], report)
    assert all(finding.check in text for finding in RESULTS[name].findings)
    assert all(
        item.check.replace("_", "") in text.replace("_", "").replace("\\", "") for item in RESULTS[name].not_checked
    )


@pytest.mark.parametrize("report", FORMATS)
def test_nothing_hostile_is_shown(report: Format) -> None:
    text = rendered(RESULTS["hostile"], report)
    assert "\x1b" not in text
    assert "\u202e" not in text
    if report == "markdown":
        html = MarkdownIt("commonmark").enable("table").render(text)
        assert "<script" not in html
        assert 'href="' not in html
        assert html.count("<table>") == text.count("| check |")


@pytest.mark.parametrize("report", FORMATS)
def test_no_report_shows_a_secret(report: Format) -> None:
    objects = good()
    token = "hf_" + "abcdefghij0123456789"
    engine(objects)["env"].append({"name": "HF_TOKEN", "value": token})
    engine(objects)["image"] = f"user:{token}@registry/vllm-openai:latest"
    assert token not in rendered(judged(objects), report)


def test_text_keeps_to_its_width_and_has_no_colours_unless_asked() -> None:
    result = RESULTS["kserve-chat.yaml"]
    text = render_text(result, width=72)
    long_words = {word for word in text.split() if len(word) > 50}
    assert all(len(line) <= 72 or any(word in line for word in long_words) for line in text.splitlines())
    assert "\x1b" not in text
    assert "\x1b[" in render_text(result, width=72, color=True)


def test_the_summary_counts() -> None:
    text = rendered(RESULTS["vllm-short.yaml"], "text")
    assert "6 critical, 7 warnings, 2 info" in text
    assert "PASSED  no findings" in rendered(RESULTS["correct"], "text")
    assert "NOTHING CHECKED" in rendered(RESULTS["empty"], "text")


def test_findings_are_ordered_worst_first() -> None:
    for result in RESULTS.values():
        levels = [finding.severity for finding in result.findings]
        assert levels == sorted(levels, reverse=True)


def test_a_stream_that_lacks_characters_gets_escapes() -> None:
    class Ascii(StringIO):
        encoding = "ascii"

    for report in FORMATS:
        stream: Any = Ascii()
        render(RESULTS["vllm-chat.yaml"], report, stream=stream, version="1")
        assert stream.getvalue().isascii()


def test_severities_are_those_of_the_diagnosis() -> None:
    assert {check.severity for check in CHECKS} <= set(Severity)
