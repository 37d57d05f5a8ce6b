"""`inferwatch preflight` as it is called: exit statuses, formats, and one line for what cannot be read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "troubleshoot" / "preflight" / "manifests"
WRONG, RIGHT = FIXTURES / "as_written", FIXTURES / "corrected"
PLAIN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def run(*arguments: str | Path, stdin: str | bytes = "") -> subprocess.CompletedProcess[str]:
    given = stdin.encode() if isinstance(stdin, str) else stdin
    words = [sys.executable, "-m", "inferwatch", "preflight", *map(str, arguments)]
    done = subprocess.run(words, input=given, capture_output=True, timeout=60, check=False)
    text = subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in text.stderr
    return text


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ((RIGHT / "vllm-chat.yaml",), 0),
        ((WRONG / "vllm-chat.yaml",), 1),
        ((WRONG / "vllm-chat.yaml", "--fail-on", "critical"), 0),
        ((WRONG / "kserve-chat.yaml", "--fail-on", "critical"), 1),
        ((RIGHT / "karpenter-spot.yaml", "--fail-on", "info"), 0),
        ((RIGHT / "vllm-chat.yaml", "none.yaml"), 2),
        ((WRONG / "vllm-chat.yaml", "none.yaml"), 1),
        ((RIGHT,), 0),
        ((WRONG,), 1),
        (("--skip", "rule_metrics", WRONG / "vllm-rules.yaml"), 3),
    ],
)
def test_exit_status(arguments: tuple[str | Path, ...], status: int) -> None:
    done = run(*arguments)
    assert done.returncode == status, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.yaml", b"", "is empty"),
        ("list.yaml", b"- a\n", "is a list"),
        ("text.yaml", b"hello", "single value"),
        ("other.yaml", b"a: 1\n", "no apiVersion and kind"),
        ("broken.yaml", b"a: b\nc: [1\nd: e\n", "line 3"),
        ("binary.yaml", b"\x7fELF" + bytes(range(256)) * 20, "ELF"),
        ("deep.yaml", b"[" * 100_000, "levels deep"),
        ("huge.yaml", b"# " + b"x" * (17 << 20), "larger than"),
        (
            "bomb.yaml",
            b"a: &a [x,x,x,x,x,x,x,x,x]\n"
            + b"".join(b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 9)) for n in range(98, 112)),
            "aliases expand",
        ),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    done = run(tmp_path / name)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert said in line
    assert name in line


@pytest.mark.parametrize("arguments", [("none.yaml",), ("/dev/null",), ("",), ("-",), (".",)])
def test_nothing_to_read_is_one_line_and_status_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*(tmp_path if word == "." else word for word in arguments))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to check"),
        (("--skip", "replica", "x"), "did you mean replicas?"),
        (("--format", "html", "x"), "--format"),
        (("--load-rate", "0", "x"), "--load-rate"),
        ((RIGHT / "vllm-chat.yaml", "-o", "/nowhere/x"), "cannot be written"),
        (("x.yaml", "--kube"), "--kube checks what is deployed, x.yaml is a manifest"),
        (("--kube", "x.yaml"), "manifests are checked without --kube"),
        (("x.yaml", "-n", "llm"), "--namespace needs --kube"),
        (("-A",), "--all-namespaces needs --kube"),
        (("--kubeconfig", "x", "y.yaml"), "--kubeconfig needs --kube"),
        (("--context", "x", "y.yaml"), "--context needs --kube"),
        (("--kube", "llm", "-A"), "--all-namespaces is given besides"),
        (("--kube", "-n", "llm", "-A"), "--all-namespaces is given besides"),
        (("--kube", "llm", "--skip", "replica"), "did you mean replicas?"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(arguments: tuple[str | Path, ...], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line


def test_standard_input_as_kustomize_gives_it() -> None:
    done = run("-", "--format", "json", stdin=(WRONG / "vllm-short.yaml").read_bytes())
    assert done.returncode == 1
    findings = json.loads(done.stdout)["findings"]
    assert {each["file"] for each in findings} == {"-"}
    assert all(each["line"] for each in findings)


def test_a_report_in_a_file(tmp_path: Path) -> None:
    done = run(WRONG / "vllm-chat.yaml", "--format", "sarif", "-o", tmp_path / "out.sarif")
    assert done.stdout == ""
    written = json.loads((tmp_path / "out.sarif").read_text())
    assert written["runs"][0]["tool"]["driver"]["version"]


def test_objects_that_serve_no_model_are_not_passed() -> None:
    done = run("-", stdin=PLAIN)
    assert done.returncode == 3
    assert "NOTHING CHECKED" in done.stdout


def test_a_check_can_be_left_out() -> None:
    done = run(WRONG / "vllm-rules.yaml", "--skip", "rule_metrics")
    assert "rule_metrics" not in done.stdout


def test_the_list_of_checks() -> None:
    done = run("--list")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 30
    assert "autoscaling_metric" in done.stdout
