"""Writes what is generated in this folder: `python -m exporter.deploy.generate [--check]`.

From `values.py` and the objects made of them: the kustomize base, what a component adds to it, and the Helm chart's
values with their schema and its version. From the catalogue: a PodMonitor an engine for scraping it directly. With
`--check` nothing is written, and the exit status is 1 when a file is not what would be written. The chart's templates
and the patches of the kustomize components are written by hand; tests hold them to the same objects.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from catalog.engines import ENGINES
from catalog.yaml_text import document
from exporter.deploy.objects import COMMENTS, kubernetes_objects, namespace_object
from exporter.deploy.release import NAME, NAMESPACE, Release
from exporter.deploy.values import Values, json_schema
from exporter.direct_scrape import DirectScrape, direct_scrape, pod_monitor

__all__ = ["FOLDER", "generated_files", "main"]

FOLDER = Path(__file__).parent
_ROOT = FOLDER.parents[1]
_BANNER = "# Written by `python -m exporter.deploy.generate`; change exporter/deploy/values.py or objects.py instead.\n"
_DIRECT_BANNER = (
    "# Written by `python -m exporter.deploy.generate` from the catalogue; see exporter/direct_scrape.py.\n"
)
_WIDTH = 110


def generated_files() -> dict[Path, str]:
    """Return the text of every generated file by its path."""
    release = Release(version=_version())
    return dict([*_kustomize_base(release), *_chart(release), *_direct_monitors()])


def main(arguments: Sequence[str]) -> int:
    """Write the files that differ, or with `--check` name them. Returns the exit status."""
    if list(arguments) not in ([], ["--check"]):
        print("usage: python -m exporter.deploy.generate [--check]", file=sys.stderr)  # noqa: T201 - a command
        return 2
    files = generated_files()
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text("utf-8") != text]
    unknown = sorted(set((FOLDER / "generated").glob("*")) - set(files))
    for path in (*stale, *unknown):
        print(path.relative_to(_ROOT))  # noqa: T201 - a command
    if arguments:
        return 1 if stale or unknown else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], "utf-8")
    for path in unknown:
        path.unlink()
    return 0


def _version() -> str:
    """The project's version: the exporter may not import the package that holds it."""
    found = re.search(r'^VERSION = "([^"]+)"$', (_ROOT / "inferwatch/version.py").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError('inferwatch/version.py holds no line VERSION = "..."')
    return found[1]


def _kustomize_base(release: Release) -> Iterator[tuple[Path, str]]:
    folder = FOLDER / "kustomize/base"
    values = Values()
    objects = [namespace_object(), *kubernetes_objects(values, release)]
    for item in objects:
        kind = item["kind"]
        yield folder / f"{kind.lower()}.yaml", _BANNER + document(item, COMMENTS.get(kind))
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAMESPACE,
        "resources": [f"{item['kind'].lower()}.yaml" for item in objects],
    }
    yield folder / "kustomization.yaml", _BANNER + document(kustomization)
    yield from _api_server_component(release)


def _api_server_component(release: Release) -> Iterator[tuple[Path, str]]:
    """What asking the API server adds to the base; its patches are written by hand."""
    base = Values()
    config = {**base.config, "kubernetes": {"discovery": "api_server"}}
    for item in kubernetes_objects(msgspec.structs.replace(base, config=config), release):
        kind = item["kind"]
        if kind in {"ClusterRole", "ClusterRoleBinding", "ConfigMap"}:
            path = FOLDER / f"kustomize/components/api-server-discovery/{kind.lower()}.yaml"
            yield path, _BANNER + document(item, COMMENTS.get(kind))


def _chart(release: Release) -> Iterator[tuple[Path, str]]:
    folder = FOLDER / "chart"
    chart = {
        "apiVersion": "v2",
        "name": NAME,
        "description": "GPUs and LLM inference engines of a node under one schema, for Prometheus",
        "type": "application",
        "version": release.version,
        "appVersion": release.version,
        "kubeVersion": ">=1.25.0-0",
        "keywords": ["llm", "gpu", "vllm", "prometheus", "observability"],
    }
    yield folder / "Chart.yaml", _BANNER + document(chart)
    values = msgspec.to_builtins(Values())
    yield folder / "values.yaml", _BANNER + document(values, dict(_descriptions(json_schema())))
    yield folder / "values.schema.json", json.dumps(json_schema(), indent=2) + "\n"


def _descriptions(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The values' descriptions by dotted path."""
    for name, entry in schema["properties"].items():
        part = schema["$defs"].get(entry.get("$ref", "").rpartition("/")[2], {})
        if "description" in entry or part:
            yield name, entry.get("description") or part["description"]
        if part and name != "config":
            for path, text in _descriptions({**part, "$defs": schema["$defs"]}):
                yield f"{name}.{path}", text


def _direct_monitors() -> Iterator[tuple[Path, str]]:
    for name in ENGINES:
        direct = direct_scrape(ENGINES[name])
        text = document(pod_monitor(direct), one_line=("metricRelabelings", "relabelings"))
        yield FOLDER / f"generated/podmonitor-{name.replace('_', '-')}.yaml", _DIRECT_BANNER + _about(direct) + text


def _about(direct: DirectScrape) -> str:
    """What the file is for, and what it cannot do, as comments."""
    engine = direct.engine
    ports = " or ".join(str(port) for port in engine.ports)
    paragraphs = [
        f"{engine.title} scraped by Prometheus itself, without the exporter: its series get canonical names as they "
        f"are scraped. For pods with the label inferwatch.dev/direct-scrape: {engine.name}, in any namespace, whose "
        f"container declares port {ports}; change the label, the port or namespaceSelector to fit yours.",
    ]
    if engine.repeat_labels:
        labels = ", ".join(engine.repeat_labels)
        paragraphs.append(
            f"Labels {labels} stay: where several values are there at once they repeat the same requests, so take the "
            "maximum over them before any sum. The exporter does."
        )
    lines = [line for text in paragraphs for line in _comment(text)]
    if direct.left_out:
        lines += ["#", "# Not to be had by relabeling; a series that is renamed to nothing else stays as it is:"]
        for left in direct.left_out:
            lines += _comment(f"- {left.mapping.series} as {left.mapping.signal}: {left.reason}", indent="  ")
    return "".join(f"{line}\n" for line in lines)


def _comment(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent="# ",
        subsequent_indent=f"# {indent}",
        break_on_hyphens=False,
        break_long_words=False,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
