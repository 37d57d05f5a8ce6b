"""The part of the HTML report that shows the window: key figures, what began when, and the charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from charts import library
from charts.blocks import Cell, Moment, Panel, Section, Span, Stat, Value
from charts.page import section_markup
from charts.units import text
from charts.words import time_of_day
from troubleshoot.curves import Shown, Values, means, per_second
from troubleshoot.findings import Diagnosis
from troubleshoot.onset import Kind, Mark, restarts, troubles
from troubleshoot.report import wording
from troubleshoot.report.html_charts import BLUE, GREEN, PURPLE, RED, cells
from troubleshoot.report.html_elements import Html, bdi, element, fragment

_COLOURS: dict[Kind, str] = {"trouble": RED, "recovery": GREEN, "restart": PURPLE}
_NO_WINDOW = (
    "No charts: they need metrics of two scrapes or more, or the engine's periodic statistics lines in the log."
)
_SOURCES = {"metrics": "From metrics", "log": "From the log's statistics lines"}
_MOST_MARKS = 12


def key_figures(diagnosis: Diagnosis, shown: Sequence[Shown]) -> Html | None:
    """The measured facts that say most, written large, with how they went; None where nothing was measured."""
    values = list(_figures(diagnosis, shown[0] if shown else None))
    if not values:
        return None
    tiles = tuple(Cell(Panel(Stat((value,)), value.name), 4, 3) for value in values)
    return Html(section_markup(Section("", tiles, opens_chapter=True), "figures"))


def _figures(diagnosis: Diagnosis, shown: Shown | None) -> Iterator[Value]:
    moments = shown.moments if shown else ()
    timeline = shown.timeline if shown else None
    first = means(timeline, "llm_time_to_first_token_seconds", moments) if timeline else ()
    curves: tuple[tuple[str, str, str, Values], ...] = (
        ("ttft_p95_seconds", "TTFT, p95", "s", first),
        ("requests_waiting_mean", "Waiting, mean", "short", tuple(moment.waiting for moment in moments)),
        ("requests_running_mean", "Running, mean", "short", tuple(moment.running for moment in moments)),
        ("kv_cache_usage_max_ratio", "KV use, highest", "percentunit", tuple(m.kv_usage_ratio for m in moments)),
        ("generation_tokens_per_second", "Generated", "count:tok/s", tuple(m.generation_rate for m in moments)),
        ("preemptions_per_second", "Preemptions", "cps", per_second([m.preemptions for m in moments], moments)),
    )
    for key, name, unit, trend in curves:
        value = diagnosis.numbers.get(key)
        if isinstance(value, int | float):
            yield Value(float(value), name, unit, trend=trend)


def window(diagnosis: Diagnosis, shown: Sequence[Shown]) -> Html:
    """What began when, and the charts; where they cannot be drawn, why."""
    if not shown:
        return element("section", element("h2", "Charts"), _notice(_NO_WINDOW), id="window", class_="chapter")
    parts = [element("h2", "The window")]
    for number, one in enumerate(shown, 1):
        if len(shown) > 1:
            parts.append(element("h3", _SOURCES[one.source]))
        parts.append(_drawn(diagnosis, one, f"charts-{number}"))
    return element("section", *parts, id="window", class_="chapter")


def _drawn(diagnosis: Diagnosis, shown: Shown, key: str) -> Html:
    marks = marks_of(diagnosis, shown)
    colour = RED if diagnosis.verdict == "incident" else BLUE
    span = Span(*shown.window, colour) if shown.window else None
    lines = tuple(Moment(mark.seconds, mark.text, _COLOURS[mark.kind]) for mark in marks if not mark.already)
    family = diagnosis.findings[0].family if diagnosis.findings else None
    charts = cells(shown, lines, span, family)
    missing = library.missing() if charts else ""
    told: list[str | None] = [_story(marks, shown, span)]
    if shown.left_out:
        told.append(
            element("p", f"{shown.left_out} statistics lines of overlapping logs are not drawn.", class_="note")
        )
    if missing:
        told.append(_notice(f"No charts here: {missing}, then write the report again."))
    elif charts:
        told.append(Html(section_markup(Section("", charts, opens_chapter=True), key)))
    else:
        told.append(_notice("No charts: the metrics hold no series of an engine or a GPU that changes over time."))
    return fragment(told)


def marks_of(diagnosis: Diagnosis, shown: Shown) -> tuple[Mark, ...]:
    """What began when. Of a healthy engine, only that its process came or went."""
    found = list(restarts(shown.timeline)) if shown.timeline else []
    if diagnosis.verdict == "incident":
        stuck = any(finding.cause == "hang_engine_stuck" for finding in diagnosis.findings)
        found += troubles(shown.all_moments, stuck=stuck)
    first, last = shown.moments[0].start_seconds, shown.moments[-1].end_seconds
    seen = [mark for mark in found if first <= mark.seconds <= last or mark.already]
    return tuple(sorted(seen, key=lambda mark: (not mark.already, mark.seconds))[:_MOST_MARKS])


def _story(marks: Sequence[Mark], shown: Shown, span: Span | None) -> Html | None:
    """The marks in words, each with the colour of its line in the charts."""
    already = "; ".join(mark.text for mark in marks if mark.already)
    items = [
        element("li", _key(_COLOURS[mark.kind], "line"), _time(mark, shown), " ", bdi(mark.text))
        for mark in marks
        if not mark.already
    ]
    if already:
        items.insert(0, element("li", element("time", "From the start of the data"), " ", bdi(already)))
    if span:
        length = wording.span(span.end - span.start)
        ends = (time_of_day(span.start).removesuffix(" UTC"), time_of_day(span.end))
        between = "" if shown.source == "log" else f", {ends[0]} to {ends[1]}"
        items.append(element("li", _key(span.colour, "tint"), f"the time that was judged: {length}{between}"))
    return element("ul", *items, class_="story", aria_label="What began when") if items else None


def _time(mark: Mark, shown: Shown) -> Html:
    if shown.source == "log":
        return element("time", f"after {text(mark.seconds - shown.moments[0].start_seconds, 's')}")
    return element("time", time_of_day(mark.seconds))


def _key(colour: str, kind: str) -> Html:
    return element("i", class_=f"mark {kind}", style=f"--mark:{colour}", aria_hidden="true")


def _notice(words: str) -> Html:
    return element("p", words, class_="notice", role="note")
