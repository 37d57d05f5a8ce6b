"""What is scraped: one target a container, with its addresses in the order to try them."""

from __future__ import annotations

import pytest

from exporter.config import Target
from exporter.engines.target import EngineTarget, configured, discovered
from exporter.pods.candidates import Candidate, candidates_of
from exporter.pods.pod import Container, ContainerPort, Pod


def candidate(
    url: str, container: str = "engine", *, pod: str = "p", hint: str = "", why: str = "default port"
) -> Candidate:
    return Candidate(url, "prod", pod, container, hint, why)


def test_addresses_of_one_container_are_one_target_in_their_order() -> None:
    (target,) = discovered([candidate("http://c"), candidate("http://a"), candidate("http://b")])
    assert target == EngineTarget(("http://c", "http://a", "http://b"), "prod", "p", "engine")


def test_containers_and_pods_are_told_apart_also_when_they_come_mixed() -> None:
    found = discovered(
        [
            candidate("http://2", "b"),
            candidate("http://1", "a"),
            candidate("http://3", "b"),
            candidate("http://4", "a", pod="other"),
        ]
    )
    assert {(target.pod, target.container): target.urls for target in found} == {
        ("p", "a"): ("http://1",),
        ("p", "b"): ("http://2", "http://3"),
        ("other", "a"): ("http://4",),
    }


def test_without_candidates_there_is_nothing() -> None:
    assert list(discovered([])) == []


@pytest.mark.parametrize(
    ("hint", "why", "declared"),
    [
        ("", "default port", False),
        ("", "container port metrics", False),
        ("", "annotation prometheus.io/port", False),
        ("", "annotation inferwatch.dev/port", True),
        ("vllm", "default port", True),
    ],
)
def test_a_pod_that_says_so_itself_is_declared(hint: str, why: str, declared: bool) -> None:
    (target,) = discovered([candidate("http://a", hint=hint, why=why)])
    assert (target.declared, target.engine) == (declared, hint)


def test_a_pod_as_it_is_found_becomes_a_target() -> None:
    pod = Pod(
        "prod",
        "llm-0",
        ip="10.0.0.7",
        phase="Running",
        annotations={"inferwatch.dev/port": "8000", "inferwatch.dev/path": "/m"},
        containers=(Container("engine", (ContainerPort("http", 8000),)),),
    )
    (target,) = discovered(candidates_of(pod, ["engine"]).engines)
    assert target == EngineTarget(("http://10.0.0.7:8000/m",), "prod", "llm-0", "engine", declared=True)
    assert target.place("n1") == {"node": "n1", "namespace": "prod", "pod": "llm-0", "container": "engine"}


def test_what_a_configuration_names_is_declared_with_its_secrets_files() -> None:
    target = configured(
        Target(
            url="https://h:1/m",
            name="n",
            pod="p",
            engine="tgi",
            bearer_token_file="t",
            username="u",
            password_file="w",
            ca_file="c",
            insecure_skip_verify=True,
        )
    )
    assert (target.urls, target.pod, target.engine, target.declared) == (("https://h:1/m",), "p", "tgi", True)
    access = target.access
    assert (access.bearer_token_file, access.username, access.password_file) == ("t", "u", "w")
    assert (access.ca_file, access.insecure_skip_verify) == ("c", True)
    assert target.identity == ("", "p", "")
