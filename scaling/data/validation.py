"""Stores beside that of a run on which it is validated too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scalinglab.scaling.data.store import TokenStore, window_count
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import folders_in


def further_stores(
    names: Sequence[str],
    outputs: Path,
    vocab: int,
    tokens: int,
    context: int,
    key: str = "execution.validate",
) -> dict[str, TokenStore]:
    """The stores of ``execution.validate``, of each of which a run takes as much as of its own.

    Parameters
    ----------
    names : sequence of str
        Folders in ``<outputs>/data``.
    outputs : Path
        Where the stores are.
    vocab : int
        Of the model: it knows no other tokens.
    tokens, context : int
        ``data.validation_tokens`` and ``model.context``.
    key : str
        Where the names stand.

    Raises
    ------
    ConfigError
        If there is no such store, its alphabet is larger than the model's, or it has too few
        tokens.
    """
    return {
        name: _store(f"{key} = {name!r}", name, outputs, vocab, tokens, context) for name in names
    }


def _store(
    said: str, name: str, outputs: Path, vocab: int, tokens: int, context: int
) -> TokenStore:
    folder = outputs / "data" / name
    if not (folder / "manifest.json").exists():
        there = [
            store.name
            for store in folders_in(outputs / "data")
            if (store / "manifest.json").exists()
        ]
        raise ConfigError(
            f"{said}: there is no such store; there are "
            f"{', '.join(there) or 'none'} (scaling data data=... makes one)"
        )
    store = TokenStore(folder)
    if store.manifest.vocab > vocab:
        raise ConfigError(
            f"{said} has {store.manifest.vocab} kinds of "
            f"tokens, the model's data {vocab}; allowed are stores of one tokenizer"
        )
    if window_count(len(store.validation), context) < tokens // context:
        raise ConfigError(
            f"{said} has {len(store.validation)} tokens for "
            f"validation; data.validation_tokens = {tokens} takes as many of each"
        )
    return store
