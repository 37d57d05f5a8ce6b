"""Credentials from files: what is sent, and that no error shows what a file holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from troubleshoot.sources.access import TENANT_HEADER, Access, basic_of, headers_of, tls_of
from troubleshoot.sources.errors import InputError

SECRET = "s3cr3t-value"
File = Callable[[str], str]


@pytest.fixture
def file(tmp_path: Path) -> File:
    def write(content: str) -> str:
        path = tmp_path / "file"
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
        return str(path)

    return write


def problem(read: Callable[[], object]) -> str:
    with pytest.raises(InputError) as raised:
        read()
    text = str(raised.value)
    assert SECRET not in text and "\n" not in text
    return text


def test_nothing_is_sent_unasked() -> None:
    assert (headers_of(Access()), basic_of(Access()), tls_of(Access())) == ({}, None, None)


def test_access_shows_no_secret(file: File) -> None:
    assert SECRET not in repr(Access(bearer_token_file=file(SECRET), username="u"))


def test_a_token_loses_the_line_end_of_its_file(file: File) -> None:
    assert headers_of(Access(bearer_token_file=file(f" {SECRET}\r\n"))) == {"Authorization": f"Bearer {SECRET}"}


def test_user_without_a_password_file_has_an_empty_password(file: File) -> None:
    assert basic_of(Access(username="u")) == ("u", "")
    assert basic_of(Access(username="u", password_file=file(SECRET))) == ("u", SECRET)


def test_a_header_of_the_file_stands_above_the_option(file: File) -> None:
    path = file(f"# comment\n\n{TENANT_HEADER}: b\nX-Api-Key:{SECRET}\n")
    assert headers_of(Access(tenant="a", headers_file=path)) == {TENANT_HEADER: "b", "X-Api-Key": SECRET}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        (f"{SECRET}\nsecond", "more than one line"),
        (f"{SECRET}\x1b[0m", "more than one line of printable ASCII"),
        (f"{SECRET}\udcff", "is not text"),
        (f"{SECRET}é", "printable ASCII"),
        (SECRET * 8000, "too large"),
    ],
)
def test_a_file_that_holds_no_token(file: File, content: str, said: str) -> None:
    path = file(content)
    assert said in problem(lambda: headers_of(Access(bearer_token_file=path)))
    assert said in problem(lambda: basic_of(Access(username="u", password_file=path)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (SECRET, "line 1 is no header"),
        (f"A: b\nC D: {SECRET}", "line 2 is no header"),
        (f": {SECRET}", "line 1 is no header"),
        (f"X-Key: {SECRET}\x07", "line 1 is no header"),
        (f"Host: {SECRET}", "sets Host, which belongs to the request"),
        (f"transfer-encoding: {SECRET}", "sets transfer-encoding"),
    ],
)
def test_a_file_that_holds_no_headers(file: File, content: str, said: str) -> None:
    path = file(content)
    assert said in problem(lambda: headers_of(Access(headers_file=path)))


@pytest.mark.parametrize(
    "access",
    [
        Access(bearer_token_file="/nowhere/file"),
        Access(headers_file="/nowhere/file"),
        Access(ca_file="/nowhere/file"),
        Access(cert_file="/nowhere/file"),
    ],
)
def test_a_file_that_is_not_there(access: Access) -> None:
    text = problem(lambda: (headers_of(access), tls_of(access)))
    assert text.startswith("/nowhere/file: cannot be read (No such file or directory)")


def test_a_file_that_is_no_pem(file: File) -> None:
    path = file(SECRET)
    assert "holds no PEM certificates" in problem(lambda: tls_of(Access(ca_file=path)))
    assert "holds no certificate" in problem(lambda: tls_of(Access(cert_file=path)))
