"""The bundled runs of real engines are diagnosed as they are labelled: from log and metrics, and from each alone."""

from __future__ import annotations

from functools import cache

import pytest

from recordings.reader import Recording, bundled, load
from troubleshoot.causes import CAUSES
from troubleshoot.collect import Request, collect
from troubleshoot.diagnosis import diagnose
from troubleshoot.findings import Diagnosis, Severity

# Not traced for coverage, which would triple the time of much work over lines that the tests beside it cover.
pytestmark = pytest.mark.no_cover

CONTROLS = {"healthy", "benign_warning"}
NOT_IN_THE_LOG = {
    "c_client_disconnects": "vLLM 0.32 logs no abort",
    "llamacpp_busy": "llama.cpp logs requests, not its queue",
}
NOT_IN_THE_METRICS = {
    "c_port_in_use": "the server never listened",
    "oom_no_kv_blocks": "the server never listened",
    "oom_shared_gpu": "the server never listened",
    "llamacpp_ctx_errors": "llama.cpp counts no errors",
}
QUEUE_ONLY_IN_THE_LOG = {"kv_preemption": "V1 never logs a preemption: the log shows a full cache and a queue"}

ALL = bundled()
RUNS = [name for name in ALL if load(name).cause not in CONTROLS]


@cache
def said_of(name: str, parts: str) -> Diagnosis:
    recording = load(name)
    logs = [str(recording.log_path)] if "log" in parts else []
    metrics = [str(recording.metrics_path)] if "metrics" in parts else []
    collected = collect(Request(logs, metrics))
    assert collected.evidence is not None, collected.problems
    return diagnose(collected.evidence, collected.inputs)


def true_causes(recording: Recording) -> set[str]:
    return {recording.cause, *recording.accept}


def alarms(diagnosis: Diagnosis) -> list[str]:
    return [finding.cause for finding in diagnosis.findings if finding.severity >= Severity.WARNING]


def test_every_label_is_a_cause_that_can_be_named() -> None:
    assert ALL
    for name in ALL:
        assert true_causes(load(name)) - CONTROLS <= set(CAUSES)


@pytest.mark.parametrize("name", RUNS)
def test_the_first_finding_of_log_and_metrics_is_the_label(name: str) -> None:
    diagnosis = said_of(name, "log+metrics")

    assert diagnosis.findings[0].cause in true_causes(load(name))
    assert diagnosis.findings[0].evidence


@pytest.mark.parametrize("name", [name for name in ALL if name not in RUNS])
@pytest.mark.parametrize("parts", ["log+metrics", "log", "metrics"])
def test_a_control_raises_no_alarm(name: str, parts: str) -> None:
    diagnosis = said_of(name, parts)

    assert alarms(diagnosis) == []
    assert diagnosis.verdict == "healthy"


@pytest.mark.parametrize("name", [name for name in RUNS if name not in {**NOT_IN_THE_LOG, **QUEUE_ONLY_IN_THE_LOG}])
def test_the_log_alone_is_enough_where_it_holds_the_cause(name: str) -> None:
    assert said_of(name, "log").findings[0].cause in true_causes(load(name))


@pytest.mark.parametrize("name", QUEUE_ONLY_IN_THE_LOG)
def test_a_log_that_shows_only_the_queue_leads_near_the_cause(name: str) -> None:
    diagnosis = said_of(name, "log")

    assert load(name).cause in alarms(diagnosis)[:2]


@pytest.mark.parametrize("name", [name for name in RUNS if name not in NOT_IN_THE_METRICS])
def test_the_metrics_alone_are_enough_where_they_hold_the_cause(name: str) -> None:
    first = said_of(name, "metrics").findings[0].cause

    # Refusals that Triton only logs leave the queue in its metrics, and the few that timed out in it.
    assert first in true_causes(load(name)) | set(load(name).secondary)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("parts", ["log+metrics", "log", "metrics"])
def test_a_critical_finding_is_the_label_or_belongs_to_it(name: str, parts: str) -> None:
    recording = load(name)
    known = true_causes(recording) | set(recording.secondary)
    known |= {after for cause in known & set(CAUSES) for after in CAUSES[cause].consequences}
    criticals = [f.cause for f in said_of(name, parts).findings if f.severity is Severity.CRITICAL]

    assert set(criticals) <= known


@pytest.mark.parametrize(("name", "parts"), [(name, "log") for name in NOT_IN_THE_LOG])
def test_what_the_log_does_not_hold_is_not_invented(name: str, parts: str) -> None:
    assert alarms(said_of(name, parts)) == []


@pytest.mark.parametrize("name", NOT_IN_THE_METRICS)
def test_what_the_metrics_do_not_hold_is_not_invented(name: str) -> None:
    assert alarms(said_of(name, "metrics")) == []


@pytest.mark.parametrize("name", [name for name, why in NOT_IN_THE_METRICS.items() if "never listened" in why])
def test_a_server_that_never_listened_is_not_called_healthy(name: str) -> None:
    assert said_of(name, "metrics").verdict == "inconclusive"


@pytest.mark.parametrize("name", RUNS)
def test_no_two_fixes_of_a_diagnosis_move_one_setting_in_opposite_directions(name: str) -> None:
    moves: dict[str, set[bool]] = {}
    for finding in said_of(name, "log+metrics").findings:
        for fix in finding.fixes:
            before, after = fix.from_value, fix.to_value
            if isinstance(before, int | float) and isinstance(after, int | float):
                moves.setdefault(fix.setting, set()).add(after > before)

    assert [setting for setting, directions in moves.items() if len(directions) > 1] == []


@pytest.mark.parametrize("name", ALL)
def test_engine_and_version_are_recognised(name: str) -> None:
    recording, diagnosis = load(name), said_of(name, "log+metrics")

    assert diagnosis.engine.name == recording.engine
    if recording.engine == "vllm":
        assert diagnosis.engine.version == recording.engine_version
