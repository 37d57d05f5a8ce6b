from __future__ import annotations

import gzip
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from recordings.reader import Recording, RecordingError, bundled, load, log_lines, read_log, scrapes

# name: (scrapes, of which answered), counted in each recording's `up` series.
SCRAPES = {
    "c_client_disconnects": (36, 22),
    "c_idle": (41, 20),
    "c_json_native": (35, 21),
    "c_port_in_use": (6, 0),
    "c_spec_low_accept": (41, 22),
    "cpu_healthy": (53, 27),
    "healthy_steady": (57, 22),
    "kv_preemption": (67, 32),
    "llamacpp_busy": (23, 22),
    "llamacpp_ctx_errors": (16, 15),
    "llamacpp_healthy": (24, 23),
    "oom_no_kv_blocks": (23, 0),
    "oom_shared_gpu": (23, 0),
    "stuck_engine": (43, 20),
    "thr_serial_client": (39, 14),
    "triton_healthy": (23, 22),
    "triton_queue_reject": (19, 18),
    "ttft_long_prefill": (60, 20),
    "ttft_queue_burst": (72, 29),
}
SERIES_OF_ENGINE = {
    "vllm": "vllm:num_requests_running",
    "llamacpp": "llamacpp:requests_processing",
    "triton": "nv_inference_count",
}


def counters(exposition: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample that may only rise: counters, and the buckets and counts of histograms and summaries."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition.decode())
        for sample in family.samples
        if family.type == "counter"
        or (family.type in {"histogram", "summary"} and sample.name.endswith(("_bucket", "_count")))
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A writable copy of a bundled recording."""
    copy = tmp_path / "run"
    shutil.copytree(load("c_port_in_use").folder, copy)
    return copy


def test_every_recording_is_bundled() -> None:
    assert bundled() == tuple(sorted(SCRAPES))


@pytest.mark.parametrize("name", SCRAPES)
class TestBundledRecording:
    def test_meta_agrees_with_the_folder(self, name: str) -> None:
        recording = load(name)
        assert recording.name == name
        assert recording.engine in SERIES_OF_ENGINE
        assert recording.started_unix_seconds < recording.ended_unix_seconds
        if recording.ready_unix_seconds is not None:
            assert recording.started_unix_seconds < recording.ready_unix_seconds < recording.ended_unix_seconds

    def test_scrapes_are_complete_and_in_order(self, name: str) -> None:
        taken = scrapes(load(name))
        assert (len(taken), sum(scrape.up for scrape in taken)) == SCRAPES[name]
        assert all(earlier.time_seconds < later.time_seconds for earlier, later in pairwise(taken))

    def test_the_server_answers_once_it_is_ready_and_not_before(self, name: str) -> None:
        """The recorder asked for readiness and for metrics by turns: they agree within one 2 s scrape."""
        recording = load(name)
        ready = recording.ready_unix_seconds or float("inf")
        for scrape in scrapes(recording):
            assert scrape.time_seconds > ready - 2 if scrape.up else scrape.time_seconds < ready + 2
            assert bool(scrape.exposition) == scrape.up

    @pytest.mark.no_cover
    def test_payloads_parse_and_counters_never_fall(self, name: str) -> None:
        recording = load(name)
        previous: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        for scrape in scrapes(recording):
            if not scrape.up:
                continue
            assert f"\n{SERIES_OF_ENGINE[recording.engine]}" in scrape.exposition.decode()
            current = counters(scrape.exposition)
            assert len(current) > 5
            fallen = [series for series, value in previous.items() if current[series] < value]
            assert fallen == []
            previous = current

    def test_nothing_of_the_recorder_is_left(self, name: str) -> None:
        for scrape in scrapes(load(name)):
            for line in scrape.exposition.splitlines():
                assert b'job="' not in line
                assert b'instance="' not in line
                assert not line.startswith((b"up ", b"up{", b"# TYPE up ", b"# EOF"))

    def test_log_lines_are_the_log_in_order(self, name: str) -> None:
        recording = load(name)
        timed = log_lines(recording)
        assert b"".join(line for _, line in timed) == read_log(recording)
        assert all(line.endswith(b"\n") for _, line in timed)
        assert all(earlier <= later for (earlier, _), (later, _) in pairwise(timed))
        # vLLM stamps whole seconds and the recorder stops the clock before it stops the server.
        assert timed[0][0] >= 0
        assert recording.duration_seconds / 3 < timed[-1][0] <= recording.duration_seconds + 1


@pytest.mark.parametrize(
    ("name", "line_part"),
    [
        ("kv_preemption", b"Application startup complete"),
        ("c_idle", b"Application startup complete"),
        ("c_json_native", b"Application startup complete"),
        ("llamacpp_busy", b"listening on http"),
        ("triton_healthy", b"Started HTTPService"),
    ],
)
def test_log_clock_meets_the_recorders_clock_at_readiness(name: str, line_part: bytes) -> None:
    recording = load(name)
    assert recording.ready_unix_seconds is not None
    ready_offset = recording.ready_unix_seconds - recording.started_unix_seconds
    written = next(offset for offset, line in log_lines(recording) if line_part in line)
    assert written == pytest.approx(ready_offset, abs=3)


def test_gpu_series_ride_along_as_last_read_before_the_scrape() -> None:
    """The GPU was read at ...973.532, ...974.587 and so on; the engine first answered at ...975.253."""
    recording = load("kv_preemption")
    first = next(scrape for scrape in scrapes(recording) if scrape.up)
    prefix = b'DCGM_FI_DEV_POWER_USAGE{gpu="0",modelName="NVIDIA H200",Hostname="gpu-node-01"} '
    served = [line for line in first.exposition.splitlines() if line.startswith(prefix)]
    times_and_values = []
    for line in gzip.decompress(recording.metrics_path.read_bytes()).splitlines():
        if line.startswith(b"DCGM_FI_DEV_POWER_USAGE{"):
            _, value, time = line.rsplit(b" ", 2)
            times_and_values.append((float(time), value))
    before = max(entry for entry in times_and_values if entry[0] <= first.time_seconds)
    assert served == [prefix + before[1]]


def test_a_large_log_is_stored_compressed_and_read_the_same() -> None:
    recording = load("triton_queue_reject")
    assert recording.log_path.name == "engine.log.gz"
    assert read_log(recording).count(b"Exceeds maximum queue size") >= 300


def test_no_bundled_file_is_large() -> None:
    folders = [load(name).folder for name in bundled()]
    assert [file for folder in folders for file in folder.iterdir() if file.stat().st_size > 300_000] == []


def test_a_folder_loads_like_a_bundled_name(folder: Path) -> None:
    recording: Recording = load(folder)
    assert recording.cause == "crash_port_in_use"
    assert recording.ready_unix_seconds is None
    assert recording.log_path == folder / "engine.log"


def test_accept_and_secondary_causes_are_read() -> None:
    assert load("llamacpp_busy").accept == ("thr_small_batch_or_max_num_seqs",)
    assert load("stuck_engine").secondary == ("thr_enforce_eager",)


def test_unknown_name_lists_near_matches() -> None:
    with pytest.raises(RecordingError, match=r"kv_premption is neither .* near it: kv_preemption"):
        load("kv_premption")


def test_unknown_name_without_near_match_lists_all() -> None:
    with pytest.raises(RecordingError, match=r"bundled: c_client_disconnects, .*, ttft_queue_burst$"):
        load("zzz")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("engine.log", "has no engine.log or engine.log.gz"),
        ("metrics.om.gz", "has no metrics.om.gz"),
        ("meta.yaml", "has no meta.yaml"),
    ],
)
def test_a_missing_file_is_named(folder: Path, file: str, message: str) -> None:
    (folder / file).unlink()
    with pytest.raises(RecordingError, match=message):
        load(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("engine: vllm", "motor: vllm", "meta.yaml lacks engine$"),
        ("started_unix_s: 1795293724.474", "started_unix_s: soon", "started_unix_s is 'soon'"),
        ("secondary: []", "secondary: none", "secondary is 'none', not a list of names"),
        ("name: c_port_in_use", "name: [", "meta.yaml is no YAML: "),
    ],
)
def test_bad_meta_is_one_clear_line(folder: Path, old: str, new: str, message: str) -> None:
    meta = folder / "meta.yaml"
    text = meta.read_text()
    assert old in text
    meta.write_text(text.replace(old, new))
    with pytest.raises(RecordingError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_meta_that_is_no_mapping_is_refused(folder: Path) -> None:
    (folder / "meta.yaml").write_text("- a list\n")
    with pytest.raises(RecordingError, match="holds no mapping"):
        load(folder)


@pytest.mark.parametrize(
    "content",
    [b"plain text", gzip.compress(b"up 1 1\n", mtime=0)[:-9], b"\x1f\x8b\x08\x00broken"],
    ids=["plain text", "cut gzip", "broken gzip"],
)
def test_a_damaged_metrics_file_is_named(folder: Path, content: bytes) -> None:
    (folder / "metrics.om.gz").write_bytes(content)
    with pytest.raises(RecordingError, match=r"metrics.om.gz"):
        scrapes(load(folder))


def test_a_malformed_sample_is_named_with_its_line(folder: Path) -> None:
    (folder / "metrics.om.gz").write_bytes(gzip.compress(b"# TYPE up gauge\nup{} 1\n"))
    with pytest.raises(RecordingError, match=r"metrics.om.gz: line 2 is no sample with a time"):
        scrapes(load(folder))
