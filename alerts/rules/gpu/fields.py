"""GPU fields in every spelling: DCGM 4.6 renamed a third of them, and a rule must hold before and after.

A GPU has a field in one spelling at a time, so the spellings exclude one another under `or`.
"""

from __future__ import annotations

from catalog.gpu import GPU_FIELDS

__all__ = ["either"]


def either(field: str, form: str = "{}") -> str:
    """Return a field by its 4.5 name in all its spellings, joined by `or`.

    `form` is what to do with each: "increase({}[1h])" gives `increase(OLD[1h]) or increase(NEW[1h])`, since a range
    can be taken of a series only. Raises KeyError for a name that is no field's 4.5 name.
    """
    return " or ".join(form.replace("{}", name) for name in GPU_FIELDS[field].names)
