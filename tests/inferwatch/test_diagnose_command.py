"""`inferwatch diagnose`: exit status, forms of the report, inputs that can be read, bad usage."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import zstandard

import troubleshoot.report
from recordings.reader import load, read_log, scrapes
from tests.inferwatch.diagnose_runs import (
    FORMATS,
    INCIDENT,
    Run,
    causes,
    folder,
    inputs_of,
    no_proxies,
    run,
    spawn,
)

__all__ = ["folder", "no_proxies", "run"]


# Exit status


@pytest.mark.parametrize(
    ("recording", "options", "status"),
    [
        ("healthy_steady", [], 0),
        ("healthy_steady", ["--fail-on", "info"], 0),
        ("c_idle", [], 0),
        ("kv_preemption", [], 1),
        ("kv_preemption", ["--fail-on", "critical"], 1),
        ("oom_no_kv_blocks", ["--fail-on", "critical"], 1),
        ("ttft_long_prefill", [], 1),
        ("ttft_long_prefill", ["--fail-on", "critical"], 0),
        ("thr_serial_client", [], 0),
        ("thr_serial_client", ["--fail-on", "info"], 1),
    ],
)
def test_the_exit_status_follows_the_worst_finding(run: Run, recording: str, options: list[str], status: int) -> None:
    done = run(*inputs_of(recording), *options)
    assert (done.status, done.errors) == (status, "")


@pytest.mark.parametrize("fail_on", ["info", "warning", "critical"])
def test_what_says_nothing_is_inconclusive_with_status_3(run: Run, tmp_path: Path, fail_on: str) -> None:
    (tmp_path / "notes.log").write_text("hello\nworld\n")
    done = run("--log", tmp_path / "notes.log", "--fail-on", fail_on)
    assert (done.status, done.errors) == (3, "")
    assert "INCONCLUSIVE" in done.output


def test_the_process_ends_with_the_same_status() -> None:
    done = spawn("--log", INCIDENT.log_path)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"oom_kv_cache_no_blocks" in done.stdout


def test_a_complaint_raises_what_is_else_only_a_note(run: Run) -> None:
    quiet = run(*inputs_of("thr_serial_client"))
    complained = run(*inputs_of("thr_serial_client"), "--symptom", "throughput", "--format", "json")
    assert (quiet.status, complained.status) == (0, 1)
    assert causes(complained.output)[0] == "thr_insufficient_load"


# Forms of the report


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_names_the_cause_and_ends_with_a_newline(run: Run, form: str) -> None:
    done = run("--log", INCIDENT.log_path, "--format", form)
    assert (done.status, done.errors) == (1, "")
    assert "oom_kv_cache_no_blocks" in done.output
    assert done.output.endswith("\n")


@pytest.mark.parametrize("form", FORMATS)
def test_output_writes_to_a_file_what_else_goes_to_standard_output(run: Run, tmp_path: Path, form: str) -> None:
    shown = run("--log", INCIDENT.log_path, "--format", form)
    written = run("--log", INCIDENT.log_path, "--format", form, "-o", tmp_path / "report")
    assert (written.status, written.output, written.errors) == (1, "", "")
    assert (tmp_path / "report").read_text(encoding="utf-8") == shown.output


@pytest.mark.parametrize("recording", ["kv_preemption", "healthy_steady", "c_port_in_use", "triton_queue_reject"])
def test_json_follows_the_published_schema(run: Run, recording: str) -> None:
    schema = json.loads((Path(troubleshoot.report.__file__).parent / "schema.json").read_text(encoding="utf-8"))
    report = json.loads(run(*inputs_of(recording), "--format", "json").output)
    jsonschema.Draft202012Validator(schema).validate(report)


def test_a_stream_that_cannot_show_all_characters_gets_escapes() -> None:
    done = spawn("--log", INCIDENT.log_path, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.isascii()


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_lets_out_a_secret_or_an_escape_of_the_log(run: Run, tmp_path: Path, form: str) -> None:
    secret = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"
    hostile = b"\x1b]0;owned\x07\x1b[31m ValueError: No available memory for the cache blocks. token=" + secret.encode()
    (tmp_path / "engine.log").write_bytes(
        read_log(INCIDENT).replace(b"ValueError: No available memory for the cache blocks.", hostile)
    )
    done = run("--log", tmp_path / "engine.log", "--format", form)
    assert done.status == 1
    assert "oom_kv_cache_no_blocks" in done.output
    assert secret not in done.output
    assert "\x1b" not in done.output


# Inputs that can be read


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".zst", zstandard.ZstdCompressor().compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        ("", gzip.compress),
    ],
)
def test_a_compressed_log_gives_the_same_diagnosis(
    run: Run, tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    plain, packed = tmp_path / "a" / "engine.log", tmp_path / "b" / f"engine.log{suffix}"
    for path in (plain, packed):
        path.parent.mkdir()
    plain.write_bytes(read_log(INCIDENT))
    packed.write_bytes(compress(read_log(INCIDENT)))
    reports = [run("--log", path, "--format", "json").output.replace(str(path), "LOG") for path in (plain, packed)]
    first, second = ({**json.loads(report), "inputs": []} for report in reports)
    assert first["findings"][0]["cause"] == "oom_kv_cache_no_blocks"
    assert first == second


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_standard_input_gives_the_same_diagnosis(run: Run, compress: Callable[[bytes], bytes]) -> None:
    expected = run("--log", INCIDENT.log_path, "--format", "json").output.replace(str(INCIDENT.log_path), "-")
    piped = spawn("--log", "-", "--format", "json", input=compress(read_log(INCIDENT)))
    assert (piped.returncode, piped.stderr) == (1, b"")
    assert json.loads(piped.stdout)["findings"] == json.loads(expected)["findings"]


def test_a_log_in_several_files_is_read_as_one(run: Run, tmp_path: Path) -> None:
    lines = read_log(INCIDENT).splitlines(keepends=True)
    parts = [tmp_path / "engine.log.1", tmp_path / "engine.log"]
    parts[0].write_bytes(b"".join(lines[:20]))
    parts[1].write_bytes(b"".join(lines[20:]))
    whole = run("--log", INCIDENT.log_path, "--format", "json")
    split = run("--log", parts[0], "--log", parts[1], "--format", "json")
    assert split.status == 1
    assert causes(split.output) == causes(whole.output)
    assert [given["name"] for given in json.loads(split.output)["inputs"]] == [str(part) for part in parts]


def test_metrics_alone_suffice(run: Run) -> None:
    done = run("--metrics", load("kv_preemption").metrics_path, "--format", "json")
    assert done.status == 1
    assert causes(done.output)[0] == "thr_preemption_thrash"


def test_a_truncated_gzip_is_read_and_said(run: Run, tmp_path: Path) -> None:
    packed = gzip.compress(read_log(INCIDENT))
    path = tmp_path / "engine.log.gz"
    path.write_bytes(packed[:-200])
    done = run("--log", path)
    assert (done.status, done.errors) == (1, "")
    assert "oom_kv_cache_no_blocks" in done.output
    assert "truncated gzip: read" in " ".join(done.output.split())


def test_one_scrape_is_used_and_its_lack_said(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "metrics.txt"
    path.write_bytes(scrapes(load("kv_preemption"))[-10].exposition)
    done = run("--log", load("kv_preemption").log_path, "--metrics", path)
    assert done.status == 1
    assert "one scrape: rates cannot be computed" in " ".join(done.output.split())


# Bad usage


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to read; give --log FILE, --metrics URL, or both"),
        (["--nonsense"], "No such option"),
        (["engine.log"], "unexpected extra argument"),
        (["--log"], "requires an argument"),
        (["--log", "x", "--format", "xml"], "'--format'"),
        (["--log", "x", "--fail-on", "healthy"], "'--fail-on'"),
        (["--log", "x", "--engine", "gpt"], "'--engine'"),
        (["--log", "x", "--symptom", "slow"], "'--symptom'"),
        (["--log", "x", "--window", "soon"], "'soon' is no duration; write 15s, 2m or 90"),
        (["--log", "x", "--window", ""], "is no duration"),
        (["--log", "x", "--window", "0"], "is out of range"),
        (["--log", "x", "--window", "-5s"], "is out of range"),
        (["--log", "x", "--window", "nan"], "is out of range"),
        (["--log", "x", "--window", "2h"], "is out of range"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(run: Run, arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert (done.status, done.output) == (2, "")
    assert done.errors.startswith("inferwatch")
    assert said in done.errors
    assert done.errors.count("\n") == 1


@pytest.mark.parametrize("window", ["1", "2m", "15s", "1h", "0.5m"])
def test_durations_that_are_taken(run: Run, window: str) -> None:
    assert run("--log", INCIDENT.log_path, "--window", window).status == 1


@pytest.mark.parametrize("place", ["nowhere/report.txt", "logs"])
def test_a_report_that_cannot_be_written_is_one_line(run: Run, folder: Path, place: str) -> None:
    done = run("--log", INCIDENT.log_path, "-o", folder / place)
    assert (done.status, done.output) == (2, "")
    assert str(folder / place) in done.errors
    assert done.errors.count("\n") == 1
