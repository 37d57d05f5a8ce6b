"""Manifests as the real tools give them, and what makes two of them the same."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.deploy.generate import FOLDER

Manifest = dict[str, Any]
_RENDER = Path(__file__).with_name("helm_render.py")
_HELM_LABELS = {"app.kubernetes.io/managed-by", "helm.sh/chart"}


def helm(*cases: tuple[Manifest, str, str]) -> dict[str, Any]:
    """Render the chart for each (values, release name, namespace)."""
    pytest.importorskip("helm_python", reason="helm-python-sdk is not installed")
    done = subprocess.run(
        [sys.executable, str(_RENDER), str(FOLDER / "chart")],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def kustomize(folder: Path) -> list[Manifest]:
    """Build a kustomization with kubectl."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return loaded([done.stdout])


def loaded(texts: Iterable[str]) -> list[Manifest]:
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def alike(manifests: Iterable[Manifest]) -> dict[str, Manifest]:
    """By kind and name, in a form in which equal means the same to a cluster.

    Lists that Kubernetes merges by a key have no order; the configuration is what it says, not how it is laid out;
    and Helm's own labels are taken away.
    """
    found = {f"{item['kind']}/{item['metadata']['name']}": _plain(item) for item in manifests}
    assert found
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        plain = {key: _plain(item) for key, item in value.items() if key not in _HELM_LABELS}
        if isinstance(plain.get("config.yaml"), str):
            plain["config.yaml"] = yaml.safe_load(plain["config.yaml"])
        return plain
    if isinstance(value, list | tuple):
        items = [_plain(item) for item in value]
        if all(isinstance(item, dict) and ("name" in item or "mountPath" in item) for item in items):
            items.sort(key=lambda item: item.get("mountPath") or item["name"])
        return items
    return value
