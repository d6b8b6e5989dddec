"""Writing a corpus as a store: whole or not at all, by one process or by several at once."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.data.making import abandoned_stores, refuse_other, signed
from scalinglab.scaling.data.manifest import DTYPES, PARTS, Manifest
from scalinglab.scaling.data.overlap import overlap
from scalinglab.scaling.data.store import Corpus, Pieces
from scalinglab.scaling.data.verify import ENDS, TokenFile, ends_file, head
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import create_folder, save_atomic, write_json


def write_store(folder: Path, source: str, options: dict[str, Any], corpus: Corpus) -> Manifest:
    """Write a corpus as a store, completely or not at all; returns the manifest.

    Incomplete stores that killed processes left are removed first. Two processes may write the same
    store at once.

    Raises
    ------
    FileExistsError
        If the folder exists and is no store.
    ConfigError
        If the source gave something else than a corpus, or tokens outside of its vocabulary.
    """
    _check(source, corpus)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for abandoned in abandoned_stores(folder.parent):
        shutil.rmtree(abandoned, ignore_errors=True)
    manifests: list[Manifest] = []

    def fill(aside: Path) -> None:
        with signed(aside):
            content = _write_tokens(aside, corpus)
            facts = corpus.facts | _overlap(aside, corpus)
        manifest = Manifest(
            source=source,
            options=options,
            vocab=corpus.vocab,
            dtype=str(corpus.train.dtype),
            train_tokens=len(corpus.train),
            validation_tokens=len(corpus.validation),
            bytes_per_token=corpus.bytes_per_token,
            content_hash=content,
            facts=facts,
            documents={part: len(ends) for part, ends in corpus.ends.items()},
            excluded=corpus.excluded,
        )
        write_json(aside / "manifest.json", manifest.to_dict())
        manifests.append(manifest)

    # Another process may have been first: its store is equal.
    if not create_folder(folder, fill):
        refuse_other(folder)
    return manifests[0]


def _check(source: str, corpus: Any) -> None:
    """Refuse anything but a corpus from the code of a source."""
    if not isinstance(corpus, Corpus):
        raise ConfigError(
            f"data.source = {source!r}: corpus() gave a {type(corpus).__name__}, not a Corpus"
        )
    for name, tokens in (("train", corpus.train), ("validation", corpus.validation)):
        if not isinstance(tokens, np.ndarray | Pieces) or getattr(tokens, "ndim", 1) != 1:
            raise ConfigError(
                f"data.source = {source!r}: its {name} tokens are no one-dimensional array"
            )
        if str(tokens.dtype) not in DTYPES:
            raise ConfigError(
                f"data.source = {source!r}: its {name} tokens are {tokens.dtype}; allowed is "
                f"{', '.join(DTYPES)}, as narrow as the vocabulary allows"
            )
        if not len(tokens):
            raise ConfigError(f"data.source = {source!r}: it has no {name} tokens")


def _check_range(tokens: np.ndarray, vocab: int) -> None:
    lowest, highest = (int(tokens.min()), int(tokens.max())) if len(tokens) else (0, 0)
    if lowest < 0 or highest >= vocab:
        wrong = lowest if lowest < 0 else highest
        raise ConfigError(f"the source gave the token {wrong}; its vocabulary is 0 to {vocab - 1}")


def _write_tokens(folder: Path, corpus: Corpus) -> str:
    """Write both parts of a corpus; returns the hash of their content."""
    content = hashlib.sha256()
    for name, tokens in (("train", corpus.train), ("validation", corpus.validation)):
        content.update(head(name, tokens.dtype, len(tokens)))

        def save(path: Path, tokens: np.ndarray | Pieces = tokens) -> None:
            written = 0
            with path.open("wb") as file:
                for part in tokens.parts() if isinstance(tokens, Pieces) else [tokens]:
                    _check_range(part, corpus.vocab)
                    content.update(np.ascontiguousarray(part).data)
                    part.tofile(file)
                    written += len(part)
            if written != len(tokens):
                raise ConfigError(
                    f"the source gave {written:,} tokens, not the {len(tokens):,} "
                    "that it had counted: its files were changed while they were "
                    "read; give the command again"
                )

        save_atomic(folder / f"{name}.bin", save)
    for part, ends in sorted(corpus.ends.items()):
        content.update(head(ends_file(part).removesuffix(".bin"), ENDS, len(ends)))
        content.update(np.ascontiguousarray(ends, dtype=ENDS).data)
        ends.astype(ENDS).tofile(folder / ends_file(part))
    if corpus.excluded:
        content.update(f"excluded {sorted(corpus.excluded)}\n".encode())
    return content.hexdigest()[:16]


def _overlap(folder: Path, corpus: Corpus) -> dict[str, Any]:
    """The share of the validation part that is also in the training part."""
    if not corpus.count_overlap:
        return {}
    train, validation = (TokenFile(folder / f"{part}.bin", corpus.train.dtype) for part in PARTS)
    ends = corpus.ends.get("validation")
    return {"overlap": round(overlap(train, validation, corpus.bytes_per_token, ends).share, 6)}
