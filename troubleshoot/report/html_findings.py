"""The findings of the HTML report: each with why, what to change, and the evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from charts.words import time_of_day
from troubleshoot.findings import EvidenceItem, Finding, Fix, LogEvidence, MetricEvidence, StatusEvidence
from troubleshoot.report import wording
from troubleshoot.report.html_elements import Html, bdi, code, element, fragment

_UNIX_2001 = 1e9
"""Times below are those of a log, whose clock has no date."""


def finding_card(finding: Finding, number: int, *, title: str = "") -> Html:
    """One finding; the first is the root cause. `title` stands in its own's place where that is the page's."""
    name = f"finding-{number}"
    heading = element("h2" if number == 1 else "h3", title or bdi(finding.title), id=f"{name}-title")
    judged = element(
        "p",
        element("span", finding.severity.label, class_="pill"),
        code(finding.cause),
        element("span", f"{wording.confidence(finding.confidence)} sure", class_="sure"),
        class_="judged",
    )
    return element(
        "article",
        element("header", judged, heading),
        *_body(finding, "h3" if number == 1 else "h4"),
        class_=f"finding {finding.severity.label}",
        id=name,
        aria_labelledby=f"{name}-title",
    )


def _body(finding: Finding, heading: str) -> Iterator[Html]:
    if finding.explanation:
        yield element("p", bdi(finding.explanation), class_="why")
    if finding.explained_by:
        root = code(finding.explained_by)
        yield element("p", "Brought about by ", root, ": what mends it mends this.", class_="from")
    elif finding.fixes:
        yield _fixes(finding.fixes, heading)
    if finding.evidence:
        yield _evidence(finding.evidence, heading)
    runbook = [" · ", code(finding.runbook)] if finding.runbook else []
    yield element("p", "Read on: ", code(f"inferwatch explain {finding.cause}"), *runbook, class_="next")


def _fixes(fixes: Sequence[Fix], heading: str) -> Html:
    title = "What to change" if len(fixes) == 1 else "What to change, the best first"
    return element(
        "section",
        element(heading, title),
        element("ol", *(_fix(fix) for fix in fixes), class_="fixes"),
        class_="part",
    )


def _fix(fix: Fix) -> Html:
    before, after = wording.setting_value(fix.from_value), wording.setting_value(fix.to_value)
    change: list[str] = [code(fix.setting, class_="setting")]
    if before:
        change += [" ", element("span", "from " if after else "now ", class_="word"), code(before, class_="from-value")]
    if after:
        arrow = (element("span", "→\u00a0", aria_hidden="true"), element("span", "to ", class_="sr"))
        change += [" ", *arrow, code(after, class_="to-value")]
    reason = element("p", bdi(fix.why), class_="reason") if fix.why else None
    effect = element("p", "Effect: ", bdi(fix.effect), class_="effect") if fix.effect else None
    return element("li", element("p", *change, class_="change"), reason, effect)


def _evidence(items: Sequence[EvidenceItem], heading: str) -> Html:
    measured = [item for item in items if isinstance(item, MetricEvidence)]
    quoted = [item for item in items if not isinstance(item, MetricEvidence)]
    return element(
        "section",
        element(heading, "Evidence"),
        _measured(measured) if measured else None,
        element("ol", *(_line(item) for item in quoted), class_="lines") if quoted else None,
        class_="part",
    )


def _measured(items: Sequence[MetricEvidence]) -> Html:
    head = ("Measured", "Value", "Over")
    rows = [
        element(
            "tr",
            element("td", code(item.series), element("span", f" {item.note}", class_="note") if item.note else None),
            element("td", wording.value(item), class_="value"),
            element("td", _over(item)),
        )
        for item in items
    ]
    return element(
        "table",
        element("thead", element("tr", *(element("th", word, scope="col") for word in head))),
        element("tbody", *rows),
    )


def _over(item: MetricEvidence) -> Html:
    """The window in length and, where the clock is known, in time."""
    if item.window is None:
        return Html()
    start, end = item.window
    length = wording.span(end - start)
    if not _UNIX_2001 < start < end:
        return fragment([length])
    between = f"{time_of_day(start).removesuffix(' UTC')} to {time_of_day(end)}"
    return fragment([length, " ", element("span", between, class_="note")])


def _line(item: LogEvidence | StatusEvidence) -> Html:
    return element(
        "li",
        element("p", code(wording.place(item)), class_="place"),
        element("pre", code(item.text), tabindex="0"),
    )
