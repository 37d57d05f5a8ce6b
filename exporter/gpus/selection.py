"""Which GPU fields are read: the default set, changes to it, or a list in dcgm-exporter's CSV format."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from catalog.gpu import GPU_FIELDS, GpuField, find_field
from catalog.settings import SettingsError
from exporter.config import Gpu

__all__ = ["DEFAULT_EXTRAS", "default_fields", "read_csv", "selected"]

_TYPES = ("gauge", "counter", "label", "untyped", "histogram", "summary")

DEFAULT_EXTRAS: tuple[int, ...] = (
    112,  # why clocks are held down: without it a slow GPU cannot be explained
    160,  # the power limit that was set, and the one in force: power draw means little without them
    164,
    237,  # PCIe generation and lanes: a degraded link shows nowhere else
    238,
    240,  # time under the power cap and the thermal limit: a sampled bit mask misses short spells
    241,
    250,  # total memory: nearly every dashboard divides by it
    310,  # memory errors since the driver was loaded, corrected and not; dcgm-exporter leaves them out
    311,
    312,  # and in the board's life: what an exchange is argued with
    313,
    396,  # a row that waits for a reset to be replaced
    409,  # NVLink errors: a bad link slows tensor parallelism long before it fails
    419,
    429,
    439,
    1002,  # share of SMs busy: what GPU utilisation is mistaken for
    1003,
    1011,  # NVLink traffic by direction
    1012,
)
"""DCGM's numbers of the fields that are on here beside those that dcgm-exporter has on."""


def default_fields() -> tuple[GpuField, ...]:
    """Return the default set, in the catalogue's order: what dcgm-exporter has on, and DEFAULT_EXTRAS."""
    extras = frozenset(DEFAULT_EXTRAS)
    return tuple(field for field in GPU_FIELDS.values() if field.default or field.field_id in extras)


def selected(config: Gpu) -> tuple[GpuField, ...]:
    """Return the fields to read, in the catalogue's order.

    Raises SettingsError, naming file and line or the configuration's key, for a name that is no field.
    """
    chosen = set(read_csv(Path(config.fields.csv_file)) if config.fields.csv_file else default_fields())
    chosen |= set(_named(config.fields.include, "include"))
    chosen -= set(_named(config.fields.exclude, "exclude"))
    return tuple(
        field
        for field in GPU_FIELDS.values()
        if field in chosen and (config.profiling or not field.nvml.startswith("nvmlGpm"))
    )


def read_csv(path: Path) -> tuple[GpuField, ...]:
    """Read a list in dcgm-exporter's format: `NAME, type, help` a line, `#` begins a comment.

    Only the name counts: type and help are the catalogue's, which corrects dcgm-exporter's types.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: no UTF-8 text; write the list of fields as plain text") from error
    return tuple(
        _field_of_line(f"{path}:{number}", line)
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    )


def _field_of_line(where: str, line: str) -> GpuField:
    import csv

    try:
        cells = [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True, strict=True))]
    except csv.Error as error:
        raise SettingsError(f"{where}: no CSV: {error}; write NAME, type, help") from error
    if len(cells) != 3:
        raise SettingsError(
            f"{where}: {len(cells)} columns, not 3; write NAME, type, help, and quote a help text that has commas"
        )
    if cells[1] not in _TYPES:
        raise SettingsError(f"{where}: {cells[1]!r} is no type; write one of {', '.join(_TYPES)}")
    return _known(cells[0], where)


def _named(names: Iterable[str], key: str) -> tuple[GpuField, ...]:
    return tuple(_known(name, f"gpu.fields.{key}") for name in names)


def _known(name: str, where: str) -> GpuField:
    field = find_field(name)
    if field is not None:
        return field
    every = [spelling for known in GPU_FIELDS.values() for spelling in known.names]
    import difflib

    near = difflib.get_close_matches(name, every, n=1, cutoff=0.8)
    advice = f"did you mean {near[0]}?" if near else "remove it, or take a name of dcgm-exporter's default list"
    raise SettingsError(f"{where}: {name!r} is no GPU field known here; {advice}")
