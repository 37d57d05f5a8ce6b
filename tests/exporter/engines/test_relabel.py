"""The line relabeller: the same series as the object parser and the translator give, and never a malformed line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from catalog.engines import ENGINES, recognise
from catalog.engines.base import EngineCatalog
from catalog.exposition import parse
from catalog.translate import Translator
from exporter.engines.canonical import CanonicalSeries, RawSeries
from exporter.engines.layout import Entry, Layouts, laid_out
from exporter.engines.relabel import Relabelled, Relabeller
from exporter.exposition import render
from recordings.reader import bundled, load, scrapes

PLACE = {"node": "n1", "namespace": "prod", "pod": "p-0", "container": "engine"}
PAYLOADS = Path(__file__).resolve().parents[4] / "shared" / "payloads"

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def canonical(engine: str | EngineCatalog, version: str = "", max_series: int = 10_000) -> Relabeller:
    catalogue = ENGINES[engine] if isinstance(engine, str) else engine
    return Relabeller(CanonicalSeries(catalogue, version), PLACE, max_series=max_series)


def raw(max_series: int = 10_000) -> Relabeller:
    return Relabeller(RawSeries(PLACE), PLACE, max_series=max_series)


def series_of(result: Relabelled) -> Series:
    """What Prometheus's reference parser reads from the result; a series that comes twice fails."""
    found: Series = {}
    for family in text_string_to_metric_families(render([result.section], openmetrics=False).decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    assert len(found) == result.series
    return found


def values_of(result: Relabelled) -> dict[bytes, float]:
    """The values by the text before them: what `series_of` gives, in a tenth of the time. NaN is made comparable."""
    pairs = [line.rsplit(b" ", 1) for block in result.section.values() for line in block.splitlines()]
    found = {head: -1.0 if value == b"NaN" else float(value) for head, value in pairs}
    assert len(found) == len(pairs) == result.series
    return found


def by_objects(engine: EngineCatalog, version: str, body: bytes) -> Series:
    """The slow road to the same: parsed into objects, translated, our labels added."""
    samples = Translator(engine, version).translate_all(parse(body).samples)
    return {(sample.name, tuple(sorted({**sample.labels, **PLACE}.items()))): sample.value for sample in samples}


@pytest.mark.parametrize("name", bundled())
@pytest.mark.no_cover
def test_every_scrape_of_a_recording_gives_what_the_translator_gives(name: str) -> None:
    recording = load(name)
    bodies = [scrape.exposition for scrape in scrapes(recording) if scrape.up]
    if not bodies:
        assert recording.ready_unix_seconds is None
        return
    engine = recognise(sample.name for sample in parse(bodies[0]).samples)
    assert engine is not None
    version = recording.engine_version.split()[0]
    relabeller = canonical(engine, version)
    for body in bodies[:: max(1, len(bodies) // 8)]:
        result = relabeller.relabel(body)
        assert series_of(result) == pytest.approx(by_objects(engine, version, body), rel=1e-12, nan_ok=True)
        assert (result.bad_lines, result.repeated_series, result.series_over_limit) == (0, 0, 0)


@pytest.mark.no_cover
def test_every_known_payload_gives_what_the_translator_gives() -> None:
    if not PAYLOADS.is_dir():
        pytest.skip("../shared/payloads is not here")
    checked = 0
    for path in sorted(PAYLOADS.iterdir()):
        body = path.read_bytes()
        engine = recognise(sample.name for sample in parse(body).samples)
        if path.suffix == ".source" or engine is None:
            continue
        result = canonical(engine).relabel(body)
        assert series_of(result) == pytest.approx(by_objects(engine, "", body), rel=1e-12, nan_ok=True), path.name
        checked += 1
    assert checked > 10


VLLM = b"""# HELP vllm:num_requests_running Number
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} 1.0
"""


def values(result: Relabelled) -> dict[str, float]:
    return {name: value for (name, _), value in series_of(result).items()}


def test_labels_of_the_place_are_added_and_win() -> None:
    result = canonical("vllm").relabel(b'vllm:num_requests_running{engine="2",model_name="m",pod="liar"} 3\n')
    ((_, labels),) = series_of(result)
    assert dict(labels) == {"engine": "vllm", "model": "m", "rank": "2", **PLACE}


def test_only_values_change_from_scrape_to_scrape() -> None:
    relabeller = canonical("vllm")
    relabeller.relabel(VLLM)
    again = relabeller.relabel(VLLM.replace(b"} 3.0", b"} 17"))
    assert values(again) == {"llm_requests_running": 17.0, "llm_requests_waiting": 1.0}


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "spoilt",
    [
        lambda line: line[line.rfind(b" ") + 1 :],
        lambda line: line[1:],
        lambda line: b"7",
        lambda line: b"x" + line,
        lambda line: line.replace(b"} ", b',a="b"} ') if b"} " in line else line.replace(b" ", b"_a "),
        lambda line: line + b" 1700000000000",
        lambda line: line + b"x",
        lambda line: line[: line.rfind(b" ") + 1],
        lambda line: line[: line.rfind(b" ") + 1] + b"-nan",
        lambda line: line[: line.rfind(b" ") + 1] + b"12.5e-05",
        lambda line: line[: line.rfind(b" ") + 1] + b"\xff",
    ],
)
def test_one_line_that_changed_gives_what_it_would_give_without_the_scrapes_before(
    spoilt: Callable[[bytes], bytes],
) -> None:
    """Lines that stand where they stood take a shorter way: it must not lead elsewhere."""
    body = [scrape.exposition for scrape in scrapes(load("kv_preemption")) if scrape.up][-1]
    lines = [line for line in body.strip(b"\n").split(b"\n") if not line.startswith((b"DCGM", b"# TYPE DCGM"))]
    for number in range(0, len(lines), 7):
        changed = b"\n".join([*lines[:number], spoilt(lines[number]), *lines[number + 1 :]])
        used, fresh = (canonical("vllm") for _ in range(2))
        used.relabel(body)
        for _ in range(2):
            used.relabel(b"\n".join(lines))
        result, expected = used.relabel(changed), fresh.relabel(changed)
        assert values_of(result) == values_of(expected), lines[number]


def replicas(names: Sequence[str], **shared: Any) -> list[Relabeller]:
    return [
        Relabeller(CanonicalSeries(ENGINES["vllm"], ""), {**PLACE, "pod": name}, max_series=10_000, **shared)
        for name in names
    ]


def test_replicas_that_share_layouts_give_each_its_own_series() -> None:
    bodies = [scrape.exposition for scrape in scrapes(load("kv_preemption")) if scrape.up][-3:]
    names = ("p-0", "p-1", "modèle", "p-3")
    for body in bodies:
        for together, alone in zip(replicas(names, layouts=Layouts()), replicas(names), strict=True):
            for _ in range(2):
                assert together.relabel(body) == alone.relabel(body)
            assert together.models == alone.models == ("llama-2-7b",)


@pytest.mark.parametrize("pod", ["modèle", "模型-0", 'a"b\\c'])
def test_a_name_of_any_letters_stands_in_every_scrape(pod: str) -> None:
    (relabeller,) = replicas([pod])
    first = series_of(relabeller.relabel(VLLM))
    assert {dict(labels)["pod"] for _, labels in first} == {pod}
    assert series_of(relabeller.relabel(VLLM)) == first


def test_what_one_replica_has_met_another_does_not_work_out(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = replicas(("a", "b"), layouts=Layouts())
    first.relabel(VLLM)
    monkeypatch.setattr(CanonicalSeries, "routes", pytest.fail)
    assert b'pod="b"' in b"".join(second.relabel(VLLM).section.values())
    assert first.models == second.models == ("m",)


def test_a_layout_that_no_replica_uses_any_more_is_forgotten() -> None:
    layouts = Layouts()
    first, second = replicas(("a", "b"), layouts=layouts)
    first.relabel(VLLM)
    second.relabel(VLLM)
    assert len(list(layouts)) == 1
    first.relabel(VLLM.partition(b"\n")[2])
    assert len(list(layouts)) == 2
    second.relabel(VLLM.partition(b"\n")[2])
    assert len(list(layouts)) == 1


def test_replicas_that_meet_the_same_lines_at_the_same_time_keep_one_layout() -> None:
    layouts = Layouts()
    entries: dict[bytes, Entry] = {b"a ": None}
    one, other = (laid_out([b"a 1"], entries) for _ in range(2))
    assert layouts.kept(one) is layouts.kept(other) is one


def test_a_series_that_is_gone_does_not_come_out() -> None:
    relabeller = canonical("vllm")
    relabeller.relabel(VLLM)
    assert values(relabeller.relabel(VLLM.rpartition(b"vllm:")[0])) == {"llm_requests_running": 3.0}


def test_two_names_of_one_ratio_come_out_once_also_when_the_second_comes_later() -> None:
    relabeller = canonical("vllm")
    old, new = b'vllm:gpu_cache_usage_perc{engine="0"} 0.5\n', b'vllm:kv_cache_usage_perc{engine="0"} 0.625\n'
    assert values(relabeller.relabel(old)) == {"llm_kv_cache_usage_ratio": 0.5}
    assert values(relabeller.relabel(old + new)) == {"llm_kv_cache_usage_ratio": 0.625}
    assert values(relabeller.relabel(old)) == {"llm_kv_cache_usage_ratio": 0.5}


def test_a_head_that_comes_twice_comes_out_once_and_is_counted() -> None:
    line = b'vllm:num_requests_running{engine="0"} 3\n'
    relabeller = canonical("vllm")
    for _ in range(2):
        result = relabeller.relabel(line + line.replace(b" 3", b" 4"))
        assert values(result) == {"llm_requests_running": 3.0}
        assert result.repeated_series == 1


def test_two_spellings_of_one_series_come_out_once() -> None:
    body = b'vllm:num_requests_running{engine="0"} 3\nvllm:num_requests_running{ engine="0", } 4\n'
    assert values(canonical("vllm").relabel(body)) == {"llm_requests_running": 4.0}


@pytest.mark.parametrize(
    "value",
    [b"1_000", b"0x1p3", b"1e999", b"-nan(x)", b"one", b"", b"1 2 3", b"--1", b"1.2.3", "٣".encode(), b"\x00"],
)
def test_a_value_that_prometheus_would_not_read_is_left_out_and_counted(value: bytes) -> None:
    result = canonical("vllm").relabel(VLLM + b'vllm:num_preemptions_total{engine="0",model_name="m"} ' + value + b"\n")
    assert values(result) == {"llm_requests_running": 3.0, "llm_requests_waiting": 1.0}
    assert result.bad_lines == 1


@pytest.mark.parametrize(
    ("value", "canonical_text"),
    [
        (b"NaN", b"NaN"),
        (b"-nan", b"NaN"),
        (b"inf", b"+Inf"),
        (b"-Infinity", b"-Inf"),
        (b"1.5e3", b"1.5e3"),
        (b".5", b".5"),
    ],
)
def test_values_that_are_no_plain_numbers(value: bytes, canonical_text: bytes) -> None:
    result = canonical("vllm").relabel(b'vllm:num_requests_running{engine="0"} ' + value + b"\n")
    (block,) = result.section.values()
    assert block.endswith(b"} " + canonical_text + b"\n")


@pytest.mark.parametrize(
    "body",
    [
        VLLM.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + VLLM,
        VLLM.replace(b"3.0\n", b"3.0 1700000000000\n"),
        VLLM.replace(b"3.0\n", b'3.0 # {trace_id="a b"} 1.0 1700000000.5\n') + b"# EOF\n",
        VLLM.replace(b"} ", b"}   "),
        VLLM.replace(b"} ", b"}\t"),
        b'"' + VLLM.replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"',
    ],
    ids=["crlf", "bom", "timestamp", "exemplar", "spaces", "tab", "json string"],
)
def test_spellings_of_the_same(body: bytes) -> None:
    relabeller = canonical("vllm")
    for _ in range(2):
        result = relabeller.relabel(body)
        assert values(result) == {"llm_requests_running": 3.0, "llm_requests_waiting": 1.0}
        assert result.bad_lines == 0


def test_label_values_with_braces_quotes_and_spaces_survive() -> None:
    model = r"a } b\"c\\d\ne {x=\"y\"} 5"
    relabeller = canonical("vllm")
    for _ in range(2):
        result = relabeller.relabel(f'vllm:num_requests_running{{engine="0",model_name="{model}"}} 3\n'.encode())
        ((_, labels),) = series_of(result)
        assert dict(labels)["model"] == 'a } b"c\\d\ne {x="y"} 5'


def test_series_beyond_the_limit_are_left_out_and_counted() -> None:
    lines = [f'vllm:num_requests_running{{engine="{rank}"}} 1\n'.encode() for rank in range(100)]
    relabeller = canonical("vllm", max_series=60)
    for _ in range(3):
        result = relabeller.relabel(b"".join(lines))
        assert (result.series, result.series_over_limit) == (60, 40)


def test_what_is_kept_stays_bounded_when_labels_never_repeat() -> None:
    relabeller = canonical("vllm", max_series=500)
    for scrape in range(50):
        lines = [f'vllm:num_requests_running{{engine="{scrape}-{line}"}} 1\n' for line in range(100)]
        result = relabeller.relabel("".join(lines).encode())
        assert result.series + result.series_over_limit == 100
        assert len(relabeller._heads.entries) <= 1000
    assert result.series == 100


def test_an_endless_stream_of_comments_is_not_kept() -> None:
    relabeller = canonical("vllm", max_series=100)
    relabeller.relabel(b"".join(b"# HELP a%d b\n" % number for number in range(5000)))
    assert len(relabeller._heads.entries) <= 200


def test_products_wait_for_all_factors() -> None:
    relabeller = canonical("triton")
    blocks = b'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max",model="m",version="1"} 100\n'
    size = b'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="tokens_per",model="m",version="1"} 64\n'
    assert values(relabeller.relabel(blocks)).get("llm_kv_cache_capacity_tokens") is None
    assert values(relabeller.relabel(blocks + size))["llm_kv_cache_capacity_tokens"] == 6400.0


def test_a_product_follows_its_factors_while_the_lines_stand() -> None:
    relabeller = canonical("triton")
    body = b"".join(
        b'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="%s",model="m",version="1"} %%s\n' % kind
        for kind in (b"max", b"tokens_per")
    )
    shown = [(b"100", b"64"), (b"100", b"64"), (b"120", b"64"), (b"120", b"32"), (b"100", b"64")]
    capacities = [values(relabeller.relabel(body % each))["llm_kv_cache_capacity_tokens"] for each in shown]
    assert capacities == [6400, 6400, 7680, 3840, 6400]


# Passed through


def test_raw_series_keep_their_names_kinds_and_values() -> None:
    result = raw().relabel(VLLM)
    text = render([result.section], openmetrics=False).decode()
    assert "# TYPE vllm:num_requests_running gauge\n" in text
    assert '\nvllm:num_requests_running{engine="0",model_name="m",container="engine",' in text


def test_a_raw_label_of_our_name_is_kept_as_exported() -> None:
    ((_, labels),) = series_of(raw().relabel(b'queue{pod="theirs"} 1\n'))
    assert dict(labels) == {"exported_pod": "theirs", **PLACE}


def test_an_engine_does_not_speak_for_the_exporter() -> None:
    body = b"llm_up 0\ninferwatch_gpu_up 0\nDCGM_FI_DEV_GPU_UTIL 5\nmine 1\n"
    assert values(raw().relabel(body)) == {"mine": 1.0}


def test_raw_histograms_stay_one_family() -> None:
    body = b'# TYPE h histogram\nh_bucket{le="+Inf"} 2\nh_sum 1\nh_count 2\n# TYPE c_total counter\nc_total 4\n'
    kinds = {family.name: family.kind for family in raw().relabel(body).section}
    assert kinds == {"h": "histogram", "c_total": "counter"}
