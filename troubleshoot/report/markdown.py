"""The diagnosis as GitHub-flavoured markdown, to paste into a ticket."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from troubleshoot.findings import Diagnosis, EvidenceItem, Finding, MetricEvidence
from troubleshoot.report import wording
from troubleshoot.report.safe import safe

_SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")
_BACKTICKS = re.compile(r"`+")


def render_markdown(diagnosis: Diagnosis) -> str:
    """The report as markdown.

    Quoted text cannot leave its code block or table cell, nor make HTML, a link or a mention.
    """
    diagnosis = safe(diagnosis)
    return "\n".join(_report(diagnosis)).rstrip("\n") + "\n"


def escape(text: str) -> str:
    """Text that markdown shows as it stands: HTML and markdown signs escaped, `@` naming nobody."""
    escaped = _SPECIAL.sub(r"\\\1", html.escape(text, quote=False)).replace("@", "@<!-- -->")
    return re.sub(r"^(\d*)([-=+.)])", r"\1\\\2", escaped)


def code(text: str) -> str:
    """A code span whose backticks outnumber any run inside."""
    if not text:
        return ""
    fence = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _code_cell(text: str) -> str:
    """A code span in a table, where a pipe needs a backslash even inside code."""
    return code(text).replace("|", "\\|")


def fenced(lines: list[str]) -> list[str]:
    """A code block whose fence is longer than any run of backticks inside."""
    fence = "`" * max(3, *(_longest_run(line) + 1 for line in lines))
    return [f"{fence}text", *lines, fence]


def _longest_run(text: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(text)), default=0)


def _report(diagnosis: Diagnosis) -> Iterator[str]:
    yield f"# {diagnosis.verdict.capitalize()}: {escape(diagnosis.summary)}"
    yield ""
    yield escape(" · ".join(wording.header_parts(diagnosis)))
    yield ""
    for finding in diagnosis.findings:
        yield from _finding(finding)
    since = [escape(f"since {wording.moment(diagnosis.since)}")] if diagnosis.since is not None else []
    changes = [*wording.dated_changes(diagnosis), *wording.earlier_changes(diagnosis)]
    yield from _section("What changed", [*since, *(escape(entry) for entry in changes)])
    yield from _section("Replicas", [escape(line) for line in wording.fleet(diagnosis)])
    yield from _section("Ruled out", [f"{code(item.cause)}: {escape(item.because)}" for item in diagnosis.ruled_out])
    yield from _section("Not checked", [escape(entry) for entry in wording.not_checked(diagnosis.not_evaluated)])
    yield from _section("Notes", [escape(note) for note in wording.notes(diagnosis)])


def _finding(finding: Finding) -> Iterator[str]:
    yield f"## {finding.severity.name}: {escape(finding.title)}"
    yield ""
    yield f"{code(finding.cause)}, confidence {wording.confidence(finding.confidence)}"
    yield ""
    if finding.explanation:
        yield escape(finding.explanation)
        yield ""
    if finding.explained_by:
        yield f"A consequence of {code(finding.explained_by)}."
        yield ""
    if finding.fixes and not finding.explained_by:
        yield "| setting | from | to | why | effect |"
        yield "| --- | --- | --- | --- | --- |"
        for fix in finding.fixes:
            before, after = wording.setting_value(fix.from_value), wording.setting_value(fix.to_value)
            changed = [_code_cell(text) for text in (fix.setting, before, after)]
            yield f"| {' | '.join([*changed, escape(fix.why), escape(fix.effect)])} |"
        yield ""
    if finding.evidence:
        yield from fenced([_evidence(item) for item in finding.evidence])
        yield ""
    yield f"Next: {code(f'inferwatch explain {finding.cause}')}" + (
        f", {code(finding.runbook)}" if finding.runbook else ""
    )
    yield ""


def _evidence(item: EvidenceItem) -> str:
    if isinstance(item, MetricEvidence):
        return wording.metric(item)
    return f"{wording.place(item)}  {item.text}"


def _section(title: str, entries: list[str]) -> Iterator[str]:
    if entries:
        yield f"## {title}"
        yield ""
        yield from (f"- {entry}" for entry in entries)
        yield ""
