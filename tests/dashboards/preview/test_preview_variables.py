"""Variables and macros in queries, as Grafana writes them."""

from __future__ import annotations

import pytest

from dashboards.preview.board_json import read_board
from dashboards.preview.variables import Choice, Period, Scope, chosen, durations
from tests.dashboards.preview.boards import small

ONE = Choice(("llama-2.7b",), multi=True)
TWO = Choice(("a.b", "c|d"), multi=True)
ALL = Choice((), ".+", multi=True)


@pytest.mark.parametrize(
    ("choice", "query", "expected"),
    [
        (ALL, 'x{model=~"$model"}', 'x{model=~".+"}'),
        (ONE, 'x{model=~"$model"}', r'x{model=~"llama-2\\.7b"}'),
        (TWO, 'x{model=~"${model}"}', r'x{model=~"(a\\.b|c\\|d)"}'),
        (TWO, "${model:pipe}", "a.b|c|d"),
        (TWO, "${model:csv} [[model]]", r"a.b,c|d (a\\.b|c\\|d)"),
        (Choice(("5m",)), "rate(x[$model])", "rate(x[5m])"),
        (Choice(('say "x"',)), 'x{a="$model"}', r'x{a="say \"x\""}'),
        (ONE, "$models and $other", "$models and $other"),
    ],
)
def test_a_variable_is_written_as_its_place_needs(choice: Choice, query: str, expected: str) -> None:
    assert Scope({"model": choice}).query(query) == expected


def test_a_value_cannot_leave_its_string() -> None:
    written = Scope({"model": Choice(('x"} or vector(1) #\\',), multi=True)}).query('up{model=~"$model"}')
    inside = written.removeprefix('up{model=~"').removesuffix('"}')
    assert '"' not in inside.replace('\\"', "")
    assert not inside.replace("\\\\", "").endswith("\\")


@pytest.mark.parametrize(("choice", "words"), [(ALL, "All"), (ONE, "llama-2.7b"), (TWO, "a.b, c|d")])
def test_a_title_says_what_was_chosen(choice: Choice, words: str) -> None:
    assert Scope({"model": choice}).words("Latency of $model") == f"Latency of {words}"


def test_macros_are_the_lengths_that_grafana_gives() -> None:
    period = Period.of(10_000, 3600)
    assert durations(period, 15) == {
        "__interval": "15s",
        "__interval_ms": "15000",
        "__rate_interval": "60s",
        "__range": "3600s",
        "__range_s": "3600",
        "__range_ms": "3600000",
        "__from": str(period.start * 1000),
        "__to": str(period.end * 1000),
    }
    assert durations(Period.of(10_000_000, 7 * 86400), 15)["__rate_interval"] == "2535s"
    assert Scope({}, durations(period, 30)).query("rate(x[$__rate_interval])") == "rate(x[120s])"


@pytest.mark.parametrize(("end", "seconds"), [(1000.9, 100), (1000.0, 3600), (1e9 + 7, 86400), (50.0, 1)])
def test_a_period_is_a_grid_of_whole_steps(end: float, seconds: float) -> None:
    period = Period.of(end, seconds)
    assert period.step >= 1
    assert period.end <= end < period.end + period.step
    assert period.end % period.step == period.start % period.step == 0
    assert abs(period.seconds - seconds) <= period.step
    assert (period.times[0], period.times[-1]) == (period.start, period.end)
    assert len(period.times) <= 242


def test_everything_is_chosen_where_nothing_is_wanted() -> None:
    assert {name: str(choice) for name, choice in chosen(small(), {}).items()} == {"namespace": "All", "model": "All"}
    assert chosen(small(), {"model": ("a", "b")})["model"] == Choice(("a", "b"), multi=True)
    assert str(chosen(small(), {"model": ("All",)})["model"]) == "All"


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ({"type": "constant", "query": "5m"}, Choice(("5m",))),
        ({"type": "custom", "query": "p95, p99"}, Choice(("p95",))),
        ({"type": "custom", "query": "p95,p99", "current": {"value": "p99"}}, Choice(("p99",))),
        ({"type": "query", "current": {"value": ["a", "b"]}, "multi": True}, Choice(("a", "b"), multi=True)),
        ({"type": "query"}, Choice((), ".*", multi=True)),
        ({"type": "query", "includeAll": True}, Choice((), ".+", multi=True)),
    ],
)
def test_other_variables_have_their_current_value(variable: dict[str, object], expected: Choice) -> None:
    board = read_board({"title": "T", "panels": [], "templating": {"list": [{"name": "v", **variable}]}})
    assert chosen(board, {}) == {"v": expected}
