"""Server-side TLS from the web configuration, with certificates that are read anew when their files change.

Python's ssl has no session of its own for "ask for a client certificate but do not verify it", takes keys from
files only, holds to one elliptic curve at most, and leaves the suites of TLS 1.3 to OpenSSL. What needs more
than that is refused here.
"""

from __future__ import annotations

import ipaddress
import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from catalog.settings import SettingsError
from exporter.serving.web_config import TlsServerConfig

__all__ = ["Certificates", "allowed_by_san", "check"]

_LOG = logging.getLogger(__name__)

_VERSIONS: Mapping[str, ssl.TLSVersion] = MappingProxyType(
    {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
)
_CLIENT_AUTH: Mapping[str, ssl.VerifyMode] = MappingProxyType(
    {
        "": ssl.CERT_NONE,
        "NoClientCert": ssl.CERT_NONE,
        "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
        "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
    }
)
# Suites up to TLS 1.2 that Go's crypto/tls counts as secure: IANA's name -> OpenSSL's.
_CIPHERS: Mapping[str, str] = MappingProxyType(
    {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    }
)
# Always on, in Go as in OpenSSL: naming them changes nothing.
_CIPHERS_OF_TLS13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_CURVES: Mapping[str, str] = MappingProxyType(
    {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
)

_Stamp = tuple[tuple[int, int, int], ...]


class Certificates:
    """The server's TLS context. Its certificate, key and client CA are those of the files at each handshake.

    Files that cannot be used leave the last good ones in service, are logged once, and are counted in
    `reload_errors`.
    """

    def __init__(self, config: TlsServerConfig) -> None:
        """Read the files of settings that passed `check`. Raises SettingsError with one line that names the file."""
        self._config = config
        self._current = _context(config)
        self._stamp = _stamp(config)
        self.reload_errors = 0
        self.context = _context(config)
        # OpenSSL calls this in every handshake, with or without a server name.
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext) -> None:
        stamp = _stamp(self._config)
        if stamp != self._stamp:
            self._stamp = stamp
            self._reload()
        connection.context = self._current

    def _reload(self) -> None:
        try:
            self._current = _context(self._config)
        except SettingsError as error:
            self.reload_errors += 1
            _LOG.error("%s; the last good certificate stays in service", error)
        else:
            _LOG.info("certificate of %s read anew", self._config.cert_file)


def allowed_by_san(certificate: Mapping[str, Any] | None, allowed: tuple[str, ...]) -> bool:
    """Tell whether a peer's certificate (`SSLObject.getpeercert`) has one of these subject alternative names.

    DNS names, e-mail addresses, IP addresses and URIs count, by exact match as in exporter-toolkit.
    """
    names: set[str] = set()
    for kind, value in (certificate or {}).get("subjectAltName", ()):
        if kind == "IP Address":
            names.add(str(ipaddress.ip_address(value)))
        elif kind in {"DNS", "email", "URI"}:
            names.add(value)
    return not names.isdisjoint(allowed)


def _stamp(config: TlsServerConfig) -> _Stamp:
    """What changes when a file is replaced or written; a missing file has a stamp of its own."""
    stamps = []
    # An empty name would be the working directory, which changes with every file in it.
    for name in filter(None, (config.cert_file, config.key_file, config.client_ca_file)):
        try:
            found = Path(name).stat()
        except OSError:
            stamps.append((0, 0, 0))
        else:
            stamps.append((found.st_mtime_ns, found.st_ino, found.st_size))
    return tuple(stamps)


def check(config: TlsServerConfig) -> None:
    """Raise SettingsError, with one line that names the key, for settings that cannot be had; reads no file."""
    where = "tls_server_config"
    if config.cert or config.key:
        raise SettingsError(f"{where}.{'cert' if config.cert else 'key'}: give a file: cert_file and key_file")
    for name in ("cert_file", "key_file"):
        if not getattr(config, name):
            raise SettingsError(f"{where}.{name}: is needed for TLS")
    for name in ("min_version", "max_version"):
        if getattr(config, name) not in _VERSIONS:
            raise SettingsError(f"{where}.{name}: {getattr(config, name)} is obsolete (RFC 8996); take TLS12 or TLS13")
    if _VERSIONS[config.max_version] < _VERSIONS[config.min_version]:
        raise SettingsError(f"{where}.max_version: {config.max_version} is below min_version {config.min_version}")
    _check_clients(config, where)
    for suite in config.cipher_suites:
        if suite not in _CIPHERS and suite not in _CIPHERS_OF_TLS13:
            raise SettingsError(f"{where}.cipher_suites: {suite!r} is none of {', '.join(_CIPHERS)}")
    if config.cipher_suites and config.min_version != "TLS13" and not set(config.cipher_suites) & set(_CIPHERS):
        raise SettingsError(f"{where}.cipher_suites: none is of TLS 1.2; if that is meant, say min_version: TLS13")
    if len(config.curve_preferences) > 1:
        raise SettingsError(f"{where}.curve_preferences: one curve at most can be set; leave it out for all of them")
    for curve in config.curve_preferences:
        if curve not in _CURVES:
            raise SettingsError(f"{where}.curve_preferences: {curve!r} is none of {', '.join(_CURVES)}")


def _check_clients(config: TlsServerConfig, where: str) -> None:
    kind = config.client_auth_type
    if kind not in _CLIENT_AUTH:
        raise SettingsError(
            f"{where}.client_auth_type: {kind} lets any certificate in and cannot be had; "
            "take VerifyClientCertIfGiven or RequireAndVerifyClientCert"
        )
    has_ca = bool(config.client_ca_file or config.client_ca)
    if config.client_ca_file and config.client_ca:
        raise SettingsError(f"{where}.client_ca: give it or client_ca_file, not both")
    if has_ca != (_CLIENT_AUTH[kind] is not ssl.CERT_NONE):
        raise SettingsError(f"{where}.client_auth_type: a type that verifies and client_ca_file belong together")
    if config.client_allowed_sans and _CLIENT_AUTH[kind] is not ssl.CERT_REQUIRED:
        raise SettingsError(f"{where}.client_allowed_sans: needs client_auth_type: RequireAndVerifyClientCert")


def _context(config: TlsServerConfig) -> ssl.SSLContext:
    """Build a context from the files as they are now. Raises SettingsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[config.min_version]
    context.maximum_version = _VERSIONS[config.max_version]
    context.set_alpn_protocols(["http/1.1"])
    suites = [_CIPHERS[suite] for suite in config.cipher_suites if suite in _CIPHERS]
    if suites:
        context.set_ciphers(":".join(suites))
    if not config.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    for curve in config.curve_preferences:
        context.set_ecdh_curve(_CURVES[curve])
    context.verify_mode = _CLIENT_AUTH[config.client_auth_type]
    _load_certificate(context, config)
    _load_client_ca(context, config)
    return context


def _load_certificate(context: ssl.SSLContext, config: TlsServerConfig) -> None:
    for name in (config.cert_file, config.key_file):
        try:
            with Path(name).open("rb"):
                pass
        except OSError as error:
            raise SettingsError(f"{name}: cannot be read: {error.strerror}") from error

    def passphrase() -> str:
        # Without this OpenSSL would ask on the terminal.
        raise SettingsError(f"{config.key_file}: the key is encrypted; give one without a passphrase")

    try:
        context.load_cert_chain(config.cert_file, config.key_file, passphrase)
    except ssl.SSLError as error:
        if "MISMATCH" in (error.reason or ""):
            reason = f"its key is not the one in {config.key_file}"
        else:
            reason = f"it or {config.key_file} holds no certificate or key in PEM form ({error.reason or 'no PEM'})"
        raise SettingsError(f"{config.cert_file}: {reason}") from error


def _load_client_ca(context: ssl.SSLContext, config: TlsServerConfig) -> None:
    if not config.client_ca_file and not config.client_ca:
        return
    try:
        context.load_verify_locations(cafile=config.client_ca_file or None, cadata=config.client_ca or None)
    except ssl.SSLError as error:
        where = config.client_ca_file or "tls_server_config.client_ca"
        raise SettingsError(f"{where}: holds no certificate in PEM form") from error
    except OSError as error:
        raise SettingsError(f"{config.client_ca_file}: cannot be read: {error.strerror}") from error
