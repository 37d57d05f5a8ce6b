from __future__ import annotations

import io
from dataclasses import replace

import pytest

from troubleshoot.findings import Diagnosis, Fix, LogEvidence
from troubleshoot.report import render
from troubleshoot.report.markdown import code, escape, render_markdown

EXPECTED = """\
# Incident: The KV cache is too small for this load

vLLM 0.24.0 · llama-2-7b · 1 x NVIDIA H200 · log 14 MB, metrics 15 s

## CRITICAL: The KV cache is too small for this load: requests are preempted

`thr_preemption_thrash`, confidence 97 %

KV use 99 % (14 400 tokens), 8.9 preemptions/s, 43 of 64 requests waiting

| setting | from | to | why | effect |
| --- | --- | --- | --- | --- |
| `--num-gpu-blocks-override` | `900` | `remove` | the GPU holds 235 632 tokens |  |
| `--max-num-seqs` | `128` | `22` | 14 400 tokens / 650 a request | no preemption |

```text
vllm:num_preemptions_total 134 in 15 s
engine.log:12  non-default args: {'num_gpu_blocks_override': 900, 'note': '[bold]x[/]'}
vllm:kv_cache_usage_perc 0.99
```

Next: `inferwatch explain thr_preemption_thrash`, `runbooks/causes/thr_preemption_thrash.md`

## Ruled out

- `thr_sequence_cap`: running 21 &lt; 128

## Not checked

- 40 causes (needs metrics: GPU series)
- host\\_memory (needs metrics: container memory)

## Notes

- engine.log.gz: truncated gzip: 3.1 MB read
- interrupted: this covers only what was read until then
"""


def test_the_ticket_is_this(thrash: Diagnosis) -> None:
    stream = io.StringIO()
    render(thrash, "markdown", stream=stream)
    assert stream.getvalue() == EXPECTED


@pytest.mark.parametrize("ticks", ["```", "`````", "~~~"])
def test_no_line_of_a_log_ends_its_code_block(thrash: Diagnosis, ticks: str) -> None:
    hostile = (
        LogEvidence("", 0, "first"),
        LogEvidence("", 0, f"{ticks} <script>"),
        LogEvidence("", 0, "\n```\n# x"),
    )
    lines = render_markdown(replace(thrash, findings=(replace(thrash.findings[0], evidence=hostile),))).splitlines()
    fences = [index for index, line in enumerate(lines) if line.startswith("```") and "<" not in line]
    opening, closing = fences[0], fences[-1]
    assert lines[opening] == lines[closing] + "text"
    assert not any(lines[closing] in line for line in lines[opening + 1 : closing])
    assert not any("<script" in line for line in lines[:opening] + lines[closing:])


def test_html_links_and_mentions_in_prose_are_text(thrash: Diagnosis) -> None:
    hostile = replace(thrash.findings[0], explanation="<script>x</script> [a](http://b) @team #1 *b* ![i](j)")
    assert r"&lt;script&gt;x&lt;/script&gt; \[a\](http://b) @<!-- -->team \#1 \*b\* !\[i\](j)" in render_markdown(
        replace(thrash, findings=(hostile,))
    )


def test_a_table_cell_cannot_be_left(thrash: Diagnosis) -> None:
    fix = Fix("--a|b", "x|`y", "``", "because | of <b>", "a|b")
    text = render_markdown(replace(thrash, findings=(replace(thrash.findings[0], fixes=(fix,)),)))
    assert r"| `--a\|b` | ``x\|`y`` | ``` `` ``` | because \| of &lt;b&gt; | a\|b |" in text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("# x", r"\# x"),
        ("+ x", r"\+ x"),
        ("3.5 s", r"3\.5 s"),
    ],
)
def test_a_text_cannot_start_a_list_or_a_heading(raw: str, expected: str) -> None:
    assert escape(raw) == expected


def test_a_code_span_outnumbers_the_backticks_inside() -> None:
    assert code("a`b``c") == "```a`b``c```"
    assert code("`a") == "`` `a ``"
    assert code("") == ""
