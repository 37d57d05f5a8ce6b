"""Running promtool's unit tests of rules: the files in `unit/`, one an alert, over the rules that are generated."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from alerts.config import Config
from alerts.emit import rule_file
from alerts.generate import groups

UNIT = Path(__file__).parent / "unit"
PARTS = ("fires", "near", "idle", "vanished")
"""What each file must hold, as names of its test groups; "fires: why" counts as "fires"."""

_SHOWN = ("summary", "description")


def part_of(group: dict[str, Any]) -> str:
    """The part that a test group stands for."""
    return str(group.get("name", "")).partition(":")[0]


@cache
def rule_files(config: Config = Config()) -> dict[str, str]:  # noqa: B008 - frozen
    """Rule files by name, of alerts only what a person reads of their annotations: links have tests of their own."""
    found = {}
    for group in groups(config):
        content = rule_file(group, config.links)
        for rule in content["groups"][0]["rules"]:
            if "annotations" in rule:
                rule["annotations"] = {key: rule["annotations"][key] for key in _SHOWN}
        found[f"{group.name}.yaml"] = yaml.safe_dump(content)
    return found


@cache
def unit_test(path: Path) -> dict[str, Any]:
    """A unit test file, which nobody changes."""
    loaded = yaml.safe_load(path.read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def run_promtool(path: Path, folder: Path, config: Config = Config()) -> str:  # noqa: B008 - frozen
    """Run a unit test file in `folder`; returns what promtool said, empty when all of it passed."""
    names = unit_test(path)["rule_files"]
    for name in names:
        (folder / name).write_text(rule_files(config)[name], "utf-8")
    # promtool takes groups in any order unless told; what alerts read must have been recorded before.
    order = [name.removesuffix(".yaml") for name in rule_files(config) if name in names]
    copy = folder / path.name
    copy.write_text(f"group_eval_order: [{', '.join(order)}]\n{path.read_text('utf-8')}", "utf-8")
    done = subprocess.run(["promtool", "test", "rules", copy], capture_output=True, text=True, timeout=110, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
