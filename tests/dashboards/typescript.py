"""The TypeScript compiler over boards: installed once from the npm registry into a folder that git ignores."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.dashboards.pages import Json, panels

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Path(__file__).parent / "schema"
_CACHE = ROOT / ".node"
_PATIENCE_SECONDS = 100
_OPTIONS = {
    "strict": True,
    "noEmit": True,
    "module": "nodenext",
    "moduleResolution": "nodenext",
    "target": "es2022",
    "types": [],
    "skipLibCheck": True,
}
_ERROR = re.compile(r"^(?P<file>[\w-]+)\.ts\((?P<line>\d+),\d+\): error (?P<text>.*)$", re.MULTILINE)


def schema_types() -> Path:
    """The folder of the installed packages; skips the test where they cannot be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    lock = (SCHEMA / "package-lock.json").read_bytes()
    folder = _CACHE / f"schema-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not folder.is_dir():
        _install(folder)
    return folder / "node_modules"


def _install(folder: Path) -> None:
    """Several test processes may install at once: each into a folder of its own, which the first one puts in place."""
    _CACHE.mkdir(exist_ok=True)
    fresh = Path(mkdtemp(prefix="new-", dir=_CACHE))
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SCHEMA / name, fresh)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(
                command, cwd=fresh, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"the npm registry gave no @grafana/schema within {_PATIENCE_SECONDS} s")
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            pytest.skip(f"@grafana/schema cannot be had: {' '.join(errors)[:300]}")
        try:
            fresh.rename(folder)
        except OSError:
            assert folder.is_dir(), "another process put it in place"
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def errors_in(boards: dict[str, Json], folder: Path) -> list[str]:
    """What the compiler says of these boards, a line each, with the board and the part of it that is wrong."""
    packages = schema_types()
    (folder / "node_modules").symlink_to(packages)
    shutil.copy(SCHEMA / "checks.ts", folder)
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": _OPTIONS, "include": ["*.ts"]}))
    parts = {name: _statements(board) for name, board in boards.items()}
    for name, statements in parts.items():
        (folder / f"{name}.ts").write_text("\n".join(text for _, text in statements))
    done = subprocess.run(
        ["node", str(packages / "typescript/bin/tsc"), "-p", str(folder)],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    found = [
        f"{match['file']}: {parts[match['file']][int(match['line']) - 1][0]}: {match['text'][:200]}"
        for match in _ERROR.finditer(done.stdout)
    ]
    assert bool(found) == (done.returncode != 0), done.stdout + done.stderr
    return found


def _statements(board: Json) -> list[tuple[str, str]]:
    """One constant a line, each with what it is of: the board without its panels, then each panel and its own parts."""
    rest = {key: value for key, value in board.items() if key != "panels"}
    lines = [
        ("imports", 'import type { Board, Custom, OnePanel, Options } from "./checks";'),
        ("board", f"export const board: Board = {json.dumps(rest)};"),
    ]
    for panel in panels(board):
        number, kind, title = panel["id"], json.dumps(panel["type"]), panel["title"]
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        lines += [
            (title, f"export const panel{number}: OnePanel = {json.dumps(panel)};"),
            (f"{title}, options", f"export const options{number}: Options[{kind}] = {json.dumps(panel['options'])};"),
            (f"{title}, fields", f"export const custom{number}: Custom[{kind}] = {json.dumps(custom)};"),
        ]
    return lines
