"""The examples of autoscaling: Kubernetes, KEDA and prometheus-adapter take them; Prometheus knows what they ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from alerts.autoscaling import SIGNALS, autoscaling_files, keda_query
from alerts.config import Config, Model
from tests.alerts.promql_tree import labels_by_name, selectors
from tests.alerts.recorded_tests import FILES
from tests.alerts.rule_tests import unit_test

MODELS = (Model(name="meta-llama/Llama-3.1-8B", namespace="chat"), Model(name="meta-llama/Llama-3.1-8B"))
EXAMPLE = Model(name="my-model", namespace="my-namespace")
RELEASES = ("1.25", "1.28", "1.31", "1.34", "1.37")
BEHAVIOR = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 30}],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 300,
        "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}],
    },
}

# https://keda.sh/docs/latest/reference/scaledobject-spec/ and scalers/prometheus/: what of it is used here.
SCALED_OBJECT = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "keda.sh/v1alpha1"},
        "kind": {"const": "ScaledObject"},
        "spec": {
            "type": "object",
            "required": ["scaleTargetRef", "triggers"],
            "additionalProperties": False,
            "properties": {
                "scaleTargetRef": {
                    "required": ["name"],
                    "additionalProperties": False,
                    "properties": {key: {"type": "string"} for key in ("apiVersion", "kind", "name")},
                },
                "pollingInterval": {"type": "integer", "minimum": 1},
                "minReplicaCount": {"type": "integer", "minimum": 0},
                "maxReplicaCount": {"type": "integer", "minimum": 1},
                "advanced": {
                    "additionalProperties": False,
                    "properties": {
                        "horizontalPodAutoscalerConfig": {
                            "additionalProperties": False,
                            "properties": {"behavior": {"type": "object"}, "name": {"type": "string"}},
                        }
                    },
                },
                "triggers": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "required": ["type", "metadata"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"const": "prometheus"},
                            "metricType": {"enum": ["AverageValue", "Value"]},
                            "metadata": {
                                "required": ["serverAddress", "query", "threshold"],
                                "additionalProperties": False,
                                # KEDA's trigger metadata are strings, numbers too.
                                "properties": {
                                    key: {"type": "string", "minLength": 1}
                                    for key in (
                                        *("serverAddress", "query", "threshold"),
                                        *("activationThreshold", "ignoreNullValues", "namespace"),
                                    )
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}

# https://github.com/kubernetes-sigs/prometheus-adapter/blob/master/docs/config.md and docs/externalmetrics.md.
_RULE = {
    "type": "object",
    "required": ["seriesQuery", "resources", "name", "metricsQuery"],
    "additionalProperties": False,
    "properties": {
        "seriesQuery": {"type": "string"},
        "resources": {
            "additionalProperties": False,
            "properties": {
                "overrides": {
                    "additionalProperties": {
                        "required": ["resource"],
                        "additionalProperties": False,
                        "properties": {"resource": {"type": "string"}, "group": {"type": "string"}},
                    }
                },
                "namespaced": {"type": "boolean"},
                "template": {"type": "string"},
            },
        },
        "name": {
            "additionalProperties": False,
            "properties": {"as": {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"}, "matches": {"type": "string"}},
        },
        "metricsQuery": {"type": "string"},
    },
}
ADAPTER = {
    "type": "object",
    "required": ["rules", "externalRules"],
    "additionalProperties": False,
    "properties": {key: {"type": "array", "minItems": 1, "items": _RULE} for key in ("rules", "externalRules")},
}


def contents(config: Config, kind: str) -> list[Any]:
    found = autoscaling_files(config)
    return [yaml.safe_load(text) for path, text in found.items() if path.startswith(f"autoscaling/{kind}")]


CONFIGS = [Config(), Config(models=MODELS)]
HPAS = [content for config in CONFIGS for content in contents(config, "hpa")]
SCALED_OBJECTS = [content for config in CONFIGS for content in contents(config, "keda")]
ADAPTERS = [content for config in CONFIGS for content in contents(config, "prometheus-adapter")]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("hpa", HPAS, ids=lambda hpa: hpa["metadata"]["name"])
def test_kubernetes_knows_every_key(hpa: dict[str, Any], release: str) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    validator.validate(hpa, release, strict=True)


@pytest.mark.parametrize("content", SCALED_OBJECTS, ids=lambda content: content["metadata"]["name"])
def test_scaled_objects_are_what_keda_documents(content: dict[str, Any]) -> None:
    jsonschema.validate(content, SCALED_OBJECT)


@pytest.mark.parametrize("content", ADAPTERS, ids=["default", "models"])
def test_adapter_rules_are_what_the_adapter_documents(content: dict[str, Any]) -> None:
    jsonschema.validate(content, ADAPTER)


def test_they_scale_up_at_once_and_down_slowly() -> None:
    for hpa in HPAS:
        spec = hpa["spec"]
        assert spec["behavior"] == BEHAVIOR
        assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 10)
    for content in SCALED_OBJECTS:
        spec = content["spec"]
        assert spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == BEHAVIOR
        assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 10)


def test_the_queue_is_held_at_ten_for_each_replica() -> None:
    for hpa in HPAS:
        queue = hpa["spec"]["metrics"][0]["pods"]
        assert queue == {
            "metric": {"name": "llm_requests_waiting"},
            "target": {"type": "AverageValue", "averageValue": "10"},
        }
    for content in SCALED_OBJECTS:
        trigger = content["spec"]["triggers"][0]
        assert (trigger["metricType"], trigger["metadata"]["threshold"]) == ("AverageValue", "10")


def test_each_metric_of_an_autoscaler_is_one_of_the_adapters() -> None:
    for config in CONFIGS:
        (adapter,) = contents(config, "prometheus-adapter")
        given = {
            "Pods": [rule["name"]["as"] for rule in adapter["rules"]],
            "External": [rule["name"]["as"] for rule in adapter["externalRules"]],
        }
        assert len(given["External"]) == len(set(given["External"]))
        for hpa in contents(config, "hpa"):
            for metric in hpa["spec"]["metrics"]:
                kind = metric["type"]
                assert metric[kind.lower()]["metric"]["name"] in given[kind]


def test_a_model_without_a_namespace_has_objects_without_one() -> None:
    assert [hpa["metadata"].get("namespace") for hpa in contents(CONFIGS[1], "hpa")] == ["chat", None]


# Queries


def filled(query: str, series: str = "") -> str:
    """An adapter's template as the adapter fills it in for two pods, or for a namespace."""
    matchers = 'namespace="my-namespace",pod=~"a|b|loading"' if series else 'namespace="my-namespace"'
    filled_in = query.replace("<<.Series>>", series).replace("<<.GroupBy>>", "pod")
    return filled_in.replace("<<.LabelMatchers>>", matchers)


def adapter_queries(adapter: dict[str, Any]) -> Iterator[str]:
    for rule in adapter["rules"]:
        series = rule["seriesQuery"].partition("{")[0]
        yield filled(rule["metricsQuery"], series)
    for rule in adapter["externalRules"]:
        yield filled(rule["metricsQuery"])


def queries() -> set[str]:
    found = {query for adapter in ADAPTERS for query in adapter_queries(adapter)}
    found |= {rule["seriesQuery"] for adapter in ADAPTERS for kind in adapter.values() for rule in kind}
    return found | {
        trigger["metadata"]["query"] for content in SCALED_OBJECTS for trigger in content["spec"]["triggers"]
    }


@pytest.mark.parametrize("query", sorted(queries()))
def test_queries_parse_and_read_what_the_catalogue_knows(query: str) -> None:
    read = [selector for selector, _ in selectors(query)]
    assert read
    for selector in read:
        carried = labels_by_name()[selector.name]
        assert {matcher.name for matcher in selector.matchers.matchers} <= carried


def test_promtool_is_asked_every_query_of_the_example() -> None:
    (file,) = (file for file in FILES if file.stem == "autoscaling")
    cases = [case["expr"] for group in unit_test(file)["tests"] for case in group["promql_expr_test"]]
    asked = {case.removeprefix("round(").removesuffix(", 0.001)") for case in cases}
    (adapter,) = contents(Config(), "prometheus-adapter")
    wanted = {keda_query(signal, EXAMPLE) for signal in SIGNALS} | set(adapter_queries(adapter))
    assert wanted == asked
