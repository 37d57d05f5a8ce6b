"""`inferwatch plan`, as a person or a script meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from inferwatch.commands.plan import command
from troubleshoot.model_table import CONFIGS

GPU = ("--gpu", "H200")
LOAD = ("--requests-per-second", "5", "--ttft", "1s", "--tpot", "50ms")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments], standalone_mode=False)


def refusal(*arguments: str) -> str:
    """The message of a refused command line."""
    error = run(*arguments).exception
    assert isinstance(error, click.ClickException)
    return error.format_message()


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "inferwatch", "plan", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def test_text_says_what_was_asked() -> None:
    shown = run("llama-2-7b", *GPU, "--price", "3").output
    for part in ("FITS", "weights", "12.55 GiB", "highest safe number of sequences", "$/M output", "vllm serve"):
        assert part in shown
    assert "MIG" in shown and "3g.71gb" in shown and "Time-slicing" in shown


def test_json_has_the_same_figures() -> None:
    answer = json.loads(run("llama-2-7b", *GPU, "--price", "3", "--format", "json").output)
    estimate = answer["estimate"]
    assert answer["schema_version"] == 1 and answer["verdict"] == "fits"
    assert estimate["kv_bytes_per_token"] == 524288
    assert estimate["kv_blocks"] * 16 == estimate["kv_tokens"]
    assert estimate["memory_bytes"]["kv_cache"] > 0
    assert answer["question"]["ttft_seconds"] is None
    assert answer["arguments"]["words"][:3] == ["vllm", "serve", "llama-2-7b"]
    assert [option["name"] for option in answer["options"]["mig"]][-1] == "4g.71gb"
    per_second = estimate["total_output_tokens_per_second"]
    assert estimate["dollars_per_million_output_tokens"] == pytest.approx(3 / (per_second * 3600) * 1e6)


def test_markdown_has_the_same_tables() -> None:
    shown = run("llama-2-7b", *GPU, "--format", "markdown").output
    assert shown.startswith("# llama-2-7b (6.74 billion parameters, 16-bit) ")
    assert "| weights | 12.55 GiB |" in shown
    assert "```text\nvllm serve llama-2-7b " in shown


@pytest.mark.no_cover
@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_the_search_names_the_cheapest(form: str) -> None:
    shown = run("llama-3.1-8b", *LOAD, "--format", form)
    assert shown.return_value == 0
    assert "NVIDIA H100" in shown.output
    if form == "json":
        answer = json.loads(shown.output)
        assert answer["verdict"] == "found"
        assert {"gpu", "gpus", "replicas", "capacity", "expected", "dollars_per_hour"} <= set(answer["fleets"][0])


def test_the_search_can_be_given_its_gpus() -> None:
    answer = json.loads(run("llama-3.1-8b", *LOAD, *GPU, "--gpu", "L40S", "--format", "json").output)
    assert {fleet["gpu"] for fleet in answer["fleets"]} <= {"NVIDIA H200", "NVIDIA L40S"}


def test_exit_status_says_whether_it_fits() -> None:
    assert run("llama-2-7b", *GPU).return_value == 0
    assert run("llama-3.1-405b", *GPU, "--gpus", "1").return_value == 1
    assert run("llama-3.1-70b", "--requests-per-second", "1", "--tpot", "1ms").return_value == 1


def test_a_report_goes_into_a_file(tmp_path: Path) -> None:
    target = tmp_path / "plan.md"
    assert run("llama-2-7b", *GPU, "--format", "markdown", "-o", str(target)).output == ""
    assert target.read_text(encoding="utf-8").startswith("# llama-2-7b")
    assert "cannot be written" in refusal("llama-2-7b", *GPU, "-o", str(tmp_path / "no" / "plan.md"))


def test_a_config_file_is_planned(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIGS["llama-2-7b"]), encoding="utf-8")
    assert json.loads(run(str(path), *GPU, "--format", "json").output)["estimate"]["kv_bytes_per_token"] == 524288


def test_terminal_escapes_in_a_config_are_shown_as_text(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**CONFIGS["llama-2-7b"], "_name_or_path": "a\x1b[31m|<b>\n`"}), encoding="utf-8")
    for form in ("text", "markdown"):
        assert "\x1b" not in run(str(path), *GPU, "--format", form).output
    assert "<b>" not in run(str(path), *GPU, "--format", "markdown").output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("llama-9", *GPU), "near it: llama-3-8b"),
        (("llama-2-7b", "--gpu", "A100"), "the name fits 4 GPUs"),
        (("llama-2-7b", "--gpu", "H300"), "near it: NVIDIA H"),
        (("llama-2-7b",), "--gpu: none is named"),
        (("llama-2-7b", *GPU, "--gpu", "L4"), "--gpu: several are named"),
        (("llama-2-7b", *GPU, "--gpus", "0"), "--gpus"),
        (("llama-2-7b", *GPU, "--gpus", "-1"), "--gpus"),
        (("llama-2-7b", *GPU, "--context", "-5"), "--context"),
        (("llama-2-7b", *GPU, "--concurrency", "0"), "--concurrency"),
        (("llama-2-7b", *GPU, "--prompt-tokens", "1.5"), "--prompt-tokens"),
        (("llama-2-7b", *GPU, "--price", "-1"), "above 0"),
        (("llama-2-7b", *GPU, "--price", "nan"), "above 0"),
        (("llama-2-7b", *GPU, "--price", "inf"), "above 0"),
        (("llama-2-7b", *GPU, "--gpu-memory-utilization", "1.1"), "above 0 to 1"),
        (("llama-2-7b", *GPU, "--gpu-memory-utilization", "0"), "above 0 to 1"),
        (("llama-2-7b", *GPU, "--reserve", "-1"), "from 0 to 1000"),
        (("llama-2-7b", *GPU, "--ttft", "-1s"), "no duration above 0"),
        (("llama-2-7b", *GPU, "--quantization", "int3"), "int3"),
        (("llama-2-7b", *GPU, "--engine", "ollama"), "ollama"),
        (("llama-2-7b", "--gpus", "2", *LOAD), "--gpus: with --requests-per-second"),
        (("llama-2-7b", "--requests-per-second", "0"), "above 0"),
        (("llama-2-7b", *LOAD, "--headroom", "1"), "from 0 to 0.9"),
    ],
)
def test_bad_usage_is_said_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    message = refusal(*arguments)
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ('{"tokenizer_class": "LlamaTokenizer"}', "this is a tokenizer's configuration"),
        ('{"model_type": "bert", "architectures": ["BertModel"]}', "BertModel generates no text"),
    ],
)
def test_a_file_of_another_kind_exits_with_2_and_one_line(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(content, encoding="utf-8")
    done = process(str(path), *GPU)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_lists_are_printed_without_a_model() -> None:
    models = process("--list-models")
    assert models.returncode == 0
    assert models.stdout.split() == sorted(CONFIGS)
    assert "NVIDIA H200 " in process("--list-gpus").stdout
    assert process("llama-2-7b", *GPU).returncode == 0


@pytest.mark.parametrize("page", ["README.md", "docs/plan.md"])
def test_the_output_that_a_page_shows_is_what_comes(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    first, second = run("llama-3.1-8b", "--gpu", "L40S").output.splitlines()[:2]
    text = (Path(__file__).resolve().parents[2] / page).read_text(encoding="utf-8")
    assert f"{first}\n{second}\n" in text


@pytest.mark.no_cover
def test_a_narrow_terminal_loses_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = run("llama-3.1-8b", *LOAD).output
    assert "…" not in shown
    command_lines = [line for line in shown.splitlines() if line.startswith("  vllm serve")]
    assert len(command_lines) == 1 and "--gpu-memory-utilization 0.9" in command_lines[0]
