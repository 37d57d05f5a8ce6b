"""Every signature, by id. A module a theme; the order inside means nothing."""

from __future__ import annotations

from collections.abc import Mapping

from troubleshoot.logs.signature import Signature
from troubleshoot.logs.signatures import crash, hang, memory, performance, startup

SIGNATURES: Mapping[str, Signature] = {
    signature.id: signature
    for table in (
        memory.SIGNATURES,
        crash.SIGNATURES,
        hang.SIGNATURES,
        performance.SIGNATURES,
        startup.SIGNATURES,
    )
    for signature in table
}
