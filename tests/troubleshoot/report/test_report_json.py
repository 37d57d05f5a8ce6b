from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from troubleshoot.findings import Diagnosis, MetricEvidence, NotEvaluated
from troubleshoot.report import render
from troubleshoot.report.json import render_json, schema

KEYS = ["schema_version", "verdict", "summary", "engine", "findings", "ruled_out", "not_evaluated"]
KEYS += ["numbers", "inputs", "hardware", "interrupted", "since", "changes", "fleet"]


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema())


def test_an_incident_is_this(thrash: Diagnosis, validator: Draft202012Validator) -> None:
    text = render_json(thrash)
    said = json.loads(text)
    validator.validate(said)
    assert text.endswith("}\n")
    assert list(said) == KEYS
    assert said["engine"]["settings"] == {"api_key": "***", "max_num_seqs": 128}
    finding = said["findings"][0]
    assert (finding["cause"], finding["severity"], finding["confidence"]) == (
        "thr_preemption_thrash",
        "critical",
        0.97,
    )
    assert finding["evidence"][0] == {
        "source": "metric",
        "series": "vllm:num_preemptions_total",
        "window": [100.0, 115.0],
        "value": 134,
        "unit": "",
    }
    assert finding["evidence"][1]["line"] == 12
    assert finding["evidence"][2]["window"] is None
    assert finding["fixes"][1] == {
        "setting": "--max-num-seqs",
        "from": 128,
        "to": 22,
        "why": "14 400 tokens / 650 a request",
        "effect": "no preemption",
    }
    assert said["inputs"][0]["note"] == "truncated gzip: 3.1 MB read"


def test_what_json_cannot_write_is_null(thrash: Diagnosis, validator: Draft202012Validator) -> None:
    evidence = (
        MetricEvidence("a", math.nan, "", (0.0, math.inf)),
        MetricEvidence("b", math.inf, "", note="why"),
    )
    finding = replace(thrash.findings[0], evidence=evidence, confidence=math.nan)
    said = json.loads(render_json(replace(thrash, findings=(finding,), numbers={"x": -math.inf})))
    validator.validate(said)
    assert said["numbers"] == {"x": None}
    assert [(item["value"], item["window"]) for item in said["findings"][0]["evidence"]] == [(None, None)] * 2
    assert said["findings"][0]["evidence"][1]["note"] == "why"
    assert said["findings"][0]["confidence"] == 0


def test_lists_whose_order_means_nothing_are_sorted(thrash: Diagnosis) -> None:
    mixed = tuple(NotEvaluated(cause, ("log: x",)) for cause in ("c", "a", "b"))
    said = json.loads(render_json(replace(thrash, not_evaluated=mixed, numbers={"z": 1, "a": 2})))
    assert [item["cause"] for item in said["not_evaluated"]] == ["a", "b", "c"]
    assert list(said["numbers"]) == ["a", "z"]


def test_the_schema_is_strict(thrash: Diagnosis, validator: Draft202012Validator) -> None:
    said = json.loads(render_json(thrash))
    for target in (said, said["engine"], said["findings"][0], said["findings"][0]["fixes"][0]):
        target["surprise"] = 1
        with pytest.raises(ValidationError, match="surprise"):
            validator.validate(said)
        del target["surprise"]
    validator.validate(said)


def test_render_writes_ascii_to_the_stream(thrash: Diagnosis) -> None:
    stream = io.StringIO()
    render(thrash, "json", stream=stream)
    assert stream.getvalue() == render_json(thrash)
    assert stream.getvalue().isascii()


sizes = st.integers(min_value=0, max_value=2**62)
causes = st.from_regex(r"[a-z]{3,5}_[a-z]{3,12}", fullmatch=True)
diagnoses = st.deferred(lambda: st.from_type(Diagnosis))


def _register() -> None:
    from troubleshoot import findings as made

    text = st.text(max_size=30)
    st.register_type_strategy(made.LogEvidence, st.builds(made.LogEvidence, file=text, line=sizes, text=text))
    st.register_type_strategy(
        made.InputSummary, st.builds(made.InputSummary, size_bytes=sizes, lines=sizes, name=text, note=text)
    )
    for kind in (made.Finding, made.RuledOut, made.NotEvaluated):
        st.register_type_strategy(kind, st.builds(kind, cause=causes))


_register()


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(diagnosis=diagnoses)
def test_every_diagnosis_follows_the_schema(diagnosis: Diagnosis) -> None:
    text = render_json(diagnosis)
    Draft202012Validator(schema()).validate(json.loads(text, parse_constant=pytest.fail))
    assert render_json(diagnosis) == text
