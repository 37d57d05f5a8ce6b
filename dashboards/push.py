"""Imports boards over Grafana's HTTP API: finds or makes the folder, then writes each board over its last version.

Source: Grafana's documentation of its dashboard and folder APIs. What was imported before an error stays, and importing
it again is harmless.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    import httpx

__all__ = ["Grafana", "GrafanaError", "Pushed", "push"]

_FOLDERS_A_PAGE = 1000
_MOST_PAGES = 100
_MOST_ANSWER_BYTES = 16 << 20
_OLDEST = (10, 4)
_WORDS = 300
_MESSAGE = "Imported by inferwatch dashboards push"
_REFUSED = {
    "version-mismatch": "somebody changed it; import it without --no-overwrite to replace it",
    "name-exists": "it is there already; import it without --no-overwrite to replace it",
    "plugin-dashboard": "it belongs to a plugin of this Grafana, which alone may change it",
}


class GrafanaError(Exception):
    """Boards that cannot be imported; the message is one line that names the server and what to do, never the token."""


@dataclass(frozen=True, slots=True)
class Grafana:
    """A server and how to use it. `folder` is a title; "" is the top. `timeout_seconds` is for each whole answer."""

    url: str
    token: str
    folder: str = "InferWatch"
    overwrite: bool = True
    timeout_seconds: float = 30.0
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A board that was imported, where it is now, and its version there."""

    title: str
    url: str
    version: int


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    json: Any
    location: str = ""

    @property
    def said(self) -> str:
        """Grafana's own words, if there are any."""
        message = self.json.get("message", "") if isinstance(self.json, dict) else ""
        return _line(str(message))


def push(grafana: Grafana, boards: Iterable[Mapping[str, Any]]) -> Iterator[Pushed]:
    """Import boards one after the other and yield each when it is there. Raises GrafanaError."""
    with _Session(grafana) as session:
        session.check()
        folder = session.folder(grafana.folder) if grafana.folder else None
        for board in boards:
            yield session.import_board(board, folder)


class _Session:
    """Requests to one server; every error names it."""

    def __init__(self, grafana: Grafana) -> None:
        self._grafana = grafana
        self._url = _shown(grafana.url)

    def __enter__(self) -> _Session:
        import httpx

        grafana = self._grafana
        _check(grafana)
        try:
            # Without TLS no certificates are needed, and reading the system's takes a tenth of a second.
            verify = _context(grafana.ca_file) if grafana.ca_file else urlsplit(grafana.url).scheme == "https"
        except OSError as error:
            raise GrafanaError(f"{grafana.ca_file}: no certificates that can be read: {_cause(error)}") from error
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {grafana.token}", "Accept": "application/json"},
            timeout=grafana.timeout_seconds,
            verify=verify,
            follow_redirects=False,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def check(self) -> None:
        """Ask whether this is a Grafana that can read the boards."""
        answer = self._ask("GET", "/api/health")
        if answer.status in {401, 403}:
            raise self._refusal(answer, "be used here")
        if answer.status >= 500 and not isinstance(answer.json, dict):
            raise self._failure(answer)
        if not isinstance(answer.json, dict) or "database" not in answer.json:
            raise self._no_grafana(answer)
        version = _version(str(answer.json.get("version", "")))
        if version is not None and version < _OLDEST:
            raise self._say(f"Grafana {version[0]}.{version[1]} is too old; the boards need {_OLDEST[0]}.{_OLDEST[1]}")

    def folder(self, title: str) -> str:
        """Return the uid of the folder with this title at the top, made if there is none."""
        found = self._find(title)
        if found is not None:
            return found
        answer = self._ask("POST", "/api/folders", {"title": title})
        if answer.status in {409, 412}:
            # Somebody made it in between.
            found = self._find(title)
            if found is not None:
                return found
        if answer.status != 200:
            raise self._error(answer, f"folder {title!r}", f"make the folder {title!r}")
        return self._uid_of(answer)

    def import_board(self, board: Mapping[str, Any], folder: str | None) -> Pushed:
        """Write a board; with `overwrite`, over what is there under its uid."""
        body = {"dashboard": board, "overwrite": self._grafana.overwrite, "message": _MESSAGE}
        answer = self._ask("POST", "/api/dashboards/db", body if folder is None else {**body, "folderUid": folder})
        if answer.status != 200:
            raise self._error(answer, f"board {board['uid']}", f"write the board {board['uid']}")
        if not isinstance(answer.json, dict) or answer.json.get("status") != "success":
            raise self._no_grafana(answer)
        path, version = answer.json.get("url"), answer.json.get("version")
        if not isinstance(path, str) or not isinstance(version, int):
            raise self._no_grafana(answer)
        # Its own path starts with the sub-path that it is served under, if any.
        root = urlunsplit(urlsplit(self._url)._replace(path=""))
        return Pushed(str(board["title"]), f"{root}{path}", version)

    def _find(self, title: str) -> str | None:
        for page in range(1, _MOST_PAGES + 1):
            answer = self._ask("GET", f"/api/folders?limit={_FOLDERS_A_PAGE}&page={page}")
            if answer.status != 200:
                raise self._error(answer, "folders", "list folders")
            folders = answer.json
            if not isinstance(folders, list) or not all(isinstance(one, dict) for one in folders):
                raise self._no_grafana(answer)
            for one in folders:
                if one.get("title") == title and isinstance(one.get("uid"), str):
                    return str(one["uid"])
            if len(folders) < _FOLDERS_A_PAGE:
                return None
        return None

    def _uid_of(self, answer: _Answer) -> str:
        uid = answer.json.get("uid") if isinstance(answer.json, dict) else None
        if not isinstance(uid, str):
            raise self._no_grafana(answer)
        return uid

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> _Answer:
        import httpx

        seconds = self._grafana.timeout_seconds
        deadline = monotonic() + seconds
        try:
            with self._client.stream(method, f"{self._grafana.url.rstrip('/')}{path}", json=body) as response:
                return _answer(response, deadline)
        except httpx.TimeoutException as error:
            raise self._say(f"no answer within {seconds:g} s; try again, or a longer --timeout") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._say(f"cannot be reached ({_cause(error)}); is Grafana there?") from error

    def _error(self, answer: _Answer, what: str, action: str) -> GrafanaError:
        if answer.status in {401, 403}:
            return self._refusal(answer, action)
        if answer.status == 412:
            status = str(answer.json.get("status", "")) if isinstance(answer.json, dict) else ""
            return self._say(f"{what} is not written: {_REFUSED.get(status, answer.said or 'a condition failed')}")
        if answer.status >= 500 or answer.status == 429:
            return self._failure(answer)
        if answer.status == 404 and not answer.said:
            return self._no_grafana(answer)
        if 300 <= answer.status < 400:
            return self._no_grafana(answer)
        return self._say(f"{what} is refused ({answer.status}): {answer.said or 'without a reason'}")

    def _refusal(self, answer: _Answer, action: str) -> GrafanaError:
        if answer.status == 401:
            return self._say("the token is refused; make one for a service account (Administration, Service accounts)")
        reason = f" ({answer.said})" if answer.said else ""
        return self._say(f"the token may not {action}{reason}; its service account needs the role Editor")

    def _failure(self, answer: _Answer) -> GrafanaError:
        reason = f": {answer.said}" if answer.said else ""
        return self._say(f"answers {answer.status}{reason}; try again, what was imported stays")

    def _no_grafana(self, answer: _Answer) -> GrafanaError:
        if 300 <= answer.status < 400:
            return self._say(f"redirects to {_shown(answer.location)}; give the address that it leads to")
        hint = "is its sub-path missing, such as /grafana?" if answer.status == 404 else "is there a proxy before it?"
        return self._say(f"answers {answer.status} and not as Grafana does; {hint}")

    def _say(self, text: str) -> GrafanaError:
        """An error in one line. A server may repeat the token that it was sent; nobody else should read it."""
        return GrafanaError(f"{self._url}: {text}".replace(self._grafana.token, "***"))


def _check(grafana: Grafana) -> None:
    """Refuse what no request can be made with. Raises GrafanaError."""
    shown = _shown(grafana.url)
    try:
        parts = urlsplit(grafana.url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise GrafanaError(f"{shown}: no address; write it like https://grafana.example.com")
    if parts.username is not None:
        raise GrafanaError(f"{shown}: the address holds a user; leave it out and give a service account's token")
    token = grafana.token
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise GrafanaError("the token is empty, or has characters that no token has; copy it anew")


def _answer(response: httpx.Response, deadline: float) -> _Answer:
    """Read an answer whole: within its time, and not without end."""
    import httpx

    read = bytearray()
    for part in response.iter_bytes():
        read += part
        if monotonic() > deadline:
            raise httpx.ReadTimeout("the answer takes too long", request=response.request)
        if len(read) > _MOST_ANSWER_BYTES:
            break
    try:
        found = json.loads(bytes(read))
    except (ValueError, RecursionError):
        found = None
    return _Answer(response.status_code, found, response.headers.get("Location", ""))


def _context(ca_file: str) -> Any:
    import ssl

    return ssl.create_default_context(cafile=ca_file)


def _version(text: str) -> tuple[int, int] | None:
    parts = text.split(".")
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return None
    return int(parts[0]), int(parts[1])


def _shown(url: str) -> str:
    """An address without what may be secret in it: user, password, query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the address"
    return _line(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))).rstrip("/")


def _cause(error: BaseException) -> str:
    """What the operating system or the TLS library said."""
    text = _line(str(error)) or type(error).__name__
    return text.rpartition("] ")[2] or text


def _line(text: str) -> str:
    """One line that a terminal may show."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:_WORDS]
