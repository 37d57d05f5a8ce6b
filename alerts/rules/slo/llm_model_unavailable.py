"""LLMModelUnavailable."""

from __future__ import annotations

import json

from alerts.config import Config, Model
from alerts.rule import Alert
from catalog.boards import MODEL as MODEL_BOARD
from catalog.engines import ENGINES
from catalog.recorded.levels import MODEL, POD, by, labels

__all__ = ["alerts"]

_NAME = "LLMModelUnavailable"
_WHO = "{{ or $labels.model $labels.engine }}"
_WHERE = "{{ $labels.engine }}, namespace {{ $labels.namespace }}"


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert for each way in which a model can be gone; the last only for models that are expected."""
    return (_down(config), _gone(config), *_absent(config))


def _down(config: Config) -> Alert:
    answered = config.thresholds.availability.answered_window
    return Alert(
        name=_NAME,
        labels={"condition": "down"},
        expr=(
            f"max {by(MODEL)} (\n"
            '  llm_up{model!=""}\n'
            "  # Engines that name no model, once they have answered: what never has is still starting.\n"
            f'  or (llm_up{{model=""}} and max_over_time(llm_up{{model=""}}[{answered}]) > 0)\n'
            ") < 1"
        ),
        pending=config.thresholds.availability.unavailable_for,
        severity="critical",
        summary=f"{_WHO}: no replica answers",
        description=(
            f"None of the replicas of {_WHO} ({_WHERE}) has answered for "
            f"{config.thresholds.availability.unavailable_for}. All requests to it fail."
        ),
        why="A model without a replica that answers is an outage, whatever the error rates say: nothing counts them.",
        board=MODEL_BOARD,
    )


def _gone(config: Config) -> Alert:
    window = config.thresholds.availability.busy_window
    pod = (*MODEL, "pod")
    return Alert(
        name=_NAME,
        labels={"condition": "gone"},
        expr=(
            "# Its token rate when it was last known: 0 for a model that was idle before it was scaled to zero.\n"
            "last_over_time(\n"
            f"  (model:llm_generation_tokens:rate5m and on ({labels(MODEL)}) model:llm_replicas:count)[{window}:1m]\n"
            ") > 0\n"
            f"unless on ({labels(MODEL)}) llm_up\n"
            "# An engine that serves several models names none in llm_up.\n"
            'unless on (cluster, namespace, engine) llm_up{model=""}\n'
            "# Pods that are ready still serve: it is their node's exporter that says nothing of them.\n"
            f"unless on ({labels(MODEL)}) (\n"
            f'  group {by(pod)} (last_over_time(llm_up{{pod!=""}}[{window}]))\n'
            f'  and on ({labels(POD)}) kube_pod_status_ready{{condition="true"}} > 0\n'
            ")"
        ),
        pending=config.thresholds.availability.unavailable_for,
        severity="critical",
        summary=f"{_WHO}: all replicas are gone while requests were served",
        description=(
            f"No replica of {_WHO} ({_WHERE}) is known any more. "
            "It generated {{ $value | humanize }} tokens a second when it was last seen."
        ),
        why=(
            "What vanishes raises no alert by itself. A model that was busy until it vanished was not scaled to zero: "
            "its pods, its node or its deployment were lost."
        ),
        board=MODEL_BOARD,
        requires={
            "kube_pod_status_ready": (
                "kube-state-metrics; without it, a model all of whose nodes lost their exporter counts as gone"
            )
        },
    )


def _absent(config: Config) -> tuple[Alert, ...]:
    if not config.models:
        return ()
    return (
        Alert(
            name=_NAME,
            labels={"condition": "absent"},
            expr="\nor\n".join(_is_absent(model) for model in config.models),
            pending=config.thresholds.availability.unavailable_for,
            severity="critical",
            summary="{{ $labels.model }}: expected, and not there",
            description=(
                "The configuration of these rules expects {{ $labels.model }}, and no replica of it has been known for "
                f"{config.thresholds.availability.unavailable_for}."
            ),
            why="Only a list of what should be there can tell that something never came.",
            board=MODEL_BOARD,
        ),
    )


def _is_absent(model: Model) -> str:
    """Neither up nor down, and without series that name the model where `llm_up` names none (several models)."""
    names_models = not model.engine or ENGINES[model.engine].model_label != ""
    named = {"namespace": model.namespace, "engine": model.engine}
    if names_models:
        named = {"model": model.name, **named}
    matchers = ", ".join(f"{label}={_quoted(value)}" for label, value in named.items() if value)
    absent = f"absent(llm_up{{{matchers}}})"
    if names_models:
        return f"{absent} and absent(llm_requests_waiting{{{matchers}}})"
    return f'label_replace({absent}, "model", {_quoted(model.name.replace("$", "$$"))}, "", "")'


def _quoted(value: str) -> str:
    """A string as PromQL writes it: names come from a user's file."""
    return json.dumps(value, ensure_ascii=False)
