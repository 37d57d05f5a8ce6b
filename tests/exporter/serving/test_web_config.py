"""The web configuration file: what is taken, and the one line for everything that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.settings import SettingsError
from exporter.serving.web_config import WebConfig, load

HASH = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"


def written(folder: Path, text: str) -> Path:
    path = folder / "web.yml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    path = written(folder, text)
    with pytest.raises(SettingsError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_no_file_and_an_empty_file_mean_plain_http(tmp_path: Path) -> None:
    assert load(None) == load(written(tmp_path, "")) == WebConfig()


def test_the_formats_own_example_is_taken(tmp_path: Path) -> None:
    config = load(
        written(
            tmp_path,
            f"""
            tls_server_config:
              cert_file: server.crt
              key_file: /etc/keys/server.key
              client_auth_type: RequireAndVerifyClientCert
              client_ca_file: ca/clients.pem
              client_allowed_sans: [prometheus]
              min_version: TLS13
              cipher_suites: [TLS_AES_128_GCM_SHA256]
              curve_preferences: [X25519]
            basic_auth_users:
              alice: {HASH}
            http_server_config:
              http2: false
              headers:
                Strict-Transport-Security: max-age=60
                X-Frame-Options: deny
            """,
        )
    )
    tls = config.tls_server_config
    assert tls is not None
    assert (tls.cert_file, tls.key_file) == (str(tmp_path / "server.crt"), "/etc/keys/server.key")
    assert tls.client_ca_file == str(tmp_path / "ca/clients.pem")
    assert (tls.min_version, tls.max_version, tls.client_allowed_sans) == ("TLS13", "TLS13", ("prometheus",))
    assert config.basic_auth_users == {"alice": HASH}
    assert config.http_server_config.headers["X-Frame-Options"] == "deny"


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2x$", "$2y$"])
def test_every_spelling_of_bcrypt_is_taken(tmp_path: Path, prefix: str) -> None:
    config = load(written(tmp_path, f"basic_auth_users: {{a: {prefix}{HASH[4:]}}}"))
    assert config.basic_auth_users["a"].startswith(prefix)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tls_server_confg: {}", "Object contains unknown field `tls_server_confg`"),
        ("tls_server_config: {cert_fiel: a}", "tls_server_config: Object contains unknown field `cert_fiel`"),
        ("basic_auth_users: [alice]", "basic_auth_users: Expected `object`, got `array`"),
        ("- 1", "Expected `object`, got `array`"),
        ("tls_server_config: {min_version: SSL3}", "tls_server_config.min_version: Invalid enum value 'SSL3'"),
        ("a: [", "no YAML at line 1: "),
        ("http_server_config: {http2: true}", "http_server_config.http2: this server speaks HTTP/1.1"),
        ("http_server_config: {headers: {X-Powered-By: me}}", "http_server_config.headers: 'X-Powered-By' is none of"),
        ("http_server_config: {headers: {X-Frame-Options: allow}}", "'allow' is none of deny, sameorigin"),
        ('http_server_config: {headers: {X-XSS-Protection: "1\\r\\nX: y"}}', "only printable ASCII"),
        ("rate_limit: {interval: 1s, burst: 2}", "rate_limit: this server has none"),
        ("basic_auth_users: {alice: hunter2}", "basic_auth_users.alice: no bcrypt hash; make one with: htpasswd"),
        (f"basic_auth_users: {{alice: {HASH[:28]}Z{HASH[29:]}}}", "basic_auth_users.alice: no bcrypt hash"),
        (f"basic_auth_users: {{alice: {HASH}x}}", "basic_auth_users.alice: no bcrypt hash"),
        (f"basic_auth_users: {{alice: {HASH.replace('$10$', '$31$')}}}", "bcrypt cost 31; take one from 4 to 18"),
        (f"basic_auth_users: {{'a:b': {HASH}}}", "a name with a colon can never log in"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


PAIR = "cert_file: c, key_file: k"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("", "cert_file: is needed"),
        ("cert_file: c", "key_file: is needed"),
        ("cert: PEM, key: PEM", "cert: give a file"),
        ("cert_file: c, key: PEM", "key: give a file"),
        (f"{PAIR}, min_version: TLS10", "min_version: TLS10 is obsolete (RFC 8996)"),
        (f"{PAIR}, max_version: TLS11", "max_version: TLS11 is obsolete"),
        (f"{PAIR}, min_version: TLS13, max_version: TLS12", "max_version: TLS12 is below min_version TLS13"),
        (f"{PAIR}, client_auth_type: RequestClientCert", "client_auth_type: RequestClientCert lets any certificate in"),
        (f"{PAIR}, client_auth_type: RequireAnyClientCert", "client_auth_type: RequireAnyClientCert lets any"),
        (f"{PAIR}, client_auth_type: RequireAndVerifyClientCert", "and client_ca_file belong together"),
        (f"{PAIR}, client_ca_file: ca", "and client_ca_file belong together"),
        (f"{PAIR}, client_ca_file: ca, client_ca: PEM", "client_ca: give it or client_ca_file, not both"),
        (
            f"{PAIR}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca, client_allowed_sans: [a]",
            "client_allowed_sans: needs client_auth_type: RequireAndVerifyClientCert",
        ),
        (f"{PAIR}, cipher_suites: [RC4]", "cipher_suites: 'RC4' is none of TLS_ECDHE_ECDSA"),
        (f"{PAIR}, cipher_suites: [TLS_AES_128_GCM_SHA256]", "none is of TLS 1.2; if that is meant, say min_version"),
        (f"{PAIR}, curve_preferences: [X25519, CurveP256]", "curve_preferences: one curve at most"),
        (f"{PAIR}, curve_preferences: [X448]", "curve_preferences: 'X448' is none of CurveP256"),
    ],
)
def test_tls_settings_that_cannot_be_had_are_refused(tmp_path: Path, settings: str, said: str) -> None:
    message = refusal(tmp_path, f"tls_server_config: {{{settings}}}")
    assert message.startswith("tls_server_config.")
    assert said in message


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.yml: cannot be read: No such file"):
        load(tmp_path / "absent.yml")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_bytes(b"basic_auth_users: \xff\xfe")
    with pytest.raises(SettingsError, match=r"web\.yml: no YAML"):
        load(path)


@pytest.mark.parametrize("text", ["basic_auth_users: {a: $2y$HIDDEN", "basic_auth_users: {a: HIDDEN}", "'HIDDEN': &"])
def test_no_error_shows_a_secret(tmp_path: Path, text: str) -> None:
    assert "HIDDEN" not in refusal(tmp_path, text)
