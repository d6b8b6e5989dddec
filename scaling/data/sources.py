"""The token stores of sources: made on first use, opened, and made again if they are gone."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from scalinglab.scaling.data.build import build_store
from scalinglab.scaling.data.documents import Documents
from scalinglab.scaling.data.manifest import Manifest, read_manifest
from scalinglab.scaling.data.overlap import check_overlap
from scalinglab.scaling.data.scores import SCORES, VERSIONS
from scalinglab.scaling.data.source import SOURCES, DataSource, Source
from scalinglab.scaling.data.store import TokenStore
from scalinglab.scaling.data.write_store import write_store
from scalinglab.scaling.data_config import DataConfig, TokenizerConfig
from scalinglab.scaling.errors import ConfigError, UserError
from scalinglab.scaling.extensions.loading import extension_of
from scalinglab.scaling.fields import defaults, historic_values
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.records.machine import cores
from scalinglab.scaling.tokenizers.artefact import key_of, open_artefact
from scalinglab.scaling.tokenizers.tokenizer import TOKENIZERS, Tokenizer

_NO_TEXT = ("max_overlap", "columns", "scores")  # options that do not decide the text of a source


def source_of(config: DataConfig) -> DataSource:
    """The source of a data configuration, with checked options.

    Raises
    ------
    ConfigError
        If the source or one of its options is unknown.
    """
    source: DataSource = from_dict(SOURCES.find(config.source), config.options, "data.options")
    return source


def open_store(
    config: DataConfig,
    outputs: Path,
    processes: int | None = None,
    corpus: Sequence[DataConfig] = (),
) -> TokenStore:
    """The store of a data configuration below `outputs`; made on first use.

    Parameters
    ----------
    config : DataConfig
    outputs : Path
    processes : int, optional
        Number of processes that turn documents into tokens; default: one a core.
    corpus : sequence of DataConfig
        The data on which a tokenizer is trained; default: `config`.
    """
    source = source_of(config)
    made_from = _made_from(config, source)
    options, state = made_from["options"], made_from.get("state")
    tokenizer = _tokenizer_of(config, source)
    text_sources = [source_of(text_config) for text_config in corpus] or [source]
    if tokenizer is not None:
        text = []
        if tokenizer[1].trained:  # only then the files of all pools are listed
            pairs = zip(corpus or [config], text_sources, strict=True)
            text = [_training_text(*pair) for pair in pairs]
        made_from["tokenizer"] = key_of(*tokenizer, text if corpus or not text else text[0])
    key = digest(made_from, 8)
    folder = outputs / "data" / f"{config.source}-{key}"
    # Before the look at the manifest: a complete store may be moved here at any time.
    has_folder = folder.exists()
    if not (folder / "manifest.json").exists():
        if has_folder:
            raise DamagedFile(folder / "manifest.json", "it is gone")
        if tokenizer is None:
            assert isinstance(source, Source)  # documents always have a tokenizer
            write_store(folder, config.source, options, source.corpus())
        else:
            assert isinstance(source, Documents)
            source.check()
            artefact = open_artefact(
                made_from["tokenizer"],
                tokenizer[1],
                outputs,
                partial(_sample, text_sources, tokenizer[1]),
            )
            build_store(
                folder, config.source, options, source, state, artefact, processes or cores()
            )
    store = TokenStore(folder)
    limit = source.overlap_limit()
    if limit is not None:
        check_overlap(folder, store.manifest, limit)
    return store


def _options(source: DataSource) -> dict[str, Any]:
    """The options of a source, without later options at their historic values.

    Stores that were made before an option existed are found in this way.
    """
    historic = historic_values(type(source))
    options = asdict(source)
    if source.overlap_limit() is not None:  # what is allowed changes no token: `check_overlap`
        options["max_overlap"] = defaults(type(source))["max_overlap"]
    return {k: v for k, v in options.items() if k not in historic or v != historic[k]}


def _tokenizer_of(config: DataConfig, source: DataSource) -> tuple[str, Tokenizer] | None:
    """Name and options of the tokenizer; None if the source gives tokens itself."""
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


def _made_from(config: DataConfig, source: DataSource) -> dict[str, Any]:
    """All that determines the tokens of a store except the tokenizer."""
    made_from: dict[str, Any] = {"source": config.source, "options": _options(source)}
    extension = extension_of(SOURCES.module_of(config.source))
    if extension is not None:
        made_from["text"] = extension.text  # an edited file makes other tokens
    if isinstance(source, Documents):
        for name in source.scores:
            SCORES.find(name)
        scores = {name: extension_of(SCORES.module_of(name)) for name in source.scores}
        if texts := {name: score.text for name, score in scores.items() if score is not None}:
            made_from["scores"] = texts
        if versions := {name: VERSIONS[name] for name in source.scores if name in VERSIONS}:
            made_from["score_versions"] = versions
    state = source.state()
    if state is not None:
        made_from["state"] = state
    return made_from


def _training_text(config: DataConfig, source: DataSource) -> dict[str, Any]:
    """The options of a source that decide which text a tokenizer is trained on."""
    made_from = _made_from(config, source)
    options = {k: v for k, v in made_from["options"].items() if k not in _NO_TEXT}
    for key in ("scores", "score_versions"):
        made_from.pop(key, None)
    return made_from | {"options": options}


def _sample(sources: Sequence[DataSource], tokenizer: Tokenizer) -> Iterator[str]:
    """Text of several sources, about the same amount of each."""
    for source in sources:
        if isinstance(source, Documents):
            yield from source.training_texts(tokenizer.sample // len(sources))


def planned_store(
    config: DataConfig,
    content: str,
    run_id: str,
    outputs: Path,
    corpus: Sequence[DataConfig] = (),
    columns: Mapping[str, str] | None = None,
) -> TokenStore:
    """The store of a planned run, by its content hash; made again if it is gone.

    Parameters
    ----------
    config : DataConfig
        The configuration of a single source.
    content : str
        The content hash.
    run_id : str
        The run, for messages.
    outputs : Path
    corpus : sequence of DataConfig
        See ``open_store``.
    columns : mapping of str to str
        Column -> hash, of the columns that the store must keep.

    Raises
    ------
    UserError
        If the source has changed since the run was planned, or the store is damaged.
    """
    columns = columns or {}
    for file in sorted(outputs.glob(f"data/{config.source}-*/manifest.json")):
        try:
            manifest = read_manifest(file.parent)
            if manifest.content_hash == content and _keeps(manifest, columns):
                return TokenStore(file.parent)
        except DamagedFile as error:
            if error.path != file:
                raise
            tell(error, "another store is looked for")
    store = open_store(config, outputs, corpus=corpus)
    if store.manifest.content_hash != content:
        raise UserError(
            f"run {run_id} was planned on data {content}, but {store.folder} holds "
            f"{store.manifest.content_hash}: the source has changed; plan again"
        )
    if not _keeps(store.manifest, columns):
        raise UserError(
            f"run {run_id} was planned on other values of {', '.join(sorted(columns))} than"
            f" {store.folder} keeps: the source has changed, or what computes them (the zlib"
            " library of 'compression', say); plan again, or take the store along"
        )
    return store


def _keeps(manifest: Manifest, columns: Mapping[str, str]) -> bool:
    """Whether a store has columns with these hashes."""
    hashes = {name: entry["hash"] for name, entry in manifest.columns.items()}
    return all(hashes.get(name) == column_hash for name, column_hash in columns.items())


@functools.lru_cache(maxsize=64)
def irreducible_loss(store: TokenStore, tokens: int, context: int) -> float | None:
    """Loss of the perfect predictor on the validation windows; None if the source lacks it."""
    source = SOURCES.find(store.manifest.source)(**store.manifest.options)
    return source.window_entropy(store.validation_batch(tokens, context))
