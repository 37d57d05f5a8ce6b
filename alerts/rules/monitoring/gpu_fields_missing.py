"""GPUFieldsMissing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from alerts.config import Config
from alerts.rule import Alert
from catalog.boards import GPU
from catalog.gpu import GPU_FIELDS
from catalog.recorded.levels import by

__all__ = ["FIELDS", "alerts"]

_HOPPER = "H100|H200|H20|H800|GH200|B100|B200|B300|GB200|GB300"
_WITH_HBM = f"A100|A800|A30|{_HOPPER}"
_ANY = f"A10|A10G|A16|A2|A40|L4|L40|L40S|{_WITH_HBM}"

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "DCGM_FI_DEV_GPU_TEMP": _ANY,
        "DCGM_FI_DEV_SM_CLOCK": _ANY,
        "DCGM_FI_DEV_POWER_USAGE": _ANY,
        "DCGM_FI_DEV_CLOCKS_EVENT_REASONS": _ANY,
        "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": _ANY,
        "DCGM_FI_DEV_ROW_REMAP_FAILURE": _WITH_HBM,
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": _WITH_HBM,
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": _WITH_HBM,
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": _WITH_HBM,
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE": _HOPPER,
    }
)
"""Field that alerts on GPUs read -> the data-centre GPUs that surely have it, as NVML names them.

Left out: utilisation, which a GPU in MIG mode has not; NVLink errors, which depend on how the board is wired."""

_BOARD = ("cluster", "node", "Hostname", "model_name")


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert on fields that GPU alerts need and that GPUs which answer do not show."""
    pending = config.thresholds.monitoring.fields_missing_for
    return (
        Alert(
            name="GPUFieldsMissing",
            expr="\nor\n".join(_missing(field, boards) for field, boards in FIELDS.items()),
            pending=pending,
            severity="warning",
            summary="{{ $labels.Hostname }}: GPUs without {{ $labels.field }}, so alerts on it cannot fire",
            description=(
                "GPUs of {{ $labels.Hostname }} ({{ $labels.model_name }}) that answer and have not shown "
                f"{{{{ $labels.field }}}} for {pending}, though such GPUs have it: {{{{ $value }}}}."
            ),
            why=(
                "A counter list in which a line is commented out, or a driver that refuses a call, silences the alerts "
                "that read the field; they then look like alerts with nothing to say."
            ),
            board=GPU,
            requires={
                field: "the exporter's default set; a list in gpu.fields.csv_file may leave it out"
                for field in FIELDS
                if not GPU_FIELDS[field].default
            },
        ),
    )


def _missing(field: str, boards: str) -> str:
    # Names of virtual GPUs end in their profile, such as -40C: they have few of the fields.
    physical = f'model_name=~"(NVIDIA )?({boards})([ -].*)?", model_name!~".+-[0-9]+(-[0-9]+)?[ABCQ](ME)?"'
    shown = " or ".join(GPU_FIELDS[field].names)
    return (
        "label_replace(\n"
        f"  count {by(_BOARD)} (\n"
        f"    inferwatch_gpu_up{{{physical}}} > 0\n"
        f"    unless on (cluster, UUID) ({shown})\n"
        "  ),\n"
        f'  "field", "{field}", "", ""\n'
        ")"
    )
