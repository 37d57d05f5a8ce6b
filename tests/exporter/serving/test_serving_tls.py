"""TLS with certificates made on the spot: versions, client certificates, and files that change while serving."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from catalog.settings import SettingsError
from exporter.serving.app import Sources
from exporter.serving.server import Server
from exporter.serving.tls import Certificates, allowed_by_san
from exporter.serving.web_config import TlsServerConfig, WebConfig

Serve = Callable[..., Server]


class Files:
    """A server's certificate, key and client CA in a folder; each write replaces the file as a mounted secret does."""

    def __init__(self, folder: Path) -> None:
        self.cert, self.key, self.client_ca = folder / "tls.crt", folder / "tls.key", folder / "ca.crt"

    def put(self, path: Path, content: bytes) -> None:
        new = path.with_suffix(".new")
        new.write_bytes(content)
        new.replace(path)

    def issue(self, authority: trustme.CA) -> None:
        issued = authority.issue_cert("localhost", "127.0.0.1")
        self.put(self.key, issued.private_key_pem.bytes())
        self.put(self.cert, b"".join(pem.bytes() for pem in issued.cert_chain_pems))

    def trust_clients_of(self, authority: trustme.CA) -> None:
        self.put(self.client_ca, authority.cert_pem.bytes())

    def config(self, **settings: object) -> TlsServerConfig:
        return TlsServerConfig(cert_file=str(self.cert), key_file=str(self.key), **settings)  # type: ignore[arg-type]

    def requiring(self, **settings: object) -> TlsServerConfig:
        return self.config(
            client_auth_type="RequireAndVerifyClientCert", client_ca_file=str(self.client_ca), **settings
        )


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def other_authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Files:
    found = Files(tmp_path)
    found.issue(authority)
    return found


def client(authority: trustme.CA, identity: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if identity is not None:
        identity.configure_cert(context)
    return context


def get(server: Server, context: ssl.SSLContext, path: str = "/healthz") -> tuple[int, str | None, str]:
    """Status, TLS version and cipher of a request on a new connection."""
    connection = http.client.HTTPSConnection("localhost", server.port, timeout=20, context=context)
    try:
        connection.request("GET", path)
        assert isinstance(connection.sock, ssl.SSLSocket)
        cipher = connection.sock.cipher()
        version = connection.sock.version()
        answer = connection.getresponse()
        answer.read()
        return answer.status, version, cipher[0] if cipher else ""
    finally:
        connection.close()


def refused(server: Server, context: ssl.SSLContext) -> bool:
    """With TLS 1.3 a client learns of its refusal when it reads."""
    try:
        get(server, context)
    except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
        return True
    return False


def secured(config: TlsServerConfig) -> WebConfig:
    return WebConfig(tls_server_config=config)


def test_metrics_over_tls(serve: Serve, sources: Sources, files: Files, authority: trustme.CA) -> None:
    server = serve(sources, secured(files.config()))
    assert get(server, client(authority), "/metrics")[:2] == (200, "TLSv1.3")


def test_plain_http_gets_nothing(serve: Serve, sources: Sources, files: Files) -> None:
    server = serve(sources, secured(files.config()))
    connection = http.client.HTTPConnection("localhost", server.port, timeout=20)
    try:
        connection.request("GET", "/metrics")
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            connection.getresponse()
    finally:
        connection.close()


def test_a_version_below_the_minimum_is_refused(
    serve: Serve, sources: Sources, files: Files, authority: trustme.CA
) -> None:
    server = serve(sources, secured(files.config(min_version="TLS13")))
    old = client(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert refused(server, old)
    assert get(server, client(authority))[:2] == (200, "TLSv1.3")


def test_version_suites_and_curve_are_those_configured(
    serve: Serve, sources: Sources, files: Files, authority: trustme.CA
) -> None:
    suites = ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")
    server = serve(
        sources,
        secured(
            files.config(
                max_version="TLS12",
                cipher_suites=suites,
                curve_preferences=("CurveP384",),
                prefer_server_cipher_suites=False,
            )
        ),
    )
    status, version, cipher = get(server, client(authority))
    assert (status, version) == (200, "TLSv1.2")
    assert cipher.endswith("AES256-GCM-SHA384")
    wrong_suite, wrong_curve = client(authority), client(authority)
    wrong_suite.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
    wrong_curve.set_ecdh_curve("prime256v1")
    assert refused(server, wrong_suite)
    assert refused(server, wrong_curve)


def test_a_client_needs_a_certificate_of_the_right_authority(
    serve: Serve, sources: Sources, files: Files, authority: trustme.CA, other_authority: trustme.CA
) -> None:
    files.trust_clients_of(authority)
    server = serve(sources, secured(files.requiring()))
    assert refused(server, client(authority))
    assert refused(server, client(authority, other_authority.issue_cert("prometheus")))
    assert get(server, client(authority, authority.issue_cert("prometheus")))[0] == 200


def test_a_client_certificate_may_be_optional(
    serve: Serve, sources: Sources, files: Files, authority: trustme.CA, other_authority: trustme.CA
) -> None:
    pem = authority.cert_pem.bytes().decode()
    server = serve(sources, secured(files.config(client_auth_type="VerifyClientCertIfGiven", client_ca=pem)))
    assert get(server, client(authority))[0] == 200
    assert refused(server, client(authority, other_authority.issue_cert("prometheus")))


def test_a_client_needs_an_allowed_name(serve: Serve, sources: Sources, files: Files, authority: trustme.CA) -> None:
    files.trust_clients_of(authority)
    server = serve(sources, secured(files.requiring(client_allowed_sans=("prometheus", "::1"))))
    assert get(server, client(authority, authority.issue_cert("other", "prometheus")))[0] == 200
    assert get(server, client(authority, authority.issue_cert("::1")))[0] == 200
    assert refused(server, client(authority, authority.issue_cert("prometheus.example", "127.0.0.1")))


def test_every_kind_of_name_counts() -> None:
    names = (("DNS", "a"), ("IP Address", "0:0:0:0:0:0:0:1"), ("email", "m@x"), ("URI", "spiffe://x"), ("DirName", "d"))
    certificate = {"subjectAltName": names}
    for allowed in ("a", "::1", "m@x", "spiffe://x"):
        assert allowed_by_san(certificate, (allowed,))
    assert not allowed_by_san(certificate, ("A", "b", "d"))
    assert not allowed_by_san({}, ("a",))
    assert not allowed_by_san(None, ("a",))


def test_a_renewed_certificate_is_served_without_a_restart(
    serve: Serve, sources: Sources, files: Files, authority: trustme.CA, other_authority: trustme.CA
) -> None:
    server = serve(sources, secured(files.config()))
    assert get(server, client(authority))[0] == 200
    files.issue(other_authority)
    assert get(server, client(other_authority))[0] == 200
    assert refused(server, client(authority))
    assert server.certificates
    assert server.certificates.reload_errors == 0


def test_a_renewed_client_authority_takes_the_old_ones_place(
    serve: Serve, sources: Sources, files: Files, authority: trustme.CA, other_authority: trustme.CA
) -> None:
    files.trust_clients_of(authority)
    server = serve(sources, secured(files.requiring()))
    old, new = (client(authority, issuer.issue_cert("prometheus")) for issuer in (authority, other_authority))
    assert get(server, old)[0] == 200
    files.trust_clients_of(other_authority)
    assert get(server, new)[0] == 200
    assert refused(server, old)


def test_half_a_renewal_leaves_the_last_good_certificate(
    serve: Serve,
    sources: Sources,
    files: Files,
    authority: trustme.CA,
    other_authority: trustme.CA,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = serve(sources, secured(files.config()))
    key = files.key.read_bytes()
    files.put(files.key, other_authority.issue_cert("localhost").private_key_pem.bytes())
    for _ in range(3):
        assert get(server, client(authority))[0] == 200
    assert server.certificates
    assert server.certificates.reload_errors == 1
    assert "the last good certificate stays in service" in caplog.text
    files.key.unlink()
    assert get(server, client(authority))[0] == 200
    assert server.certificates.reload_errors == 2
    files.put(files.key, key)
    assert get(server, client(authority))[0] == 200
    assert server.certificates.reload_errors == 2


def test_what_else_changes_in_the_working_directory_is_no_renewal(
    serve: Serve,
    sources: Sources,
    files: Files,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "working"
    folder.mkdir()
    monkeypatch.chdir(folder)
    server = serve(sources, secured(files.config()))
    files.key.unlink()
    for number in range(3):
        (folder / str(number)).touch()
        assert get(server, client(authority))[0] == 200
    assert server.certificates
    assert server.certificates.reload_errors == 1


def unusable(config: TlsServerConfig) -> str:
    with pytest.raises(SettingsError) as caught:
        Certificates(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_that_cannot_be_used_are_named(files: Files, tmp_path: Path, other_authority: trustme.CA) -> None:
    absent = str(tmp_path / "absent")
    other = other_authority.issue_cert("localhost")
    (tmp_path / "other.key").write_bytes(other.private_key_pem.bytes())
    (tmp_path / "prose").write_text("no PEM", encoding="utf-8")
    cert, key, prose = str(files.cert), str(files.key), str(tmp_path / "prose")
    pairs = [
        ((absent, key), f"{absent}: cannot be read: No such file or directory"),
        ((cert, absent), f"{absent}: cannot be read: No such file or directory"),
        ((cert, str(tmp_path)), f"{tmp_path}: cannot be read: Is a directory"),
        ((cert, str(tmp_path / "other.key")), f"{cert}: its key is not the one in {tmp_path / 'other.key'}"),
        ((prose, key), f"{prose}: it or {key} holds no certificate or key in PEM form"),
        ((cert, prose), f"{cert}: it or {prose} holds no certificate or key in PEM form"),
    ]
    for (cert_file, key_file), said in pairs:
        assert unusable(TlsServerConfig(cert_file=cert_file, key_file=key_file)).startswith(said)


def test_an_encrypted_key_is_refused_and_not_asked_for(files: Files) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
    )
    assert unusable(files.config()) == f"{files.key}: the key is encrypted; give one without a passphrase"


def test_a_client_authority_that_cannot_be_used_is_named(files: Files) -> None:
    assert unusable(files.requiring()) == f"{files.client_ca}: cannot be read: No such file or directory"
    files.client_ca.write_text("no PEM", encoding="utf-8")
    assert unusable(files.requiring()) == f"{files.client_ca}: holds no certificate in PEM form"
    inline = files.config(client_auth_type="VerifyClientCertIfGiven", client_ca="no PEM")
    assert unusable(inline) == "tls_server_config.client_ca: holds no certificate in PEM form"


def test_unusable_certificates_end_the_start(serve: Serve, sources: Sources, files: Files) -> None:
    files.cert.unlink()
    with pytest.raises(SettingsError, match=r"tls\.crt: cannot be read"):
        serve(sources, secured(files.config()))
