"""A headless Chromium, driven by chromedriver's own HTTP interface (W3C WebDriver), for tests."""

from __future__ import annotations

import base64
import http.client
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.prometheus import eventually, free_port, get, process

_TIMEOUT_SECONDS = 60
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


@dataclass(frozen=True)
class Browser:
    """A browser that runs, with one tab."""

    port: int
    session: str

    def open(self, page: Path) -> None:
        """Open a file; returns when its scripts are done with it, as `data-ready` says."""
        self._command("url", {"url": page.as_uri()})
        eventually(lambda: self.run("return document.documentElement.dataset.ready === 'true'"), f"{page} is ready")

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page; returns what it returns."""
        return self._command("execute/sync", {"script": script, "args": list(arguments)})

    def eventually(self, script: str) -> Any:
        """Run JavaScript until it returns something that is not empty."""
        return eventually(lambda: self.run(script), script)

    def devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        """Call the browser's DevTools protocol."""
        return self._command("goog/cdp/execute", {"cmd": command, "params": parameters})

    def errors(self) -> list[str]:
        """Return what the console complained of since the last call."""
        return [entry["message"] for entry in self._log("browser") if entry["level"] in {"WARNING", "SEVERE"}]

    def requested(self) -> list[str]:
        """Return the addresses that the page asked for since the last call, its own file first."""
        events = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def resize(self, width: int, height: int) -> None:
        """Set the size of the page's window, in CSS pixels."""
        sizes = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", sizes)

    def colour_scheme(self, scheme: str, *, media: str = "") -> None:
        """Prefer `light` or `dark`; `media` "print" lays the page out as for paper."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def screenshot(self, file: Path, *, top: float = 0.0, height: float | None = None) -> None:
        """Write a picture of the page from here down, to its end or so far: as png, or smaller as webp."""
        width, whole = self.run("return [document.body.scrollWidth, document.body.scrollHeight]")
        is_small = file.suffix == ".webp"
        part = {"x": 0, "y": top, "width": width, "height": height or whole - top, "scale": 0.7 if is_small else 1}
        wanted = {"format": file.suffix[1:], "captureBeyondViewport": True, "clip": part}
        taken = self.devtools("Page.captureScreenshot", {**wanted, "quality": 80} if is_small else wanted)
        file.write_bytes(base64.b64decode(taken["data"]))

    def hover(self, x: float, y: float) -> None:
        """Move the mouse to a point of the window."""
        self.devtools("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})

    def _log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._command("se/log", {"type": kind})
        return entries

    def _command(self, path: str, body: dict[str, Any]) -> Any:
        return _call(self.port, "POST", f"/session/{self.session}/{path}", body)


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Run a browser with a profile of its own; skips the test where there is none."""
    driver = shutil.which("chromedriver")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if driver is None or chromium is None:
        pytest.skip("no Chromium: apt-get install chromium chromium-driver")
    port = free_port()
    with process([driver, f"--port={port}"], folder / "chromedriver.log"):
        eventually(lambda: get(port, "/status")[0] == 200, "chromedriver is ready")
        options = {"binary": chromium, "args": [*_FLAGS, f"--user-data-dir={folder / 'profile'}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        session = _call(port, "POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        try:
            started = Browser(port, session)
            # A new tab shows a page of the browser's own, which asks for much.
            started._command("url", {"url": "about:blank"})
            started.requested()
            yield started
        finally:
            _call(port, "DELETE", f"/session/{session}")


def _call(port: int, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        content = response.read()
        assert response.status == 200, content.decode(errors="replace")
        return json.loads(content)["value"]
    finally:
        connection.close()
