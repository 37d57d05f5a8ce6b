"""The one error of the input edge: an input that cannot be read, said in one line."""

from __future__ import annotations

SHOWN_NAME_CHARACTERS = 240
"""A longer name is cut in the middle when it is printed; `InputError.name` keeps it whole."""


def visible(text: str) -> str:
    """Return `text` with every character that a terminal could act on written as an escape such as `\\x1b`.

    Newlines, control and format characters (right-to-left overrides too) and the lone surrogates of a file
    name that is not UTF-8 all become escapes, so that the result is one printable line.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


class InputError(Exception):
    """An input that gives no evidence. `str()` is one line: `NAME: problem; advice`.

    `name` is the input as the user wrote it, without the credentials of a URL; `problem` says what is wrong
    and `advice` what to do, empty where nothing helps.
    """

    def __init__(self, name: str, problem: str, advice: str = "") -> None:
        super().__init__(name, problem, advice)
        self.name = name
        self.problem = problem
        self.advice = advice

    def __str__(self) -> str:
        line = f"{_shortened(visible(self.name))}: {visible(self.problem)}"
        return f"{line}; {visible(self.advice)}" if self.advice else line


def _shortened(name: str) -> str:
    if len(name) <= SHOWN_NAME_CHARACTERS:
        return name
    half = SHOWN_NAME_CHARACTERS // 2
    return f"{name[:half]}...{name[-half:]}"
