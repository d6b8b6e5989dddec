"""Tokenizers on disk: ``<outputs>/tokenizers/<name>-<key>/`` with its files and manifest.json.

A tokenizer is made once, whole or not at all, and known by the hash of its files: two that encode
alike have one hash, wherever they were made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.extensions.loading import extension_of
from scalinglab.scaling.read_options import check_ranges
from scalinglab.scaling.records.atomic import create_folder, folders_in, read_json, write_json
from scalinglab.scaling.records.damage import DamagedFile, Shape
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.tokenizers.tokenizer import TOKENIZERS, Encoder, Tokenizer

MANIFEST = "manifest.json"
_MANIFEST: Shape = {"name": str, "options": dict, "vocab": int, "special": list, "hash": str}
_REMOVE = "remove its folder: the same command makes it again"


@dataclass(frozen=True)
class Artefact:
    """A tokenizer that was made.

    Attributes
    ----------
    name : str
        The registered name.
    tokenizer : Tokenizer
        Its options.
    folder : Path
        Its files.
    hash : str
        Of the files.
    """

    name: str
    tokenizer: Tokenizer
    folder: Path
    hash: str

    def encoder(self) -> Encoder:
        """It, ready for text."""
        return self.tokenizer.load(self.folder)


def key_of(name: str, tokenizer: Tokenizer, corpus: Any) -> dict[str, Any]:
    """All that determines a tokenizer, as plain values.

    Parameters
    ----------
    name : str
    tokenizer : Tokenizer
    corpus : any
        What determines the text on which a trained one is trained.
    """
    made_from: dict[str, Any] = {"name": name, "options": asdict(tokenizer)}
    extension = extension_of(TOKENIZERS.module_of(name))
    if extension is not None:
        made_from["text"] = extension.text
    state = tokenizer.state()
    if state is not None:
        made_from["state"] = state
    if tokenizer.trained:
        made_from["corpus"] = corpus
    return made_from


def open_artefact(
    key: dict[str, Any], tokenizer: Tokenizer, outputs: Path, texts: Callable[[], Iterator[str]]
) -> Artefact:
    """The artefact of a tokenizer below `outputs`; made on first use.

    Parameters
    ----------
    key : mapping
        See ``key_of``.
    tokenizer : Tokenizer
    outputs : Path
    texts : callable
        The training text, for one that is trained.

    Raises
    ------
    ConfigError
        If it cannot be made.
    DamagedFile
        If its files are not those that were written.
    """
    check_ranges(tokenizer, "data.tokenizer.options")
    name = key["name"]
    folder = outputs / "tokenizers" / f"{name}-{digest(key, 8)}"

    def fill(aside: Path) -> None:
        tokenizer.make(aside, texts)
        encoder = tokenizer.load(aside)
        write_json(
            aside / MANIFEST,
            {
                "name": name,
                "options": asdict(tokenizer),
                "vocab": encoder.vocab,
                "separator": encoder.separator,
                "special": list(encoder.special),
                "hash": hash_of(aside, name),
            },
        )

    if not (folder / MANIFEST).exists():
        create_folder(folder, fill)
    manifest = read_json(folder / MANIFEST, _MANIFEST)
    if hash_of(folder, name) != manifest["hash"]:
        raise DamagedFile(folder, "its files do not have the hash in manifest.json", _REMOVE)
    return Artefact(name, tokenizer, folder, manifest["hash"])


def hash_of(folder: Path, name: str) -> str:
    """Hash of the files of a tokenizer, and of its name."""
    content = hashlib.sha256(name.encode())
    for path in sorted(p for p in folder.iterdir() if p.name != MANIFEST):
        content.update(f"\n{path.name} {path.stat().st_size}\n".encode())
        content.update(path.read_bytes())
    return content.hexdigest()[:16]


def manifests(outputs: Path) -> dict[str, dict[str, Any]]:
    """Folder name -> manifest of all tokenizers below `outputs`."""
    return {
        folder.name: read_json(folder / MANIFEST, _MANIFEST)
        for folder in folders_in(outputs / "tokenizers")
        if (folder / MANIFEST).exists()
    }
