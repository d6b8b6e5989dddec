"""The token sources by name, and the stores made from them.

A source is a frozen dataclass of options with a method ``corpus() -> Corpus``; one whose options
do not say all, because it reads files, has ``state()`` for the rest. To add one, write its file and
name it in ``SOURCES``.
"""

from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scalinglab.scaling.config import DataConfig, from_dict, one_of
from scalinglab.scaling.data.manifest import read_manifest
from scalinglab.scaling.data.markov import MarkovSource
from scalinglab.scaling.data.stdlib import StdlibSource
from scalinglab.scaling.data.store import TokenStore, write_store
from scalinglab.scaling.data.text import TextSource
from scalinglab.scaling.data.tokens import TokensSource
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.records.spec import RunSpec

SOURCES: dict[str, type] = {
    "stdlib": StdlibSource,
    "markov": MarkovSource,
    "text": TextSource,
    "tokens": TokensSource,
}


def source_of(config: DataConfig) -> Any:
    """The source that a data configuration names, with its options checked.

    Raises
    ------
    ConfigError
        If the source or one of its options is unknown.
    """
    one_of("data.source", config.source, SOURCES)
    return from_dict(SOURCES[config.source], config.options, "data.options")


def open_store(config: DataConfig, outputs: Path) -> TokenStore:
    """The store of a data configuration below `outputs`; made on first use."""
    source = source_of(config)
    options = asdict(source)
    made_from = {"source": config.source, "options": options}
    if hasattr(source, "state"):
        made_from["state"] = source.state()
    key = digest(made_from, 8)
    folder = outputs / "data" / f"{config.source}-{key}"
    there = folder.exists()  # asked first: a store is whole when it comes there
    if not (folder / "manifest.json").exists():
        if there:
            raise DamagedFile(folder / "manifest.json", "it is gone")
        write_store(folder, config.source, options, source.corpus())
    return TokenStore(folder)


def open_planned(run: RunSpec, outputs: Path) -> TokenStore:
    """The store that a run was planned on, by its content; made again where it is gone.

    Raises
    ------
    UserError
        If the source no longer holds what the run was planned on, or the store is damaged.
    """
    config = from_dict(DataConfig, run.config["data"], "data")
    wanted = run.data.content
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
            f"run {run.run_id} was planned on data {wanted}, but {store.folder} holds "
            f"{store.manifest.content_hash}: the source has changed; plan again"
        )
    return store


@functools.lru_cache(maxsize=64)
def irreducible_loss(store: TokenStore, tokens: int, context: int) -> float | None:
    """Loss of the perfect predictor on the validation windows, where the source knows it."""
    source = SOURCES[store.manifest.source](**store.manifest.options)
    if not hasattr(source, "window_entropy"):
        return None
    return source.window_entropy(store.validation_batch(tokens, context))
