"""Objects as an API server gives them: with every default and a record of who wrote what.

Source: Kubernetes' documentation of declarative management (the annotation of `kubectl apply`, which holds the whole
manifest) and of server-side apply (`managedFields`). Who updates without applying is recorded with the defaults too,
so that only operations "Apply" tell what a manifest says; what a controller changes afterwards leaves that record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from troubleshoot.preflight.objects import Field, KubeObject, Origin

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_REPLICAS: Final = ("f:spec", "f:replicas")


class Written(NamedTuple):
    """Whether a manifest sets the number of replicas, and to what. What cannot be told is not `is_known`."""

    is_known: bool
    is_set: bool = False
    replicas: int | None = None


def live_object(value: Mapping[str, Any], api_version: str, kind: str) -> KubeObject:
    """An object of a list, whose items do not say what they are; without what is not looked at."""
    whole = {**_reduced(value), "apiVersion": api_version, "kind": kind}
    item = KubeObject(Field(whole, Origin()))
    path = (item.namespace, kind.lower(), item.name)
    return KubeObject(Field(whole, Origin(resource="/".join(part for part in path if part))))


def is_live(item: KubeObject) -> bool:
    """Whether an API server gave it: no manifest has a `uid`."""
    return item.root.at("metadata", "uid").exists


def written_replicas(item: KubeObject) -> Written:
    """What the manifest behind an object says of `spec.replicas`: a live object always has a number there."""
    field = item.root.at("spec", "replicas")
    if not is_live(item):
        return Written(True, field.exists, field.integer)
    applied = _mapping_in(item.root.at("metadata", "annotations", LAST_APPLIED).text)
    if applied is not None:
        replicas = Field(applied, Origin()).at("spec", "replicas")
        return Written(True, replicas.exists, replicas.integer)
    for entry in item.root.at("metadata", "managedFields").items():
        if entry.at("operation").text == "Apply" and entry.at("fieldsV1", *_REPLICAS).exists:
            return Written(True, True, field.integer)
    return Written(False)


def _reduced(value: Mapping[str, Any]) -> dict[str, Any]:
    """The object without its status, and of the record of its writers what `written_replicas` reads."""
    kept = {key: item for key, item in value.items() if key != "status"}
    metadata = kept.get("metadata")
    if not isinstance(metadata, dict):
        return kept
    kept["metadata"] = metadata = dict(metadata)
    metadata["managedFields"] = [
        {"operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        for entry in Field(metadata.get("managedFields"), Origin()).items()
        if entry.at("operation").text == "Apply" and entry.at("fieldsV1", *_REPLICAS).exists
    ]
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict) and LAST_APPLIED in annotations:
        metadata["annotations"] = {key: item for key, item in annotations.items() if key != LAST_APPLIED}
        applied = _mapping_in(annotations[LAST_APPLIED])
        if applied is not None:
            replicas = Field(applied, Origin()).at("spec", "replicas").integer
            spec = {} if replicas is None else {"replicas": replicas}
            metadata["annotations"][LAST_APPLIED] = json.dumps({"spec": spec})
    return kept


def _mapping_in(text: object) -> dict[str, Any] | None:
    """The mapping that a text of JSON holds; None for anything else."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
