"""How a store of metrics or logs lets one in: credentials from files, TLS, a tenant, and how long to wait.

Secrets are never part of `Access`: it holds paths, so that it may be shown. They are read where a request is made,
and no error quotes them.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troubleshoot.sources.errors import InputError

TENANT_HEADER: Final = "X-Scope-OrgID"
"""The header by which Mimir, Loki and Cortex tell tenants apart."""

TIMEOUT_SECONDS: Final = 30.0
_MOST_BYTES: Final = 64 << 10
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_NOT_OURS: Final = frozenset(
    {"connection", "content-length", "content-type", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that belong to the request itself."""


@dataclass(frozen=True, slots=True)
class Access:
    """Paths and names, no secrets. `timeout_seconds` bounds one answer as a whole, its retries included."""

    bearer_token_file: str = ""
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    insecure: bool = False
    tenant: str = ""
    headers_file: str = ""
    timeout_seconds: float = TIMEOUT_SECONDS

    @property
    def has_credentials(self) -> bool:
        """Whether a request says who asks: another server must not get it."""
        said = (self.bearer_token_file, self.username, self.cert_file, self.tenant, self.headers_file)
        return any(said)


def headers_of(access: Access) -> dict[str, str]:
    """The headers that let a request in; raise `InputError` for a file that cannot be used.

    A header from the headers' file stands above the one that an option makes.
    """
    headers = {}
    if access.tenant:
        headers[TENANT_HEADER] = access.tenant
    if access.bearer_token_file:
        headers["Authorization"] = f"Bearer {_secret(access.bearer_token_file)}"
    if access.headers_file:
        headers |= _headers_from(access.headers_file)
    return headers


def basic_of(access: Access) -> tuple[str, str] | None:
    """User and password, or None; raise `InputError` for a file that cannot be used."""
    if not access.username:
        return None
    return access.username, _secret(access.password_file) if access.password_file else ""


def tls_of(access: Access) -> ssl.SSLContext | None:
    """How to judge the server's certificate and show an own one; None where nothing is asked for."""
    if not (access.ca_file or access.cert_file or access.insecure):
        return None
    try:
        context = ssl.create_default_context(cafile=access.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(access.ca_file, error, "holds no PEM certificates") from None
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if access.cert_file:
        try:
            # An encrypted key would ask on the terminal; an empty password makes that an error.
            context.load_cert_chain(access.cert_file, access.key_file or None, password="")
        except (OSError, ssl.SSLError) as error:
            raise _unusable(access.cert_file, error, "holds no certificate with its (unencrypted) key") from None
    return context


def _unusable(path: str, error: OSError, otherwise: str) -> InputError:
    # ssl.SSLError is an OSError too, whose strerror is OpenSSL's wording.
    is_file_error = not isinstance(error, ssl.SSLError) and error.strerror
    problem = f"cannot be read ({error.strerror})" if is_file_error else otherwise
    return InputError(path, problem, "check the path and that it is PEM")


def _secret(path: str) -> str:
    text = _text(path).strip()
    if not text:
        raise InputError(path, "is empty", "write the secret into it")
    if "\n" in text or not _HEADER_VALUE.fullmatch(text):
        raise InputError(path, "holds more than one line of printable ASCII", "write the secret alone into it")
    return text


def _headers_from(path: str) -> dict[str, str]:
    headers = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        name = name.strip()
        if not colon or not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value.strip()):
            raise InputError(path, f"line {number} is no header", "write one `Name: value` a line")
        if name.lower() in _NOT_OURS:
            raise InputError(path, f"line {number} sets {name}, which belongs to the request", "take it out")
        headers[name] = value.strip()
    return headers


def _text(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise InputError(path, "is too large to hold credentials", "check the path")
        return content.decode("utf-8")
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "check the path and its permissions") from None
    except UnicodeDecodeError:
        raise InputError(path, "is not text", "check the path") from None
