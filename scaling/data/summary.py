"""The manifest of a finished build: counts, duplicates between the parts, and the content hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.data.documents import TRAIN, VALIDATION, Documents
from scalinglab.scaling.data.encode import Counts
from scalinglab.scaling.data.manifest import PARTS, Manifest
from scalinglab.scaling.data.overlap import overlap
from scalinglab.scaling.data.verify import ENDS, TokenFile, content_of, ends_file
from scalinglab.scaling.data.vocabulary import BYTES, COUNTS
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.tokenizers.artefact import Artefact
from scalinglab.scaling.tokenizers.tokenizer import Encoder

_BLOCK = 1 << 24  # tokens that are counted at once


def hashes_file(part: str) -> str:
    """The file of the hashes of a part's documents, while a store is built."""
    return f"{part}_hashes.bin"


def summarize(
    folder: Path,
    name: str,
    options: dict[str, Any],
    source: Documents,
    artefact: Artefact,
    encoder: Encoder,
    counts: Counts,
    columns: dict[str, dict[str, Any]],
) -> Manifest:
    """The manifest of a store whose files are written, and whose columns are described.

    Raises
    ------
    ConfigError
        If a part is empty.
    """
    for part in PARTS:
        if not counts.documents[part]:
            raise ConfigError(_no_documents(part, source, counts))
    tokens = {p: TokenFile(folder / f"{p}.bin", np.dtype(encoder.dtype)) for p in PARTS}
    per_token = counts.bytes[VALIDATION] / len(tokens[VALIDATION])
    facts = {
        "tokenizer": artefact.name,
        "tokenizer_hash": artefact.hash,
        "rows": counts.rows,
        "empty": counts.empty,
        "filtered": counts.filtered,
        "unreadable": counts.unreadable,
        **{f"{p}_bytes": counts.bytes[p] for p in PARTS},
        **_duplicates(folder, tokens, per_token),
        "special_tokens": len(encoder.special),
        "unused_tokens": encoder.unused,
    }
    _write_vocabulary(folder, tokens, encoder)
    manifest = Manifest(
        source=name,
        options=options,
        vocab=encoder.vocab,
        dtype=str(encoder.dtype),
        train_tokens=len(tokens[TRAIN]),
        validation_tokens=len(tokens[VALIDATION]),
        bytes_per_token=per_token,
        content_hash="",
        facts=facts,
        documents={p: counts.documents[p] for p in PARTS},
        excluded=() if encoder.separator is None else (encoder.separator,),
        columns=columns,
    )
    content, _ = content_of(folder, manifest)
    return replace(manifest, content_hash=content[:16])


def _no_documents(part: str, source: Documents, counts: Counts) -> str:
    total = sum(counts.documents.values())
    if not total:
        return (
            f"{source.named}: of {counts.rows:,} rows none is a document: {counts.empty:,}"
            f" are empty, {counts.filtered:,} are left out by data.options.where,"
            f" {counts.unreadable:,} cannot be read"
        )
    return (
        f"{source.named}: the {part} part has none of its {total:,} documents: give more,"
        f" or another data.options.validation_share (it is {source.validation_share})"
    )


def _duplicates(folder: Path, tokens: Mapping[str, TokenFile], per_token: float) -> dict[str, Any]:
    """Counts of duplicate documents, and the share of validation that is in the training part."""
    hashes = {p: np.fromfile(folder / hashes_file(p), np.uint64) for p in PARTS}
    copies = int(np.isin(hashes[VALIDATION], hashes[TRAIN]).sum())
    ends = np.memmap(folder / ends_file(VALIDATION), ENDS, "r")
    shared = overlap(tokens[TRAIN], tokens[VALIDATION], per_token, ends)
    return {
        "train_duplicates": len(hashes[TRAIN]) - len(np.unique(hashes[TRAIN])),
        "validation_duplicates": len(hashes[VALIDATION]) - len(np.unique(hashes[VALIDATION])),
        "validation_in_train": copies,
        "validation_nearly_in_train": shared.documents,
        "overlap": round(shared.share, 6),
    }


def _write_vocabulary(folder: Path, tokens: Mapping[str, TokenFile], encoder: Encoder) -> None:
    """Write the bytes of each token of the vocabulary, and its count in the store."""
    sizes = encoder.token_bytes()
    if sizes is not None:
        sizes.astype(np.int32).tofile(folder / BYTES)
    counts = np.zeros(encoder.vocab, dtype=np.int64)
    for part_tokens in tokens.values():
        for i in range(0, len(part_tokens), _BLOCK):
            counts += np.bincount(part_tokens[i : i + _BLOCK], minlength=encoder.vocab)
    counts.tofile(folder / COUNTS)
