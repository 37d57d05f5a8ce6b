"""What the death of an engine brings about, by id: causes that then hold too, as its consequences."""

from __future__ import annotations

UNNAMED_EXCEPTION = frozenset({"crash_unrecognised_exception"})
ENGINE_DEATH = UNNAMED_EXCEPTION | {"crash_engine_dead_killed"}
CUDA_FAULT = frozenset({"crash_engine_dead_cuda_error"})
