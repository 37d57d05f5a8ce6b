"""The Prometheus web configuration file (`--web.config.file` of its exporters): TLS, basic auth, headers.

The format is that of exporter-toolkit's docs/web-configuration.md. Whatever in it Python's ssl or this server
cannot do is refused by name, never passed over. Paths are relative to the file.

Authentication covers every path, the probes' too, as in exporter-toolkit: with `basic_auth_users`, or with a
client certificate required, a kubelet's httpGet probe gets no 200; use a tcpSocket probe there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec

from catalog.settings import Part, SettingsError, readable

__all__ = ["HttpServerConfig", "TlsServerConfig", "WebConfig", "load"]

TlsVersion = Literal["TLS10", "TLS11", "TLS12", "TLS13"]
ClientAuthType = Literal[
    "NoClientCert",
    "RequestClientCert",
    "RequireClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
]


class TlsServerConfig(Part, frozen=True, kw_only=True):
    """TLS of the server. The names and defaults are the format's; `exporter.serving.tls` says what is refused."""

    cert: str = ""
    key: str = ""
    client_ca: str = ""
    cert_file: str = ""
    key_file: str = ""
    client_auth_type: ClientAuthType | Literal[""] = ""
    client_ca_file: str = ""
    client_allowed_sans: tuple[str, ...] = ()
    min_version: TlsVersion = "TLS12"
    max_version: TlsVersion = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[str, ...] = ()


class HttpServerConfig(Part, frozen=True, kw_only=True):
    """`http2` may only be false or absent: the server speaks HTTP/1.1. `headers` go out with every response."""

    http2: bool = False
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class WebConfig(Part, frozen=True, kw_only=True):
    """The whole file. Without `tls_server_config` the server speaks plain HTTP; without users anyone may read."""

    tls_server_config: TlsServerConfig | None = None
    http_server_config: HttpServerConfig = HttpServerConfig()
    basic_auth_users: dict[str, str] = msgspec.field(default_factory=dict)
    rate_limit: dict[str, object] | None = None


# The headers that the format knows, and the only values of those that have a closed list.
_HEADERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Strict-Transport-Security": (),
        "X-Content-Type-Options": ("nosniff",),
        "X-Frame-Options": ("deny", "sameorigin"),
        "X-XSS-Protection": (),
        "Content-Security-Policy": (),
    }
)
# The salt's last character carries two bits, which bcrypt checks: hence only four are possible there.
_BCRYPT = re.compile(r"\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_COSTS = range(4, 19)
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")


def load(path: Path | None) -> WebConfig:
    """Read and check a web configuration file; None gives plain HTTP without authentication.

    Raises SettingsError with one line that names the file and the key, and shows no secret. Certificates are read
    by `exporter.serving.tls.Certificates`, not here.
    """
    if path is None:
        return WebConfig()
    import yaml

    try:
        loaded = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        # The message would quote the line, which may hold a secret.
        line = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingsError(f"{path}: no YAML{line}: {error.problem or error.context}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SettingsError(f"{path}: no YAML: it holds bytes that are no UTF-8 text") from None
    except (ValueError, IndexError, RecursionError):
        raise SettingsError(f"{path}: no YAML: a date, a number or a nesting in it cannot be read") from None
    try:
        config = msgspec.convert({} if loaded is None else loaded, WebConfig)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {readable(str(error))}") from None
    _check_http(path, config)
    _check_users(path, config.basic_auth_users)
    tls = config.tls_server_config
    if tls is None:
        return config
    from exporter.serving.tls import check

    try:
        check(tls)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    return msgspec.structs.replace(config, tls_server_config=_beside(path, tls))


def _beside(path: Path, tls: TlsServerConfig) -> TlsServerConfig:
    """Make the paths absolute or relative to the working directory, from relative to the file."""

    def joined(name: str) -> str:
        return str(path.parent / name) if name else ""

    return msgspec.structs.replace(
        tls,
        cert_file=joined(tls.cert_file),
        key_file=joined(tls.key_file),
        client_ca_file=joined(tls.client_ca_file),
    )


def _check_http(path: Path, config: WebConfig) -> None:
    if config.rate_limit is not None:
        raise SettingsError(f"{path}: rate_limit: this server has none; it bounds connections and waits instead")
    where = f"{path}: http_server_config"
    if config.http_server_config.http2:
        raise SettingsError(f"{where}.http2: this server speaks HTTP/1.1; leave the key out or say false")
    for name, value in config.http_server_config.headers.items():
        if name not in _HEADERS:
            raise SettingsError(f"{where}.headers: {name!r} is none of {', '.join(_HEADERS)}")
        if value and _HEADERS[name] and value not in _HEADERS[name]:
            raise SettingsError(f"{where}.headers.{name}: {value!r} is none of {', '.join(_HEADERS[name])}")
        if not _HEADER_VALUE.fullmatch(value):
            raise SettingsError(f"{where}.headers.{name}: only printable ASCII can go into a header")


def _check_users(path: Path, users: Mapping[str, str]) -> None:
    for name, text in users.items():
        where = f"{path}: basic_auth_users.{name}"
        if ":" in name:
            raise SettingsError(f"{where}: a name with a colon can never log in (RFC 7617)")
        found = _BCRYPT.fullmatch(text)
        if not found:
            raise SettingsError(f"{where}: no bcrypt hash; make one with: htpasswd -nBC 10 NAME")
        if int(found[1]) not in _COSTS:
            raise SettingsError(f"{where}: bcrypt cost {int(found[1])}; take one from {_COSTS[0]} to {_COSTS[-1]}")
