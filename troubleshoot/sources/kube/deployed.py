"""What is deployed, as the API server lists it: workloads, and the objects that they are joined with.

A kind that cannot be listed narrows the result: it is said which, and what is missing. Secrets are never asked for;
ConfigMaps one by one, where a script in them starts an engine.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Final

from troubleshoot.preflight.makers import maker_of
from troubleshoot.preflight.objects import KubeObject
from troubleshoot.preflight.standing import needed_config_maps, standing
from troubleshoot.preflight.surroundings import Surroundings
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.kube.cluster import Cluster
from troubleshoot.sources.kube.kinds import BESIDE, BY_TARGET, RULES, WORKLOADS
from troubleshoot.sources.kube.listing import Listing
from troubleshoot.sources.kube.login import log_in
from troubleshoot.sources.kube.target import Target

PATIENCE_SECONDS: Final = 120.0
"""How long all lists together may take; an answer has 20 s."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What was read. `problems`: workloads that may be missing; `notes`: what else was not read. One line each."""

    name: str
    objects: tuple[KubeObject, ...]
    surroundings: Surroundings
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_deployed(target: Target, kubeconfig: str = "") -> Deployed:
    """Read a workload, a namespace or all of them; raise `InputError` where nothing can be read."""
    login = log_in(kubeconfig, target.context)
    namespace = "" if target.kind == "everywhere" else target.namespace or login.namespace
    listing = Listing(Cluster(login), time.monotonic() + PATIENCE_SECONDS)
    if target.kind in BY_TARGET:
        objects, beside = _workload(listing, replace(target, namespace=namespace))
        part = f"{namespace}/{target.kind}/{target.name}"
    else:
        objects, beside = _namespace(listing, namespace)
        part = f"namespace {namespace}" if namespace else "all namespaces"
    surroundings = Surroundings(tuple(beside), listing.unread, is_cluster=True)
    scripts = listing.config_maps(needed_config_maps(objects, surroundings))
    return Deployed(
        f"{login.name}, {part}",
        tuple(objects),
        replace(surroundings, beside=(*surroundings.beside, *scripts)),
        tuple(listing.lines({kind.kind for kind in WORKLOADS})),
        tuple(listing.lines({kind.kind for kind in (*BESIDE, RULES)} | {"ConfigMap"})),
    )


def _namespace(listing: Listing, namespace: str) -> tuple[list[KubeObject], list[KubeObject]]:
    """The objects of a namespace, or of all; beside them what reaches into it from others."""
    found = [item for kind in (*WORKLOADS, *BESIDE, RULES) for item in listing.of(kind, namespace)]
    own = [item for item in found if not namespace or item.namespace in ("", namespace)]
    return own, [item for item in found if namespace and item.namespace not in ("", namespace)]


def _workload(listing: Listing, target: Target) -> tuple[list[KubeObject], list[KubeObject]]:
    """One workload and what is joined with it; beside them the rest of the namespace."""
    title = f"{target.namespace}/{target.kind}/{target.name}"
    item = listing.one(BY_TARGET[target.kind], target.namespace, target.name)
    if item is None:
        raise InputError(title, "is not there", "check kind, name, namespace and context")
    beside = [other for kind in BESIDE for other in listing.of(kind, target.namespace)]
    cluster, _ = standing([item], Surroundings(tuple(beside)))
    if not cluster.objects:
        raise InputError(title, f"is made by {maker_of(item)}", "name the object at the top of what owns it")
    joined = {id(other) for workload in cluster.workloads for other in cluster.around(workload)}
    own = [item, *(other for other in beside if id(other) in joined)]
    return own, [other for other in beside if id(other) not in joined]
