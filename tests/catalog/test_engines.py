"""The engines: recognised by names alone, and no series of a real payload left unexplained."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog.engines import ENGINES, recognise, recognise_all
from catalog.engines.base import SeriesMapping, parse_version
from catalog.exposition import parse
from catalog.translate import Translator

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / ".." / "shared"
BY_FILE_NAME = (
    (r"WRONG-NAMES|dcgm-exporter", None),
    (r"sglang_router", "sglang_router"),
    (r"vllm_router", "vllm_router"),
    (r"triton-vllm-backend", "vllm"),  # the excerpt holds the backend's vLLM names only, none of Triton's own
    (r"triton", "triton"),
    (r"vllm", "vllm"),
    (r"sglang", "sglang"),
    (r"tgi", "tgi"),
    (r"llamacpp", "llamacpp"),
)


def payloads() -> list[Path]:
    return sorted(path for path in (SHARED / "payloads").glob("*") if path.suffix != ".source")


def recordings() -> list[Path]:
    folders = [*(SHARED / "recordings").glob("*"), *(ROOT / "recordings" / "data").glob("*")]
    return sorted(
        p for folder in folders for pattern in ("payload.prom", "metrics.om.gz") for p in folder.glob(pattern)
    )


def sample_names(path: Path) -> set[str]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return {sample.name for sample in parse(text).samples}


def engine_of(path: Path) -> str | None:
    return next(engine for pattern, engine in BY_FILE_NAME if re.search(pattern, path.name))


def need(paths: list[Path]) -> list[Path]:
    if not paths:
        pytest.skip("../shared is not here")
    return paths


def test_each_payload_is_recognised_by_its_names() -> None:
    for path in need(payloads()):
        found = recognise(sample_names(path))
        assert (found.name if found else None) == engine_of(path), path.name


def test_every_series_of_every_payload_is_mapped_or_knowingly_ignored() -> None:
    for path in need(payloads()):
        names = sample_names(path)
        engine = recognise(names)
        if engine is not None:
            translator = Translator(engine)
            assert [name for name in sorted(names) if translator.account(name) == "unknown"] == [], path.name


def test_every_series_of_every_recording_is_mapped_or_knowingly_ignored() -> None:
    for path in need(recordings()):
        names = sample_names(path)
        engine = recognise(names)
        if engine is None:
            assert not any(":" in name or name.startswith("nv_") for name in names), path
            continue
        translator = Translator(engine)
        assert [name for name in sorted(names) if translator.account(name) == "unknown"] == [], path


def test_a_series_that_no_one_knows_is_reported() -> None:
    translator = Translator(ENGINES["vllm"])
    assert translator.account("vllm:brand_new_total") == "unknown"
    assert translator.account("vllm:time_to_first_token_seconds_bucket") == "mapped"
    assert translator.account("vllm:lora_requests_info") == "ignored"
    assert translator.account("python_info") == "generic"


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["process_cpu_seconds_total", "python_info"],
        ["vllm_num_requests_running", "vllm_gpu_cache_usage_perc", "sglang_cache_usage", "tgi_batch_size"],
        ["DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED"],
        ["request_predict_seconds_bucket"],
        ["nv_gpu_utilization"],
    ],
)
def test_names_that_are_no_engines(names: list[str]) -> None:
    assert recognise(names) is None


@pytest.mark.parametrize(
    ("names", "engines"),
    [
        (["nv_inference_count", "vllm:prompt_tokens_total"], ("triton", "vllm")),
        (
            ["vllm:num_requests_running", "request_predict_seconds_sum", "request_preprocess_seconds_sum"],
            ("vllm", "kserve"),
        ),
        (["dynamo_component_requests_total", "vllm:num_requests_running"], ("vllm", "dynamo")),
        (["ray_vllm_num_requests_running"], ("vllm",)),
        (["trtllm_num_requests_running"], ("tensorrt_llm",)),
        (["lmdeploy:num_requests_running"], ("lmdeploy",)),
        (["request_predict_seconds_count", "request_preprocess_seconds_count"], ("kserve",)),
        (["tgi_request_duration_bucket"], ("tgi",)),
    ],
)
def test_servers_that_show_several_sets(names: list[str], engines: tuple[str, ...]) -> None:
    assert tuple(engine.name for engine in recognise_all(names)) == engines
    first = recognise(names)
    assert first is not None
    assert first.name == engines[0]


def test_the_table_of_engines_is_complete_and_self_consistent() -> None:
    assert len(ENGINES) == len(list(ENGINES))
    for name, engine in ENGINES.items():
        assert engine.name == name
        assert engine.ports
        assert engine.source
        for ignored in engine.ignored:
            assert re.compile(ignored.pattern)
            assert ignored.reason
    assert "vllm" in ENGINES
    assert "made_up" not in ENGINES
    with pytest.raises(KeyError):
        ENGINES["made_up"]


def test_mappings_of_a_signal_come_newest_name_first() -> None:
    names = [mapping.series for mapping in ENGINES["vllm"].mappings_of("llm_kv_cache_usage_ratio")]
    assert names == ["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("0.8.5.post1", (0, 8, 5)),
        ("v1.2", (1, 2)),
        ("0.32.0+cpu", (0, 32, 0)),
        ("0.9.0rc2", (0, 9, 0)),
        ("b10434", (10434,)),
        ("", ()),
        ("dev", ()),
    ],
)
def test_versions(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_a_version_range_includes_its_ends_and_their_patches() -> None:
    mapping = SeriesMapping("llm_up", "x", "gauge", since=(0, 9, 0), until=(0, 11))
    assert [mapping.holds_for(v) for v in ((0, 8, 5), (0, 9, 0), (0, 11, 2), (0, 12, 0), ())] == [
        False,
        True,
        True,
        False,
        True,
    ]


VERSIONS_TOLD_AT = {
    "vllm": ("/version", "version"),
    "tgi": ("/info", "version"),
    "triton": ("/v2", "version"),
    "tensorrt_llm": ("/version", "version"),
    "sglang": ("/get_server_info", "version"),
    "llamacpp": ("/props", "build_info"),
}


def test_where_an_engine_tells_its_version() -> None:
    told = {name: (engine.version_path, engine.version_key) for name, engine in ENGINES.items() if engine.version_path}
    assert told == VERSIONS_TOLD_AT
    for name, engine in ENGINES.items():
        assert re.fullmatch(r"(/[a-z0-9_]+)*", engine.version_path), name
        assert engine.version_path != engine.metrics_path, name
        assert engine.version_key, name


def test_an_engine_whose_units_depend_on_its_version_tells_it() -> None:
    for engine in ENGINES.values():
        if any(mapping.needs_version for mapping in engine.mappings):
            assert engine.version_path, engine.name


def reference(section: str) -> list[dict[str, Any]]:
    path = SHARED / "reference" / "engine-metrics.yaml"
    if not path.is_file():
        pytest.skip("../shared/reference is not here")
    loaded = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return list(loaded[section])


@pytest.mark.parametrize(("engine", "section"), [("vllm", "vllm_all_metrics"), ("sglang", "sglang_all_metrics")])
def test_version_ranges_agree_with_the_releases_that_were_read(engine: str, section: str) -> None:
    ranges: dict[str, list[tuple[str, str, bool]]] = {}
    for entry in reference(section):
        ranges.setdefault(entry["exposed_name"], []).append(
            (entry["first"], entry["last"], bool(entry.get("still_in_newest")))
        )
    checked = 0
    for mapping in ENGINES[engine].mappings:
        name = mapping.series.removesuffix("_count")
        seen = ranges.get(name)
        if seen is None:
            assert not name.startswith(f"{engine}:"), name
            continue
        first = min(parse_version(since) for since, _, _ in seen)
        last = max(parse_version(until) for _, until, _ in seen)
        assert mapping.since is not None, name
        assert mapping.since >= first, name
        if mapping.until is not None:
            assert mapping.until <= last, name
            assert not any(newest for _, _, newest in seen), name
        checked += 1
    assert checked > 20


@pytest.mark.parametrize(("engine", "section"), [("vllm", "vllm_all_metrics"), ("sglang", "sglang_all_metrics")])
def test_every_series_of_the_releases_is_mapped_or_knowingly_ignored(engine: str, section: str) -> None:
    translator = Translator(ENGINES[engine])
    names = {entry["exposed_name"].replace("{name}", "x") for entry in reference(section)}
    assert sorted(name for name in names if translator.account(name) == "unknown") == []
