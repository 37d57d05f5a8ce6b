"""Who holds a GPU: the container that the kubelet gave it to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

__all__ = ["Owner", "Owners", "sole_owner"]


class Owner(Struct, frozen=True, order=True):
    """A container that holds a GPU or a MIG instance."""

    namespace: str
    pod: str
    container: str


Owners = Mapping[str, tuple[Owner, ...]]
"""Owners by the UUID of a GPU or of a MIG device."""


def sole_owner(owners: Owners, uuids: Iterable[str]) -> Owner | None:
    """Return the one owner of these devices; None where there is none, or several share them.

    Series of a shared GPU carry no pod: one value under several pods would be counted several times.
    """
    found = {owner for uuid in uuids for owner in owners.get(uuid, ())}
    return found.pop() if len(found) == 1 else None
