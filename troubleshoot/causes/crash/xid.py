"""The GPU driver's error codes (Xid), by the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.logs.events import Event


def xid_meanings(codes: Sequence[int]) -> str:
    """The driver's error codes with their meaning, by the catalogue."""
    from catalog.gpu import XIDS

    return "; ".join(f"Xid {code}: {XIDS[code].meaning}" for code in codes if code in XIDS)


def xid_kind(event: Event) -> str:
    """Where an Xid comes from, by the catalogue; "" for one that it does not know."""
    from catalog.gpu import XIDS

    code = event.fields.get("xid")
    known = XIDS.get(int(code)) if code else None
    return known.kind if known else ""
