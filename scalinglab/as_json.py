"""Answers for programs: one JSON object on stdout, made of plain finite numbers, texts and null.

Every verb takes the option ``json``: ``json=true``, or ``--json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scalinglab.scaling.text.plain import plain


def print_json(answer: Mapping[str, Any]) -> None:
    """Print one JSON object; see `scalinglab.scaling.text.plain`."""
    print(json.dumps(plain(answer), allow_nan=False, indent=2))
