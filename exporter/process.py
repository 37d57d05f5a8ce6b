"""The process: sources, collector and server put together; signals, reloads, an orderly end."""

from __future__ import annotations

import logging
import queue
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from catalog.settings import SettingsError
from exporter import config as configuration
from exporter.accounts import Accounts
from exporter.collector import Collector
from exporter.config import Config
from exporter.gpus.selection import selected
from exporter.gpus.source import GpuSource
from exporter.pods.owners import DeviceInventory
from exporter.pods.watch import PodWatcher
from exporter.selfmetrics import SelfMetrics
from exporter.serving import web_config
from exporter.serving.app import Application, Sources
from exporter.serving.listening import listen
from exporter.serving.server import Server
from exporter.snapshot import Snapshot
from exporter.status import readiness, status_view

if TYPE_CHECKING:
    from exporter.serving.otlp import Pusher

__all__ = ["Exporter", "Options", "check", "device_inventory"]

_log = logging.getLogger("inferwatch.exporter")
_WATCH_SECONDS = 2.0
_STATUS_RESTART = 1

_Event = Literal["reload", "end"]
_Stamp = tuple[tuple[int, int, int] | None, ...]


class Options(Struct, frozen=True):
    """What the command line says; None leaves a setting to the file. `config` replaces the file."""

    config_file: Path | None = None
    web_config_file: Path | None = None
    listen: str | None = None
    gpu_names: Literal["dcgm4", "dcgm4.6"] | None = None
    passthrough: bool | None = None
    config: Config | None = None
    version: str = ""

    def load(self) -> Config:
        """Read the configuration and put the command line's settings over it. Raises SettingsError."""
        config = self.config or configuration.load(self.config_file)
        changed = msgspec.structs.replace
        if self.listen is not None:
            configuration.check_listen("--listen", self.listen)
            config = changed(config, listen=self.listen)
        if self.gpu_names is not None:
            config = changed(config, gpu=changed(config.gpu, names=self.gpu_names))
        if self.passthrough is not None:
            config = changed(config, engines=changed(config.engines, passthrough=self.passthrough))
        return config

    def files(self, config: Config) -> tuple[Path, ...]:
        """Return the files whose change means a reload."""
        csv = Path(config.gpu.fields.csv_file) if config.gpu.fields.csv_file else None
        return tuple(file for file in (self.config_file, self.web_config_file, csv) if file is not None)


def check(options: Options) -> None:
    """Check the files without serving anything. Raises SettingsError."""
    config = options.load()
    web = web_config.load(options.web_config_file)
    with _naming(options.config_file):
        selected(config.gpu)
        _pusher(config, lambda: None, options.version)
    if web.tls_server_config is not None:
        from exporter.serving.tls import Certificates

        Certificates(web.tls_server_config)


class Exporter:
    """Checks everything on construction, so that a bad setting ends the start before anything is served."""

    def __init__(self, options: Options) -> None:
        """Raises SettingsError with one line that names the file and the key, or the address."""
        self._options = options
        self._config = config = options.load()
        web = web_config.load(options.web_config_file)
        with _naming(options.config_file):
            gpus = GpuSource(config.gpu, config.node_name)
            self._pusher = _pusher(config, lambda: self.collector.snapshot, options.version)
        self._metrics = SelfMetrics(options.version)
        self._accounts = Accounts(self._metrics)
        self.collector = Collector(config, gpus, self._watcher(config, gpus), self._metrics, self._accounts)
        application = Application(
            Sources(
                snapshot=lambda: self.collector.snapshot,
                readiness=lambda: readiness(self.collector),
                status=lambda: status_view(self.collector, options.version, self._config.node_name),
            ),
            web,
        )
        bound = listen(config.listen)
        try:
            self._server = Server(application, bound, web)
        except SettingsError:
            bound.close()
            raise
        self._address = _shown(bound)
        self._stamp = _stamp(options.files(config))
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._status = 0

    @property
    def port(self) -> int:
        """The port that is listened at."""
        return self._server.port

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return the exit status. Called in the main thread."""
        self._accounts.configuration(in_force=True)
        self.collector.gpus.start()
        self.collector.pods.start()
        self.collector.start()
        if self._pusher is not None:
            self._pusher.start()
        watching = Thread(target=self._watch, name="watch", daemon=True)
        watching.start()
        try:
            with self._signals():
                _log.info("listening on %s", self._address)
                self._server.run()
        finally:
            self._events.put("end")
            watching.join(_WATCH_SECONDS)
            self.close()
        return self._status

    def reload(self) -> None:
        """Read the files anew and collect by them; on an error the settings in force stay, and that is said."""
        self._stamp = _stamp(self._options.files(self._config))
        try:
            config = self._options.load()
            with _naming(self._options.config_file):
                self._apply(config)
            self._server.apply(web_config.load(self._options.web_config_file))
        except SettingsError as error:
            _log.error("not reloaded: %s", error)
            self._accounts.configuration(in_force=False)
            return
        _log.info("configuration reloaded")
        self._accounts.configuration(in_force=True)

    def _reload_safely(self) -> None:
        """A defect in a reload must not end the watching: the settings in force stay, and the next try may work."""
        try:
            self.reload()
        except Exception:  # noqa: BLE001 - logged and shown
            _log.exception("a reload failed")
            self._accounts.configuration(in_force=False)

    def _apply(self, config: Config) -> None:
        before, collector = self._config, self.collector
        if config.listen != before.listen:
            _log.warning("listen: the new address %s takes effect at the next start", config.listen)
        gpus, pods, pusher = collector.gpus, collector.pods, self._pusher
        same_node = config.node_name == before.node_name
        if config.gpu != before.gpu or not same_node:
            gpus = GpuSource(config.gpu, config.node_name)
        if config.otlp != before.otlp:
            pusher = _pusher(config, lambda: self.collector.snapshot, self._options.version)
        if gpus is not collector.gpus:
            gpus.start()
        if config.kubernetes != before.kubernetes or gpus is not collector.gpus or not same_node:
            pods = self._watcher(config, gpus)
            # Its first view must be there before it is taken: else all that was discovered would vanish.
            pods.refresh()
            pods.start()
        old_gpus, old_pods = collector.gpus, collector.pods
        collector.apply(config, gpus, pods)
        self._config = config
        if old_gpus is not gpus:
            old_gpus.close()
        if old_pods is not pods:
            old_pods.close()
        if pusher is not self._pusher:
            if self._pusher is not None:
                self._pusher.stop()
            self._pusher = pusher
            if pusher is not None:
                pusher.start()

    def _watch(self) -> None:
        """Wait for signals, for changed files, and for a state that only a restart gets out of."""
        while True:
            try:
                event: _Event | None = self._events.get(timeout=_WATCH_SECONDS)
            except queue.Empty:
                event = None
            if event == "end":
                return
            if event == "reload" or _stamp(self._options.files(self._config)) != self._stamp:
                self._reload_safely()
            if self._pusher is not None:
                self._accounts.otlp(self._pusher.failures)
            state = self.collector.gpus.state
            if state.name == "restart_needed":
                _log.error("ending, so that the container is started anew: %s", state.reason)
                self._status = _STATUS_RESTART
                self._server.stop()

    def close(self) -> None:
        """End all threads and connections."""
        if self._pusher is not None:
            self._pusher.stop()
        self.collector.close()
        self.collector.pods.close()
        self.collector.gpus.close()

    def _watcher(self, config: Config, gpus: GpuSource) -> PodWatcher:
        return PodWatcher(config.kubernetes, config.node_name, lambda: device_inventory(gpus))

    @contextmanager
    def _signals(self) -> Iterator[None]:
        handlers = {
            signal.SIGTERM: lambda *_: self._server.stop(),
            signal.SIGINT: lambda *_: self._server.stop(),
            # Only put, which is reentrant: a handler may run anywhere in the main thread.
            signal.SIGHUP: lambda *_: self._events.put("reload"),
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _naming(file: Path | None) -> Iterator[None]:
    """Name the file in an error about a setting that was checked by whoever uses it."""
    try:
        yield
    except SettingsError as error:
        if file is None or str(file) in str(error):
            raise
        raise SettingsError(f"{file}: {error}") from error


def _pusher(config: Config, snapshot: Callable[[], Snapshot | None], version: str) -> Pusher | None:
    if not config.otlp.endpoint:
        return None
    from exporter.serving.otlp import Pusher

    return Pusher(config.otlp, snapshot, {"host.name": config.node_name}, version)


def device_inventory(gpus: GpuSource) -> DeviceInventory:
    """The GPUs as device plugins name them."""
    known = [status for status in gpus.status() if status.minor is not None and status.uuid]
    return DeviceInventory(
        gpus={status.minor: status.uuid for status in known if status.minor is not None},
        instances={
            (status.minor, instance.id): instance.devices[0]
            for status in known
            for instance in status.instances
            if status.minor is not None and instance.devices
        },
    )


def _stamp(files: tuple[Path, ...]) -> _Stamp:
    """What changes with a file's content, also when a mounted volume swaps the link that leads to it."""
    stamps: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            found = file.stat()
        except OSError:
            stamps.append(None)
        else:
            stamps.append((found.st_mtime_ns, found.st_ino, found.st_size))
    return tuple(stamps)


def _shown(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
