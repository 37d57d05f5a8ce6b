"""The status page: what it shows, and that nothing shown can act."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.serving.status_page import CONTENT_SECURITY_POLICY, render
from exporter.serving.status_view import EngineRow, GpuRow, StatusView

GPU = GpuRow("0", "GPU-1234", "NVIDIA H200", up=True, holder="llm/llama-0/vllm")
LOST = GpuRow("1", "GPU-5678", "NVIDIA H200", up=False, problem="fell off the bus (XID 79)")
ENGINE = EngineRow("http://10.0.0.7:8000/metrics", "vllm", "0.24.0", "llama-2-7b", "llama-0", True, 1.26, 731)
DEAD = EngineRow("http://10.0.0.8:8000/metrics", "sglang", "", "", "llama-1", False, None, 0, "connection refused")
VIEW = StatusView("1.2.3", "node-a", 0.5, (GPU, LOST), (ENGINE, DEAD), ("NVML: 1 of 2 GPUs is lost",))


class Page(HTMLParser):
    """The tags of a page, and the cells of its tables as text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self._in_cell = False
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self._in_cell = True
            self.rows[-1].append("")
        if tag == "a":
            self.links.append(str(dict(attrs)["href"]))

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag != "td"

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data


def test_gpus_and_engines_are_listed() -> None:
    rows = [row for row in Page(render(VIEW)).rows if row]
    assert rows == [
        ["0", "up", "NVIDIA H200", "GPU-1234", "llm/llama-0/vllm", ""],
        ["1", "down", "NVIDIA H200", "GPU-5678", "", "fell off the bus (XID 79)"],
        ["vllm", "up", "0.24.0", "llama-2-7b", "llama-0", "http://10.0.0.7:8000/metrics", "1.3 s ago", "731", ""],
        ["sglang", "down", "", "", "llama-1", "http://10.0.0.8:8000/metrics", "never", "0", "connection refused"],
    ]


def test_version_node_age_and_problems_are_told() -> None:
    text = render(VIEW).decode()
    for told in ("InferWatch on node-a", "Version 1.2.3", "last collection 0.5 s ago", "NVML: 1 of 2 GPUs is lost"):
        assert told in text
    assert Page(render(VIEW)).links == ["/metrics", "/readyz", "/healthz"]


def test_an_exporter_that_knows_nothing_yet_says_so() -> None:
    text = render(StatusView("1.2.3", "node-a", None)).decode()
    assert "last collection never" in text
    assert "No GPU is known." in text
    assert "No engine is known." in text
    assert "Problems" not in text


def test_the_policy_allows_the_one_style_sheet_and_nothing_else() -> None:
    style = re.search(r"<style>(.*?)</style>", render(VIEW).decode(), re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    directives = CONTENT_SECURITY_POLICY.split("; ")
    assert directives[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    page = Page(render(VIEW))
    assert not {"script", "link", "img", "iframe", "form"} & set(page.tags)
    assert "style" not in page.attributes
    assert "url(" not in style[1]


def test_a_models_name_is_text() -> None:
    hostile = EngineRow("http://h/", "vllm", "1", "<script>alert('x')</script>", '"><b onclick=x>', True, 0.0, 1)
    page = render(StatusView("1", "n", 0.0, (), (hostile,)))
    assert b"<script" not in page
    assert next(row for row in Page(page).rows if row)[3:5] == ["<script>alert('x')</script>", '"><b onclick=x>']


@given(st.text(max_size=60))
def test_no_text_adds_a_tag(text: str) -> None:
    harmless = "x"
    pages = [
        render(
            StatusView(
                value,
                value,
                0.0,
                (GpuRow(value, value, value, True, value, "!" + value),),
                (EngineRow(value, value, value, value, value, False, 1.0, 1, "!" + value),),
                (value + "!",),
            )
        )
        for value in (text, harmless)
    ]
    found, expected = (Page(page) for page in pages)
    assert found.tags == expected.tags
    assert found.attributes == expected.attributes


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:hunter2@host:8000/metrics", "http://host:8000/metrics"),
        ("https://host/metrics?token=hunter2#x", "https://host/metrics"),
    ],
)
def test_an_address_shows_no_secret(url: str, shown: str) -> None:
    page = render(StatusView("1", "n", 0.0, (), (EngineRow(url, "vllm", "", "", "", True, 0.0, 0),)))
    assert b"hunter2" not in page
    assert f">{shown}<".encode() in page


def test_half_a_character_is_replaced() -> None:
    assert b"n?" in render(StatusView("1", "n\ud800", 0.0))
