"""Which GPU an alert is about: the labels that name it, and nothing that changes while it lasts.

The pod that holds a GPU is not among them. It changes, and with it an alert on the GPU would end and begin again;
the alert's text names it instead.
"""

from __future__ import annotations

from textwrap import indent

from catalog.recorded.levels import by

__all__ = ["GPU", "HELD_BY", "WHERE", "each_gpu"]

GPU: tuple[str, ...] = ("cluster", "node", "UUID", "gpu", "pci_bus_id")
"""One GPU: alerts on GPUs carry these labels."""

WHERE = "GPU {{ $labels.gpu }} of {{ $labels.node }} ({{ $labels.UUID }}, PCI {{ $labels.pci_bus_id }})"
"""How an alert's description names the GPU."""

HELD_BY = (
    "{{ range printf \"group by (namespace, pod) (inferwatch_pod_gpu_info{UUID='%s'})\" $labels.UUID | query"
    ' | sortByLabel "pod" }}'
    "; pod {{ .Labels.namespace }}/{{ .Labels.pod }} holds it{{ end }}"
)
"""End of a sentence: which pods hold the GPU at the moment; nothing where no series tells."""


def each_gpu(vector: str, *, operator: str = "max", level: tuple[str, ...] = GPU) -> str:
    """Return one value a GPU: MIG instances repeat their GPU's, and several exporters may read the same GPU.

    The label `node` is that of the scrape where there is one, else the host's name as the GPU's series have it:
    `Hostname`, or `hostname` in dcgm-exporter's releases after May 2026. The three are joined, and the first that is
    not empty is taken. `level` is which labels to keep.
    """
    return (
        f"{operator} {by(level)} (label_replace(label_join(\n"
        f"{indent(vector, '  ')},\n"
        '  "node", ";", "node", "Hostname", "hostname"), "node", "$1", "node", ";*([^;]*).*"\n'
        "))"
    )
