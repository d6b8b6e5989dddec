"""The data of a run, of one source or of several pools: opened, made on first use."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from scalinglab.scaling.data.excerpt import WeightedExcerpt
from scalinglab.scaling.data.manifest import Manifest
from scalinglab.scaling.data.order import DataOrder, PassOrder
from scalinglab.scaling.data.pools import MixedOrder, Pool, PooledStore
from scalinglab.scaling.data.selection import KEYS, SelectedStore, columns_of, selected
from scalinglab.scaling.data.sources import irreducible_loss, open_store, planned_store
from scalinglab.scaling.data.store import TokenStore, window_count
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import defaults
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.data_spec import DataSpec, PoolSpec
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.schedule.shares import Shares

Store = TokenStore | PooledStore
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# Keys of data that pools have themselves.
_OF_ONE = ("source", "options", "unique_tokens", "noise", *KEYS)


@dataclass(frozen=True)
class PooledManifest(Manifest):
    """The manifest of several pools: their sums, and the manifest of each."""

    pools: Mapping[str, Manifest] = field(default_factory=dict)


def data_of_one(config: DataConfig) -> DataConfig:
    """The configuration as it was before there were pools, where there is one pool.

    Raises
    ------
    ConfigError
        If keys that pools have themselves are given beside them, or keys of pools without any.
    """
    if not config.pools:
        for key in ("weights", "mixture"):
            if value := getattr(config, key):
                raise ConfigError(f"data.{key} = {value}: there are no data.pools to draw from")
        return config
    for key in _OF_ONE:
        if (value := getattr(config, key)) != defaults(DataConfig)[key]:
            raise ConfigError(
                f"data.{key} = {value!r} and data.pools: each pool has its own; allowed is "
                f"data.pools.NAME.{key} (data=pools has no other)"
            )
    for name in config.pools:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"data.pools has {name!r}: a pool's name has letters, digits, '_' and '-', and "
                "begins with a letter or digit"
            )
    if len(config.pools) > 1:
        return config
    (name,) = config.pools
    written = [config.weights, *(w for p in config.mixture for w in (p.weights, p.end))]
    for weights in written:
        if weights and weights != {name: 1.0}:
            raise ConfigError(
                f"data.pools has one pool, of which the share is 1: weights = {weights}"
            )
    return replace(pool_data(config, name), weights={}, mixture=[])


def pool_data(config: DataConfig, name: str) -> DataConfig:
    """The configuration of one of several pools, as that of a run on this pool alone."""
    pool = config.pools[name]
    most = config.max_epochs if pool.max_epochs is None else pool.max_epochs
    values = {key: getattr(pool, key) for key in _OF_ONE}
    return replace(config, **values, max_epochs=most, pools={}, weights={}, mixture=[])


def _of_pools(config: DataConfig) -> dict[str, DataConfig]:
    """Pool -> its configuration; a tokenizer is trained on the text of all."""
    return {name: pool_data(config, name) for name in sorted(config.pools)}


def open_data(
    config: DataConfig,
    outputs: Path,
    open_one: Callable[..., TokenStore] = open_store,
) -> Store:
    """The store of a data configuration, or those of its pools; made on first use.

    Raises
    ------
    ConfigError
        If a source or an option is unknown, or pools have different tokenizers.
    """
    config = data_of_one(config)
    configs = _of_pools(config)
    corpus = list(configs.values())
    stores = {
        name: _named(name, open_one(pool_config, outputs, corpus=corpus), pool_config)
        for name, pool_config in configs.items()
    }
    if not stores:
        store = selected(open_one(config, outputs), config)
        if not config.noise:
            return store
        return PooledStore({"": Pool(store, config.noise)}, store.manifest)
    manifest = pooled_manifest({name: store.manifest for name, store in stores.items()})
    pools = {name: Pool(store, config.pools[name].noise) for name, store in stores.items()}
    return PooledStore(pools, manifest)


def open_planned(run: RunSpec, outputs: Path) -> Store:
    """The data of a planned run, by its content hash; a missing store is made again.

    Raises
    ------
    UserError
        If a source has changed since the run was planned, or a store is damaged.
    """
    config = from_dict(DataConfig, run.config["data"], "data")
    if not run.data.pools:
        store = _planned(config, run.data, run.run_id, outputs)
        if not run.data.noise:
            return store
        return PooledStore({"": Pool(store, run.data.noise)}, store.manifest)
    configs = _of_pools(config)
    corpus = list(configs.values())
    pools = {
        name: Pool(_planned(configs[name], pool, run.run_id, outputs, corpus), pool.noise)
        for name, pool in run.data.pools.items()
    }
    return PooledStore(pools, pooled_manifest({n: p.store.manifest for n, p in pools.items()}))


def _named(pool: str, store: TokenStore, config: DataConfig) -> TokenStore:
    """The selected part of a pool's store; an error names the pool."""
    try:
        return selected(store, config)
    except ConfigError as error:
        raise ConfigError(f"data.pools.{pool}: {error}") from error


def _planned(
    config: DataConfig,
    data: DataSpec | PoolSpec,
    run_id: str,
    outputs: Path,
    corpus: Sequence[DataConfig] = (),
) -> TokenStore:
    """The selected documents of one source for a planned run.

    Raises
    ------
    UserError
        Also if a column by which they are selected has changed.
    """
    columns = columns_of(data.chosen)
    store = planned_store(config, data.content, run_id, outputs, corpus, columns)
    return selected(store, config)


def pooled_manifest(pools: Mapping[str, Manifest]) -> PooledManifest:
    """The manifest of several pools together.

    Raises
    ------
    ConfigError
        If they have different tokenizers.
    """
    name_a, *names = pools
    for name_b in names:
        _check_one_tokenizer(name_a, pools[name_a], name_b, pools[name_b])
    manifests = list(pools.values())
    return PooledManifest(
        source="+".join(pools),
        options={},
        vocab=manifests[0].vocab,
        dtype=str(np.result_type(*(m.dtype for m in manifests))),
        train_tokens=sum(m.train_tokens for m in manifests),
        validation_tokens=min(m.validation_tokens for m in manifests),
        # Each pool has the same number of tokens in the validation.
        bytes_per_token=sum(m.bytes_per_token for m in manifests) / len(manifests),
        content_hash=digest({name: m.content_hash for name, m in pools.items()}, 16),
        facts={},
        excluded=manifests[0].excluded,
        pools=pools,
    )


def _check_one_tokenizer(name_a: str, a: Manifest, name_b: str, b: Manifest) -> None:
    if a.vocab != b.vocab:
        raise ConfigError(
            f"data.pools: {name_a} has {a.vocab} kinds of tokens and {name_b} {b.vocab}; "
            "the pools of a run have one tokenizer: make both with the same"
        )
    hashes = [m.facts.get("tokenizer_hash") for m in (a, b)]
    if hashes[0] != hashes[1] or a.excluded != b.excluded:
        raise ConfigError(
            f"data.pools: {name_a} and {name_b} have different tokenizers ({hashes[0]},"
            f" {hashes[1]}); the pools of a run have one: make both with the same"
        )


def order_of(run: RunSpec, store: Store) -> DataOrder | MixedOrder:
    """The order in which a run sees the windows of its data."""
    data, context = run.data, run.shape.context
    if isinstance(store, TokenStore):
        return _order(store, data.seed, data.unique_tokens, context)
    if not data.pools:  # one store, with noise
        (name,) = store.pools
        full_share = Piece("constant", run.steps, 1.0, 1.0)
        order = _order(store.pools[name].store, data.seed, data.unique_tokens, context)
        return MixedOrder(Shares({name: [full_share]}, run.batch), {name: order})
    orders = {
        name: _order(
            store.pools[name].store, f"{data.seed} of pool {name}", pool.unique_tokens, context
        )
        for name, pool in data.pools.items()
    }
    return MixedOrder(data.shares(run.batch), orders)


def _order(store: TokenStore, seed: int | str, unique_tokens: int, context: int) -> DataOrder:
    windows = window_count(store.manifest.train_tokens, context)
    if isinstance(store.train, WeightedExcerpt):
        return PassOrder(windows, seed)
    return DataOrder(windows=windows, seed=seed, unique=unique_tokens // context)


def amounts(store: Store) -> list[str]:
    """Sentences about stores of which only selected documents are read."""
    if isinstance(store, PooledStore):
        return [text for pool in store.pools.values() for text in amounts(pool.store)]
    return store.amounts() if isinstance(store, SelectedStore) else []


def own_sets(store: Store, tokens: int, context: int) -> dict[str, np.ndarray]:
    """Pool -> its fixed validation windows, without noise; the name of a single store is empty."""
    if isinstance(store, TokenStore):
        return {"": store.validation_batch(tokens, context)}
    return {name: p.store.validation_batch(tokens, context) for name, p in store.pools.items()}


def known_loss(store: Store, tokens: int, context: int) -> float | None:
    """Loss of the perfect predictor on the validation windows; None if a source lacks it."""
    return _mean(store, lambda pool: irreducible_loss(pool, tokens, context))


@functools.lru_cache(maxsize=64)
def unigram_entropy(store: Store, tokens: int, context: int) -> float | None:
    """Loss on the validation windows of a model that knows the frequency of each token."""
    return _mean(store, lambda pool: pool.vocabulary().unigram_entropy(pool, tokens, context))


@functools.lru_cache(maxsize=64)
def bytes_per_token(store: Store, tokens: int, context: int) -> float:
    """Mean number of bytes of the targets of the validation windows."""
    mean = _mean(store, lambda pool: pool.vocabulary().bytes_per_token(pool, tokens, context))
    return store.manifest.bytes_per_token if mean is None else mean


def _mean(store: Store, measure: Callable[[TokenStore], float | None]) -> float | None:
    """A number of a store, or its mean over the pools; None if a pool does not have it."""
    if isinstance(store, TokenStore):
        return measure(store)
    known = [measure(pool.store) for pool in store.pools.values()]
    every = [value for value in known if value is not None]
    return sum(every) / len(known) if len(every) == len(known) else None
