"""The objects that nothing else makes, and what of others they need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from troubleshoot.preflight.cluster import Cluster
from troubleshoot.preflight.command_line import script_config_maps
from troubleshoot.preflight.makers import part
from troubleshoot.preflight.objects import KubeObject
from troubleshoot.preflight.subject import Subject
from troubleshoot.preflight.surroundings import Surroundings


def needed_config_maps(objects: Iterable[KubeObject], surroundings: Surroundings) -> list[tuple[str, str]]:
    """Namespace and name of the ConfigMaps whose scripts start what asks for a GPU or has an engine's image."""
    cluster, _ = standing(objects, surroundings)
    return [
        (workload.namespace, name)
        for workload in cluster.workloads
        if Subject(workload, cluster).serves
        for container in workload.containers
        for name in script_config_maps(container.field, workload.pod)
    ]


def standing(objects: Iterable[KubeObject], surroundings: Surroundings) -> tuple[Cluster, list[str]]:
    """The objects that nothing else makes; a line for each that is left out though its maker is not checked."""
    given = tuple(objects)
    own, beside = part(given, surroundings.beside), part(surroundings.beside, given)
    cluster = Cluster.of(own.kept, replace(surroundings, beside=beside.kept))
    makers: dict[str, list[KubeObject]] = defaultdict(list)
    for item, maker in own.unmade:
        makers[f"{maker.kind} {f'{item.namespace}/' if item.namespace else ''}{maker.name}"].append(item)
    lines = []
    for maker_title, made in makers.items():
        workloads = Cluster.of(made).workloads
        titles = [workload.owner.title for workload in workloads if Subject(workload, cluster).serves]
        if titles:
            more, them = (f" and {len(titles) - 1} more", "them") if len(titles) > 1 else ("", "it")
            lines.append(f"{titles[0]}{more}: not checked, for {maker_title} makes {them} and is not among the objects")
    return cluster, lines
