"""Flags by engine and release: what advice may name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from catalog.flags import (
    FlagRange,
    flag_exists,
    flag_table,
    normalised,
    parse_version,
    vllm_env,
    vllm_flag,
)
from catalog.flags.others import OTHER_ENGINES


@pytest.mark.parametrize(
    ("flag", "since", "until"),
    [
        ("--gpu-memory-utilization", "0.2.7", None),
        ("--swap-space", "0.2.7", "0.16.0"),
        ("--kv-cache-memory-bytes", "0.10.2", None),
        ("--attention-backend", "0.14.0", None),
        ("--speculative-model", "0.4.3", "0.7.3"),
        ("--speculative-config", "0.8.5", None),
        ("--guided-decoding-backend", "0.4.3", "0.11.2"),
        ("--api-server-count", "0.9.2", None),
        ("--no-enable-prefix-caching", "0.6.6", None),
        ("-tp", "0.2.7", None),
    ],
)
def test_a_vllm_flag_has_the_releases_that_were_read(flag: str, since: str, until: str | None) -> None:
    assert vllm_flag(flag) == FlagRange(since, until)


@pytest.mark.parametrize("written", ["--max_model_len", "--max-model-len=8192", " --max-model-len ", "--max-model-len"])
def test_a_flag_is_understood_as_people_write_it(written: str) -> None:
    assert normalised(written) == "--max-model-len"


def test_a_sub_key_belongs_to_its_flag() -> None:
    assert vllm_flag("--structured-outputs-config.backend") == vllm_flag("--structured-outputs-config")


def test_a_flag_that_never_existed_has_no_range() -> None:
    assert vllm_flag("--increase-throughput") is None


def test_a_yes_no_flag_that_takes_text_too_has_no_negation() -> None:
    assert vllm_flag("--hf-token") is not None
    assert vllm_flag("--no-hf-token") is None


@pytest.mark.parametrize(
    ("flag", "version", "expected"),
    [
        ("--swap-space", "0.16.0", True),
        ("--swap-space", "0.18.0", False),
        ("--swap-space", "0.17.0", None),
        ("--attention-backend", "0.11.2", False),
        ("--attention-backend", "0.13.0", None),
        ("--enforce-eager", "0.9.0", True),
        ("--enforce-eager", "v0.10.2", True),
        ("--enforce-eager", "0.10.2rc1.dev3+cu128", True),
        ("--enforce-eager", "0.10.2.post1", True),
        ("--no-such-flag", "0.10.2", False),
    ],
)
def test_existence_is_judged_by_the_releases_around_the_version(flag: str, version: str, expected: bool | None) -> None:
    assert flag_exists("vllm", flag, version) is expected


@pytest.mark.parametrize("version", ["", "unknown", "0.1.0", "99.0.0"])
def test_a_version_outside_the_releases_read_is_not_known(version: str) -> None:
    assert flag_exists("vllm", "--enforce-eager", version) is None


def test_an_engine_without_a_table_is_not_known() -> None:
    assert flag_exists("mystery", "--port", "1.0") is None


def test_sglang_releases_are_judged_the_same_way() -> None:
    assert flag_exists("sglang", "--mem-fraction-static", "0.4.6") is True
    assert flag_exists("sglang", "--mem-fraction-static", "0.5.10.post1") is True
    assert flag_exists("sglang", "--gpu-memory-utilization", "0.4.6") is False


@pytest.mark.parametrize(
    ("engine", "flag"),
    [("tgi", "--max-batch-prefill-tokens"), ("llamacpp", "-ngl"), ("triton", "--model-repository")],
)
def test_the_short_tables_know_their_flags_and_admit_ignorance_of_others(engine: str, flag: str) -> None:
    assert flag_exists(engine, flag, "any") is True
    assert flag_exists(engine, "--gpu-memory-utilization", "any") is None


@pytest.mark.parametrize("engine", sorted(OTHER_ENGINES))
def test_every_short_table_names_its_source(engine: str) -> None:
    assert OTHER_ENGINES[engine].source
    assert all(flag.startswith("-") for flag in OTHER_ENGINES[engine].flags)


def test_environment_variables_have_ranges_too() -> None:
    attention = vllm_env("VLLM_ATTENTION_BACKEND")
    assert attention is not None
    assert attention.since == "0.4.3"
    assert vllm_env("VLLM_CACHE_ROOT") is not None
    assert vllm_env("VLLM_MAKE_IT_FASTER") is None


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_every_range_starts_and_ends_at_a_release_that_was_read(engine: str) -> None:
    table = flag_table(engine)
    versions = [parse_version(release) for release in table.releases_read]
    assert None not in versions
    assert len(set(versions)) == len(versions)
    assert versions == sorted(version for version in versions if version is not None)
    read = set(table.releases_read)
    for flag_range in (*table.flags.values(), *table.environment.values()):
        assert flag_range.since in read
        assert flag_range.until is None or flag_range.until in read - {table.releases_read[-1]}


def test_an_engine_whose_source_was_not_read_has_no_full_table() -> None:
    with pytest.raises(KeyError):
        flag_table("tgi")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("0.10.2", (0, 10, 2, 0)),
        ("0.5.10.post1", (0, 5, 10, 1)),
        ("v0.9", (0, 9, 0, 0)),
        ("dev", None),
    ],
)
def test_versions_compare_as_numbers(text: str, version: tuple[int, ...] | None) -> None:
    assert parse_version(text) == version


def test_importing_the_package_reads_no_table() -> None:
    code = "import catalog.flags as f; print(f.flag_table.cache_info().currsize)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "0"
