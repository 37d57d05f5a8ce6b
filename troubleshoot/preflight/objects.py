"""Kubernetes objects as parsed values that know where each of their fields stands.

The seam for every source: `objects_of` takes parsed values, from a file or from an API server, and no I/O happens here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

Step = str | int
Steps = tuple[Step, ...]
_NO_LINES: Mapping[Steps, int] = MappingProxyType({})
_KEY_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


# Kinds that are looked at, by the API groups whose kinds they are: others use the same names.
_CORE, _APPS, _KSERVE = ("",), ("apps", "extensions"), ("serving.kserve.io", "serving.kubeflow.org")
_GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Pod": _CORE,
        "Service": _CORE,
        "ConfigMap": _CORE,
        "Deployment": _APPS,
        "StatefulSet": _APPS,
        "DaemonSet": _APPS,
        "ReplicaSet": _APPS,
        "HorizontalPodAutoscaler": ("autoscaling",),
        "PodDisruptionBudget": ("policy",),
        "LeaderWorkerSet": ("leaderworkerset.x-k8s.io",),
        "InferenceService": _KSERVE,
        "LLMInferenceService": _KSERVE,
        "ServingRuntime": _KSERVE,
        "ClusterServingRuntime": _KSERVE,
        "ScaledObject": ("keda.sh",),
        "PodMonitor": ("monitoring.coreos.com",),
        "ServiceMonitor": ("monitoring.coreos.com",),
        "PrometheusRule": ("monitoring.coreos.com",),
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field stands: `line` counts from 1 and is None for objects that came from no file.

    `resource` is the object of a cluster in which it stands: `prod/deployment/llama`.
    """

    file: str
    line: int | None
    path: str
    resource: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """The document that a field belongs to: its file, its line there, and the lines of its fields by path.

    `start` is where the object begins in the document (an item of a List). `resource` names a cluster's object.
    """

    file: str = ""
    lines: Mapping[Steps, int] = field(default_factory=lambda: _NO_LINES, repr=False)
    line: int | None = None
    start: Steps = ()
    resource: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A value inside an object. What is not there has the value None, and the place of the nearest thing that is.

    `over` holds the entries of `value` that were put in from elsewhere, and stand there.
    """

    value: object
    origin: Origin
    path: Steps = ()
    over: Mapping[str, Field] = field(default_factory=dict, repr=False)

    def at(self, *steps: Step) -> Field:
        """The field below, by keys of mappings and indices of lists."""
        if steps and isinstance(steps[0], str) and steps[0] in self.over:
            return self.over[steps[0]].at(*steps[1:])
        value = self.value
        for step in steps:
            if isinstance(value, dict) and isinstance(step, str):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
                value = value[step]
            else:
                value = None
        return Field(value, self.origin, (*self.path, *steps))

    def items(self) -> Iterator[Field]:
        """The items of a list; nothing of anything else."""
        if isinstance(self.value, list):
            for index in range(len(self.value)):
                yield self.at(index)

    def entries(self) -> Iterator[tuple[str, Field]]:
        """The entries of a mapping; nothing of anything else."""
        if isinstance(self.value, dict):
            for key in self.value:
                yield key, self.at(key)

    def with_entries(self, entries: Mapping[str, Field]) -> Field:
        """The mapping with these entries put in or replaced; each keeps its place."""
        own = self.value if isinstance(self.value, dict) else {}
        value = {**own, **{key: item.value for key, item in entries.items()}}
        return Field(value, self.origin, self.path, {**self.over, **entries})

    @property
    def exists(self) -> bool:
        """Whether there is a value other than null."""
        return self.value is not None

    @property
    def text(self) -> str:
        """A text or a number as text; "" for anything else."""
        if isinstance(self.value, str):
            return self.value
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return str(self.value) if isinstance(self.value, int | float) else ""

    @property
    def integer(self) -> int | None:
        """A whole number, also one that is written as text; None for anything else."""
        if isinstance(self.value, bool):
            return None
        if isinstance(self.value, int):
            return self.value
        if isinstance(self.value, float) and self.value.is_integer():
            return int(self.value)
        if isinstance(self.value, str) and self.value.isascii() and self.value.isdigit() and len(self.value) < 19:
            return int(self.value)
        return None

    @property
    def labels(self) -> Mapping[str, str]:
        """A mapping of texts; empty for anything else."""
        return {key: item.text for key, item in self.entries()}

    @property
    def place(self) -> Place:
        """Where it stands; the line is that of the nearest field that is there."""
        line = self.origin.line
        for length in range(len(self.path), 0, -1):
            known = self.origin.lines.get((*self.origin.start, *self.path[:length]))
            if known is not None:
                line = known
                break
        return Place(self.origin.file, line, spelled(self.path), self.origin.resource)


def spelled(path: Steps) -> str:
    """A path as people write it: `spec.containers[0].env`; keys with dots or slashes in brackets and quotes."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _KEY_CHARACTERS.issuperset(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


@dataclass(frozen=True, slots=True)
class KubeObject:
    """One object."""

    root: Field

    @property
    def api_version(self) -> str:
        """`apps/v1`."""
        return self.root.at("apiVersion").text

    @property
    def group(self) -> str:
        """`apps`, "" for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def kind(self) -> str:
        """`Deployment`; with its group where others use the name of a known kind: `Service.serving.knative.dev`."""
        kind = self.root.at("kind").text
        groups = _GROUPS.get(kind)
        return kind if groups is None or self.group in groups else f"{kind}.{self.group}"

    @property
    def name(self) -> str:
        """Its name, or the prefix from which one is made."""
        metadata = self.root.at("metadata")
        return metadata.at("name").text or metadata.at("generateName").text

    @property
    def namespace(self) -> str:
        """Its namespace; "" where the manifest leaves it to whoever applies it."""
        return self.root.at("metadata", "namespace").text

    @property
    def title(self) -> str:
        """`Deployment prod/llama`."""
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {name or '(no name)'}"


def is_object(value: object) -> bool:
    """Whether a parsed value is a Kubernetes object: a mapping with an `apiVersion` and a `kind`."""
    if not isinstance(value, Mapping):
        return False
    return all(isinstance(value.get(key), str) and value[key] for key in ("apiVersion", "kind"))


def objects_of(
    value: object, file: str = "", lines: Mapping[Steps, int] = _NO_LINES, line: int | None = None
) -> Iterator[KubeObject]:
    """Yield the objects in a parsed value: itself, or the items of a List. What is no object gives nothing."""
    if not is_object(value):
        return
    whole = KubeObject(Field(value, Origin(file, lines, line)))
    items = whole.root.at("items")
    if not (whole.kind.endswith("List") and isinstance(items.value, list)):
        yield whole
        return
    for item in items.items():
        if is_object(item.value):
            yield KubeObject(Field(item.value, Origin(file, lines, item.place.line, item.path)))
