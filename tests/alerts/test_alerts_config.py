"""The rules' configuration: what it takes, and what it says of what it does not take."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from alerts.config import Config, load, reason
from alerts.durations import seconds
from alerts.prices import Price
from alerts.slo import BurnWindow, Objective
from alerts.thresholds import Thresholds
from catalog.settings import SettingsError

GOOD = """
links: {runbooks: "https://wiki.test/alerts/", dashboards: "https://grafana.test/"}
models:
  - {name: llama-2-7b, namespace: chat, engine: vllm, cold_start_seconds: 1200}
  - {name: qwen, engine: triton}
slos:
  period: 28d
  objectives:
    - {slo: time_to_first_token, model: llama-2-7b, namespace: chat, target: 0.95, seconds: 2.5}
    - {slo: time_to_first_token, model: qwen, engine: triton, target: 0.99, seconds: 3, bucket_bounds_seconds: [1, 3]}
  windows:
    - {long: 6h, short: 30m, budget_share: 0.1, severity: critical, pending: 15m}
thresholds:
  saturation: {kv_cache_usage_ratio: 0.9, kv_cache_for: 5m}
prices:
  - {gpu: ".*H200.*", on_demand_dollars_per_hour: 3.2}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "slo.yaml"
    path.write_text(text, "utf-8")
    return path


def test_every_key_has_a_default(tmp_path: Path) -> None:
    assert load(None) == load(written(tmp_path, "")) == Config()


def test_a_whole_file_is_taken(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD))
    assert config.models[0].cold_start_seconds == 1200
    assert config.slos.objectives[0] == Objective(
        slo="time_to_first_token", model="llama-2-7b", namespace="chat", target=0.95, seconds=2.5
    )
    assert config.slos.windows == (
        BurnWindow(long="6h", short="30m", budget_share=0.1, severity="critical", pending="15m"),
    )
    assert config.thresholds.saturation.kv_cache_usage_ratio == 0.9
    assert config.prices == (Price(gpu=".*H200.*", on_demand_dollars_per_hour=3.2),)


def objective(text: str) -> str:
    return f"models: [{{name: m}}]\nslos: {{objectives: [{{{text}}}]}}"


BAD = {
    "x: 1": "Object contains unknown field `x`",
    "[1]": "Expected `object`, got `array`",
    "a: [": "no YAML: ",
    "thresholds: {saturation: {queue: 1}}": "thresholds.saturation: Object contains unknown field `queue`",
    "thresholds: {saturation: {queue_floor_requests: -1}}": (
        "thresholds.saturation.queue_floor_requests: Expected `float` >= 0"
    ),
    "thresholds: {gpu: {thermal_celsius: hot}}": "thresholds.gpu.thermal_celsius: Expected `float`, got `str`",
    "thresholds: {gpu: {thermal_celsius: .nan}}": "thresholds.gpu.thermal_celsius",
    "thresholds: {gpu: {thermal_celsius: .inf}}": "thresholds.gpu.thermal_celsius",
    "thresholds: {engine: {down_for: 5 minutes}}": "thresholds.engine.down_for: Expected a duration such as 90s",
    "interval: 0m": "interval: Expected a duration such as 90s",
    "slos: {period: month}": "slos.period: Expected a duration such as 90s",
    "links: {runbooks: /alerts/}": "links.runbooks: ",
    "models: [{name: m}, {name: m}]": "models[1].name: 'm' is there twice",
    "models: [{name: m, engine: gpt}]": "models[0].engine: 'gpt' is none of ",
    "prices: [{gpu: '(', on_demand_dollars_per_hour: 1}]": "prices[0].gpu: '(' is no regular expression",
    "prices: [{gpu: 'A10(?!0)', on_demand_dollars_per_hour: 1}]": "prices[0].gpu: 'A10(?!0)': Prometheus's expressions",
    "prices: [{gpu: a, on_demand_dollars_per_hour: -1}]": "prices[0].on_demand_dollars_per_hour: Expected `float` >= 0",
    "slos: {windows: [{long: 4h, short: 5m, budget_share: 0.1, severity: critical, pending: 1m}]}": (
        "slos.windows[0].long: 4h is not recorded; take one of 5m, 30m, 1h"
    ),
    "slos: {windows: [{long: 1h, short: 6h, budget_share: 0.1, severity: critical, pending: 1m}]}": (
        "slos.windows[0].short: 6h is not shorter than 1h"
    ),
    "slos: {default: [{slo: availability, target: 0.99, model: m}]}": "slos.default[0].model: the default is for all",
    "slos: {default: [{slo: availability, target: 1}]}": "slos.default[0].target: Expected `float` < 1",
    "slos: {default: [{slo: availability, target: 0.99}, {slo: availability, target: 0.999}]}": (
        "slos.default[1].slo: availability is there twice"
    ),
    objective("slo: availability, target: 0.99"): "slos.objectives[0].model: name the model",
    objective(
        "slo: availability, target: 0.99, model: n"
    ): "slos.objectives[0].model: 'n' is not under models; known are m",
    objective(
        "slo: availability, target: 0.99, model: m, seconds: 1"
    ): "slos.objectives[0].seconds: availability has no",
    objective(
        "slo: time_to_first_token, target: 0.99, model: m"
    ): "slos.objectives[0].seconds: time_to_first_token needs",
    objective("slo: time_to_first_token, target: 0.99, model: m, engine: vllm, seconds: 1.1"): (
        "slos.objectives[0].seconds: 1.1 is no bucket bound of vllm; take one of 0.001, "
    ),
    objective("slo: time_to_first_token, target: 0.99, model: m, engine: triton, seconds: 1"): (
        "slos.objectives[0].engine: the bucket bounds of triton are not known; give bucket_bounds_seconds"
    ),
    objective("slo: time_to_first_token, target: 0.9, model: m, seconds: 1"): (
        "slos.objectives[0].target: 0.9 can burn at 10 at most, so the window of 1h (factor 14.4) could never fire; "
        "raise the target above 0.9306 or lower its budget_share"
    ),
}


@pytest.mark.parametrize("text", BAD)
def test_what_cannot_be_is_said_in_one_line(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert BAD[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"slo\.yaml: cannot be read: No such file"):
        load(tmp_path / "slo.yaml")


@pytest.mark.parametrize(("long", "share", "factor"), [("1h", 0.02, "14.4"), ("6h", 0.05, "6"), ("3d", 0.1, "1")])
def test_burn_factors_are_exact(long: str, share: float, factor: str) -> None:
    window = BurnWindow(long=long, short="5m", budget_share=share, severity="critical", pending="1m")
    assert f"{window.factor('30d'):f}" == factor


def test_an_slo_that_nobody_aims_at_has_no_windows() -> None:
    slos = msgspec.structs.replace(Config().slos, default=(Objective(slo="availability", target=0.999),))
    assert slos.windows_of("time_to_first_token") == ()
    assert len(slos.windows_of("availability")) == 4


def test_slow_tokens_never_page() -> None:
    assert {window.severity for window in Config().slos.windows_of("time_per_output_token")} == {"warning"}


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("1h30m", 5400), ("3d", 259_200)])
def test_durations(text: str, value: int) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "5", "m", "0m", "1.5h", "5m1h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        seconds(text)


def test_every_threshold_has_its_reason() -> None:
    for family in msgspec.structs.fields(Thresholds):
        for field in msgspec.structs.fields(family.type):
            assert len(reason(family.type, field.name)) > 20, field.name
