"""Results for programs (``--json``): one JSON object on stdout, without NaN and infinities."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scalinglab.scaling.text.plain import plain


def print_json(answer: Mapping[str, Any]) -> None:
    """Print one JSON object; see `scalinglab.scaling.text.plain`."""
    print(json.dumps(plain(answer), allow_nan=False, indent=2))
