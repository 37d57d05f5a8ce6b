"""Where a pod's engine is looked for, and where it never is."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.engines import ENGINES
from exporter.pods.candidates import Candidate, DcgmCandidate, PodCandidates, candidates_of
from exporter.pods.pod import Container, ContainerPort, Pod

TRTLLM_PATH = ENGINES["tensorrt_llm"].metrics_path


def pod(
    annotations: dict[str, str] | None = None,
    *containers: Container,
    ip: str = "10.0.0.7",
    phase: str = "Running",
    labels: dict[str, str] | None = None,
) -> Pod:
    return Pod(
        namespace="ai",
        name="llama-0",
        ip=ip,
        phase=phase,
        annotations=annotations or {},
        labels=labels or {},
        containers=containers or (container("engine"),),
    )


def container(name: str, **ports: int) -> Container:
    return Container(name, tuple(ContainerPort(port.replace("_", "-"), number) for port, number in ports.items()))


def found(subject: Pod, *gpu_containers: str) -> PodCandidates:
    return candidates_of(subject, gpu_containers or ("engine",))


def urls(subject: Pod, *gpu_containers: str) -> list[str]:
    return [candidate.url for candidate in found(subject, *gpu_containers).engines]


# Which pods are tried


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed", "Unknown", ""])
def test_only_a_running_pod_is_tried(phase: str) -> None:
    assert found(pod(phase=phase)) == PodCandidates()


def test_only_a_pod_that_holds_a_gpu_is_tried() -> None:
    assert candidates_of(pod(), ()) == PodCandidates()
    assert candidates_of(pod(), (), probe_all_pods=True).engines


@pytest.mark.parametrize("value", ["false", "False", " false "])
def test_a_pod_can_opt_out(value: str) -> None:
    assert found(pod({"inferwatch.dev/scrape": value, "prometheus.io/scrape": "true"})) == PodCandidates()


# Annotations


def test_the_pods_own_annotations_say_it_all() -> None:
    annotations = {
        "inferwatch.dev/port": "9000",
        "inferwatch.dev/path": "/custom/metrics",
        "inferwatch.dev/scheme": "https",
        "inferwatch.dev/engine": "sglang",
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "1234",
    }
    assert found(pod(annotations, container("side"), container("engine", http=9000))).engines == (
        Candidate(
            "https://10.0.0.7:9000/custom/metrics",
            "ai",
            "llama-0",
            "engine",
            "sglang",
            "annotation inferwatch.dev/port",
        ),
    )


def test_an_engine_named_without_a_path_has_that_engines_path() -> None:
    annotations = {"inferwatch.dev/port": "8000", "inferwatch.dev/engine": "tensorrt_llm"}
    assert urls(pod(annotations)) == [f"http://10.0.0.7:8000{TRTLLM_PATH}"]


def test_an_engine_named_without_a_port_has_that_engines_ports() -> None:
    assert urls(pod({"inferwatch.dev/engine": "tgi"})) == [
        f"http://10.0.0.7:{port}/metrics" for port in ENGINES["tgi"].ports
    ]


def test_a_port_without_a_path_is_tried_with_every_path_that_engines_have() -> None:
    assert urls(pod({"inferwatch.dev/port": "5000"})) == [
        "http://10.0.0.7:5000/metrics",
        f"http://10.0.0.7:5000{TRTLLM_PATH}",
    ]


def test_prometheus_annotations_count_where_scraping_is_on() -> None:
    annotations = {"prometheus.io/port": "5000", "prometheus.io/path": "/m", "prometheus.io/scheme": "https"}
    (candidate,) = found(pod(annotations | {"prometheus.io/scrape": "true"})).engines
    assert (candidate.url, candidate.why) == ("https://10.0.0.7:5000/m", "annotation prometheus.io/port")
    for off in ({}, {"prometheus.io/scrape": "false"}):
        assert urls(pod(annotations | off)) == urls(pod())


def test_prometheus_annotations_fill_what_the_pods_own_leave_out() -> None:
    annotations = {
        "inferwatch.dev/engine": "vllm",
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "5000",
    }
    (candidate,) = found(pod(annotations)).engines
    assert (candidate.url, candidate.engine_hint) == ("http://10.0.0.7:5000/metrics", "vllm")


def test_prometheus_scraping_without_a_port_means_every_declared_one_first() -> None:
    subject = pod(
        {"prometheus.io/scrape": "true", "prometheus.io/path": "/m"}, container("engine", http=5000, grpc=5001)
    )
    assert urls(subject)[:2] == ["http://10.0.0.7:5000/m", "http://10.0.0.7:5001/m"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("port", "99999", "no port"),
        ("port", "0", "no port"),
        ("port", "-1", "no port"),
        ("port", "80 ", "no port"),
        ("port", "٨٠", "no port"),
        ("port", "9000@evil.example", "no port"),
        ("port", "", "no port"),
        ("path", "metrics", "no path"),
        ("path", "", "no path"),
        ("path", "//evil.example/metrics", "no path"),
        ("path", "@evil.example/metrics", "no path"),
        ("path", "/@evil.example/metrics", "no path"),
        ("path", "/metrics\r\nHost: evil.example", "no path"),
        ("path", "/metrics\n", "no path"),
        ("path", "/metrics?x=1", "no path"),
        ("path", "/metrics#x", "no path"),
        ("path", "/\\evil.example", "no path"),
        ("path", "/mé", "no path"),
        ("path", "/" + "x" * 2000, "no path"),
        ("path", "http://evil.example/metrics", "no path"),
        ("scheme", "ftp", "neither http nor https"),
        ("scheme", "HTTP", "neither http nor https"),
        ("scheme", "http://evil.example/?", "neither http nor https"),
        ("engine", "vllm2", "none of"),
    ],
)
def test_an_annotation_out_of_form_leaves_no_candidate_and_says_why(key: str, value: str, said: str) -> None:
    result = found(pod({f"inferwatch.dev/{key}": value}, container("engine", metrics=9000)))
    assert result.engines == ()
    assert result.problem is not None
    assert (result.problem.source, result.problem.reason) == ("candidates", "bad_annotation")
    assert result.problem.detail.startswith(f"pod ai/llama-0: annotation inferwatch.dev/{key}: ")
    assert said in result.problem.detail
    assert result.problem.detail.isprintable()
    assert len(result.problem.detail) < 300


def test_a_prometheus_annotation_out_of_form_is_named_too() -> None:
    result = found(pod({"prometheus.io/scrape": "true", "prometheus.io/port": "http"}))
    assert result.engines == ()
    assert result.problem is not None
    assert "annotation prometheus.io/port: 'http' is no port" in result.problem.detail


# Ports


def test_ports_named_for_metrics_come_before_default_ports() -> None:
    subject = pod(None, container("side", metrics=9100), container("engine", http=8000, http_metrics=5001))
    candidates = found(subject).engines
    assert [(each.url, each.container, each.why) for each in candidates[:5]] == [
        ("http://10.0.0.7:5001/metrics", "engine", "container port http-metrics"),
        (f"http://10.0.0.7:5001{TRTLLM_PATH}", "engine", "container port http-metrics"),
        ("http://10.0.0.7:9100/metrics", "side", "container port metrics"),
        (f"http://10.0.0.7:9100{TRTLLM_PATH}", "side", "container port metrics"),
        ("http://10.0.0.7:8000/metrics", "engine", "default port"),
    ]


def test_every_engines_default_place_is_tried_declared_ones_first() -> None:
    listed = urls(pod(None, container("engine", http=30000)))
    assert listed[0] == "http://10.0.0.7:30000/metrics"
    wanted = {f"http://10.0.0.7:{port}{engine.metrics_path}" for engine in ENGINES.values() for port in engine.ports}
    assert set(listed) == wanted
    assert len(listed) == len(wanted)


def test_the_container_that_holds_the_gpu_is_named_where_no_port_tells() -> None:
    subject = pod({"inferwatch.dev/port": "5000"}, container("side"), container("engine"))
    assert {candidate.container for candidate in found(subject, "engine").engines} == {"engine"}
    assert {candidate.container for candidate in candidates_of(subject, (), probe_all_pods=True).engines} == {"side"}


def test_a_declared_port_that_is_none_is_passed_over() -> None:
    subject = pod({"prometheus.io/scrape": "true"}, container("engine", metrics=0, http=70000))
    assert urls(subject) == urls(pod())


# Addresses


def test_an_ipv6_address_is_bracketed() -> None:
    assert urls(pod({"inferwatch.dev/port": "80", "inferwatch.dev/path": "/m"}, ip="fd00::7")) == [
        "http://[fd00::7]:80/m"
    ]


@pytest.mark.parametrize(
    "ip",
    [
        "", "evil.example", "10.0.0.7@evil.example", "10.0.0.7/", "10.0.0.7:80", "127.0.0.1", "::1", "0.0.0.0", "::",
        "169.254.169.254", "fe80::1", "fd00::1%eth0", "::ffff:169.254.169.254", "::ffff:127.0.0.1",
        "224.0.0.1", "ff02::1",
    ],
)  # fmt: skip
def test_an_address_that_is_no_pods_is_never_asked(ip: str) -> None:
    result = found(pod(ip=ip))
    assert result.engines == ()
    assert result.problem is not None
    assert result.problem.reason == "bad_address"


# dcgm-exporter


@pytest.mark.parametrize(
    ("subject", "url", "name"),
    [
        (
            pod(None, container("nvidia-dcgm-exporter", metrics=9400)),
            "http://10.0.0.7:9400/metrics",
            "nvidia-dcgm-exporter",
        ),
        (pod(None, container("dcgm-exporter")), "http://10.0.0.7:9400/metrics", "dcgm-exporter"),
        (
            pod(None, container("exporter", other=1, metrics=9500), labels={"app": "nvidia-dcgm-exporter"}),
            "http://10.0.0.7:9500/metrics",
            "exporter",
        ),
        (
            pod(None, container("exporter", http=9600), labels={"app.kubernetes.io/name": "dcgm-exporter"}),
            "http://10.0.0.7:9600/metrics",
            "exporter",
        ),
    ],
)  # fmt: skip
def test_a_dcgm_exporter_is_recognised_without_a_gpu_of_its_own(subject: Pod, url: str, name: str) -> None:
    assert candidates_of(subject, ()) == PodCandidates(dcgm=DcgmCandidate(url, "ai", "llama-0", name))


def test_a_dcgm_exporter_can_opt_out_and_needs_an_address() -> None:
    dcgm = container("dcgm-exporter")
    assert candidates_of(pod({"inferwatch.dev/scrape": "false"}, dcgm), ()) == PodCandidates()
    assert candidates_of(pod(None, dcgm, ip="127.0.0.1"), ()).dcgm is None


def test_port_9400_alone_is_no_dcgm_exporter() -> None:
    assert candidates_of(pod(None, container("inferwatch", metrics=9400)), ()) == PodCandidates()


# Whatever a pod says

KEYS = [f"{prefix}{key}" for prefix in ("inferwatch.dev/", "prometheus.io/") for key in ("port", "path", "scheme")]
VALUES = st.text(max_size=40) | st.sampled_from(
    ["true", "80", "8000", "/metrics", "https", "@evil.example", "//evil.example", "/\\evil.example", "80@evil.example"]
)
ANNOTATIONS = st.dictionaries(
    st.sampled_from([*KEYS, "prometheus.io/scrape", "inferwatch.dev/scrape", "inferwatch.dev/engine"]), VALUES
)
PORTS = st.builds(ContainerPort, st.sampled_from(["metrics", "http"]) | st.text(max_size=5), st.integers())


@settings(deadline=None, derandomize=True)
@given(
    ANNOTATIONS,
    st.lists(st.builds(Container, st.text(max_size=5), st.lists(PORTS, max_size=3).map(tuple)), max_size=3),
    st.ip_addresses().map(str) | st.text(max_size=20),
)
def test_no_candidate_ever_has_a_host_other_than_the_pods_own(
    annotations: dict[str, str], containers: list[Container], ip: str
) -> None:
    subject = Pod("ai", "llama-0", ip=ip, phase="Running", annotations=annotations, containers=tuple(containers))
    result = candidates_of(subject, (), probe_all_pods=True)
    for candidate in result.engines:
        parts = urlsplit(candidate.url)
        assert parts.hostname == ip
        assert parts.username is None
        assert parts.scheme in {"http", "https"}
        assert parts.port
        assert parts.path.startswith("/")
        assert candidate.url.isascii()
        assert candidate.url.isprintable()
        assert " " not in candidate.url
    if result.problem is not None:
        assert result.engines == ()
        assert result.problem.detail.isprintable()
