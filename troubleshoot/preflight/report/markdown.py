"""A preflight as GitHub-flavoured Markdown, for a review or a ticket."""

from __future__ import annotations

from collections.abc import Iterator

from troubleshoot.findings import Severity
from troubleshoot.preflight.report import words
from troubleshoot.preflight.result import Finding, Result
from troubleshoot.report import wording
from troubleshoot.report.markdown import code, escape


def render_markdown(result: Result) -> str:
    """The report as Markdown; what is quoted can neither leave its cell nor become a link or HTML."""
    return "\n".join(_report(result)).rstrip("\n") + "\n"


def _report(result: Result) -> Iterator[str]:
    yield f"# Preflight: {escape(words.summary(result))}"
    yield ""
    yield escape(" · ".join(words.header(result)))
    yield ""
    for level in sorted(Severity, reverse=True):
        findings = [finding for finding in result.findings if finding.severity is level]
        if findings:
            yield f"## {level.label.capitalize()}"
            yield ""
            yield "| check | where | what | fix |"
            yield "| --- | --- | --- | --- |"
            yield from map(_row, findings)
            yield ""
    if result.not_checked:
        yield "## Not checked"
        yield ""
        yield from (f"- {escape(entry)}" for entry in words.not_checked(result.not_checked))
        yield ""
    for heading, lines in (("Not read", result.problems), ("Notes", result.notes)):
        if lines:
            yield f"## {heading}"
            yield ""
            yield from (f"- {escape(line)}" for line in lines)
            yield ""


def _row(finding: Finding) -> str:
    where, subject = words.places(finding)
    place = f"{_code(where)} {escape(subject)}".strip()
    what = f"**{escape(finding.title)}.** {escape(finding.message)}"
    fixes = "<br>".join(f"{_code(wording.fix_change(fix))}: {escape(wording.fix_reason(fix))}" for fix in finding.fixes)
    return f"| {_code(finding.check)} | {place} | {what} | {fixes} |"


def _code(text: str) -> str:
    return code(text).replace("|", "\\|")
