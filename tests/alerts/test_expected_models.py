"""Rules that depend on which models, start times and objectives a configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.config import Config, Model, Slos
from alerts.generate import groups
from alerts.rules import alerts_of
from alerts.rules.engine.llm_metrics_missing import ESSENTIAL
from alerts.rules.monitoring.gpu_fields_missing import FIELDS
from alerts.slo import Objective
from catalog.engines import ENGINES
from catalog.gpu import GPU_FIELDS
from tests.alerts.promql_tree import selectors
from tests.alerts.rule_tests import run_promtool

PLACE = 'rank="0",node="n1",container="server"'
GPU_POD = 'resource="nvidia_com_gpu",unit="integer",node="n1"'


def fires(
    tmp_path: Path, config: Config, alert: str, at: str, series: dict[str, str], *expected: dict[str, str]
) -> None:
    """Hold the labels with which an alert fires against those expected."""
    family = "slo" if alert in {"LLMModelUnavailable", "LLMSLOBoundMissing"} else "engine"
    rule = alerts_of(config)[alert][-1]
    case: dict[str, Any] = {"alertname": alert, "eval_time": at, "exp_alerts": []}
    for labels in expected:
        annotations = {"summary": rule.summary, "description": rule.description}
        for label in ("model", "namespace", "pod", "container", "engine", "rank", "slo"):
            for key, text in annotations.items():
                annotations[key] = text.replace(f"{{{{ $labels.{label} }}}}", labels.get(label, ""))
        values = {"{{ $value | humanizeDuration }}": "3m 0s", "{{ $value }}": "0.5"}
        for written, value in values.items():
            annotations = {key: text.replace(written, value) for key, text in annotations.items()}
        annotations = {
            key: text.replace("{{ or $labels.model $labels.engine }}", labels.get("model", ""))
            for key, text in annotations.items()
        }
        own = {"severity": rule.severity, **rule.labels}
        case["exp_alerts"].append({"exp_labels": {**own, **labels}, "exp_annotations": annotations})
    test = {
        "rule_files": [f"inferwatch-alerts-{family}.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [case],
            }
        ],
    }
    path = tmp_path / "case" / "test.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(test), "utf-8")
    assert run_promtool(path, tmp_path, config) == ""


CHAT = Model(name="m", namespace="chat", engine="vllm")
UP = f'llm_up{{namespace="chat",engine="vllm",model="m",pod="a",{PLACE}}}'


def test_without_expected_models_nothing_is_absent() -> None:
    assert [rule.labels["condition"] for rule in alerts_of(Config())["LLMModelUnavailable"]] == ["down", "gone"]


def test_an_expected_model_that_never_came_is_missed(tmp_path: Path) -> None:
    expected = {"model": "m", "namespace": "chat", "engine": "vllm"}
    elsewhere = UP.replace("chat", "test")
    fires(tmp_path, Config(models=(CHAT,)), "LLMModelUnavailable", "5m", {elsewhere: "1x10"}, expected)


def test_an_expected_model_that_is_down_is_not_absent_as_well(tmp_path: Path) -> None:
    config = Config(models=(CHAT,))
    absent = alerts_of(config)["LLMModelUnavailable"][-1]
    assert absent.labels == {"condition": "absent"}
    fires(tmp_path, config, "LLMModelUnavailable", "1m", {UP: "0x10"})


def test_one_of_several_models_in_a_server_is_known_by_its_own_series(tmp_path: Path) -> None:
    config = Config(models=(Model(name="m1", engine="triton"),))
    series = {
        f'llm_up{{namespace="chat",engine="triton",pod="t",{PLACE}}}': "1x10",
        f'llm_requests_waiting{{namespace="chat",engine="triton",model="m1",pod="t",{PLACE}}}': "0x10",
    }
    fires(tmp_path, config, "LLMModelUnavailable", "5m", series)


def test_an_engine_that_names_no_model_is_expected_by_engine_and_namespace(tmp_path: Path) -> None:
    config = Config(models=(Model(name="tiny-$1", namespace="edge", engine="llamacpp"),))
    expected = {"model": "tiny-$1", "namespace": "edge", "engine": "llamacpp"}
    fires(tmp_path, config, "LLMModelUnavailable", "5m", {UP: "1x10"}, expected)


def test_a_name_with_quotes_stays_a_name() -> None:
    config = Config(models=(Model(name='a"b\\c'),))
    (absent,) = (rule for rule in alerts_of(config)["LLMModelUnavailable"] if rule.labels["condition"] == "absent")
    assert {selector.name for selector, _ in selectors(absent.expr)} == {"llm_up", "llm_requests_waiting"}


def loading(namespace: str) -> dict[str, str]:
    pod = f'namespace="{namespace}",pod="a",container="server"'
    return {
        f"kube_pod_container_state_started{{{pod}}}": "0x60",
        f"kube_pod_container_status_running{{{pod}}}": "1x60",
        f"kube_pod_container_resource_requests{{{pod},{GPU_POD}}}": "1x60",
        f'kube_pod_status_ready{{namespace="{namespace}",pod="a",condition="true"}}': "0x60",
    }


@pytest.mark.parametrize(
    ("models", "at", "is_slow"),
    [
        ((), "3m", False),
        ((Model(name="m", namespace="chat", cold_start_seconds=60),), "3m", True),
        ((Model(name="m", namespace="other", cold_start_seconds=60),), "3m", False),
        # The namespace also loads a model that takes longer.
        ((Model(name="m", namespace="chat", cold_start_seconds=60), Model(name="n", namespace="chat")), "3m", False),
        ((Model(name="m", namespace="chat", cold_start_seconds=60), Model(name="n")), "3m", False),
        ((Model(name="m", cold_start_seconds=1800),), "25m", False),
        ((Model(name="m", namespace="chat", cold_start_seconds=60), Model(name="n", namespace="b")), "3m", True),
    ],
)
def test_a_start_is_slow_by_what_its_namespace_loads(
    tmp_path: Path, models: tuple[Model, ...], at: str, is_slow: bool
) -> None:
    expected = [{"namespace": "chat", "pod": "a", "container": "server"}] if is_slow else []
    fires(tmp_path, Config(models=models), "LLMColdStartSlow", at, loading("chat"), *expected)


def test_limits_of_several_namespaces_leave_each_other_alone() -> None:
    models = tuple(Model(name="m", namespace=name, cold_start_seconds=60) for name in ("a.b", "c"))
    (rule,) = alerts_of(Config(models=models))["LLMColdStartSlow"]
    assert rule.expr.count(" > 60\n") == 2
    assert 'namespace!~"a\\\\.b|c"' in rule.expr


def test_a_target_is_given_the_time_of_the_slowest_model() -> None:
    (rule,) = alerts_of(Config(models=(Model(name="m", cold_start_seconds=3600.4),)))["LLMTargetDown"]
    assert "offset 3600s" in rule.expr


def bucket(bound: str) -> str:
    name = "llm_time_to_first_token_seconds_bucket"
    return f'{name}{{le="{bound}",namespace="chat",engine="vllm",model="m",pod="a",{PLACE}}}'


def test_a_model_with_an_objective_of_its_own_is_held_to_its_bound_alone(tmp_path: Path) -> None:
    own = Objective(slo="time_to_first_token", target=0.99, seconds=0.5, model="m")
    config = Config(models=(CHAT,), slos=Slos(objectives=(own,)))
    count = bucket("x").replace("_bucket", "_count").replace('le="x",', "")
    series = {bucket("1.0"): "0x60", bucket("+Inf"): "0x60", count: "0x60"}
    place = {"namespace": "chat", "engine": "vllm", "model": "m", "rank": "0", "node": "n1", "pod": "a"}
    expected = {**place, "container": "server", "slo": "time_to_first_token"}
    fires(tmp_path, config, "LLMSLOBoundMissing", "40m", series, expected)


def test_without_a_latency_objective_no_bound_is_missed() -> None:
    config = Config(slos=Slos(default=(Objective(slo="availability", target=0.999),)))
    assert "LLMSLOBoundMissing" not in alerts_of(config)


@pytest.mark.parametrize("engine", ESSENTIAL)
def test_essential_series_are_among_what_the_engine_shows(engine: str) -> None:
    assert set(ESSENTIAL[engine]) <= {mapping.signal for mapping in ENGINES[engine].mappings}


def test_every_field_that_is_missed_is_one_that_another_rule_reads() -> None:
    read = {
        selector.name
        for group in groups(Config())
        if group.name != "inferwatch-alerts-monitoring"
        for rule in group.rules
        for selector, _ in selectors(rule.expr)
    }
    assert set(FIELDS) <= GPU_FIELDS.keys()
    assert set(FIELDS) <= read
