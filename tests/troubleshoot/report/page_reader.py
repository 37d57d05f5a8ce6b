"""A page of the HTML report, read back: its elements, and the text of each part."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"meta", "link", "img", "br", "hr", "input"}
_UNSEEN = {"script", "style", "title"}
# What Chromium shows on a line of its own.
_BLOCKS = {"p", "li", "tr", "h1", "h2", "h3", "h4", "pre", "section", "article", "div", "td", "th"}


class ReadPage(HTMLParser):
    """What a browser would make of the page: elements with attributes, what was left open, texts by the id around."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.unbalanced: list[str] = []
        self._open: list[tuple[str, str]] = []
        self._texts: dict[str, list[str]] = {"": []}
        self.feed(document)
        self.close()
        self.unbalanced += [tag for tag, _ in self._open]

    @property
    def tags(self) -> list[str]:
        """The tags in their order."""
        return [tag for tag, _ in self.elements]

    def text(self, identity: str = "") -> str:
        """The words inside the element of an id, of the whole page without one; spaces as a browser folds them."""
        return " ".join("".join(self._texts.get(identity, [])).split())

    def ids(self) -> set[str]:
        """All ids."""
        return {identity for _, attributes in self.elements if (identity := attributes.get("id"))}

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of the elements of a class."""
        return [found for _, found in self.elements if name in (found.get("class") or "").split()]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in _BLOCKS:
            self._say(" ")
        if tag == "script":
            self.scripts.append("")
        if tag not in _VOID:
            self._open.append((tag, dict(attrs).get("id") or ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._say(" ")
        if not self._open or self._open[-1][0] != tag:
            self.unbalanced.append(tag)
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "script":
            self.scripts[-1] += data
        self._say(data)

    def _say(self, words: str) -> None:
        if any(tag in _UNSEEN for tag, _ in self._open):
            return
        for identity in {"", *(identity for _, identity in self._open if identity)}:
            self._texts.setdefault(identity, []).append(words)
