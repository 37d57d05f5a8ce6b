from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from troubleshoot.findings import Diagnosis, Finding, Fix, InputSummary, LogEvidence, NotEvaluated, Severity
from troubleshoot.report import render
from troubleshoot.report.text import print_text, render_text

AT_100 = """\
vLLM 0.24.0 · llama-2-7b · 1 x NVIDIA H200 · log 14 MB, metrics 15 s

CRITICAL  The KV cache is too small for this load: requests are preempted
          thr_preemption_thrash  97 %
  why    KV use 99 % (14 400 tokens), 8.9 preemptions/s, 43 of 64 requests waiting
  fix    --num-gpu-blocks-override 900 -> remove   the GPU holds 235 632 tokens
         or --max-num-seqs 128 -> 22               14 400 tokens / 650 a request; effect: no
                                                   preemption
  proof  vllm:num_preemptions_total 134 in 15 s · vllm:kv_cache_usage_perc 0.99
         engine.log:12  non-default args: {'num_gpu_blocks_override': 900, 'note': '[bold]x[/]'}
  next   inferwatch explain thr_preemption_thrash · runbooks/causes/thr_preemption_thrash.md

ruled out   thr_sequence_cap (running 21 < 128)
not checked 40 causes (needs metrics: GPU series) · host_memory (needs metrics: container memory)
note        engine.log.gz: truncated gzip: 3.1 MB read
note        interrupted: this covers only what was read until then
"""

AT_60 = """\
vLLM 0.24.0 · llama-2-7b · 1 x NVIDIA H200 · log 14 MB,
  metrics 15 s

CRITICAL  The KV cache is too small for this load: requests
          are preempted          thr_preemption_thrash  97 %
  why    KV use 99 % (14 400 tokens), 8.9 preemptions/s, 43
         of 64 requests waiting
  fix    --num-gpu-blocks-override 900 -> remove
             the GPU holds 235 632 tokens
         or --max-num-seqs 128 -> 22
             14 400 tokens / 650 a request; effect: no
             preemption
  proof  vllm:num_preemptions_total 134 in 15 s ·
         vllm:kv_cache_usage_perc 0.99
         engine.log:12  non-default args:
           {'num_gpu_blocks_override': 900, 'note':
           '[bold]x[/]'}
  next   inferwatch explain thr_preemption_thrash ·
         runbooks/causes/thr_preemption_thrash.md

ruled out   thr_sequence_cap (running 21 < 128)
not checked 40 causes (needs metrics: GPU series) ·
            host_memory (needs metrics: container memory)
note        engine.log.gz: truncated gzip: 3.1 MB read
note        interrupted: this covers only what was read
            until then
"""


class Terminal(io.StringIO):
    """A stream that says it is a terminal, without a file behind it."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.parametrize(("width", "expected"), [(60, AT_60), (100, AT_100)])
def test_the_report_is_this(thrash: Diagnosis, width: int, expected: str) -> None:
    assert render_text(thrash, width=width) == expected


def test_a_wide_report_puts_the_cause_at_the_right_edge(thrash: Diagnosis) -> None:
    line = render_text(thrash, width=160).splitlines()[2]
    assert line.startswith("CRITICAL  The KV cache")
    assert line.endswith("thr_preemption_thrash  97 %")
    assert len(line) == 160


@pytest.mark.parametrize("width", [60, 100, 160])
def test_no_line_passes_the_width(thrash: Diagnosis, width: int) -> None:
    assert max(len(line) for line in render_text(thrash, width=width).splitlines()) <= width


def test_a_word_wider_than_the_report_is_whole(thrash: Diagnosis) -> None:
    assert "runbooks/causes/thr_preemption_thrash.md\n" in render_text(thrash, width=10)


def test_a_healthy_report_says_so_and_shows_what_was_measured(healthy: Diagnosis) -> None:
    assert render_text(healthy) == (
        "SGLang\n\nHEALTHY  Nothing is wrong in what was read\n\n"
        "measured    generation_tokens_per_second 12 346 · ttft_p95_seconds 0.25\n"
    )


def test_an_info_beside_a_healthy_verdict_keeps_the_verdict(healthy: Diagnosis) -> None:
    info = Finding("thr_low_load", "throughput", Severity.INFO, 0.5, "One client only", "")
    text = render_text(replace(healthy, findings=(info,)))
    assert "HEALTHY  Nothing is wrong" in text
    assert "INFO  One client only" in text


def test_an_unknown_engine_without_inputs_has_a_report(healthy: Diagnosis) -> None:
    bare = Diagnosis("inconclusive", "Nothing to go by", replace(healthy.engine, name=""))
    assert render_text(bare) == "unknown engine\n\nINCONCLUSIVE  Nothing to go by\n"


def test_several_logs_are_counted_and_their_sizes_summed(healthy: Diagnosis) -> None:
    logs = tuple(InputSummary(name, "log", 1_500_000, span_seconds=5400.0) for name in ("a", "b"))
    assert render_text(replace(healthy, inputs=logs)).startswith("SGLang · 2 logs 3 MB over 90 min\n")


def test_few_causes_that_need_the_same_are_named(healthy: Diagnosis) -> None:
    missing = tuple(NotEvaluated(cause, ("log: start-up lines",)) for cause in ("a", "b"))
    assert "not checked a, b (needs log: start-up lines)\n" in render_text(replace(healthy, not_evaluated=missing))


@pytest.mark.parametrize(
    ("fix", "words"),
    [
        (Fix("--enforce-eager", True, False, ""), "--enforce-eager on -> off"),
        (Fix("--max-model-len", 32768, 27008, ""), "--max-model-len 32768 -> 27008"),
        (Fix("--max-model-len", None, 27008, ""), "--max-model-len -> 27008"),
        (Fix("--max-model-len", 32768, None, ""), "--max-model-len (now 32768)"),
        (Fix("load balancer", None, None, "send less"), "load balancer   send less"),
    ],
)
def test_a_fix_says_from_and_to(thrash: Diagnosis, fix: Fix, words: str) -> None:
    text = render_text(replace(thrash, findings=(replace(thrash.findings[0], fixes=(fix,)),)))
    assert f"  fix    {words}\n" in text


def test_a_pipe_gets_plain_text_and_100_columns(thrash: Diagnosis) -> None:
    stream = io.StringIO()
    print_text(thrash, stream)
    assert stream.getvalue() == AT_100


def test_columns_sets_the_width(thrash: Diagnosis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = io.StringIO()
    print_text(thrash, stream)
    assert stream.getvalue() == AT_60


def test_a_terminal_gets_colours_and_the_same_words(thrash: Diagnosis) -> None:
    stream = Terminal()
    print_text(thrash, stream)
    assert "\x1b[1;31mCRITICAL\x1b[0m" in stream.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()) == AT_100


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_without_colours_gets_plain_text(
    thrash: Diagnosis, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    stream = Terminal()
    print_text(thrash, stream)
    assert stream.getvalue() == AT_100


def test_a_terminals_own_width_counts(thrash: Diagnosis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda _descriptor: os.terminal_size((60, 24)))
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    print_text(thrash, stream)
    assert stream.getvalue() == AT_60


def test_rich_is_imported_for_terminals_only() -> None:
    code = (
        "import sys; from troubleshoot.findings import *; from troubleshoot.report import render\n"
        "d = Diagnosis('healthy', 'fine', EngineSummary())\n"
        "for f in ('text', 'json', 'markdown'): render(d, f, stream=sys.stdout)\n"
        "sys.exit(any(m.split('.')[0] in ('rich', 'jsonschema') for m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def _with_line(diagnosis: Diagnosis, text: str) -> Diagnosis:
    return replace(diagnosis, findings=(replace(diagnosis.findings[0], evidence=(LogEvidence("a.log", 1, text),)),))


@pytest.mark.parametrize("color", [False, True])
def test_rich_markup_and_emoji_codes_in_a_log_show_as_they_are(thrash: Diagnosis, color: bool) -> None:
    assert "[bold]x[/bold] [link=http://x]y :smile:" in render_text(
        _with_line(thrash, "[bold]x[/bold] [link=http://x]y :smile:"), color=color
    )


def test_escapes_and_secrets_that_a_cause_let_through_stop_here(thrash: Diagnosis) -> None:
    text = render_text(_with_line(thrash, "\x1b]0;t\x07\x1b[31mapi_key=hunter2\u202e"))
    assert "a.log:1  api_key=***\n" in text
    assert "\x1b" not in text


def test_a_megabyte_of_evidence_is_never_cut(thrash: Diagnosis) -> None:
    assert "x" * 1_000_000 in render_text(_with_line(thrash, "start " + "x" * 1_000_000))


def test_wide_characters_count_two_columns(thrash: Diagnosis) -> None:
    text = render_text(_with_line(thrash, "内存不足 " * 20), width=60)
    quoted = [line for line in text.splitlines() if "内" in line]
    assert len(quoted) > 1
    assert max(len(line) + sum(c > "\u2fff" for c in line) for line in quoted) <= 60


def test_a_stream_with_a_narrow_encoding_gets_escapes_not_an_error(thrash: Diagnosis) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    render(thrash, "text", stream=stream)
    stream.flush()
    assert raw.getvalue().startswith(rb"vLLM 0.24.0 \xb7 llama-2-7b")


def test_an_unknown_format_is_an_error_that_names_the_formats(thrash: Diagnosis) -> None:
    with pytest.raises(ValueError, match="'pdf': use one of text, json, markdown"):
        render(thrash, "pdf", stream=io.StringIO())  # type: ignore[arg-type]
