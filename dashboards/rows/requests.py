"""What requests are and how they end."""

from __future__ import annotations

from catalog.recorded.levels import by
from catalog.signals import FINISH_REASONS
from dashboards.board import Row
from dashboards.colours import colours
from dashboards.panels import BoardPanel, Heatmap, TimeSeries
from dashboards.promql import mean, quantile, rate, ratio, spread, sum_rate
from dashboards.query import buckets, line
from dashboards.scope import Scope

__all__ = ["endings_row", "lengths_row", "speculation_row", "tokens_panel"]

_LENGTHS_GOOD = "Steady: latency and cache use follow from it."
_LENGTHS_ACT = "A change explains most changes of latency; look for a new client or a new prompt."


def endings_row(scope: Scope) -> Row:
    """Return finish reasons and errors, wherever they are counted."""
    return Row("How requests end", (_reasons(scope), _failures(scope), _responses(scope)))


def lengths_row(scope: Scope) -> Row:
    """Return token throughput and the lengths of prompts and answers."""
    prompt = _lengths(scope, "llm_request_prompt_tokens", "Prompt length", "Prompt tokens of a request.")
    answer = _lengths(scope, "llm_request_generation_tokens", "Answer length", "Generated tokens of a request.")
    return Row("Tokens", (tokens_panel(scope), *prompt, *answer))


def speculation_row(scope: Scope) -> Row:
    """Return what speculative decoding gains; folded, since few use it."""
    return Row("Speculative decoding (engines with a draft model)", (_acceptance(scope), _accepted(scope)), folded=True)


def tokens_panel(scope: Scope) -> BoardPanel:
    """Return token throughput by phase."""
    phases = {"prompt": "llm_prompt_tokens_total", "generation": "llm_generation_tokens_total"}
    targets = [
        line(
            scope.recorded_or(f"model:llm_{phase}_tokens:rate5m", sum_rate(scope.select(series), scope.level)),
            f"{phase} {scope.legend}",
        )
        for phase, series in phases.items()
    ]
    cached = sum_rate(scope.select("llm_prompt_tokens_cached_total"), scope.level)
    return TimeSeries(
        title="Tokens per second by phase",
        what="Prompt tokens taken in, of these found in the cache (hit), and tokens generated.",
        good="Both follow the requests.",
        act="Prompt tokens without generation: prefills crowd out decoding; look at inter-token latency.",
        targets=[*targets, line(cached, f"hit {scope.legend}")],
        unit="count:tok/s",
        minimum=0,
        colours=colours("prompt", "generation", "hit"),
    )


def _reasons(scope: Scope) -> BoardPanel:
    level = (*scope.level, "reason")
    finished = sum_rate(scope.select("llm_requests_total"), level)
    return TimeSeries(
        title="Finish reasons",
        what="Finished requests by reason. stop and length are success; not every engine tells the two apart.",
        good="stop, and as much length as answers are meant to be cut.",
        act="abort: clients leave because of the wait. error: read the engine's log. A rise of length: a limit on tokens.",
        targets=[line(scope.recorded_or("model:llm_requests:rate5m", finished), f"{{{{reason}}}} {scope.legend}")],
        unit="reqps",
        minimum=0,
        stacked=True,
        colours=colours(*FINISH_REASONS),
    )


def _failures(scope: Scope) -> BoardPanel:
    level = (*scope.level, "reason")
    failed = sum_rate(scope.select("llm_requests_failed_total"), level)
    rejected = sum_rate(scope.select("llm_requests_rejected_total"), level)
    return TimeSeries(
        title="Failed and rejected requests",
        what="Failures by the engine's own reason, and requests turned away at a queue's limit.",
        good="Nothing.",
        act="rejected: add replicas or raise the queue's limit. failed: `inferwatch diagnose --log` names the cause.",
        targets=[
            line(failed, f"failed {{{{reason}}}} {scope.legend}"),
            line(rejected, f"rejected {{{{reason}}}} {scope.legend}"),
        ],
        unit="reqps",
        minimum=0,
        colours=colours("failed", "rejected"),
    )


def _responses(scope: Scope) -> BoardPanel:
    level = (*(label for label in scope.level if label != "model"), "code_class")
    answered = scope.serving(rate(scope.process("llm_http_requests_total")))
    return TimeSeries(
        title="HTTP responses",
        what="Responses of the engine's HTTP server by class. A refused prompt often shows here alone, as 4xx.",
        good="2xx.",
        act="4xx: too long prompts or bad parameters, see the gateway's log. 5xx: the engine; see its log.",
        targets=[line(f"sum {by(level)} ({answered})", f"{{{{code_class}}}} {scope.legend.replace(' {{model}}', '')}")],
        unit="reqps",
        minimum=0,
        stacked=True,
        colours=colours("2xx", "4xx", "5xx"),
    )


def _lengths(scope: Scope, histogram: str, title: str, what: str) -> tuple[BoardPanel, BoardPanel]:
    targets = [line(mean(scope.select, histogram, scope.level), f"mean {scope.legend}")]
    targets += [
        line(quantile(q, scope.select, histogram, scope.level), f"{name} {scope.legend}")
        for name, q in (("p50", "0.5"), ("p95", "0.95"))
    ]
    known = ("mean", "p50", "p95")
    return (
        TimeSeries(
            title=title,
            what=what,
            good=_LENGTHS_GOOD,
            act=_LENGTHS_ACT,
            targets=targets,
            unit="count:tok",
            minimum=0,
            colours=colours(*known),
        ),
        Heatmap(
            title=f"{title}, all requests",
            what=f"{what} Every request, by bucket.",
            good=_LENGTHS_GOOD,
            act=_LENGTHS_ACT,
            targets=[buckets(spread(scope.select, histogram, ()))],
            unit="short",
        ),
    )


def _acceptance(scope: Scope) -> BoardPanel:
    accepted = sum_rate(scope.select("llm_spec_decode_accepted_tokens_total"), scope.level)
    drafted = sum_rate(scope.select("llm_spec_decode_draft_tokens_total"), scope.level)
    return TimeSeries(
        title="Accepted draft tokens",
        what="Draft tokens that the model accepted, of those proposed.",
        good="Above a half.",
        act="Low: the traffic does not fit the draft model; draft fewer tokens, or none.",
        targets=[
            line(
                scope.recorded_or("model:llm_spec_decode_acceptance:ratio_rate5m", ratio(accepted, drafted)),
                scope.legend,
            )
        ],
        unit="percentunit",
        minimum=0,
        maximum=1,
        columns=12,
    )


def _accepted(scope: Scope) -> BoardPanel:
    accepted = sum_rate(scope.select("llm_spec_decode_accepted_tokens_total"), scope.level)
    rounds = sum_rate(scope.select("llm_spec_decode_drafts_total"), scope.level)
    return TimeSeries(
        title="Tokens per draft round",
        what="Tokens that a round of drafting yields, the model's own one included.",
        good="Well above 1.2: below it, drafting costs more than it saves.",
        act="Turn speculation off while the batch is large: it pays for small batches only.",
        targets=[line(f"{ratio(accepted, rounds)} + 1", scope.legend)],
        unit="short",
        minimum=1,
        columns=12,
    )
