"""Push over OTLP/HTTP: the current snapshot, every so many seconds, on a thread of its own.

Retries, compression and time limits are those of OpenTelemetry's exporter. A push that fails is counted by its
reason and tried again at the next interval with newer values; scrapes never notice.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import urlsplit, urlunsplit

from catalog.settings import SettingsError
from exporter.config import Otlp
from exporter.snapshot import Snapshot

if TYPE_CHECKING:
    from exporter.serving.otlp_data import Converter

__all__ = ["PUSH_FAILURES", "Failure", "Pusher", "read_headers"]

_LOG = logging.getLogger(__name__)

Failure = Literal[
    "timeout", "connection", "tls", "redirect", "client_error", "server_error", "rejected", "headers_file", "other"
]
PUSH_FAILURES: tuple[Failure, ...] = get_args(Failure)
"""Why a push can fail. `rejected` is a partial success: the receiver took the request but not every point."""

TIMEOUT_SECONDS = 10.0
"""Longest time for one push with its retries; an interval shorter than this bounds it instead."""

_STOP_SECONDS = 3.0
_SIGNAL_PATH = "/v1/metrics"
_RESPONSE_READ_BYTES = 64 << 10
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")


class Pusher:
    """Pushes snapshots until `stop`. `pushed` and `failures` may be read from any thread."""

    def __init__(
        self, config: Otlp, snapshot: Callable[[], Snapshot | None], resource: Mapping[str, str], version: str
    ) -> None:
        """Check everything that can be checked without the network.

        `resource` is added to the attributes `service.name` and `host.name`. Raises SettingsError for a missing
        extra, an endpoint or a headers file that cannot be used.
        """
        self._endpoint = _endpoint(config.endpoint)
        self._headers_file = Path(config.headers_file) if config.headers_file else None
        self._headers = read_headers(self._headers_file) if self._headers_file else {}
        self._interval_seconds = config.interval_seconds
        self._snapshot = snapshot
        self._converter = _converter(resource, version)
        self._delivery = _Delivery(self._endpoint, self._headers, min(TIMEOUT_SECONDS, config.interval_seconds))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._last_failure: Failure | None = None
        self._counted: Counter[Failure] = Counter()
        self.pushed = 0

    @property
    def failures(self) -> Mapping[Failure, int]:
        """Failed pushes since the start, every reason among them."""
        return MappingProxyType({reason: self._counted[reason] for reason in PUSH_FAILURES})

    def start(self) -> None:
        """Begin to push, at once and then every interval."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread: a wait for a retry is cut short, a request under way is waited for briefly."""
        self._stopping.set()
        self._delivery.close()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)

    def push(self) -> Failure | None:
        """Push the current snapshot; nothing before the first one. Returns why it failed, and counts that.

        What a stop cuts short is not counted. A change from one outcome to another is logged, not each push.
        """
        snapshot = self._snapshot()
        if snapshot is None:
            return None
        failure = self._deliver(snapshot)
        if failure is None:
            self.pushed += 1
        elif self._stopping.is_set():
            return failure
        else:
            self._counted[failure] += 1
        if failure != self._last_failure:
            self._last_failure = failure
            _log(failure, urlsplit(self._endpoint).hostname or "")
        return failure

    def _deliver(self, snapshot: Snapshot) -> Failure | None:
        if self._headers_file is not None:
            try:
                headers = read_headers(self._headers_file)
            except SettingsError:
                return "headers_file"
            if headers != self._headers:
                self._headers = headers
                self._delivery = self._delivery.with_headers(headers)
        text = snapshot.body(openmetrics=False, gzipped=False)
        return self._delivery.send(self._converter.convert(text, int(snapshot.created_unix_seconds * 1e9)))

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.push()
            self._stopping.wait(self._interval_seconds)


class _Delivery:
    """OpenTelemetry's exporter for one endpoint, and what came of its last request."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], timeout_seconds: float) -> None:
        import requests
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        # Its log lines repeat at every push and quote addresses; failures are counted and logged here instead.
        logging.getLogger("opentelemetry.exporter.otlp").setLevel(logging.CRITICAL)
        self._settings = (endpoint, timeout_seconds)
        self._errors = requests.RequestException
        self._outcome: Failure | None = None
        session = requests.Session()
        session.hooks["response"].append(self._responded)
        session.send = self._watching(session.send)  # type: ignore[method-assign]
        self._exporter = OTLPMetricExporter(
            endpoint=endpoint,
            headers=dict(headers),
            timeout=timeout_seconds,  # type: ignore[arg-type, unused-ignore] # older releases say int
            compression=Compression.Gzip,
            session=session,
        )

    def with_headers(self, headers: Mapping[str, str]) -> _Delivery:
        """Return a new delivery to the same place, and close this one."""
        self.close()
        endpoint, timeout_seconds = self._settings
        return _Delivery(endpoint, headers, timeout_seconds)

    def send(self, data: Any) -> Failure | None:
        """Send metrics data, with the library's retries. Returns why it failed."""
        self._outcome = None
        try:
            result = self._exporter.export(data)
        except self._errors:  # older releases let some of these through
            return self._outcome or "other"
        if result.name == "SUCCESS":
            return self._outcome
        return self._outcome or "other"

    def close(self) -> None:
        """End a wait for a retry, and refuse further requests."""
        self._exporter.shutdown()

    def _watching(self, send: Callable[..., Any]) -> Callable[..., Any]:
        """Note how a request ended: the exporter itself tells no more than failure."""
        from requests import exceptions

        def watched(*arguments: Any, **keywords: Any) -> Any:
            try:
                return send(*arguments, **keywords)
            except exceptions.Timeout:
                self._outcome = "timeout"
                raise
            except exceptions.SSLError:
                self._outcome = "tls"
                raise
            except exceptions.ConnectionError:
                self._outcome = "connection"
                raise

        return watched

    def _responded(self, response: Any, **_: Any) -> None:
        status = response.status_code
        if status >= 500:
            self._outcome = "server_error"
        elif status >= 400:
            self._outcome = "client_error"
        elif status >= 300:
            self._outcome = "redirect"
        else:
            self._outcome = "rejected" if _rejects_points(response.content) else None


def _rejects_points(answer: bytes) -> bool:
    """Tell whether a receiver's answer says that it left points out."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

    if len(answer) > _RESPONSE_READ_BYTES:
        return False
    try:
        decoded = ExportMetricsServiceResponse.FromString(answer)
    except DecodeError:  # a receiver may answer in prose; the status alone counts then
        return False
    return decoded.partial_success.rejected_data_points > 0


def _converter(resource: Mapping[str, str], version: str) -> Converter:
    try:
        import opentelemetry.exporter.otlp.proto.http.metric_exporter  # noqa: F401

        from exporter.serving.otlp_data import Converter
    except ImportError as error:
        raise SettingsError(
            f"otlp.endpoint: needs a package that is not installed ({error.name}): install inferwatch[otlp]"
        ) from error
    return Converter({"service.name": "inferwatch", "host.name": socket.gethostname(), **resource}, version)


def _endpoint(configured: str) -> str:
    """The address that is pushed to: an endpoint without a path gets the protocol's own."""
    try:
        parts = urlsplit(configured)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        # Not quoted: it may hold a password.
        raise SettingsError("otlp.endpoint: is no http or https URL with a host and, if any, a port up to 65535")
    if "@" in parts.netloc:
        raise SettingsError(
            "otlp.endpoint: holds a name or password; put an Authorization header into otlp.headers_file"
        )
    return urlunsplit(parts._replace(path=parts.path if parts.path not in {"", "/"} else _SIGNAL_PATH))


def read_headers(path: Path) -> dict[str, str]:
    """Read `Name: value` lines; empty lines and those that begin with # are passed over.

    Raises SettingsError with one line that names the file and the line's number, never what the line says.
    """
    try:
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise SettingsError(f"otlp.headers_file: {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise SettingsError(f"otlp.headers_file: {path}: only printable ASCII can go into a header") from None
    headers: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, value = line.partition(":")
        if not _HEADER_NAME.fullmatch(name.strip()) or not _HEADER_VALUE.fullmatch(value.strip()):
            raise SettingsError(f"otlp.headers_file: {path}: line {number} is no `Name: value`")
        headers[name.strip()] = value.strip()
    return headers


def _log(failure: Failure | None, host: str) -> None:
    if failure is None:
        _LOG.info("OTLP push to %s succeeds again", host)
    else:
        _LOG.warning("OTLP push to %s failed: %s", host, failure)
