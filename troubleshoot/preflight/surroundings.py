"""What is known beside the objects that are judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from troubleshoot.preflight.objects import KubeObject


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`beside` are objects that others are joined with and that are not judged themselves.

    `unread`: kind -> what it would take to know all of its objects, where not all of them are known. `is_cluster`: the
    objects are those of a cluster, so that what is not among them is not there.
    """

    beside: tuple[KubeObject, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    is_cluster: bool = False

    @property
    def words(self) -> str:
        """Where things were looked for, in the words of a finding."""
        return "in the cluster" if self.is_cluster else "among the manifests"
