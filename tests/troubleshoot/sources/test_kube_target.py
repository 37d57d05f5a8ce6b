"""What `--kube` and kubectl's words name."""

from __future__ import annotations

import pytest

from troubleshoot.sources.errors import InputError
from troubleshoot.sources.kube.target import Target, parse_target, plugin_target


@pytest.mark.parametrize(
    ("text", "selector", "found"),
    [
        ("llm/vllm-0", "", Target("pod", "vllm-0", "llm")),
        ("llm/pod/vllm-0", "", Target("pod", "vllm-0", "llm")),
        ("prod/llm/vllm-0", "", Target("pod", "vllm-0", "llm", "prod")),
        ("llm/deployment/vllm", "", Target("deployment", "vllm", "llm")),
        ("llm/deploy/vllm", "", Target("deployment", "vllm", "llm")),
        ("llm/sts/vllm", "", Target("statefulset", "vllm", "llm")),
        ("prod/llm/inferenceservice/llama", "", Target("inferenceservice", "llama", "llm", "prod")),
        ("deployment/vllm", "", Target("deployment", "vllm")),
        ("llm", "app=vllm", Target("selector", "app=vllm", "llm")),
        ("prod/llm", "app in (a,b)", Target("selector", "app in (a,b)", "llm", "prod")),
    ],
)
def test_an_address_is_read_from_its_end(text: str, selector: str, found: Target) -> None:
    assert parse_target(text, selector) == found


def test_a_contexts_name_may_hold_slashes_and_colons() -> None:
    context = "arn:aws:eks:eu-west-1:123456789012:cluster/prod"

    assert parse_target(f"{context}/llm/deployment/vllm") == Target("deployment", "vllm", "llm", context)
    assert parse_target(f"{context}/llm", "a=b") == Target("selector", "a=b", "llm", context)


@pytest.mark.parametrize(
    "text", ["", "vllm-0", "llm/", "/vllm-0", "llm/VLLM", "llm/../nodes", "llm/a b", "llm/a%2fb", "llm/x?y"]
)
def test_what_is_no_name_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_target(text)

    assert "NAMESPACE/POD" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_kubectls_words() -> None:
    assert plugin_target("vllm-0", "llm", "prod", "") == Target("pod", "vllm-0", "llm", "prod")
    assert plugin_target("deploy/vllm", "", "", "") == Target("deployment", "vllm")
    assert plugin_target("", "llm", "", "app=vllm") == Target("selector", "app=vllm", "llm")


@pytest.mark.parametrize(("words", "selector"), [("", ""), ("node/gpu-1", ""), ("vllm-0", "app=vllm"), ("deploy/", "")])
def test_words_that_name_no_pod_are_refused(words: str, selector: str) -> None:
    with pytest.raises(InputError):
        plugin_target(words, "llm", "", selector)
