"""What `--kube` and kubectl's words name."""

from __future__ import annotations

import pytest

from troubleshoot.sources.errors import InputError
from troubleshoot.sources.kube.target import Target, parse_checked, parse_target, plugin_target


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


# What is held against a checklist


@pytest.mark.parametrize(
    ("text", "namespace", "found"),
    [
        ("", "", Target("namespace", "")),
        ("", "llm", Target("namespace", "", "llm")),
        ("llm", "", Target("namespace", "", "llm")),
        ("deployment/chat", "", Target("deployment", "chat")),
        ("deploy/chat", "llm", Target("deployment", "chat", "llm")),
        ("llm/lws/chat", "", Target("leaderworkerset", "chat", "llm")),
        ("llm/llmisvc/chat", "", Target("llminferenceservice", "chat", "llm")),
        ("cluster/prod/llm/ds/chat", "", Target("daemonset", "chat", "llm", "cluster/prod")),
    ],
)
def test_a_workload_or_a_namespace_is_checked(text: str, namespace: str, found: Target) -> None:
    assert parse_checked(text, namespace) == found


@pytest.mark.parametrize(
    ("text", "namespace", "context", "said"),
    [
        ("manifest.yaml", "", "", "manifests are checked without --kube"),
        ("-", "", "", "is no name"),
        ("llm/chat", "", "", "is no name"),
        ("llm/node/gpu-1", "", "", "is no name"),
        ("/deployment/chat", "", "", "is no name"),
        ("llm/deployment/", "", "", "is no name"),
        ("LLM/deployment/chat", "", "", "is no name"),
        ("llm/deployment/../x", "", "", "is no name"),
        ("", "a/b", "", "--kube a/b: is no name"),
        ("llm", "llm", "", "is given besides --namespace llm"),
        ("llm/deployment/chat", "other", "", "is given besides --namespace other"),
        ("prod/llm/deployment/chat", "", "test", "is given besides --context test"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_one_line(text: str, namespace: str, context: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse_checked(text, namespace, context)

    assert "\n" not in str(caught.value)


def test_what_has_no_replicas_to_diagnose_is_still_refused_there() -> None:
    assert parse_target("lws/chat") == Target("pod", "chat", "lws")
