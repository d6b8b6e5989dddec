"""manifest.json of a store: what it holds, and the hash of its tokens."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from scalinglab.scaling.records.atomic import read_json
from scalinglab.scaling.records.damage import DamagedFile, Shape

DTYPES = ("uint8", "uint16", "int32")  # as narrow as the vocabulary allows
_MANIFEST: Shape = {
    "source": str,
    "options": dict,
    "vocab": int,
    "dtype": str,
    "train_tokens": int,
    "validation_tokens": int,
    "bytes_per_token": (int, float),
    "content_hash": str,
    "facts": dict,
}


@dataclass(frozen=True)
class Manifest:
    """What a store holds; `content_hash` is part of the identity of every run trained on it."""

    source: str
    options: dict[str, Any]
    vocab: int
    dtype: str
    train_tokens: int
    validation_tokens: int
    bytes_per_token: float
    content_hash: str
    facts: dict[str, Any]


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a store.

    Raises
    ------
    DamagedFile
        If its manifest cannot be read.
    """
    path = folder / "manifest.json"
    content = read_json(path, _MANIFEST)
    if content["dtype"] not in DTYPES:
        raise DamagedFile(path, f"dtype = {content['dtype']!r} is not one of: {', '.join(DTYPES)}")
    return Manifest(**{f.name: content[f.name] for f in fields(Manifest)})
