"""A workload, whatever kind of object makes it: its pods, how many there are, and the containers in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from troubleshoot.preflight.objects import Field, KubeObject

GPU_RESOURCES = ("nvidia.com/gpu", "nvidia.com/gpu.shared", "amd.com/gpu")
"""Extended resources that count whole (or time-sliced) GPUs; MIG slices are `nvidia.com/mig-...`."""

Role = Literal["server", "predictor", "transformer", "explainer", "prefill", "leader", "worker"]
Supplied = Literal["readiness", "probes", "shared memory", "arguments", "service", "metrics", "termination"]

_TAG = re.compile(r":([\w][\w.-]{0,127})$")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command line and where it stands."""

    text: str
    field: Field


@dataclass(frozen=True, slots=True)
class Image:
    """A container image by its parts; `tag` and `digest` are "" where the reference has none."""

    name: str
    tag: str
    digest: str

    @property
    def repository(self) -> str:
        """The last part of the name: `vllm-openai`."""
        return self.name.rpartition("/")[2]


def image_of(reference: str) -> Image:
    """`ghcr.io/a/b:v1@sha256:...` -> its parts."""
    rest, _, digest = reference.partition("@")
    found = _TAG.search(rest)
    return Image(rest[: found.start()], found[1], digest) if found else Image(rest, "", digest)


@dataclass(frozen=True)
class Container:
    """A container. `words` is its command and arguments, with scripts from ConfigMaps read."""

    field: Field
    words: tuple[Word, ...] = ()

    @property
    def name(self) -> str:
        """Its name; KServe's predictor container where it has none."""
        return self.field.at("name").text or "container"

    @cached_property
    def image(self) -> Image:
        """Its image."""
        return image_of(self.field.at("image").text)

    @cached_property
    def environment(self) -> Mapping[str, Field]:
        """Variables with a plain value, by name."""
        return {
            name.text: item.at("value")
            for item in self.field.at("env").items()
            if (name := item.at("name")).exists and item.at("value").exists
        }

    def resource(self, name: str, part: Literal["limits", "requests"] = "limits") -> Field:
        """A limit or request."""
        return self.field.at("resources", part, name)

    def gpu_resources(self) -> Iterator[tuple[str, Field]]:
        """The GPUs and MIG slices it asks for, by resource; a limit before a request of the same name."""
        seen: set[str] = set()
        for part in ("limits", "requests"):
            for name, amount in self.field.at("resources", part).entries():
                if name not in seen and (name in GPU_RESOURCES or name.startswith("nvidia.com/mig-")):
                    seen.add(name)
                    yield name, amount

    @property
    def gpus(self) -> int:
        """How many GPUs or slices it asks for."""
        return sum(amount.integer or 0 for _, amount in self.gpu_resources())

    def port_names(self) -> Mapping[str, int | None]:
        """Its named ports."""
        return {
            port.at("name").text: port.at("containerPort").integer
            for port in self.field.at("ports").items()
            if port.at("name").text
        }

    def port_numbers(self) -> tuple[int, ...]:
        """The ports that it declares."""
        numbers = (port.at("containerPort").integer for port in self.field.at("ports").items())
        return tuple(number for number in numbers if number is not None)

    def mount(self, path: str) -> Field | None:
        """The innermost mount that holds this path; None where it lies in the image."""
        holding = [
            mount
            for mount in self.field.at("volumeMounts").items()
            if (top := mount.at("mountPath").text.rstrip("/")) and (path == top or path.startswith(f"{top}/"))
        ]
        return max(holding, key=lambda mount: len(mount.at("mountPath").text.rstrip("/")), default=None)


@dataclass(frozen=True)
class Workload:
    """Pods that are alike.

    `replicas` is the field that says how many (missing where the default 1 holds), `group_size` the pods of one
    replica (LeaderWorkerSet). `supplied` is what the platform adds where the manifest says nothing. `settings` are
    engine arguments that the platform derives from fields of the object (`--tensor-parallel-size`).
    """

    owner: KubeObject
    pod: Field
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    replicas: Field
    containers: tuple[Container, ...]
    role: Role = "server"
    group_size: int = 1
    group_gpus: int | None = None
    max_replicas: Field | None = None
    supplied: frozenset[Supplied] = frozenset()
    settings: Mapping[str, Field] = field(default_factory=dict)
    model_uri: Field | None = None

    @property
    def title(self) -> str:
        """`Deployment prod/llama`, with the part of it where it has several."""
        return self.owner.title if self.role == "server" else f"{self.owner.title} ({self.role})"

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.owner.namespace

    @property
    def own_replicas(self) -> int:
        """How many replicas it asks for itself; a kind's default is 1."""
        count = self.replicas.integer
        return 1 if count is None else count

    def volume(self, name: str) -> Field | None:
        """A volume of its pods by name."""
        return next((volume for volume in self.pod.at("volumes").items() if volume.at("name").text == name), None)

    def volume_at(self, container: Container, path: str) -> Field | None:
        """The volume in which a container sees this path."""
        mount = container.mount(path)
        return self.volume(mount.at("name").text) if mount else None

    def node_labels(self) -> Iterator[tuple[str, Field]]:
        """What its nodes must be labelled: the node selector, and required affinity for one value."""
        yield from self.pod.at("nodeSelector").entries()
        for term in self._required_terms():
            for wanted in term.at("matchExpressions").items():
                values = list(wanted.at("values").items())
                if wanted.at("operator").text == "In" and len(values) == 1:
                    yield wanted.at("key").text, values[0]

    def _required_terms(self) -> list[Field]:
        required = self.pod.at("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
        terms = list(required.at("nodeSelectorTerms").items())
        return terms if len(terms) == 1 else []  # several terms are alternatives
