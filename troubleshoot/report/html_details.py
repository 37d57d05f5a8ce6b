"""The end of the HTML report: what changed, was ruled out, was not checked, numbers, settings and inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from charts.units import text
from troubleshoot.findings import Diagnosis, InputSummary
from troubleshoot.report import wording
from troubleshoot.report.html_elements import Html, bdi, code, element, fragment

# The ends of the names of numbers, as `diagnosis.numbers` writes them, and the unit that each tells.
_UNITS = (
    ("_tokens_per_second", "count:tok/s"),
    ("tokens_per_second_per_sequence", "count:tok/s"),
    ("_per_second", "cps"),
    ("_seconds", "s"),
    ("_ratio", "percentunit"),
    ("_gib", "suffix:GiB"),
)
_SHOWN_IN_CAPITALS = {"ttft": "TTFT", "kv": "KV", "gpu": "GPU", "p95": "p95"}


def details(diagnosis: Diagnosis) -> Html:
    """Everything behind the findings."""
    changes = [*wording.dated_changes(diagnosis), *wording.earlier_changes(diagnosis)]
    return fragment(
        [
            _chapter("changed", "What changed", _list(changes)),
            _chapter("replicas", "Replicas", _list(wording.fleet(diagnosis))),
            _chapter("ruled-out", "Ruled out", _ruled_out(diagnosis)),
            _chapter("not-checked", "Not checked", _not_checked(diagnosis)),
            _chapter("numbers", "Numbers", _numbers(diagnosis)),
            _chapter("settings", "Settings", _settings(diagnosis)),
            _chapter("inputs", "Inputs", _inputs(diagnosis)),
        ]
    )


def _chapter(key: str, title: str, body: Html | None) -> Html | None:
    return element("section", element("h2", title), body, id=key, class_="chapter") if body else None


def _list(lines: Sequence[str]) -> Html | None:
    return element("ul", *(element("li", bdi(line)) for line in lines)) if lines else None


def _ruled_out(diagnosis: Diagnosis) -> Html | None:
    """Causes by the reason that they share, those with a reason of their own first."""
    by_reason: dict[str, list[str]] = {}
    for item in diagnosis.ruled_out:
        by_reason.setdefault(item.because, []).append(item.cause)
    rows = sorted(by_reason.items(), key=lambda row: len(row[1]))
    return _reasons(("Cause", "Because"), ((causes, reason) for reason, causes in rows)) if rows else None


def _not_checked(diagnosis: Diagnosis) -> Html | None:
    by_need: dict[tuple[str, ...], list[str]] = {}
    for item in diagnosis.not_evaluated:
        by_need.setdefault(item.needs, []).append(item.cause)
    if not by_need:
        return None
    lead = element("p", "Not checked is not ok: the input does not tell. What would be needed stands beside.")
    rows = _reasons(("Cause", "Needs"), ((causes, "; ".join(needs)) for needs, causes in by_need.items()))
    return fragment([lead, rows])


def _reasons(head: tuple[str, str], rows: Iterable[tuple[Sequence[str], str]]) -> Html:
    body = (
        (fragment(element("span", code(cause), " ", class_="one") for cause in causes), bdi(reason))
        for causes, reason in rows
    )
    return _table(head, body)


def _numbers(diagnosis: Diagnosis) -> Html | None:
    rows = [
        (bdi(_label(name)), element("span", _number(name, value), class_="value"), code(name))
        for name, value in sorted(diagnosis.numbers.items())
    ]
    return _table(("Measured", "Value", "Name in the JSON report"), rows) if rows else None


def _label(name: str) -> str:
    """A number's name in words: ttft_p95_seconds is "TTFT p95"."""
    for end in ("_per_second", "_seconds", "_ratio", "_gib"):
        if name.endswith(end):
            name = name.removesuffix(end) + (" per second" if end == "_per_second" else "")
            break
    words = [_SHOWN_IN_CAPITALS.get(word, word) for word in name.replace("_", " ").split()]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]]) if words else name


def _number(name: str, value: float | int | str) -> str:
    if isinstance(value, str):
        return value
    unit = next((unit for end, unit in _UNITS if name.endswith(end)), None)
    return wording.number(value) if unit is None else text(float(value), unit)


def _settings(diagnosis: Diagnosis) -> Html | None:
    rows = [
        (code(name), code(wording.setting_value(value)))
        for name, value in sorted(diagnosis.engine.settings.items())
        if value is not None
    ]
    return _table(("Setting", "Value"), rows) if rows else None


def _inputs(diagnosis: Diagnosis) -> Html | None:
    rows = [tuple(_input(item)) for item in diagnosis.inputs]
    table = _table(("Input", "Kind", "Size", "Lines", "Span", "Note"), rows) if rows else None
    stopped = element("p", wording.INTERRUPTED, class_="notice problem") if diagnosis.interrupted else None
    return fragment([stopped, table]) if rows or stopped else None


def _input(item: InputSummary) -> Iterator[Html]:
    yield code(item.name)
    yield fragment([item.kind])
    yield fragment([wording.size(item.size_bytes)])
    yield fragment([f"{item.lines:,}".replace(",", " ") if item.lines else ""])
    yield fragment([wording.span(item.span_seconds) if item.span_seconds is not None else ""])
    yield bdi(item.note)


def _table(head: Sequence[str], rows: Iterable[Sequence[Html]]) -> Html:
    body = (element("tr", *(element("td", cell) for cell in row)) for row in rows)
    return element(
        "div",
        element(
            "table",
            element("thead", element("tr", *(element("th", word, scope="col") for word in head))),
            element("tbody", *body),
        ),
        class_="wide",
    )
