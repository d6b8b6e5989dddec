"""Further validation sets: stores besides the run's own on which it is validated."""

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
    """The stores of ``execution.validate``; as many tokens of each are used as of the run's own.

    Parameters
    ----------
    names : sequence of str
        Folders in ``<outputs>/data``.
    outputs : Path
    vocab : int
        Size of the model's vocabulary.
    tokens, context : int
        ``data.validation_tokens`` and ``model.context``.
    key : str
        The key with the names, for messages.

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
    assignment: str, name: str, outputs: Path, vocab: int, tokens: int, context: int
) -> TokenStore:
    folder = outputs / "data" / name
    if not (folder / "manifest.json").exists():
        names = [
            store.name
            for store in folders_in(outputs / "data")
            if (store / "manifest.json").exists()
        ]
        raise ConfigError(
            f"{assignment}: there is no such store; there are "
            f"{', '.join(names) or 'none'} (scaling data data=... makes one)"
        )
    store = TokenStore(folder)
    if store.manifest.vocab > vocab:
        raise ConfigError(
            f"{assignment} has {store.manifest.vocab} kinds of "
            f"tokens, the model's data {vocab}; allowed are stores of one tokenizer"
        )
    if window_count(len(store.validation), context) < tokens // context:
        raise ConfigError(
            f"{assignment} has {len(store.validation)} tokens for "
            f"validation; data.validation_tokens = {tokens} takes as many of each"
        )
    return store
