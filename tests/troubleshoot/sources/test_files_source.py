from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import pty
import socket
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from troubleshoot.sources import raw_input
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.files import ByteSource, human_size, open_bytes
from troubleshoot.sources.raw_input import RawInput

LOG = b"INFO 07-01 12:00:00 [loggers.py:123] Engine 000: Running: 3 reqs, Waiting: 0 reqs\n" * 5000
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def text_of(source: ByteSource, step: int = 10_007) -> bytes:
    buffer = bytearray(step)
    text = bytearray()
    while count := source.readinto(buffer):
        text += buffer[:count]
    assert source.readinto(buffer) == 0
    return bytes(text)


def read(spec: str | Path) -> tuple[bytes, str]:
    with open_bytes(str(spec)) as source:
        return text_of(source), source.note


def refusal(spec: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        open_bytes(str(spec))
    assert caught.value.name == str(spec)
    assert "\n" not in str(caught.value)
    return f"{caught.value.problem}; {caught.value.advice}"


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


class TestFiles:
    def test_a_plain_file_is_read_and_may_be_read_in_parallel(self, tmp_path: Path) -> None:
        path = tmp_path / "engine.log"
        path.write_bytes(LOG)
        with open_bytes(str(path)) as source:
            assert source.name == str(path)
            assert source.size_bytes == len(LOG)
            assert source.seekable_fd is not None
            assert os.pread(source.seekable_fd, 4, len(LOG) - 5) == LOG[-5:-1]
            assert text_of(source) == LOG
            assert source.position_bytes == len(LOG)
            assert source.note == ""

    def test_a_buffer_is_filled_but_for_the_end_of_a_file(self, tmp_path: Path) -> None:
        for name, data in (("a.log", LOG), ("b.gz", gzip.compress(LOG)), ("c.zst", COMPRESS["zstd"](LOG))):
            (tmp_path / name).write_bytes(data)
            with open_bytes(str(tmp_path / name)) as source:
                buffer = bytearray(len(LOG) - 1)
                assert source.readinto(buffer) == len(LOG) - 1
                assert buffer == LOG[:-1]
                assert source.readinto(memoryview(buffer)[:10]) == 1

    @pytest.mark.parametrize("codec", sorted(COMPRESS))
    def test_compression_is_told_by_the_bytes_and_not_by_the_name(self, tmp_path: Path, codec: str) -> None:
        path = tmp_path / "engine.log"
        data = COMPRESS[codec](LOG)
        path.write_bytes(data)
        with open_bytes(str(path)) as source:
            assert source.seekable_fd is None
            assert source.size_bytes == len(data)
            assert text_of(source) == LOG
            assert source.position_bytes == len(data)
            assert source.note == ""

    def test_zstd_may_open_with_a_skippable_frame(self, tmp_path: Path) -> None:
        """pzstd writes the size of each frame before it."""
        (tmp_path / "x").write_bytes(b"\x50\x2a\x4d\x18\x04\0\0\0size" + COMPRESS["zstd"](LOG))
        assert read(tmp_path / "x") == (LOG, "")

    def test_a_plain_file_named_gz_is_plain(self, tmp_path: Path) -> None:
        (tmp_path / "engine.log.gz").write_bytes(LOG)
        assert read(tmp_path / "engine.log.gz") == (LOG, "")

    @pytest.mark.parametrize("codec", sorted(COMPRESS))
    def test_a_truncated_file_gives_what_could_be_read_and_a_note(self, tmp_path: Path, codec: str) -> None:
        lines = b"".join(b"%d requests\n" % (number * 2654435761 % 2**32) for number in range(100_000))
        data = COMPRESS[codec](lines)
        path = tmp_path / "engine.log"
        path.write_bytes(data[: len(data) * 4 // 5])
        text, note = read(path)
        assert lines.startswith(text)
        assert len(text) > len(lines) // 4
        assert note == f"truncated {codec}: read {human_size(len(text))} of text before the damage"

    def test_a_damaged_file_says_so(self, tmp_path: Path) -> None:
        data = bytearray(gzip.compress(LOG))
        data[-6] ^= 1
        (tmp_path / "x").write_bytes(data)
        text, note = read(tmp_path / "x")
        assert text == LOG
        assert note.startswith("damaged gzip (")
        assert note.endswith("read 410 kB of text before the damage")

    def test_trailing_garbage_is_a_note(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(gzip.compress(LOG) + b"garbage")
        assert read(tmp_path / "x") == (
            LOG,
            "gzip data followed by something else: read 410 kB of text before it",
        )

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
    @pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
    def test_text_with_a_byte_order_mark_is_read_as_utf_8(
        self, tmp_path: Path, encoding: str, compress: Callable[[bytes], bytes]
    ) -> None:
        """PowerShell redirects `kubectl logs` into UTF-16."""
        text = "INFO Engine 日本 🚀\r\n" * 9000
        (tmp_path / "x").write_bytes(compress(text.encode(encoding)))
        with open_bytes(str(tmp_path / "x")) as source:
            assert source.seekable_fd is None
            assert text_of(source) == text.encode()
            assert source.note == f"{encoding.upper()} text, read as UTF-8"

    def test_colours_progress_bars_and_invalid_utf_8_are_text(self, tmp_path: Path) -> None:
        data = b"\x1b[36m(EngineCore)\x1b[0m 50%|\xe2\x96\x88\r\b\xff\xfeoops\xc3\n\0" + LOG
        (tmp_path / "x").write_bytes(data)
        assert read(tmp_path / "x") == (data, "")

    def test_a_fifo_is_read_to_its_end(self, tmp_path: Path) -> None:
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb"), os.fdopen(writer, "wb") as out:
            out.write(b"one\n" + LOG[:4096])
            out.close()
            with open_bytes(f"/dev/fd/{reader}") as source:
                assert (source.size_bytes, source.seekable_fd) == (None, None)
                assert text_of(source) == b"one\n" + LOG[:4096]

    def test_a_file_of_proc_has_no_size_and_is_read(self) -> None:
        if not Path("/proc/self/status").exists():
            pytest.skip("no /proc here")
        with open_bytes("/proc/self/status") as source:
            assert source.seekable_fd is None
            assert text_of(source).startswith(b"Name:")

    def test_a_closed_source_gives_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(LOG)
        source = open_bytes(str(tmp_path / "x"))
        source.close()
        source.close()
        assert source.readinto(bytearray(10)) == 0
        assert source.seekable_fd is None

    def test_a_gzip_bomb_is_streamed_in_bounded_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "bomb"
        with gzip.open(path, "wb", compresslevel=1) as out:
            for _ in range(200):
                out.write(b"a" * (1 << 20))
        buffer = bytearray(1 << 20)
        tracemalloc.start()
        try:
            with open_bytes(str(path)) as source:
                total = sum(iter(lambda: source.readinto(buffer), 0))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert total == 200 << 20
        assert peak < 4 << 20


class TestRefusals:
    def test_a_missing_file_names_near_ones(self, tmp_path: Path) -> None:
        (tmp_path / "engine.log").write_bytes(LOG)
        assert refusal(tmp_path / "engin.log") == f"no such file; did you mean {tmp_path / 'engine.log'}?"
        assert refusal(tmp_path / "qqqqqqq") == "no such file; check the path"

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        assert "the folder" in refusal(tmp_path / "no" / "engine.log")
        assert f"{tmp_path / 'no'} does not exist" in refusal(tmp_path / "no" / "engine.log")
        (tmp_path / "file").write_bytes(LOG)
        assert "does not exist" in refusal(tmp_path / "file" / "engine.log")

    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            ("", "the path is empty"),
            ("a\0b", "NUL"),
            ("/nowhere/*.log", "pattern"),
            ("~/engine.log", "did not expand ~"),
            ("http://localhost:8000/metrics", "--metrics"),
            ("x" * 5000, "cannot be opened: File name too long"),
        ],
    )
    def test_what_cannot_be_a_path_says_why(self, spec: str, said: str) -> None:
        assert said in refusal(spec)

    def test_a_folder_names_its_logs_engine_log_first(self, tmp_path: Path) -> None:
        for name in ("a.log", "b.log.gz", "c.log", "engine.log", "meta.yaml"):
            (tmp_path / name).write_bytes(LOG)
        said = refusal(tmp_path)
        names = [f"{tmp_path}/{name}" for name in ("engine.log", "a.log", "b.log.gz")]
        assert said == f"is a directory; name the files in it, such as {', '.join(names)}"

    def test_a_folder_without_logs_names_its_files(self, tmp_path: Path) -> None:
        assert refusal(tmp_path) == "is a directory; give a file"
        (tmp_path / "out.txt").write_bytes(LOG)
        assert refusal(tmp_path).endswith(f"such as {tmp_path}/out.txt")

    def test_a_file_that_may_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "engine.log"
        path.write_bytes(LOG)
        path.chmod(0)
        if os.geteuid() == 0:  # root may read everything

            def deny(*_: object) -> None:
                raise PermissionError(13, "Permission denied")

            monkeypatch.setattr(raw_input, "io", SimpleNamespace(FileIO=deny))
        assert refusal(path).startswith("permission denied; ")

    @pytest.mark.parametrize("compress", [bytes, gzip.compress, COMPRESS["zstd"]], ids=["plain", "gzip", "zstd"])
    def test_an_empty_file(self, tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
        (tmp_path / "x").write_bytes(compress(b""))
        assert refusal(tmp_path / "x").startswith("is empty")

    def test_a_byte_order_mark_alone_is_empty(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(b"\xff\xfe")
        assert refusal(tmp_path / "x").startswith("is empty; ")

    def test_a_compressed_file_cut_before_any_text(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(gzip.compress(LOG)[:12])
        assert refusal(tmp_path / "x").startswith("no text in it: truncated gzip")

    def test_a_socket_and_a_device(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("s.sock")
            assert refusal("s.sock").startswith("is a socket")
        assert refusal("/dev/null").startswith("is a device")
        assert refusal("/dev/zero").startswith("is a device")

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"\x7fELF\x02\x01\x01" + bytes(64), "an ELF program"),
            (b"\x89PNG\r\n\x1a\n" + bytes(64), "a PNG image"),
            (b"SQLite format 3\0" + bytes(64), "an SQLite database"),
            (b"GGUF\x03\0\0\0" + bytes(64), "a GGUF model"),
            ((40).to_bytes(8, "little") + b'{"__metadata__":{}}' + bytes(64), "a safetensors model"),
            (b"x" * 257 + b"ustar\x0000" + bytes(500), "a tar archive"),
            (bytes(4096), "copytruncate"),
            (b"ab\0\1" * 100, "looks binary (it holds NUL bytes)"),
            (bytes(range(1, 256)) * 100, "looks binary"),
            ("INFO Engine\n".encode("utf-16-le"), "UTF-16LE text without a byte order mark"),
            ("INFO Engine\n".encode("utf-16-be"), "UTF-16BE text without a byte order mark"),
        ],
    )
    @pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
    def test_binary_files_are_named(
        self, tmp_path: Path, data: bytes, said: str, compress: Callable[[bytes], bytes]
    ) -> None:
        (tmp_path / "x").write_bytes(compress(data))
        assert said in refusal(tmp_path / "x")

    def test_a_zip_archive_is_named(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "x", "w") as archive:
            archive.writestr("engine.log", LOG)
        assert refusal(tmp_path / "x").startswith("is a zip archive")

    def test_a_file_that_fails_at_once(self) -> None:
        if not Path("/proc/self/mem").exists():
            pytest.skip("no /proc here")
        assert refusal("/proc/self/mem").startswith("cannot be read: Input/output error")

    def test_no_file_stays_open(self, tmp_path: Path) -> None:
        if not Path("/proc/self/fd").exists():
            pytest.skip("no /proc here")
        (tmp_path / "x").write_bytes(bytes(100))
        descriptors = Path("/proc/self/fd")
        before = len(list(descriptors.iterdir()))
        for _ in range(3):
            refusal(tmp_path / "x")
        assert len(list(descriptors.iterdir())) == before


class TestFailingReads:
    @pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
    def test_an_error_in_the_middle_ends_the_stream_with_a_note(self, compress: Callable[[bytes], bytes]) -> None:
        data = compress(os.urandom(300_000).hex().encode())

        def chunks() -> Iterator[bytes]:
            yield data[:100_000]
            raise OSError(5, "Input/output error")

        stream = chunks()
        source = ByteSource("nfs.log", RawInput(lambda _limit: next(stream), lambda: None))
        assert len(text_of(source)) >= 100_000
        assert "reading stopped after 100 kB: Input/output error" in source.note

    def test_a_plain_file_too(self, tmp_path: Path) -> None:
        class Failing(io.FileIO):
            def readinto(self, _buffer: object) -> int:
                raise OSError(5, "Input/output error")

        (tmp_path / "x").write_bytes(LOG)
        with Failing(tmp_path / "x") as file:
            source = ByteSource("x", RawInput(file.read, file.close, file=file, size_bytes=len(LOG)))
            assert text_of(source) == LOG[: 64 << 10]
            assert source.note == "reading stopped after 66 kB: Input/output error"


class TestStandardInput:
    @pytest.mark.parametrize("codec", ["plain", *sorted(COMPRESS)])
    def test_it_is_read_whatever_its_compression(self, stdin: Callable[[bytes], None], codec: str) -> None:
        stdin(COMPRESS.get(codec, bytes)(LOG))
        with open_bytes("-") as source:
            assert (source.name, source.size_bytes, source.seekable_fd) == ("-", None, None)
            assert text_of(source) == LOG
            assert source.note == ""

    def test_a_pipe_gives_what_is_there_without_waiting_for_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reader, writer = os.pipe()
        with os.fdopen(reader) as stream, os.fdopen(writer, "wb", buffering=0) as out:
            monkeypatch.setattr(sys, "stdin", stream)
            out.write(b"first line\n")
            source = open_bytes("-")
            buffer = bytearray(4096)
            assert buffer[: source.readinto(buffer)] == b"first line\n"
            out.write(b"second\n")
            assert buffer[: source.readinto(buffer)] == b"second\n"
            out.close()
            assert source.readinto(buffer) == 0

    def test_empty(self, stdin: Callable[[bytes], None]) -> None:
        stdin(b"")
        assert refusal("-").startswith("standard input is empty")

    def test_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", None)
        assert refusal("-").startswith("standard input is closed")

    def test_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        controller, terminal = pty.openpty()
        with os.fdopen(terminal) as stream, contextlib.closing(os.fdopen(controller, "wb")):
            monkeypatch.setattr(sys, "stdin", stream)
            said = refusal("-")
        assert said.startswith("standard input is a terminal; pipe a log into it")


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (3_100_000, "3.1 MB"),
        (14_200_000, "14 MB"),
        (10**13, "10 TB"),
    ],
)
def test_sizes_are_decimal(size: int, shown: str) -> None:
    assert human_size(size) == shown


@given(st.one_of(st.binary(max_size=3000), st.binary(max_size=500).map(gzip.compress)), st.integers(0, 3000))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused_with_an_input_error(tmp_path: Path, data: bytes, cut: int) -> None:
    path = tmp_path / "anything"
    path.write_bytes(data[:cut])
    try:
        source = open_bytes(str(path))
    except InputError as error:
        assert str(error).isprintable()
        return
    with source:
        text_of(source)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
@given(st.text(min_size=1, max_size=2000), st.integers(4, 5000))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_read_of_a_truncated_file_is_a_prefix_of_the_truth(
    tmp_path: Path, codec: str, text: str, cut: int
) -> None:
    truth = text.encode()
    path = tmp_path / "anything"
    path.write_bytes(COMPRESS[codec](truth)[:cut])
    try:
        source = open_bytes(str(path))
    except InputError:
        return
    with source:
        if not source.note.startswith("UTF-"):
            assert truth.startswith(text_of(source))
