"""What each XID calls for: a person now, a look at the program, or nothing by itself.

Every XID of the catalogue stands in exactly one tier; meanings and actions are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

__all__ = ["TIERS", "Tier", "matcher"]

Tier = Literal["critical", "application", "unalerted"]

TIERS: Mapping[Tier, tuple[int, ...]] = MappingProxyType(
    {
        # The GPU, its link or its system processor has failed: what runs on it is lost, and the node needs somebody.
        "critical": (48, 62, 64, 74, 79, 95, 119, 120, 140, 143, 158),
        # A program's fault, or one that cost one program its data: the GPU goes on.
        "application": (8, 13, 31, 43, 45, 65, 68, 69, 94, 109, 137),
        # Corrected or announced: rows have GPURemappedRowsGrowing, links GPUNVLinkErrors (144 to 150 are fatal and
        # harmless under one code), the others end in a code above or are met in tests of hardware only.
        "unalerted": (
            *(32, 38, 56, 57, 58, 61, 63, 92, 110, 121, 122, 123, 125, 136),
            *(144, 145, 146, 147, 148, 149, 150, 154),
        ),
    }
)
"""XIDs by tier."""


def matcher(tier: Tier) -> str:
    """Return the label matcher for the XIDs of a tier."""
    return f'xid=~"{"|".join(map(str, TIERS[tier]))}"'
