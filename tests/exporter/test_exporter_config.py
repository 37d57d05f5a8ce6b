"""The configuration file: every key has a default, and whatever is wrong is refused in one line."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from catalog.settings import SettingsError
from exporter.config import Config, DcgmExporter, Engines, Gpu, GpuFields, Kubernetes, Otlp, Target, load

# Every key with a value that is not its default.
WHOLE: dict[str, Any] = {
    "listen": "[::1]:9500",
    "node": "n1",
    "interval_seconds": 2,
    "gpu": {
        "enabled": False,
        "names": "dcgm4.6",
        "hostname_label": "hostname",
        "fields": {"csv_file": "fields.csv", "include": ["A"], "exclude": ["B", "C"]},
        "profiling": False,
        "processes": True,
        "timeout_seconds": 1.5,
    },
    "engines": {
        "targets": [
            {
                "url": "https://10.0.0.1:8000/metrics",
                "name": "first",
                "engine": "vllm",
                "namespace": "prod",
                "pod": "p-0",
                "container": "engine",
                "bearer_token_file": "",
                "username": "u",
                "password_file": "password",
                "ca_file": "ca.pem",
                "insecure_skip_verify": True,
            }
        ],
        "timeout_seconds": 1,
        "max_body_bytes": 1024,
        "max_series": 1,
        "passthrough": True,
    },
    "kubernetes": {
        "discovery": "none",
        "pods_api_socket": "a.sock",
        "pod_resources_socket": "b.sock",
        "gpu_resources": ["example.com/gpu"],
        "refresh_seconds": 3600,
        "probe_all_pods": True,
    },
    "dcgm_exporter": {"url": "http://10.0.0.1:9400/metrics", "discover": False},
    "otlp": {"endpoint": "https://collector:4318", "interval_seconds": 10, "headers_file": "headers"},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "exporter.yaml"


def loaded(file: Path, text: str) -> Config:
    file.write_text(text, encoding="utf-8")
    return load(file)


def refusal(file: Path) -> str:
    """What is said of a file, without its name; always one line that begins with it."""
    with pytest.raises(SettingsError) as raised:
        load(file)
    message = str(raised.value)
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    return message.removeprefix(f"{file}: ")


def said_of(file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    return refusal(file)


def plain(config: Config) -> dict[str, Any]:
    """A configuration as a YAML file holds it."""
    return msgspec.json.decode(msgspec.json.encode(config), type=dict[str, Any])


def keys(mapping: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in mapping.items():
        inside = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
        if isinstance(inside, dict):
            yield from keys(inside, f"{above}{key}.")
        else:
            yield f"{above}{key}"


# What is taken


def test_without_a_file_everything_has_its_default() -> None:
    config = load(None)
    assert config == Config()
    assert (config.listen, config.interval_seconds) == ("0.0.0.0:9400", 5.0)
    assert config.gpu == Gpu(enabled=True, names="dcgm4", hostname_label="Hostname", profiling=True, timeout_seconds=2)
    assert config.gpu.fields == GpuFields()
    assert config.engines == Engines(targets=(), timeout_seconds=3, max_body_bytes=32 << 20, max_series=50_000)
    assert config.kubernetes == Kubernetes(discovery="auto", refresh_seconds=15)
    assert config.dcgm_exporter == DcgmExporter(url="", discover=True)
    assert config.otlp == Otlp(endpoint="", interval_seconds=30)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "{}"])
def test_an_empty_file_is_a_valid_one(file: Path, text: str) -> None:
    assert loaded(file, text) == Config()


def test_every_key_is_read(file: Path) -> None:
    config = loaded(file, yaml.safe_dump(WHOLE))
    assert plain(config) == WHOLE
    assert isinstance(config.engines.targets[0], Target)


def test_a_target_has_one_kind_of_credentials(file: Path) -> None:
    target = {"url": "http://10.0.0.1:8000/", "bearer_token_file": "token"}
    assert (
        loaded(file, yaml.safe_dump({"engines": {"targets": [target]}})).engines.targets[0].bearer_token_file == "token"
    )
    both = {**target, "username": "u", "password_file": "p"}
    with pytest.raises(SettingsError, match=r"targets\[0\]: either bearer_token_file or username"):
        loaded(file, yaml.safe_dump({"engines": {"targets": [both]}}))


@pytest.mark.parametrize("address", ["9400", "host", "a:b", "127.0.0.1:99999", "::1:9400", ":"])
def test_an_address_to_listen_at_has_a_port(file: Path, address: str) -> None:
    with pytest.raises(SettingsError, match="is not HOST:PORT"):
        loaded(file, yaml.safe_dump({"listen": address}))


@pytest.mark.parametrize("text", ["node: 2024-13-45", "node: 0b_", "node: !!int ''", "node: !!float x", "[" * 3000])
def test_yaml_that_its_reader_stumbles_over_is_refused_like_any(file: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="no YAML"):
        loaded(file, text)


@pytest.mark.parametrize(
    "url", ["http://u:secret@h/metrics", "http://u:secret@[::1/", "http://h:99999/", "http://h:0/"]
)
def test_an_address_without_a_host_or_with_credentials_is_refused(file: Path, url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        loaded(file, yaml.safe_dump({"engines": {"targets": [{"url": url}]}}))
    assert "engines.targets[0].url: " in str(raised.value)
    assert "secret" not in str(raised.value)


def test_the_example_holds_every_key_and_no_default() -> None:
    """So that the test above is about all of them."""
    default = plain(Config(engines=Engines(targets=(Target(url="http://default"),))))
    assert sorted(keys(WHOLE)) == sorted(keys(default))
    for part in ("gpu", "kubernetes", "dcgm_exporter", "otlp"):
        assert (
            not WHOLE[part].items() & {k: v for k, v in default[part].items() if not isinstance(v, dict | list)}.items()
        )


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Config().node = "other"  # type: ignore[misc]


def test_the_node_is_the_files_then_the_environments_then_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_NAME", "from-environment")
    assert Config(node="from-file").node_name == "from-file"
    assert Config().node_name == "from-environment"
    monkeypatch.setenv("NODE_NAME", "")
    assert Config().node_name == socket.gethostname()


@pytest.mark.parametrize("address", ["0.0.0.0:9400", ":9400", "localhost:0", "[::]:9400", "[::1]:65535"])
def test_addresses_to_listen_at(file: Path, address: str) -> None:
    assert loaded(file, yaml.safe_dump({"listen": address})).listen == address


def test_targets_may_share_a_name_where_another_label_tells_them_apart(file: Path) -> None:
    text = """
engines:
  targets:
    - {url: "http://a", name: x}
    - {url: "http://a", name: x, namespace: other}
    - {url: "http://a", name: x, container: sidecar}
    - {url: "http://a", name: x, pod: p}
"""
    assert len(loaded(file, text).engines.targets) == 4


# What is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("intervall_seconds: 5", "unknown field `intervall_seconds`"),
        ("gpu: {name: dcgm4}", "gpu: Object contains unknown field `name`"),
        ("gpu: {fields: {add: []}}", "gpu.fields: Object contains unknown field `add`"),
        ("engines: {targets: [{url: http://a, tls: true}]}", "engines.targets[0]: Object contains unknown field `tls`"),
        ("kubernetes: {namespace: a}", "kubernetes: Object contains unknown field `namespace`"),
        ("dcgm_exporter: {port: 9400}", "dcgm_exporter: Object contains unknown field `port`"),
        ("otlp: {url: http://a}", "otlp: Object contains unknown field `url`"),
    ],
)
def test_an_unknown_key(file: Path, text: str, said: str) -> None:
    assert said in said_of(file, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("interval_seconds: soon", "interval_seconds: Expected `float`, got `str`"),
        ("interval_seconds: true", "interval_seconds: Expected `float`, got `bool`"),
        ("node: 12", "node: Expected `str`, got `int`"),
        ("listen: 9400", "listen: Expected `str`, got `int`"),
        ("gpu: null", "gpu: Expected `object`, got `null`"),
        ("gpu: {enabled: 1}", "gpu.enabled: Expected `bool`, got `int`"),
        ("gpu: {fields: {include: DCGM_FI_DEV_GPU_UTIL}}", "gpu.fields.include: Expected `array`, got `str`"),
        ("engines: {max_series: 1.5}", "engines.max_series: Expected `int`, got `float`"),
        ("engines: {targets: {url: http://a}}", "engines.targets: Expected `array`, got `object`"),
        ("engines: {targets: [{}]}", "engines.targets[0]: Object missing required field `url`"),
        ("engines: {targets: [{url: http://a}, {url: 3}]}", "engines.targets[1].url: Expected `str`, got `int`"),
    ],
)
def test_a_wrong_type(file: Path, text: str, said: str) -> None:
    assert said_of(file, text).startswith(said)


@pytest.mark.parametrize("value", ["0", "-1", "3601", ".nan", ".inf", "-.inf"])
@pytest.mark.parametrize(
    "key",
    [
        "interval_seconds",
        "gpu.timeout_seconds",
        "engines.timeout_seconds",
        "kubernetes.refresh_seconds",
        "otlp.interval_seconds",
    ],
)
def test_seconds_are_above_0_and_an_hour_at_most(file: Path, key: str, value: str) -> None:
    part, _, name = key.rpartition(".")
    text = f"{part}: {{{name}: {value}}}" if part else f"{name}: {value}"
    wanted = "infinity and not-a-number are no settings" if value.lstrip("-").startswith(".") else "Expected `float`"
    assert said_of(file, text).startswith(f"{key}: {wanted}")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("engines: {max_body_bytes: 1023}", "engines.max_body_bytes"),
        ("engines: {max_body_bytes: 1073741825}", "engines.max_body_bytes"),
        ("engines: {max_series: 0}", "engines.max_series"),
        ("gpu: {names: dcgm5}", "gpu.names"),
        ("gpu: {hostname_label: HOSTNAME}", "gpu.hostname_label"),
        ("kubernetes: {discovery: kubelet}", "kubernetes.discovery"),
        ("listen: '9400'", "listen"),
        ("listen: 'a:b:9400'", "listen"),
        ("listen: '[::1]'", "listen"),
        ("listen: 'h:123456'", "listen"),
        ("engines: {targets: [{url: localhost:8000}]}", "engines.targets[0].url"),
        ("engines: {targets: [{url: 'ftp://a'}]}", "engines.targets[0].url"),
        ("engines: {targets: [{url: 'http:///metrics'}]}", "engines.targets[0].url"),
        ("dcgm_exporter: {url: localhost:9400}", "dcgm_exporter.url"),
        ("otlp: {endpoint: localhost:4318}", "otlp.endpoint"),
    ],
)
def test_a_value_that_is_out_of_range_or_form(file: Path, text: str, key: str) -> None:
    assert said_of(file, text).startswith(f"{key}: ")


@pytest.mark.parametrize("text", ["[1, 2]", "3", "just words"])
def test_a_file_that_is_no_mapping(file: Path, text: str) -> None:
    assert said_of(file, text).startswith("Expected `object`, got ")


@pytest.mark.parametrize(
    "text",
    ["gpu: [", "a: b: c", "\tnode: a", "node: 'a", "? [1]\n: 2", "node: *nothing", "node: !!python/name:os.system x"],
)
def test_bad_yaml_names_the_place(file: Path, text: str) -> None:
    said = said_of(file, text)
    assert said.startswith("no YAML: ")
    assert "line " in said


def test_a_file_that_is_not_there(file: Path) -> None:
    assert refusal(file) == "cannot be read: No such file or directory"


def test_a_file_that_cannot_be_read(file: Path) -> None:
    file.mkdir()
    assert refusal(file) == "cannot be read: Is a directory"


@pytest.mark.parametrize("content", [b"node: \xff", b"node: caf\xe9", b"node: \x00"])
def test_a_file_that_is_no_text(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert refusal(file).startswith("no YAML: ")


@pytest.mark.parametrize(
    "pair",
    [
        "[{url: http://a}, {url: http://a}]",
        "[{url: http://a, name: x}, {url: http://b, name: x}]",
        "[{url: http://a, pod: x, name: y}, {url: http://b, pod: x, name: z}]",
        "[{url: http://a, pod: x, namespace: n}, {url: http://b, name: x, namespace: n}]",
    ],
)
def test_two_targets_of_one_name(file: Path, pair: str) -> None:
    text = f"engines: {{targets: [{{url: http://other}}, {pair[1:-1]}]}}"
    assert said_of(file, text) == "engines.targets[2]: the same name as targets[1]; give each its own name"


def test_an_engine_that_nobody_knows(file: Path) -> None:
    said = said_of(file, "engines: {targets: [{url: http://a}, {url: http://b, engine: vlm}]}")
    assert said.startswith("engines.targets[1].engine: 'vlm' is none of ")
    assert "vllm" in said


@pytest.mark.parametrize("half", ["username: u", "password_file: secret"])
def test_a_name_without_a_password_or_the_other_way_round(file: Path, half: str) -> None:
    said = said_of(file, f"engines: {{targets: [{{url: http://a, {half}}}]}}")
    assert said == "engines.targets[0]: username and password_file belong together"


# Addresses


def address(key: str, url: str) -> str:
    """A file in which this key is this address."""
    return (
        f"engines: {{targets: [{{url: '{url}'}}]}}" if key.startswith("engines") else f"dcgm_exporter: {{url: '{url}'}}"
    )


@pytest.mark.parametrize("key", ["engines.targets[0].url", "dcgm_exporter.url"])
@pytest.mark.parametrize("url", ["http://user:s3cret@h:8000/metrics", "https://s3cret@h/", "http://:s3cret@h"])
def test_credentials_in_an_address_are_refused_and_not_repeated(file: Path, key: str, url: str) -> None:
    """It becomes a label and stands on the status page."""
    said = said_of(file, address(key, url))
    assert said.startswith(f"{key}: no credentials in an address")
    assert "s3cret" not in said


@pytest.mark.parametrize("key", ["engines.targets[0].url", "dcgm_exporter.url"])
@pytest.mark.parametrize("url", ["http://h:0/", "http://h:65536/", "http://h:port/", "http://:8000/", "http://h:-1/"])
def test_an_address_that_nothing_can_connect_to(file: Path, key: str, url: str) -> None:
    assert said_of(file, address(key, url)).startswith(f"{key}: {url!r} needs a host, and a port from 1 to 65535")


@pytest.mark.parametrize("key", ["engines.targets[0].url", "dcgm_exporter.url"])
@pytest.mark.parametrize("url", ["http://h", "https://h:65535/a?b=c", "http://[::1]:1/metrics", "http://10.0.0.1:8000"])
def test_addresses_that_are_taken(file: Path, key: str, url: str) -> None:
    config = loaded(file, address(key, url))
    assert url in (config.dcgm_exporter.url, *(target.url for target in config.engines.targets))
