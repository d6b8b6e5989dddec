"""Configurations that stand beside a run's log: ``hparams.yaml``, ``config.json`` and the like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalinglab.analysis.importers.formats.raw import flatten

NAMES = (
    "hparams.yaml",
    "hparams.yml",
    "config.yaml",
    "config.yml",
    "config.json",
    "hparams.json",
    "args.json",
    "params.json",
)


def facts_beside(folder: Path) -> dict[str, Any]:
    """Plain values of the first configuration in a folder; nested keys are joined by dots.

    Objects of Python in it are not built; a file that cannot be read says nothing.
    """
    for name in NAMES:
        path = folder / name
        if path.is_file() and isinstance(content := _content(path), Mapping):
            return {k: v for k, v in flatten(content) if v is not None}
    return {}


def _content(path: Path) -> Any:
    import yaml  # slow to import, and few folders have such a file

    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, json.JSONDecodeError, UnicodeDecodeError, OSError, RecursionError):
        return None
