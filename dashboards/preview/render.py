"""Boards -> one page: every panel in its place, with data, or with the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby

from charts.blocks import Block, Cell, Heatmap, Moment, Notice, Panel, Section, Stat, Table, TimeSeries
from charts.page import page
from dashboards.preview.appearance import css_colour, legend
from dashboards.preview.board_json import Annotation, BoardError, BoardJson, PanelJson, Row, field_of, panels_of
from dashboards.preview.drawing import block, text_block
from dashboards.preview.prometheus import QueryError, Source
from dashboards.preview.results import Asker, Result, queries
from dashboards.preview.tables import unknown_transformations
from dashboards.preview.variables import Period, Scope, choosable, chosen, durations

__all__ = ["preview", "unknown_variables"]

_LEAD = (
    "A preview, drawn without Grafana: the boards' own queries, asked once. Grafana itself draws more finely, and "
    "its links, exemplars and logs are not here. Times are UTC."
)
_MOST_SERIES = 60
_MOST_MOMENTS = 100


def preview(
    boards: Sequence[BoardJson],
    source: Source,
    period: Period,
    *,
    variables: Mapping[str, tuple[str, ...]] | None = None,
    scrape_seconds: int = 15,
) -> str:
    """Return the page. `variables` are chosen values by name; all others stand for everything.

    Raises PrometheusError when Prometheus no longer answers, ChartsUnavailableError without the chart library.
    """
    choices = {name: str(choice) for board in boards for name, choice in chosen(board, variables or {}).items()}
    sections = [
        section for board in boards for section in _sections(board, source, period, variables or {}, scrape_seconds)
    ]
    facts = [
        ("Prometheus", source.url),
        ("from", _moment(period.start)),
        ("to", _moment(period.end)),
        ("step", f"{period.step} s"),
        *((f"${name}", choice) for name, choice in choices.items() if choice),
    ]
    title = boards[0].title if len(boards) == 1 else "InferWatch boards"
    return page(f"Preview: {title}", sections, lead=_LEAD, facts=facts)


def unknown_variables(boards: Sequence[BoardJson], names: Sequence[str]) -> list[str]:
    """Return those names that no board has a variable of."""
    known = {variable.name for board in boards for variable in choosable(board)}
    return [name for name in names if name not in known]


def _sections(
    board: BoardJson,
    source: Source,
    period: Period,
    variables: Mapping[str, tuple[str, ...]],
    scrape_seconds: int,
) -> Iterator[Section]:
    scope = Scope(chosen(board, variables), durations(period, scrape_seconds))
    asker = Asker(source, period, scope)
    moments = tuple(moment for one in board.annotations.list for moment in _marks(one, asker))[:_MOST_MOMENTS]
    yield Section(board.title, lead=board.description, moments=moments, opens_chapter=True)
    for row in panels_of(board):
        yield _row(row, asker, moments)


def _row(row: Row, asker: Asker, moments: tuple[Moment, ...]) -> Section:
    cells = []
    for panel in row.panels:
        place = panel.grid_pos
        drawn, notes = _drawn(panel, asker, moments)
        shown = Panel(drawn, asker.scope.words(panel.title), asker.scope.words(panel.description), tuple(notes))
        cells.append(Cell(shown, width=place.w, height=place.h, column=place.x, row=place.y))
    return Section(asker.scope.words(row.title), tuple(cells))


def _drawn(panel: PanelJson, asker: Asker, moments: tuple[Moment, ...]) -> tuple[Block, list[str]]:
    """A panel's block and what is to be said below it. One panel's trouble stays its own."""
    if panel.type == "text":
        return text_block(panel), []
    if not queries(panel):
        return Notice(_why_unasked(panel)), []
    try:
        results = asker.results(panel)
        if not any(value is not None for result in results for value in result.values):
            return Notice(_why_empty(panel, asker)), []
        drawn = block(panel, _fewer(panel, results), asker.period, moments)
    except (QueryError, BoardError) as error:
        return Notice(f"This panel's query failed: {error}", "problem"), []
    return (drawn, _notes(panel, results)) if _has_content(drawn) else (Notice(_why_empty(panel, asker)), [])


def _why_empty(panel: PanelJson, asker: Asker) -> str:
    """What the panel itself says of nothing, then why it has nothing."""
    own = field_of(panel, "").no_value
    reason = asker.why_empty(panel)
    return f"{own} ({reason[0].lower()}{reason[1:].removesuffix('.')})" if own else reason


def _why_unasked(panel: PanelJson) -> str:
    if panel.type == "logs" or any(panel.datasource_type(target) == "loki" for target in panel.targets):
        return "Not in the preview: these lines come from Loki."
    return "Not in the preview: this panel asks nothing of Prometheus."


def _has_content(drawn: Block) -> bool:
    match drawn:
        case TimeSeries():
            return bool(drawn.series)
        case Heatmap():
            return bool(drawn.bounds)
        case Stat():
            return bool(drawn.values)
        case Table():
            return bool(drawn.rows)
        case _:
            return True


def _fewer(panel: PanelJson, results: list[Result]) -> list[Result]:
    return results if panel.type in ("heatmap", "table") else results[:_MOST_SERIES]


def _notes(panel: PanelJson, results: Sequence[Result]) -> list[str]:
    notes = []
    if len(results) > len(_fewer(panel, list(results))):
        notes.append(f"The first {_MOST_SERIES} of {len(results)} series.")
    left_out = unknown_transformations(panel)
    if left_out:
        notes.append(f"Not done here: {', '.join(left_out)}.")
    return notes


def _marks(annotation: Annotation, asker: Asker) -> Iterator[Moment]:
    """The moments at which an annotation's query begins to give something; none where it fails."""
    if not annotation.enable or not annotation.expr:
        return
    try:
        found = asker.source.range(asker.scope.query(annotation.expr), asker.period)
    except QueryError:
        return
    for series in found:
        words = " · ".join(
            legend(template, series.labels)
            for template in (annotation.title_format or annotation.name, annotation.text_format)
            if template
        )
        pairs = zip(asker.period.times, series.values, strict=True)
        for is_there, run in groupby(pairs, key=lambda pair: bool(pair[1])):
            if is_there:
                yield Moment(next(run)[0], words, css_colour(annotation.icon_color) or "#999999")


def _moment(unix_seconds: int) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
