"""Reads Kubernetes manifests: files, directories, standard input. A fault is one line and stops nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from troubleshoot.preflight.objects import KubeObject, is_object, objects_of
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.files import human_size, open_bytes
from troubleshoot.sources.yaml_documents import YamlError, documents

MAX_BYTES = 16 << 20
"""More than any cluster's manifests; CRDs of every operator together take 5 MB."""
MAX_FILES = 2_000
_SUFFIXES = (".yaml", ".yml", ".json")
_ADVICE = "give Kubernetes manifests as YAML or JSON, a directory of them, or - for standard input"
_BUILD_FILES = {"kustomization.yaml": "kustomize build", "Chart.yaml": "helm template"}

# What a mapping that is no Kubernetes object turns out to be, by a key that only it has.
_OTHER_KINDS = (
    ("services", "a Docker Compose file", "convert it first"),
    ("groups", "a Prometheus rule file, no PrometheusRule", "check it with promtool check rules"),
    ("replicaCount", "a Helm values file", "render the chart: helm template . | inferwatch preflight -"),
    (
        "resources",
        "a kustomization without apiVersion and kind",
        "build it: kustomize build . | inferwatch preflight -",
    ),
)


@dataclass(slots=True)
class Manifests:
    """What was read. `problems` are inputs that could not be read, `notes` what was left out of a directory."""

    objects: list[KubeObject] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def read_manifests(specs: Sequence[str]) -> Manifests:
    """Read files, directories and `-`, in the order given."""
    found = Manifests()
    for spec in dict.fromkeys(specs):
        try:
            if spec != "-" and Path(spec).is_dir():
                _read_directory(spec, found)
            else:
                _read_file(spec, found, named=True)
        except InputError as error:
            found.problems.append(str(error))
        except ValueError:
            found.problems.append(str(InputError(spec, "is no path", _ADVICE)))
    return found


def _read_directory(spec: str, found: Manifests) -> None:
    paths = list(_files_below(spec))
    if not paths:
        raise InputError(spec, "holds no .yaml, .yml or .json file", _ADVICE)
    if len(paths) > MAX_FILES:
        raise InputError(spec, f"holds more than {MAX_FILES} manifests", "give one of its directories")
    for name, command in _BUILD_FILES.items():
        if any(Path(path).name == name for path in paths):
            found.notes.append(f"{spec}: {name} is not built; to check what it makes: {command} ... | ... preflight -")
    before = len(found.objects) + len(found.problems)
    for path in paths:
        try:
            _read_file(path, found, named=False)
        except InputError as error:
            found.problems.append(str(error))
    if len(found.objects) + len(found.problems) == before:
        raise InputError(spec, f"none of its {len(paths)} files is a Kubernetes manifest", _ADVICE)


def _files_below(folder: str) -> Iterator[str]:
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(path, name) for name in sorted(names) if name.endswith(_SUFFIXES))  # noqa: PTH118


def _read_file(spec: str, found: Manifests, *, named: bool) -> None:
    """Add the objects of one file; `named` says that the person named it, so that it has to be a manifest."""
    text = _text_of(spec, named=named)
    if text is None:
        return
    foreign: list[InputError] = []
    count = 0
    try:
        for document in documents(text):
            if is_object(document.value):
                objects = list(objects_of(document.value, spec, document.lines, document.line))
                found.objects.extend(objects)
                count += 1
            else:
                foreign.append(_not_kubernetes(spec, document.value, document.line))
    except YamlError as error:
        raise _broken(spec, text, error) from None
    if count:
        found.files.append(spec)
    if not foreign:
        if not count:
            raise InputError(spec, "holds nothing but comments", _ADVICE)
        return
    if named or count:
        raise foreign[0]
    found.notes.append(f"{spec}: left out, it {foreign[0].problem}")


def _text_of(spec: str, *, named: bool) -> str | None:
    """The whole text; None for an empty file that nobody named."""
    try:
        with open_bytes(spec) as source:
            taken = bytearray()
            buffer = bytearray(1 << 20)
            while count := source.readinto(buffer):
                taken += buffer[:count]
                if len(taken) > MAX_BYTES:
                    raise InputError(spec, f"is larger than {human_size(MAX_BYTES)}", "split it, or give fewer objects")
            note = source.note
    except InputError as error:
        if not named and error.problem == "is empty":
            return None
        raise InputError(error.name, error.problem, error.advice if "larger" in error.problem else _ADVICE) from None
    if note and "UTF" not in note:
        raise InputError(spec, note, "copy it again")
    try:
        return taken.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = taken.count(b"\n", 0, error.start) + 1
        raise InputError(spec, f"line {line} is not UTF-8", _ADVICE) from None


def _broken(spec: str, text: str, error: YamlError) -> InputError:
    where = f"line {error.line}: " if error.line else ""
    if "{{" in text:
        advice = "it looks like a template; render it first: helm template . | inferwatch preflight -"
    elif error.line:
        advice = "mend it; kubectl would refuse it too"
    else:
        advice = _ADVICE
    return InputError(spec, f"{where}{error.problem}", advice)


def _not_kubernetes(spec: str, value: object, line: int) -> InputError:
    where = "" if line <= 1 else f"what begins on line {line} "
    if isinstance(value, list):
        return InputError(spec, f"{where}is a list, no Kubernetes object", "give the objects themselves, parted by ---")
    if not isinstance(value, Mapping):
        return InputError(spec, f"{where}is a single value, no Kubernetes object", _ADVICE)
    for key, what, advice in _OTHER_KINDS:
        if key in value:
            return InputError(spec, f"{where}is {what}, no Kubernetes object", advice)
    lacking = " and ".join(key for key in ("apiVersion", "kind") if not isinstance(value.get(key), str))
    return InputError(spec, f"{where}is no Kubernetes object: it has no {lacking or 'apiVersion and kind'}", _ADVICE)
