"""The diagnosis as one HTML page that needs nothing but a browser: for people who were not on call."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from charts.page import document
from troubleshoot.curves import shown
from troubleshoot.findings import Diagnosis
from troubleshoot.report import wording
from troubleshoot.report.html_details import details
from troubleshoot.report.html_elements import Html, bdi, element, fragment
from troubleshoot.report.html_findings import finding_card
from troubleshoot.report.html_window import key_figures, window
from troubleshoot.report.safe import safe

if TYPE_CHECKING:
    from troubleshoot.evidence import Evidence

_DRAWN = 'class="chart"'


def render_html(diagnosis: Diagnosis, evidence: Evidence | None = None) -> str:
    """The whole page. `evidence` is what the diagnosis was made from: without it there are no charts.

    Nothing that was read can be more than text on it, and no request can leave it. Where the chart library is not
    installed, the page says so in the charts' place.
    """
    diagnosis = safe(diagnosis)
    drawn = shown(evidence) if evidence is not None else ()
    root = [
        finding_card(finding, 1, title="Why, and what to change" if finding.title == diagnosis.summary else "")
        for finding in diagnosis.findings[:1]
    ]
    others = [finding_card(finding, number) for number, finding in enumerate(diagnosis.findings[1:], 2)]
    parts = [
        element("section", *root, id="cause", aria_label="Cause") if root else None,
        key_figures(diagnosis, drawn),
        window(diagnosis, drawn),
        element("section", element("h2", "Also found"), *others, id="also", class_="chapter") if others else None,
        details(diagnosis),
    ]
    body = fragment(parts)
    return document(
        f"{_verdict(diagnosis).capitalize()}: {diagnosis.summary}",
        _header(diagnosis),
        _contents(diagnosis, body),
        body,
        footer=element("footer", "Written by inferwatch diagnose. This page asks nothing of any network."),
        more_style=(files(__package__) / "html.css").read_text("utf-8"),
        has_plots=_DRAWN in body,
    )


def _verdict(diagnosis: Diagnosis) -> str:
    """The verdict in a word or two: "critical incident"."""
    if diagnosis.verdict == "incident" and diagnosis.findings:
        return f"{diagnosis.findings[0].severity.label} incident"
    return diagnosis.verdict


def _header(diagnosis: Diagnosis) -> Html:
    # An incident has the colour of its first finding, any other verdict its own.
    tone = _verdict(diagnosis).partition(" ")[0]
    facts = [bdi(part, class_="fact") for part in wording.header_parts(diagnosis)]
    return element(
        "div",
        element("p", element("span", _verdict(diagnosis), class_="pill"), element("span", "InferWatch diagnosis")),
        element("h1", bdi(diagnosis.summary)),
        element("p", *facts, class_="facts"),
        class_=f"banner {tone}",
    )


_CHAPTERS = (
    ("cause", "Cause and fix"),
    ("window", "Charts"),
    ("also", "Also found"),
    ("changed", "What changed"),
    ("replicas", "Replicas"),
    ("ruled-out", "Ruled out"),
    ("not-checked", "Not checked"),
    ("numbers", "Numbers"),
    ("settings", "Settings"),
    ("inputs", "Inputs"),
)


def _contents(diagnosis: Diagnosis, body: Html) -> Html:
    counts = {"ruled-out": len(diagnosis.ruled_out), "not-checked": len(diagnosis.not_evaluated)}
    links = [
        element("li", element("a", title + (f" ({counts[key]})" if key in counts else ""), href=f"#{key}"))
        for key, title in _CHAPTERS
        if f' id="{key}"' in body
    ]
    return element("nav", element("ul", *links), aria_label="Contents")
