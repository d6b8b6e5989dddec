"""The token stores that sources make: opened, made on first use, made again."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from scalinglab.scaling.config import ConfigError, DataConfig, TokenizerConfig, from_dict
from scalinglab.scaling.data.build import build_store
from scalinglab.scaling.data.documents import Documents
from scalinglab.scaling.data.manifest import read_manifest
from scalinglab.scaling.data.source import SOURCES, Source
from scalinglab.scaling.data.store import TokenStore, write_store
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.extensions.loading import extension_of
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.records.machine import cores
from scalinglab.scaling.tokenizers.artefact import key_of, open_artefact
from scalinglab.scaling.tokenizers.tokenizer import TOKENIZERS, Tokenizer


def source_of(config: DataConfig) -> Source:
    """The source that a data configuration names, with its options checked.

    Raises
    ------
    ConfigError
        If the source or one of its options is unknown.
    """
    found: Source = from_dict(SOURCES.find(config.source), config.options, "data.options")
    return found


def open_store(config: DataConfig, outputs: Path, processes: int | None = None) -> TokenStore:
    """The store of a data configuration below `outputs`; made on first use.

    Parameters
    ----------
    config : DataConfig
    outputs : Path
    processes : int, optional
        That turn documents into tokens; default: one a core.
    """
    source = source_of(config)
    options = asdict(source)
    made_from = {"source": config.source, "options": options}
    own = extension_of(SOURCES.module_of(config.source))
    if own is not None:
        made_from["text"] = own.text  # a file that was edited makes other tokens
    state = source.state()
    if state is not None:
        made_from["state"] = state
    tokenizer = _tokenizer_of(config, source)
    if tokenizer is not None:
        made_from["tokenizer"] = key_of(*tokenizer, _training_text(made_from))
    key = digest(made_from, 8)
    folder = outputs / "data" / f"{config.source}-{key}"
    there = folder.exists()  # asked first: a store is whole when it comes there
    if not (folder / "manifest.json").exists():
        if there:
            raise DamagedFile(folder / "manifest.json", "it is gone")
        if tokenizer is None:
            write_store(folder, config.source, options, source.corpus())
        else:
            assert isinstance(source, Documents)
            source.check()
            artefact = open_artefact(
                made_from["tokenizer"],
                tokenizer[1],
                outputs,
                partial(_sample, source, tokenizer[1]),
            )
            build_store(
                folder, config.source, options, source, state, artefact, processes or cores()
            )
    return TokenStore(folder)


def _tokenizer_of(config: DataConfig, source: Source) -> tuple[str, Tokenizer] | None:
    """Name and options of what turns documents into tokens; None where a source gives tokens."""
    if not isinstance(source, Documents):
        if config.tokenizer is not None:
            raise ConfigError(
                f"data.tokenizer.name = {config.tokenizer.name!r}: data.source = {config.source!r}"
                " gives tokens itself; it is for sources of documents, as jsonl and folder"
            )
        return None
    chosen = config.tokenizer or TokenizerConfig()
    kind = TOKENIZERS.find(chosen.name)
    return chosen.name, from_dict(kind, chosen.options, "data.tokenizer.options")


def _training_text(made_from: dict[str, Any]) -> dict[str, Any]:
    """What decides the text that a tokenizer is trained on: limits of duplicates do not."""
    options = {k: v for k, v in made_from["options"].items() if k != "max_overlap"}
    return made_from | {"options": options}


def _sample(source: Documents, tokenizer: Tokenizer) -> Iterator[str]:
    return source.training_texts(tokenizer.sample)


def planned_store(config: DataConfig, wanted: str, run_id: str, outputs: Path) -> TokenStore:
    """The store that a run was planned on, by its content; made again where it is gone.

    Parameters
    ----------
    config : DataConfig
        Of one source.
    wanted : str
        Hash of its content.
    run_id : str
        For messages.
    outputs : Path

    Raises
    ------
    UserError
        If the source no longer holds what the run was planned on, or the store is damaged.
    """
    for manifest in sorted(outputs.glob(f"data/{config.source}-*/manifest.json")):
        try:
            if read_manifest(manifest.parent).content_hash == wanted:
                return TokenStore(manifest.parent)
        except DamagedFile as error:
            if error.path != manifest:
                raise
            tell(error, "another store is looked for")
    store = open_store(config, outputs)
    if store.manifest.content_hash != wanted:
        raise UserError(
            f"run {run_id} was planned on data {wanted}, but {store.folder} holds "
            f"{store.manifest.content_hash}: the source has changed; plan again"
        )
    return store


@functools.lru_cache(maxsize=64)
def irreducible_loss(store: TokenStore, tokens: int, context: int) -> float | None:
    """Loss of the perfect predictor on the validation windows, where the source knows it."""
    source = SOURCES.find(store.manifest.source)(**store.manifest.options)
    return source.window_entropy(store.validation_batch(tokens, context))
