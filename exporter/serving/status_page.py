"""The page at `/`: GPUs, engines and what went wrong, for a person with a browser.

One file without script or anything fetched, so that its content security policy can forbid both. Everything in
it may come from outside (a model's name, an engine's error) and is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from html import escape

from exporter.serving.status_view import EngineRow, GpuRow, StatusView

__all__ = ["CONTENT_SECURITY_POLICY", "render"]


_STYLE = """
:root{color-scheme:light dark;--line:#8886;--good:#1a7f37;--bad:#c62828}
@media (prefers-color-scheme:dark){:root{--good:#4ac26b;--bad:#ff7b72}}
body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:75rem;padding:1rem}
h1{font-size:1.4rem;margin:0}
h2{font-size:1.1rem;margin:1.5rem 0 .4rem}
nav a{margin-right:1rem}
table{border-collapse:collapse;width:100%}
th,td{border-bottom:1px solid var(--line);overflow-wrap:anywhere;padding:.35rem .6rem .35rem 0;text-align:left;
unicode-bidi:isolate;vertical-align:top}
.up{color:var(--good)}
.down,.problem{color:var(--bad)}
@media (max-width:45rem){
thead{display:none}
tr{border-bottom:1px solid var(--line);display:block;padding:.5rem 0}
td{border:0;display:flex;gap:.6rem;padding:.1rem 0}
td::before{content:attr(data-label);flex:0 0 7rem;opacity:.7}
}
"""
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The policy that the page is served with: nothing but its own style sheet."""

_GPU_COLUMNS = ("GPU", "State", "Name", "UUID", "Held by", "Problem")
_ENGINE_COLUMNS = ("Engine", "State", "Version", "Model", "Pod", "Address", "Last scrape", "Series", "Problem")
_SECRET_IN_URL = re.compile(r"(?<=://)[^/@]*@|[?#].*", re.DOTALL)


def render(view: StatusView) -> bytes:
    """Return the page as UTF-8."""
    node = escape(view.node)
    parts = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>InferWatch on {node}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<h1>InferWatch on {node}</h1>"
        f"<p>Version {escape(view.version)} · last collection {_ago(view.snapshot_age_seconds)}</p>"
        '<nav><a href="/metrics">/metrics</a><a href="/readyz">/readyz</a><a href="/healthz">/healthz</a></nav>',
        _problems(view.problems),
        _table("GPUs", _GPU_COLUMNS, (_gpu_cells(row) for row in view.gpus), "No GPU is known."),
        _table("Engines", _ENGINE_COLUMNS, (_engine_cells(row) for row in view.engines), "No engine is known."),
        "</body></html>\n",
    )
    return "".join(parts).encode("utf-8", "replace")


def _gpu_cells(row: GpuRow) -> tuple[str, ...]:
    texts = (escape(text) for text in (row.name, row.uuid, row.holder))
    return (escape(row.gpu), _state(row.up), *texts, _problem(row.problem))


def _engine_cells(row: EngineRow) -> tuple[str, ...]:
    texts = (escape(text) for text in (row.version, row.model, row.pod, _SECRET_IN_URL.sub("", row.url)))
    numbers = (_ago(row.scrape_age_seconds), f"{row.series}")
    return (escape(row.engine), _state(row.up), *texts, *numbers, _problem(row.problem))


def _table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], empty: str) -> str:
    """Lay out cells that are HTML already."""
    body = "".join(
        "<tr>"
        + "".join(f'<td data-label="{label}">{cell}</td>' for label, cell in zip(columns, row, strict=True))
        + "</tr>"
        for row in rows
    )
    if not body:
        return f"<h2>{title}</h2><p>{empty}</p>"
    head = "".join(f"<th>{label}</th>" for label in columns)
    return f"<h2>{title}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _problems(problems: tuple[str, ...]) -> str:
    if not problems:
        return ""
    items = "".join(f"<li>{_problem(problem)}</li>" for problem in problems)
    return f"<h2>Problems</h2><ul>{items}</ul>"


def _state(up: bool) -> str:
    return '<span class="up">up</span>' if up else '<span class="down">down</span>'


def _problem(problem: str) -> str:
    return f'<span class="problem">{escape(problem)}</span>' if problem else ""


def _ago(age_seconds: float | None) -> str:
    return "never" if age_seconds is None else f"{max(age_seconds, 0.0):.1f} s ago"
