"""The shape of the house: who may import whom, what an import costs, what no file may say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from recordings.reader import load

ROOT = Path(__file__).resolve().parents[1]

# Arrows point one way. `inferwatch` and `benchmarks` stand above all others.
LEAVES = {"catalog", "recordings", "runbooks", "charts"}
MAY_IMPORT: dict[str, set[str]] = {
    "catalog": set(),
    "charts": set(),
    "runbooks": set(),
    "recordings": {"catalog"},
    "troubleshoot": {"catalog", "recordings", "charts"},
    "exporter": LEAVES,
    "alerts": LEAVES,
    "dashboards": LEAVES,
    "inferwatch": {"troubleshoot", "exporter", "alerts", "dashboards", *LEAVES},
    "benchmarks": {"inferwatch", "troubleshoot", "exporter", "alerts", "dashboards", *LEAVES},
}
PACKAGES = sorted(init.parent.name for init in ROOT.glob("*/__init__.py"))
HEAVY = {"httpx", "jsonschema", "kubernetes", "numpy", "pandas", "prometheus_api_client", "prometheus_client"}
HEAVY |= {"requests", "rich", "yaml"}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(body: ast.AST) -> Iterator[str]:
    """The dotted names of what is imported anywhere in it."""
    for node in ast.walk(body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def imports_at_start(path: Path) -> set[str]:
    """What a module imports as soon as it is imported itself: not in functions, not for the type checker alone."""
    found: set[str] = set()
    for statement in tree_of(path).body:
        is_for_types = isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test)
        if isinstance(statement, ast.Import | ast.ImportFrom | ast.Try | ast.If) and not is_for_types:
            found.update(imports(statement))
    return found


def test_every_package_has_its_place() -> None:
    assert PACKAGES
    assert set(PACKAGES) <= set(MAY_IMPORT)


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_point_one_way(package: str) -> None:
    foreign = set(PACKAGES) - {package} - MAY_IMPORT[package]
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imports(tree_of(path))
        if name.partition(".")[0] in foreign
    ]
    assert broken == []


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_are_absolute(package: str) -> None:
    relative = [str(path) for path in modules(package) for name in imports(tree_of(path)) if name.startswith(".")]
    assert relative == []


def test_the_command_line_imports_no_subcommand_at_its_start() -> None:
    assert {name for name in imports_at_start(ROOT / "inferwatch/cli.py") if name.partition(".")[0] in PACKAGES} == {
        "inferwatch.version"
    }


def test_the_packages_are_those_that_are_installed() -> None:
    configuration = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r"\[tool\.setuptools\.packages\.find\]\s*include = \[([^\]]*)\]", configuration)
    assert found
    assert set(re.findall(r'"(\w+)\*"', found[1])) == set(PACKAGES) - {"benchmarks"}


# What an import costs


def loaded_by(script: str) -> set[str]:
    """The top-level modules that are loaded at the end of a script in a fresh interpreter."""
    report = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    whole = f"try:\n    exec({script!r})\nfinally:\n    {report}\n"
    done = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return set(done.stderr.split())


def command(*arguments: str) -> str:
    return f"import sys\nsys.argv = {['inferwatch', *arguments]!r}\nfrom inferwatch.cli import main\nmain()"


def test_importing_the_diagnosis_loads_nothing_heavy() -> None:
    every_module = (
        "import importlib, pkgutil, troubleshoot\n"
        "for module in pkgutil.walk_packages(troubleshoot.__path__, 'troubleshoot.'):\n"
        "    importlib.import_module(module.name)"
    )
    loaded = loaded_by(every_module)
    assert "troubleshoot" in loaded
    assert loaded & {*HEAVY, "click", "zstandard", "inferwatch"} == set()


def test_help_loads_nothing_but_the_command_line() -> None:
    loaded = loaded_by(command("--help"))
    assert {"inferwatch", "click"} <= loaded
    assert loaded & {*HEAVY, *PACKAGES, "hyperscan", "zstandard"} == {"inferwatch"}


def test_diagnosing_a_log_loads_nothing_heavy() -> None:
    log = load("kv_preemption").log_path
    loaded = loaded_by(command("diagnose", "--log", str(log), "-o", "/dev/null"))
    assert {"troubleshoot", "hyperscan"} <= loaded
    assert loaded & {*HEAVY, "zstandard", "recordings", "charts", "plotly"} == set()


def test_the_page_alone_loads_the_charts() -> None:
    log = load("kv_preemption").log_path
    loaded = loaded_by(command("diagnose", "--log", str(log), "--format", "html", "-o", "/dev/null"))
    assert {"charts", "plotly"} <= loaded
    assert loaded & HEAVY == set()


def test_diagnosing_saved_metrics_loads_no_client() -> None:
    metrics = load("llamacpp_busy").metrics_path
    loaded = loaded_by(command("diagnose", "--metrics", str(metrics), "-o", "/dev/null"))
    assert "troubleshoot" in loaded
    assert loaded & HEAVY == set()


# What no file may be or say


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_no_module_is_a_drawer_for_everything(package: str) -> None:
    drawers = {"util", "utils", "misc", "helper", "helpers", "common", "shared", "stuff"}
    assert [str(path) for path in modules(package) if {path.stem, path.parent.name} & drawers] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is(package: str) -> None:
    assert [str(path) for path in modules(package) if not ast.get_docstring(tree_of(path))] == []


@cache
def written_files() -> list[Path]:
    """What people write: no recording's data, nothing that is built or installed."""
    kinds = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".sh", ".txt", ".cfg", ""}
    built = {"build", "dist", "out", "__pycache__", "data"}
    return [
        path
        for path in sorted(ROOT.rglob("*"))
        if path.suffix in kinds
        and path.is_file()
        and not any(part.startswith(".") or part.endswith(".egg-info") for part in path.relative_to(ROOT).parts)
        and not built & set(path.relative_to(ROOT).parts)
    ]


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    places = re.compile(r"(?<![\w.:/-])/(?:work|Users|home/(?!user\b)\w+)(?:/|$)")
    said = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in written_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if places.search(line)
    ]
    assert said == []


def test_what_people_write_is_searched() -> None:
    names = [path.relative_to(ROOT).as_posix() for path in written_files()]
    assert {"pyproject.toml", "Makefile", "troubleshoot/collect.py", "tests/test_architecture.py"} <= set(names)


@pytest.mark.parametrize("package", sorted(set(PACKAGES) - {"catalog", "benchmarks"}))
def test_an_engines_metric_names_are_spelled_in_the_catalogue_alone(package: str) -> None:
    names = re.compile(
        r"\b(?:vllm|sglang|llamacpp|trtllm):[a-z]\w+|\bnv_(?:inference|cache)_\w+|\btgi_(?:request|queue|batch)_\w+"
    )
    said: list[str] = []
    for path in modules(package):
        docstrings = {id(node.value) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Expr)}
        said += [
            f"{path.relative_to(ROOT)}:{node.lineno}: {node.value[:80]}"
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
            and names.search(node.value)
        ]
    assert said == []


def test_test_files_have_names_of_their_own() -> None:
    """A failure is named by its file alone in many a report."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == []
