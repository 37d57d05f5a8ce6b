"""What an hour of a GPU costs, on demand and as spot capacity."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

from catalog.settings import Part

__all__ = ["DEFAULT_PRICES", "SPOT_LABELS", "Price", "SpotLabel", "price_of"]

Dollars = Annotated[float, Meta(ge=0)]


class Price(Part, frozen=True):
    """The price of an hour of each GPU whose name, as the driver gives it, matches the regular expression `gpu`."""

    gpu: Annotated[str, Meta(min_length=1)]
    on_demand_dollars_per_hour: Dollars
    spot_dollars_per_hour: Dollars | None = None


class SpotLabel(Part, frozen=True):
    """A node's label that says spot, as kube-state-metrics spells it in `kube_node_labels`."""

    label: Annotated[str, Meta(pattern=r"^label_[a-zA-Z0-9_]+$")]
    value: Annotated[str, Meta(min_length=1)]


# A GPU's part of the listed on-demand price of a machine with it, rounded; spot as a part of that. They are examples
# of an order of magnitude: whoever reports money puts in what they pay.
DEFAULT_PRICES: tuple[Price, ...] = (
    Price(gpu=".*B200.*", on_demand_dollars_per_hour=6.0, spot_dollars_per_hour=3.0),
    Price(gpu=".*H200.*", on_demand_dollars_per_hour=4.5, spot_dollars_per_hour=2.0),
    Price(gpu=".*H100.*", on_demand_dollars_per_hour=4.0, spot_dollars_per_hour=2.0),
    Price(gpu=".*A100.*80GB.*", on_demand_dollars_per_hour=3.4, spot_dollars_per_hour=1.4),
    Price(gpu=".*A100.*40GB.*", on_demand_dollars_per_hour=2.7, spot_dollars_per_hour=1.1),
    Price(gpu=".*L40S.*", on_demand_dollars_per_hour=1.9, spot_dollars_per_hour=0.8),
    Price(gpu=".*A10G?", on_demand_dollars_per_hour=1.0, spot_dollars_per_hour=0.4),
    Price(gpu=".*L4", on_demand_dollars_per_hour=0.8, spot_dollars_per_hour=0.3),
)

SPOT_LABELS: tuple[SpotLabel, ...] = (
    SpotLabel(label="label_karpenter_sh_capacity_type", value="spot"),
    SpotLabel(label="label_eks_amazonaws_com_capacitytype", value="SPOT"),
    SpotLabel(label="label_cloud_google_com_gke_spot", value="true"),
    SpotLabel(label="label_kubernetes_azure_com_scalesetpriority", value="spot"),
)


def price_of(gpu_name: str, prices: tuple[Price, ...] = DEFAULT_PRICES) -> Price | None:
    """The first price whose pattern is the whole name, as the driver gives it; None where there is none."""
    return next((price for price in prices if re.fullmatch(price.gpu, gpu_name)), None)
