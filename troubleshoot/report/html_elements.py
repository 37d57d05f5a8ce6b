"""HTML made of elements: a text is escaped where it enters, so that nothing that was read can be more than text."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

__all__ = ["Html", "bdi", "code", "element", "fragment"]


class Html(str):
    """HTML that this package wrote; every other text is escaped when it becomes part of it."""

    __slots__ = ()


def fragment(parts: Iterable[str | None]) -> Html:
    """The parts one after the other; None is left out."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts if part is not None))


def element(tag: str, *children: str | None, **attributes: str | None) -> Html:
    """An element with its children. `class_` and `aria_label` are written as HTML spells them; None is left out."""
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{given}>{fragment(children)}</{tag}>")


def bdi(text: str, **attributes: str | None) -> Html:
    """A text from data: whichever way it is written, the words around it keep their order."""
    return element("bdi", text, **attributes)


def code(text: str, **attributes: str | None) -> Html:
    """A name or a line as a machine spells it, left to right."""
    return element("code", text, dir="ltr", **attributes)
