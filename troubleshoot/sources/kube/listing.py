"""Lists of the API server by kind, with an account of what could not be read and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from troubleshoot.preflight.live import live_object
from troubleshoot.preflight.makers import is_replica
from troubleshoot.preflight.objects import KubeObject
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.kube.cluster import Cluster, Listed, Paging
from troubleshoot.sources.kube.kinds import DISCOVER, GET_CONFIG_MAP, PAGE, ListedKind
from troubleshoot.sources.kube.problems import ClusterError

PAGE_ITEMS: Final = 100
MAX_PAGES: Final = 100
MOST_CONFIG_MAPS: Final = 200
_FIRST_FAILURES: Final = 2
_FATAL: Final = frozenset({0, HTTPStatus.UNAUTHORIZED})


class _Unread(NamedTuple):
    """What was not read: `what` in words; why is `right` where that is missing, else `problem`."""

    kind: str
    what: str
    right: str = ""
    where: str = ""
    problem: str = ""
    advice: str = ""


class Listing:
    """Reads one kind after the other until the monotonic time `until`, and keeps account of what it could not read."""

    def __init__(self, cluster: Cluster, until: float) -> None:
        self.unread: dict[str, str] = {}
        self._cluster = cluster
        self._paging = Paging(PAGE_ITEMS, MAX_PAGES, until)
        self._failed: list[_Unread] = []
        self._has_answered = False

    def of(self, kind: ListedKind, namespace: str) -> list[KubeObject]:
        """The objects of a kind; replicas that a built-in controller makes are left out.

        Raises `ClusterError` where the API server as a whole gives no answer.
        """
        wide = kind.scope != "namespace"
        found = self._read(kind, "" if wide else namespace, {})
        if found is not None or kind.scope != "everywhere" or not namespace:
            return found or []
        said, wanted = self._failed.pop(), self.unread[kind.kind]
        own = self._read(kind, namespace, {})
        if own is None:
            self._failed.pop()
        self._failed.append(said if own is None else said._replace(what=f"{kind.plural} of other namespaces"))
        self.unread[kind.kind] = wanted
        return own or []

    def one(self, kind: ListedKind, namespace: str, name: str) -> KubeObject | None:
        """The object of that name; raise `InputError` where it cannot be known."""
        found = self._read(kind, namespace, {"fieldSelector": f"metadata.name={name}"})
        if found is None:
            raise InputError(*self._line([self._failed[-1]]))
        return next((item for item in found if item.name == name), None)

    def config_maps(self, wanted: Iterable[tuple[str, str]]) -> list[KubeObject]:
        """The ConfigMaps of these namespaces and names that are there; beyond MOST_CONFIG_MAPS none is asked for."""
        names = list(dict.fromkeys(wanted))
        asked = names[:MOST_CONFIG_MAPS]
        if len(names) > len(asked):
            what = f"scripts in {len(names) - len(asked)} of {len(names)} ConfigMaps"
            problem = f"at most {MOST_CONFIG_MAPS} are asked for"
            self._failed.append(_Unread("ConfigMap", what, problem=problem, advice="name a namespace, or one workload"))
        found = [self._config_map(namespace, name) for namespace, name in asked]
        return [live_object(value, "v1", "ConfigMap") for value in found if value is not None]

    def _config_map(self, namespace: str, name: str) -> dict[str, Any] | None:
        """A ConfigMap; None where there is none, or it may not be read."""
        if any(entry.kind == "ConfigMap" and entry.where.endswith(f" {namespace}") for entry in self._failed):
            return None
        try:
            return self._cluster.one(GET_CONFIG_MAP, namespace=namespace, name=name)
        except ClusterError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                entry = _Unread("ConfigMap", "scripts in ConfigMaps", "get on configmaps", f" in namespace {namespace}")
                self._failed.append(
                    entry if error.is_forbidden else entry._replace(problem=error.problem, advice=error.advice)
                )
            return None

    def lines(self, kinds: Collection[str]) -> Iterator[str]:
        """One line for all rights that are missing in one place, one for each other failure."""
        groups: dict[str, list[_Unread]] = defaultdict(list)
        for number, entry in enumerate(self._failed):
            if entry.kind in kinds:
                groups[str(number) if entry.problem else entry.where].append(entry)
        for entries in groups.values():
            yield str(InputError(*self._line(entries)))

    def _line(self, entries: list[_Unread]) -> tuple[str, str, str]:
        what = ", ".join(dict.fromkeys(entry.what for entry in entries))
        first = entries[0]
        if first.problem:
            return self._cluster.name, f"{what} were not read: {first.problem}", first.advice
        rights = ", ".join(dict.fromkeys(entry.right for entry in entries))
        advice = f"the right to {rights}{first.where} is missing (see {PAGE})"
        return self._cluster.name, f"forbidden: {what} are not read", advice

    def _read(self, kind: ListedKind, namespace: str, query: dict[str, str]) -> list[KubeObject] | None:
        """The objects; None where they cannot be known."""
        try:
            found = self._first_served(kind, namespace, query)
        except ClusterError as error:
            if self._is_fatal(error):
                raise
            if error.is_forbidden and kind.is_optional and not self._is_installed(kind):
                return []
            self._fail(kind, namespace, error)
            return None
        if found is None:
            if kind.is_optional:
                return []
            self._add(kind, f"the cluster serves no {kind.api_version(kind.versions[0])}", "it is older than 1.25")
            return None
        if not found.is_whole:
            self._add(kind, f"there are more than {len(found.items)} of them", "ask for one namespace")
        return list(found.items)

    def _first_served(self, kind: ListedKind, namespace: str, query: dict[str, str]) -> Listed | None:
        """The list in the first version that is served; None where none is."""
        for version in kind.versions:
            api_version, is_named = kind.api_version(version), bool(query)

            def take(
                value: dict[str, Any], api_version: str = api_version, is_named: bool = is_named
            ) -> KubeObject | None:
                is_left = not is_named and is_replica(kind.kind, value)
                return None if is_left else live_object(value, api_version, kind.kind)

            place = {"namespace": namespace} if namespace else {}
            try:
                found = self._cluster.listed(kind.call(version, namespace), query, self._paging, take, **place)
            except ClusterError as error:
                self._has_answered |= error.is_forbidden or error.status == HTTPStatus.NOT_FOUND
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
            else:
                self._has_answered = True
                return found
        return None

    def _is_fatal(self, error: ClusterError) -> bool:
        """Whether it says that nothing can be read, rather than not this."""
        if error.status == HTTPStatus.UNAUTHORIZED:
            return True
        failures = 1 + sum(1 for entry in self._failed if entry.problem)
        return not self._has_answered and (error.status in _FATAL or failures >= _FIRST_FAILURES)

    def _is_installed(self, kind: ListedKind) -> bool:
        """Whether the cluster serves a custom kind; taken for granted where it does not tell."""
        for version in kind.versions:
            try:
                answer = self._cluster.one(DISCOVER, group=kind.group, version=version)
            except ClusterError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    return True
                continue
            resources = answer.get("resources")
            names = [item.get("name") for item in resources or () if isinstance(item, dict)]
            if not isinstance(resources, list) or kind.resource in names:
                return True
        return False

    def _fail(self, kind: ListedKind, namespace: str, error: ClusterError) -> None:
        if not error.is_forbidden:
            self._add(kind, error.problem, error.advice)
            return
        everywhere = " at the cluster's scope" if kind.scope == "cluster" else " in all namespaces"
        where = f" in namespace {namespace}" if namespace else everywhere
        right = f"list on {kind.full_resource}"
        self.unread[kind.kind] = f"the right to {right}{where}"
        self._failed.append(_Unread(kind.kind, kind.plural, right, where))

    def _add(self, kind: ListedKind, problem: str, advice: str) -> None:
        self.unread[kind.kind] = f"all {kind.plural}: {problem}"
        self._failed.append(_Unread(kind.kind, kind.plural, problem=problem, advice=advice))
