"""What an hour of a GPU costs, on demand and as spot capacity."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from catalog import kubernetes
from catalog.settings import Part

__all__ = ["DEFAULT_PRICES", "SPOT_LABELS", "Price", "SpotLabel"]

Dollars = Annotated[float, Meta(ge=0)]


class Price(Part, frozen=True):
    """The price of an hour of each GPU whose name, as the driver gives it, matches the regular expression `gpu`.

    The expression is Prometheus's: RE2, over the whole name. Of several that match, the first holds. Without a spot
    price, spot capacity costs what it costs on demand.
    """

    gpu: Annotated[str, Meta(min_length=1)]
    on_demand_dollars_per_hour: Dollars
    spot_dollars_per_hour: Dollars | None = None


class SpotLabel(Part, frozen=True):
    """A node's label that says spot, as kube-state-metrics spells it in `kube_node_labels`."""

    label: Annotated[str, Meta(pattern=r"^label_[a-zA-Z0-9_]+$")]
    value: Annotated[str, Meta(min_length=1)]


# Examples of an order of magnitude: whoever reports money puts in what they pay. On demand is the price of a machine
# by its GPUs, rounded: Amazon EC2, Linux, us-east-1, as listed in the second half of 2025 (after the cuts of that June
# for A100, H100 and H200). The machine's CPUs, memory and network are in it, as they are in the bill. Other clouds and
# reservations differ by half and more in both directions. Spot is two fifths of it, rounded: a middle of what moves
# every hour.
DEFAULT_PRICES: tuple[Price, ...] = (
    # p6-b200.48xlarge, 113.93 / 8.
    Price(gpu="NVIDIA B200.*", on_demand_dollars_per_hour=14.2, spot_dollars_per_hour=5.7),
    # p5en.48xlarge, 63.30 / 8.
    Price(gpu="NVIDIA H200.*", on_demand_dollars_per_hour=7.9, spot_dollars_per_hour=3.2),
    # p5.48xlarge, 55.04 / 8.
    Price(gpu="NVIDIA H100.*", on_demand_dollars_per_hour=6.9, spot_dollars_per_hour=2.8),
    # p4de.24xlarge, 27.45 / 8.
    Price(gpu="NVIDIA A100.*80GB.*", on_demand_dollars_per_hour=3.4, spot_dollars_per_hour=1.4),
    # p4d.24xlarge, 21.96 / 8.
    Price(gpu="NVIDIA A100.*40GB.*", on_demand_dollars_per_hour=2.7, spot_dollars_per_hour=1.1),
    # g6e.xlarge, 1.86 / 1.
    Price(gpu="NVIDIA L40S", on_demand_dollars_per_hour=1.9, spot_dollars_per_hour=0.8),
    # g5.xlarge, 1.006 / 1. EC2 has no A10: it is taken for an A10G.
    Price(gpu="NVIDIA A10G?", on_demand_dollars_per_hour=1.0, spot_dollars_per_hour=0.4),
    # g6.xlarge, 0.805 / 1.
    Price(gpu="NVIDIA L4", on_demand_dollars_per_hour=0.8, spot_dollars_per_hour=0.3),
    # g4dn.xlarge, 0.526 / 1.
    Price(gpu="Tesla T4", on_demand_dollars_per_hour=0.5, spot_dollars_per_hour=0.2),
)

SPOT_LABELS: tuple[SpotLabel, ...] = tuple(
    SpotLabel(label=label, value=value) for label, value in kubernetes.SPOT_LABELS.items()
)
