"""What is said first: the cause that explains the rest, however loud its consequences are. And the verdict."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.diagnosis import diagnose, order
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Family, Finding, Fix, LogEvidence, Severity

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Diagnose, EngineLog, Scrapes

INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
BROKEN, STILL, SLOW, LATE = "crash_a", "hang_a", "thr_a", "ttft_a"
_FAMILY: dict[str, Family] = {BROKEN: "crash", STILL: "hang", SLOW: "throughput", LATE: "ttft"}


def found(cause: str, severity: Severity = WARNING, confidence: float = 0.9, line: int = 0) -> Finding:
    proof = (LogEvidence("engine.log", line, "..."),) if line else ()
    return Finding(cause, _FAMILY[cause[:-1] + "a"], severity, confidence, "A title", "", proof)


def causes(**consequences: set[str]) -> dict[str, Cause]:
    names = {*consequences, BROKEN, STILL, SLOW, LATE}
    return {name: _Fixed(name, frozenset(consequences.get(name, set()))) for name in names}


class _Fixed(Cause):
    """A cause that says what it is told to."""

    needs = ("log: engine output",)

    def __init__(self, name: str, after: frozenset[str] = frozenset(), says: Judgement | None = None) -> None:
        self.__dict__.update(id=name, family=_FAMILY.get(name, "crash"), title=name, consequences=after)
        self._says = says

    def judge(self, evidence: Evidence) -> Judgement:
        return self._says or self.not_evaluated()


def ordered(*findings: Finding, symptom: str = "", **consequences: set[str]) -> list[str]:
    known = causes(**consequences)
    orders = {
        tuple(finding.cause for finding in order(each, Evidence(symptom=symptom), known))
        for each in itertools.permutations(findings)
    }
    assert len(orders) == 1, "the order depends on the order of judging"
    return list(orders.pop())


def test_a_consequence_stands_behind_its_root_however_loud_it_is() -> None:
    assert ordered(found(LATE, CRITICAL, 0.99), found(SLOW, WARNING, 0.6), thr_a={LATE}) == [SLOW, LATE]


def test_a_chain_of_consequences_begins_with_its_root() -> None:
    findings = found(LATE, CRITICAL), found(STILL, CRITICAL), found(BROKEN, WARNING, 0.7)

    assert ordered(*findings, crash_a={STILL}, hang_a={LATE})[0] == BROKEN


def test_a_note_explains_no_incident() -> None:
    assert ordered(found(LATE, CRITICAL), found(SLOW, INFO), thr_a={LATE}) == [LATE, SLOW]


def test_a_guess_explains_no_certainty() -> None:
    assert ordered(found(LATE, WARNING, 0.9), found(SLOW, WARNING, 0.3), thr_a={LATE}) == [LATE, SLOW]


def test_the_more_severe_goes_before_the_surer() -> None:
    assert ordered(found(LATE, CRITICAL, 0.6), found(SLOW, WARNING, 0.99)) == [LATE, SLOW]


def test_dead_goes_before_hanging_and_hanging_before_slow() -> None:
    findings = found(SLOW, CRITICAL, 0.99), found(STILL, CRITICAL, 0.9), found(BROKEN, CRITICAL, 0.8)

    assert ordered(*findings) == [BROKEN, STILL, SLOW]


def test_what_the_person_complains_of_goes_first_among_equals() -> None:
    assert ordered(found(SLOW), found(LATE, confidence=0.8)) == [SLOW, LATE]
    assert ordered(found(SLOW), found(LATE, confidence=0.8), symptom="ttft") == [LATE, SLOW]


def test_what_the_person_complains_of_does_not_hide_what_is_worse() -> None:
    assert ordered(found(BROKEN, CRITICAL), found(LATE), symptom="ttft") == [BROKEN, LATE]


def test_among_equals_the_surer_then_the_earlier_in_the_log() -> None:
    assert ordered(found(SLOW, confidence=0.8), found(LATE, confidence=0.9)) == [LATE, SLOW]
    assert ordered(found(SLOW, line=90), found(LATE, line=12)) == [LATE, SLOW]


@pytest.mark.parametrize(
    ("says", "verdict"),
    [
        pytest.param(found(BROKEN, CRITICAL), "incident", id="critical"),
        pytest.param(found(BROKEN, WARNING), "incident", id="warning"),
        pytest.param(found(BROKEN, INFO), "inconclusive", id="a-note-and-nothing-that-serves"),
        pytest.param(None, "inconclusive", id="nothing"),
    ],
)
def test_without_a_sign_of_serving_only_a_finding_decides(says: Finding | None, verdict: str) -> None:
    diagnosis = diagnose(Evidence(), causes={BROKEN: _Fixed(BROKEN, says=says)})

    assert diagnosis.verdict == verdict
    assert diagnosis.summary


def test_fixes_that_change_nothing_or_that_the_release_lacks_are_left_out() -> None:
    fixes = (
        Fix("--max-num-seqs", 128, 128, ""),
        Fix("--swap-space", 4, 0, ""),
        Fix("--max-num-seqs", 128, 64, ""),
        Fix("replicas", None, "more", ""),
    )
    finding = Finding(BROKEN, "crash", CRITICAL, 0.9, "t", "", (), fixes)
    evidence = Evidence(engine_override="vllm")
    evidence.__dict__["version"] = "0.33.0"
    diagnosis = diagnose(evidence, causes={BROKEN: _Fixed(BROKEN, says=finding)})

    # vLLM 0.33 has no --swap-space any more.
    assert [(fix.setting, fix.to_value) for fix in diagnosis.findings[0].fixes] == [
        ("--max-num-seqs", 64),
        ("replicas", "more"),
    ]


def test_every_judgement_lands_in_its_own_list() -> None:
    known = {
        BROKEN: _Fixed(BROKEN, says=found(BROKEN)),
        STILL: _Fixed(STILL, says=_Fixed(STILL).ruled_out("it moves")),
        SLOW: _Fixed(SLOW),
    }
    diagnosis = diagnose(Evidence(), causes=known)

    assert [finding.cause for finding in diagnosis.findings] == [BROKEN]
    assert [ruled.cause for ruled in diagnosis.ruled_out] == [STILL]
    assert [missing.cause for missing in diagnosis.not_evaluated] == [SLOW]


# From here on with real causes.


def test_the_engine_s_own_error_goes_before_everything_that_it_brought_about(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start(tensor_parallel_size=2).answers(200, 9).stats(12)
    log.line("Nov 21 10:00:00 n kernel: NVRM: Xid (PCI:0000:3b:00): 79, pid=20, GPU has fallen off the bus.")
    log.dies("RuntimeError: CUDA error: unspecified launch failure", process="Worker_TP0 pid=31")
    log.dies("torch.distributed.DistBackendError: NCCL error in: x.cpp:1, remote", process="Worker_TP1 pid=32")
    log.api("Engine core proc EngineCore died unexpectedly, shutting down client.", "ERROR").answers(500, 200)
    log.line("(APIServer pid=10) vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue.")
    said = diagnose_all(log)

    assert said.first == "crash_xid_or_gpu_lost"
    assert "crash_unrecognised_exception" not in said.alarms


def test_thrash_explains_the_queue_the_late_tokens_and_the_lost_clients(
    diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    seen = scrapes(kv_tokens=14_400).phase(
        60, running=21, waiting=400, kv=0.99, preemptions=0.9, finished=0.5, aborted=1.5, started=2, output_tokens=400,
        prompt_tokens=256, generation=800, prompt=900, steps=40, ttft=60, queue=58, prefill=0.1, duration=90, gap=0.02,
        slow_share=0.03, slow_gap=2.0,
    )  # fmt: skip
    said = diagnose_all(metrics=seen)

    # 0.9 preemptions/s are only a warning, 400 waiting before 21 running are critical.
    assert said.first == "thr_preemption_thrash"
    assert {"ttft_queueing", "thr_client_disconnects"} <= set(said.causes)


def test_refusals_explain_nothing_of_a_crash(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().healthy_start().answers(200, 9).answers(503, 40).stats(12)
    log.dies("RuntimeError: CUDA error: an illegal memory access was encountered", "v1/engine/core.py in step")

    assert diagnose_all(log).first == "crash_engine_dead_cuda_error"


def test_a_failed_start_is_not_slow_as_well(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().start().engine("Loading weights took 611.20 seconds").weights(131.5, 640.0)
    log.dies("ValueError: No available memory for the cache blocks. Try increasing").front_end_gives_up()
    said = diagnose_all(log)

    assert said.first == "oom_kv_cache_no_blocks"
    assert said.alarms == ["oom_kv_cache_no_blocks"]


def test_without_gpu_series_and_log_what_needs_them_is_named_as_not_evaluated(
    diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    said = diagnose_all(metrics=scrapes().phase(60, running=4, generation=400, finished=1, steps=90))

    assert {"thr_gpu_throttled", "oom_host_memory", "crash_xid_or_gpu_lost"} <= said.not_evaluated
    assert not said.not_evaluated & said.ruled_out
    assert not said.not_evaluated & set(said.causes)


def test_a_log_that_starts_late_rules_out_no_failed_start(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    late, whole = vllm_log().answers(200, 9).stats(4), vllm_log().healthy_start().answers(200, 9).stats(4)

    assert "oom_kv_cache_no_blocks" in diagnose_all(late).not_evaluated
    assert "oom_kv_cache_no_blocks" in diagnose_all(whole).ruled_out


def test_one_scrape_is_judged_by_its_gauges_and_says_that_rates_are_missing(
    diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    seen = scrapes().phase(20, running=4, kv=0.2, generation=400, preemptions=9)
    said = diagnose_all(metrics=seen.last_scrape)

    assert said.diagnosis.verdict == "inconclusive"
    assert "thr_preemption_thrash" in said.not_evaluated
    assert "one scrape" in said.diagnosis.inputs[0].note


def test_the_measured_facts_are_given_by_name_with_their_unit(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    seen = scrapes(gpu="NVIDIA H200", kv_tokens=114_688).phase(
        60, running=4, kv=0.2, finished=1.2, generation=300, prompt=80, steps=75, ttft=0.03, queue=0.01, prefill=0.03,
        duration=3.4, prompt_tokens=64, output_tokens=256, gap=0.0133,
    )  # fmt: skip
    numbers = diagnose_all(vllm_log().healthy_start(), seen).diagnosis.numbers

    assert numbers["weights_gib"] == 12.55
    assert numbers["kv_cache_capacity_tokens"] == 114_688
    assert numbers["generation_tokens_per_second"] == 300
    assert numbers["queue_share_of_ttft_ratio"] == 0.25
    # 1 / 0.0133 s = 75.19 tokens/s; 4.8e12 B/s / (12.55 x 2^30 B) = 356.2 steps/s; 75.19 / 356.2 = 0.2111.
    assert numbers["decode_roofline_ratio"] == pytest.approx(0.2111, abs=2e-4)
    assert diagnose_all(vllm_log().healthy_start(), seen).diagnosis.hardware == "1 x NVIDIA H200"


def test_unknown_facts_are_absent_and_not_zero(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    numbers = diagnose_all(vllm_log().start()).diagnosis.numbers

    assert "ttft_p95_seconds" not in numbers
    assert "weights_gib" not in numbers or numbers["weights_gib"] != 0


def test_the_same_evidence_gives_the_same_diagnosis(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    said = diagnose_all(vllm_log().healthy_start().answers(200, 9).answers(429, 30).stats(9))

    assert diagnose(said.evidence) == diagnose(said.evidence)


def test_no_setting_is_moved_both_ways_by_one_diagnosis(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().healthy_start(gpu_memory_utilization=0.85).answers(200, 5)
    for running in (60, 66, 58, 61, 70):
        log.stats(running, 80, 0.99)
    log.dies(
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 4.50 GiB. GPU 0 has a total capacity of "
        "79.25 GiB of which 312.00 MiB is free. Including non-PyTorch memory, this process has 78.90 GiB memory "
        "in use.",
        "v1/worker/gpu_model_runner.py in execute_model",
    )
    said = diagnose_all(log)

    targets = {
        fix.to_value
        for finding in said.diagnosis.findings
        for fix in finding.fixes
        if fix.setting == "--gpu-memory-utilization"
    }
    assert said.first == "oom_runtime_kv_pressure_or_fragmentation"
    assert targets == {0.8}
