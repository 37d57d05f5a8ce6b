"""Preflight: manifests held against what production asks of an inference server, before they are applied."""

from __future__ import annotations

from troubleshoot.preflight.evaluation import preflight
from troubleshoot.preflight.result import Finding, NotChecked, Result
from troubleshoot.preflight.subject import Options

__all__ = ["Finding", "NotChecked", "Options", "Result", "preflight"]
