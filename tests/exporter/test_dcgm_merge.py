"""A dcgm-exporter on the node: merged with our own series, none of them twice, all of them spelled and typed alike."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from catalog.gpu import GPU_LABELS
from exporter.config import Config, DcgmExporter, Engines, Gpu
from exporter.dcgm import DcgmReader, own_series
from exporter.exposition import Family, Section, render
from exporter.pods.candidates import DcgmCandidate
from exporter.pods.watch import PodView
from tests.exporter.engines.endpoints import Answer, drips, is_silent, response, says, serving

GPU0, GPU1 = "GPU-00000000-0000-0000-0000-000000000000", "GPU-00000000-0000-0000-0000-000000000001"
# As dcgm-exporter 4.5.3-4.8.3 prints: labels in this order, a blank value, and counters that are none.
PAGE = f"""# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{{gpu="0",UUID="{GPU0}",pci_bus_id="00000000:1B:00.0",device="nvidia0",modelName="NVIDIA A100",Hostname="h1",container="engine",namespace="prod",pod="llm-0"}} 97
DCGM_FI_DEV_GPU_UTIL{{gpu="1",UUID="{GPU1}",pci_bus_id="00000000:1C:00.0",device="nvidia1",modelName="NVIDIA A100",Hostname="h1"}} 0
# HELP DCGM_FI_DEV_MEMORY_TEMP Memory temperature (in C).
# TYPE DCGM_FI_DEV_MEMORY_TEMP gauge
DCGM_FI_DEV_MEMORY_TEMP{{gpu="0",UUID="{GPU0}",pci_bus_id="00000000:1B:00.0",device="nvidia0",modelName="NVIDIA A100",Hostname="h1"}} 9223372036854775794
DCGM_FI_DEV_MEMORY_TEMP{{gpu="1",UUID="{GPU1}",pci_bus_id="00000000:1C:00.0",device="nvidia1",modelName="NVIDIA A100",Hostname="h1"}} 51
# HELP DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION Total energy consumption since boot (in mJ).
# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{gpu="0",UUID="{GPU0}",pci_bus_id="00000000:1B:00.0",device="nvidia0",modelName="NVIDIA A100",Hostname="h1"}} 322698215523
# HELP DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL Total number of NVLink bandwidth counters for all lanes.
# TYPE DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL counter
DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL{{gpu="0",UUID="{GPU0}",pci_bus_id="00000000:1B:00.0",device="nvidia0",modelName="NVIDIA A100",Hostname="h1"}} 12
# HELP DCGM_FI_PROF_GR_ENGINE_ACTIVE Ratio of time the graphics engine is active.
# TYPE DCGM_FI_PROF_GR_ENGINE_ACTIVE gauge
DCGM_FI_PROF_GR_ENGINE_ACTIVE{{gpu="0",UUID="{GPU0}",pci_bus_id="00000000:1B:00.0",device="nvidia0",modelName="NVIDIA A100",Hostname="h1"}} 0.812500
DCGM_FI_PROF_GR_ENGINE_ACTIVE{{gpu="0",UUID="{GPU0}",pci_bus_id="00000000:1B:00.0",device="nvidia0",modelName="NVIDIA A100",GPU_I_PROFILE="1g.5gb",GPU_I_ID="7",Hostname="h1"}} 0.250000
# HELP DCGM_EXP_GPU_HEALTH_STATUS The health of the GPU.
# TYPE DCGM_EXP_GPU_HEALTH_STATUS gauge
DCGM_EXP_GPU_HEALTH_STATUS{{gpu="0",UUID="{GPU0}",pci_bus_id="00000000:1B:00.0",device="nvidia0",modelName="NVIDIA A100",Hostname="h1",health_watch="PCIE",health_error_code=""}} 0
DCGM_EXP_GPU_HEALTH_STATUS{{gpu="0",UUID="{GPU0}",pci_bus_id="00000000:1B:00.0",device="nvidia0",modelName="NVIDIA A100",Hostname="h1",health_watch="MEM",health_error_code=""}} 10
# HELP DCGM_FI_DRIVER_VERSION Driver Version.
# TYPE DCGM_FI_DRIVER_VERSION label
DCGM_FI_DRIVER_VERSION{{gpu="0",UUID="{GPU0}",DCGM_FI_DRIVER_VERSION="550.54.15"}} 1
# HELP DCGM_FI_DEV_MADE_UP Of a release that is not known yet.
# TYPE DCGM_FI_DEV_MADE_UP gauge
DCGM_FI_DEV_MADE_UP{{gpu="0",UUID="{GPU0}",Hostname="h1"}} 5
# HELP go_goroutines Number of goroutines that currently exist.
# TYPE go_goroutines gauge
go_goroutines 12
"""  # noqa: E501

UTIL = Family("DCGM_FI_DEV_GPU_UTIL", "gauge", "Ours.")
GRAPHICS = Family("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "gauge", "Ours.")
NONE: Section = {}

Series = dict[str, dict[tuple[str, ...], float]]


def soon(seconds: float = 20.0) -> float:
    return time.monotonic() + seconds


def config(url: str = "", *, timeout_seconds: float = 20.0, gpu: Gpu | None = None, discover: bool = True) -> Config:
    return Config(
        node="n1",
        gpu=gpu or Gpu(enabled=False),
        engines=Engines(timeout_seconds=timeout_seconds, max_body_bytes=64 << 10),
        dcgm_exporter=DcgmExporter(url=url, discover=discover),
    )


@contextmanager
def reading(settings: Config) -> Iterator[DcgmReader]:
    reader = DcgmReader(settings)
    try:
        yield reader
    finally:
        reader.close()


def once(reader: DcgmReader, own: Section = NONE, view: PodView | None = None, seconds: float = 20.0) -> Section:
    reader.begin(view or PodView())
    return reader.finish(soon(seconds), own)


def text(*sections: Section) -> str:
    return render(sections, openmetrics=False).decode()


def merged(page: str, own: Section = NONE, gpu: Gpu | None = None) -> tuple[Section, dict[str, str], Series]:
    """What a page adds to our own series: its section; of the whole, kinds and values by name and by UUID, instance."""
    with serving(says(response(page.encode()))) as url, reading(config(url, gpu=gpu)) as reader:
        once(reader, own)
        section = once(reader, own)
        assert reader.problem == ""
        assert not reader.errors
    kinds: dict[str, str] = {}
    found: Series = {}
    for family in text_string_to_metric_families(text(own, section)):
        for sample in family.samples:
            # The parser gives counters the ending that DCGM's do not have.
            name = sample.name.removesuffix("_total")
            kinds[name] = family.type
            labels = sample.labels
            key = tuple(
                labels[label]
                for label in ("UUID", "GPU_I_ID", "health_watch", "clock_event", "link")
                if label in labels
            )
            assert key not in found.setdefault(name, {}), f"{name} twice for {key}"
            found[name][key] = sample.value
    return section, kinds, found


# Merging


def test_without_series_of_our_own_all_that_the_catalogue_knows_is_taken() -> None:
    _, kinds, found = merged(PAGE)
    assert found == {
        "DCGM_FI_DEV_GPU_UTIL": {(GPU0,): 97, (GPU1,): 0},
        "DCGM_FI_DEV_MEMORY_TEMP": {(GPU1,): 51},
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": {(GPU0,): 322698215523},
        "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL": {(GPU0,): 12},
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE": {(GPU0,): 0.8125, (GPU0, "7"): 0.25},
        "DCGM_EXP_GPU_HEALTH_STATUS": {(GPU0, "PCIE"): 0, (GPU0, "MEM"): 10},
    }
    assert kinds["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"] == "counter"


def test_what_we_serve_ourselves_is_not_taken_and_what_nvml_lacks_is() -> None:
    own = {UTIL: f'DCGM_FI_DEV_GPU_UTIL{{gpu="0",UUID="{GPU0}",Hostname="n1"}} 95\n'.encode()}
    section, _, found = merged(PAGE, own)
    assert found["DCGM_FI_DEV_GPU_UTIL"] == {(GPU0,): 95, (GPU1,): 0}
    assert found["DCGM_FI_PROF_GR_ENGINE_ACTIVE"] == {(GPU0,): 0.8125, (GPU0, "7"): 0.25}
    assert found["DCGM_EXP_GPU_HEALTH_STATUS"] == {(GPU0, "PCIE"): 0, (GPU0, "MEM"): 10}
    (block,) = (block for family, block in section.items() if family.name == "DCGM_FI_DEV_GPU_UTIL")
    assert block.count(b"\n") == 1


@pytest.mark.parametrize(
    ("labels", "left"),
    [(f'UUID="{GPU0}"', (GPU0, "7")), (f'UUID="{GPU0}",device="nvidia0",GPU_I_ID="7"', (GPU0,))],
)
def test_a_mig_instance_and_its_gpu_are_two(labels: str, left: tuple[str, ...]) -> None:
    own = {GRAPHICS: f'DCGM_FI_PROF_GR_ENGINE_ACTIVE{{gpu="0",{labels}}} 0.5\n'.encode()}
    section, _, found = merged(PAGE, own)
    assert sorted(found["DCGM_FI_PROF_GR_ENGINE_ACTIVE"].values()) == sorted(
        (0.5, {(GPU0,): 0.8125, (GPU0, "7"): 0.25}[left])
    )
    assert "DCGM_FI_PROF_GR_ENGINE_ACTIVE" in {family.name for family in section}


def test_types_that_it_declares_wrongly_are_corrected() -> None:
    assert "# TYPE DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL counter\n" in PAGE
    _, kinds, _ = merged(PAGE)
    assert kinds["DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL"] == "gauge"


@pytest.mark.parametrize(
    "name", ["DCGM_FI_DEV_MADE_UP", "DCGM_FI_DRIVER_VERSION", "go_goroutines", "inferwatch_gpu_up", "llm_up"]
)
def test_what_is_no_field_of_the_catalogue_is_left_out(name: str) -> None:
    """Its meaning is not known; and nobody else speaks for us."""
    _, _, found = merged(PAGE + f'inferwatch_gpu_up{{UUID="{GPU0}"}} 1\nllm_up 1\n')
    assert name not in found


# Spelling and labels


@pytest.mark.parametrize(
    ("names", "spelled"),
    [("dcgm4", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"), ("dcgm4.6", "DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO")],
)
@pytest.mark.parametrize("raw", ["DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO"])
def test_either_spelling_becomes_the_one_that_was_asked_for(names: str, spelled: str, raw: str) -> None:
    page = f'{raw}{{gpu="0",UUID="{GPU0}",Hostname="h1"}} 0.5\n'
    gpu = Gpu(enabled=False, names=names)  # type: ignore[arg-type]
    assert merged(page, gpu=gpu)[2] == {spelled: {(GPU0,): 0.5}}


def test_our_own_series_is_known_again_in_the_other_spelling() -> None:
    own = {GRAPHICS: f'DCGM_FI_PROF_GR_ENGINE_ACTIVE{{gpu="0",UUID="{GPU0}"}} 0.4\n'.encode()}
    page = f'DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO{{gpu="0",uuid="{GPU0}"}} 0.5\n'
    section, _, found = merged(page, own)
    assert section == {}
    assert found == {"DCGM_FI_PROF_GR_ENGINE_ACTIVE": {(GPU0,): 0.4}}


@pytest.mark.parametrize("label", ["Hostname", "hostname"])
@pytest.mark.parametrize(("theirs", "host"), [("Hostname", "h1"), ("hostname", "h1"), ("", "n1")])
def test_the_hosts_label_is_named_as_was_asked_for(label: str, theirs: str, host: str) -> None:
    more = f',{theirs}="h1"' if theirs else ""
    page = f'DCGM_FI_DEV_GPU_UTIL{{gpu="0",UUID="{GPU0}"{more}}} 5\n'
    section, _, _ = merged(page, gpu=Gpu(enabled=False, hostname_label=label))  # type: ignore[arg-type]
    (line,) = text(section).splitlines()[2:]
    assert dict(re.findall(r'(\w+)="([^"]*)"', line)) == {"gpu": "0", "UUID": GPU0, label: host}


@pytest.mark.parametrize(
    "raw",
    [
        'pod_name="p",pod_namespace="n",container_name="c"',
        'exported_pod="p",exported_namespace="n",exported_container="c"',
        'pod="p",namespace="n",container="c"',
    ],
)
def test_older_and_scraped_label_names_become_todays(raw: str) -> None:
    page = f'DCGM_FI_DEV_GPU_UTIL{{gpu="0", uuid="{GPU0}",job="dcgm",instance="10.0.0.1:9400",{raw}}} 5\n'
    section, _, _ = merged(page)
    (line,) = text(section).splitlines()[2:]
    labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
    assert labels == {
        "gpu": "0",
        "UUID": GPU0,
        "Hostname": "n1",
        "pod": "p",
        "namespace": "n",
        "container": "c",
    }
    assert set(labels) <= set(GPU_LABELS)


def test_an_empty_label_is_as_good_as_none() -> None:
    page = f'DCGM_FI_DEV_GPU_UTIL{{gpu="0",UUID="{GPU0}",Hostname="h1",container="",namespace="",pod=""}} 5\n'
    assert "pod" not in text(merged(page)[0])


@pytest.mark.parametrize(
    "blank",
    [
        "9223372036854775792",
        "9223372036854775793",
        "9223372036854775794",
        "9223372036854775795",
        "9223372036854775794.000000",
        "2147483632",
        "2147483634",
        "140737488355328.000000",
        "140737488355330.0",
    ],
)
def test_dcgms_blanks_are_no_values(blank: str) -> None:
    page = f'DCGM_FI_DEV_GPU_UTIL{{gpu="0",UUID="{GPU0}"}} {blank}\nDCGM_FI_DEV_GPU_UTIL{{gpu="1",UUID="{GPU1}"}} 4\n'
    assert merged(page)[2] == {"DCGM_FI_DEV_GPU_UTIL": {(GPU1,): 4}}


def test_large_values_are_no_blanks() -> None:
    page = f'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{gpu="0",UUID="{GPU0}"}} 922337203685477\n'
    assert merged(page)[2] == {"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": {(GPU0,): 922337203685477}}


# From scrape to scrape


def test_when_our_own_series_change_nothing_is_doubled_at_any_time() -> None:
    """What was scraped before we knew them may double them: that one collection goes without."""
    own = {UTIL: f'DCGM_FI_DEV_GPU_UTIL{{gpu="0",UUID="{GPU0}"}} 95\n'.encode()}
    with serving(says(response(PAGE.encode()))) as url, reading(config(url)) as reader:
        taken = []
        for ours in (NONE, own, own, NONE, NONE):
            section = once(reader, ours)
            taken.append(sum(block.count(b"\n") for family, block in section.items() if family.name == UTIL.name))
            for family in text_string_to_metric_families(text(ours, section)):
                if family.name == UTIL.name:
                    uuids = [sample.labels["UUID"] for sample in family.samples]
                    assert len(uuids) == len(set(uuids))
    assert taken == [2, 0, 1, 0, 2]


def test_which_series_are_our_own() -> None:
    section = {
        UTIL: "".join(f'DCGM_FI_DEV_GPU_UTIL{{gpu="0",UUID="{uuid}"}} 1\n' for uuid in (GPU0, GPU1)).encode(),
        GRAPHICS: f'DCGM_FI_PROF_GR_ENGINE_ACTIVE{{UUID="{GPU0}",GPU_I_PROFILE="1g",GPU_I_ID="7"}} 1\n'.encode(),
    }
    assert own_series(section) == {(UTIL.name, GPU0, ""), (UTIL.name, GPU1, ""), (GRAPHICS.name, GPU0, "7")}
    assert own_series({}) == frozenset()


# Finding it


def candidate(url: str) -> PodView:
    return PodView(dcgm_candidates=(DcgmCandidate(url, "gpu-operator", "dcgm-1", "dcgm-exporter"),))


def test_without_one_nothing_is_done() -> None:
    with reading(config()) as reader:
        threads = threading.active_count()
        assert once(reader) == {}
        assert (reader.url, reader.problem, reader.errors) == ("", "", {})
        assert threading.active_count() == threads


def test_one_among_the_nodes_pods_is_found_and_followed() -> None:
    page = response(f'DCGM_FI_DEV_GPU_UTIL{{gpu="0",UUID="{GPU0}"}} 5\n'.encode())
    other = page.replace(b"} 5", b"} 6")
    with serving(says(page)) as first, serving(says(other)) as second, reading(config()) as reader:
        for url, value in ((first, b"} 5\n"), (second, b"} 6\n")):
            (block,) = once(reader, view=candidate(url)).values()
            assert value in block
            assert reader.url == url
        assert once(reader) == {}
        assert reader.url == ""


def test_what_was_wrong_with_one_that_is_gone_is_not_said_any_more() -> None:
    made = DcgmReader(Config(node="n1"))
    with serving(is_silent) as url:
        pass
    candidate = DcgmCandidate(url, "gpu-operator", "dcgm-0", "exporter")
    made.begin(PodView(dcgm_candidates=(candidate,)))
    made.finish(time.monotonic() + 20, {})
    assert made.problem
    made.begin(PodView())
    assert (made.url, made.problem) == ("", "")
    made.close()


def test_a_configured_one_is_preferred_and_discovery_can_be_turned_off() -> None:
    with reading(config("http://127.0.0.1:9/configured")) as reader:
        once(reader, view=candidate("http://127.0.0.1:9/found"))
        assert reader.url == "http://127.0.0.1:9/configured"
    with reading(config(discover=False)) as reader:
        once(reader, view=candidate("http://127.0.0.1:9/found"))
        assert reader.url == ""


# Failures


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (says(response(b"", status="404 Not Found")), "not_found"),
        (says(response(b"", status="401 Unauthorized")), "unauthorized"),
        (says(response(b"", status="500 Internal Server Error")), "http_status"),
        (says(response(b"", length=10 << 30)), "too_large"),
        (says(response(PAGE.encode(), length=1 << 15)), "truncated"),
        (None, "refused"),
    ],
)
def test_a_failure_is_counted_by_its_reason_and_said(answer: Answer | None, reason: str) -> None:
    with serving(answer or is_silent) as bad:
        url = bad if answer else "http://127.0.0.1:9/metrics"
        with reading(config(url)) as reader:
            assert once(reader) == once(reader) == {}
            assert reader.errors == {reason: 2}
            assert reader.problem.startswith(f"dcgm-exporter at {url}: ")
            assert "\n" not in reader.problem


@pytest.mark.parametrize("answer", [is_silent, drips(b"a", start=b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")])
def test_one_that_does_not_end_is_cut_short_at_the_deadline(answer: Answer) -> None:
    with serving(answer) as url, reading(config(url, timeout_seconds=60.0)) as reader:
        assert once(reader, seconds=0.1) == {}
        assert reader.errors == {"timeout": 1}
        assert reader.problem == f"dcgm-exporter at {url}: no whole answer in time"
        assert reader._worker.wait(soon()).state == "failed", "its thread is free for the next scrape"


def test_after_a_failure_it_is_back() -> None:
    answers = [response(b"", status="503 Service Unavailable"), response(PAGE.encode())]

    def answer(connection: socket.socket, stop: threading.Event) -> None:
        says(answers.pop(0))(connection, stop)

    with serving(answer) as url, reading(config(url)) as reader:
        assert once(reader) == {}
        assert reader.problem
        assert once(reader) != {}
        assert (reader.problem, reader.errors) == ("", {"http_status": 1})


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(says(response(PAGE.encode()))) as url, reading(config(url)) as reader:
        monkeypatch.setattr("exporter.engines.relabel.Relabeller.relabel", lambda *_: 1 // 0)
        reader.begin(PodView())
        with pytest.raises(ZeroDivisionError):
            reader.finish(soon(), {})


def test_closing_ends_its_thread_and_connection() -> None:
    with serving(is_silent) as url:
        reader = DcgmReader(config(url, timeout_seconds=60.0))
        reader.begin(PodView())
        worker, endpoint = reader._worker, reader._endpoint
        assert endpoint is not None
        while endpoint._socket is None:
            time.sleep(0.001)
        reader.close()
        assert worker.join(20)
        assert endpoint._connection is None
