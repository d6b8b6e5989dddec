"""manifest.json of a store: its source, its sizes, and the hash of its tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from scalinglab.scaling.records.atomic import read_json
from scalinglab.scaling.records.damage import DamagedFile, Shape

PARTS = ("train", "validation")
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
_LATER = ("documents", "excluded", "columns")  # keys that older stores lack


@dataclass(frozen=True)
class Manifest:
    """The description of a store; `content_hash` is part of the identity of runs trained on it.

    Attributes
    ----------
    documents : dict
        Part -> number of documents; empty if the store does not have their ends.
    excluded : tuple of int
        Tokens that are no text and do not count as targets of the loss.
    columns : dict
        Column -> its kind, categories and hash (`scalinglab.scaling.data.columns`); `content_hash`
        does not depend on columns.
    """

    source: str
    options: dict[str, Any]
    vocab: int
    dtype: str
    train_tokens: int
    validation_tokens: int
    bytes_per_token: float
    content_hash: str
    facts: dict[str, Any]
    documents: dict[str, int] = field(default_factory=dict)
    excluded: tuple[int, ...] = ()
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The content of manifest.json; empty values of later keys are left out."""
        plain = asdict(self) | {"excluded": list(self.excluded)}
        return {k: v for k, v in plain.items() if v or k not in _LATER}


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
    entries = {f.name: content[f.name] for f in fields(Manifest) if f.name in content}
    return Manifest(**entries | {"excluded": tuple(content.get("excluded", ()))})
