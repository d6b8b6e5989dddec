"""Several stores as one: which tokens a step sees, and what noise replaces."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalinglab.scaling.data.manifest import Manifest
from scalinglab.scaling.data.mixed import data_of_one, open_data, pooled_manifest
from scalinglab.scaling.data.order import DataOrder
from scalinglab.scaling.data.pools import MixedOrder, Pool, PooledStore, noisy
from scalinglab.scaling.data.store import places
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.schedule.shares import Shares

TINY = {"vocab": 8, "successors": 4, "tokens": 2_000, "validation_tokens": 200}
A = {"source": "markov", "options": TINY}
B = {"source": "markov", "options": TINY | {"seed": 1, "tokens": 500}}
CONTEXT = 8


@pytest.fixture(scope="module")
def pooled(tmp_path_factory) -> PooledStore:
    config = from_dict(DataConfig, {"pools": {"a": A, "b": B}, "weights": {"a": 0.5, "b": 0.5}})
    store = open_data(config, tmp_path_factory.mktemp("pools"))
    assert isinstance(store, PooledStore)
    return store


def mixed(store: PooledStore, share: float, batch: int, steps: int) -> MixedOrder:
    shares = {"a": share, "b": 1 - share}
    pieces = {n: [Piece("constant", steps, s, s)] for n, s in shares.items()}
    orders = {
        n: DataOrder((len(p.store.train) - 1) // CONTEXT, f"0 of pool {n}")
        for n, p in store.pools.items()
    }
    return MixedOrder(Shares(pieces, batch), orders)


@given(st.floats(0, 1), st.integers(1, 6), st.data())
def test_any_chunks_give_the_same_tokens(pooled, share, batch, data):
    steps = 12
    order = mixed(pooled, share, batch, steps)
    whole = pooled.training_batches([order], 0, steps, batch, CONTEXT)
    cut = data.draw(st.integers(0, steps))
    parts = [
        pooled.training_batches([order], start, count, batch, CONTEXT)
        for start, count in ((0, cut), (cut, steps - cut))
    ]
    assert np.array_equal(np.concatenate(parts), whole)


def test_each_sequence_is_the_next_window_of_its_pool(pooled):
    """All of a pool once an epoch, in the order that it has by itself."""
    batch, steps = 4, 62
    order = mixed(pooled, 0.75, batch, steps)
    batches = pooled.training_batches([order], 0, steps, batch, CONTEXT)[:, 0]
    pools, _ = order.shares.at(0, steps * batch)
    for number, (name, pool) in enumerate(sorted(pooled.pools.items())):
        drawn = batches.reshape(-1, CONTEXT + 1)[pools == number]
        windows = order.orders[name].windows_at(0, len(drawn))
        assert np.array_equal(drawn, pool.windows(windows, CONTEXT))
        assert len(set(windows.tolist())) == len(windows) or name == "b"


def test_members_of_a_pack_have_their_own_order(pooled):
    orders = [mixed(pooled, share, 2, 5) for share in (0.0, 1.0)]
    both = pooled.training_batches(orders, 0, 5, 2, CONTEXT)
    for i, order in enumerate(orders):
        assert np.array_equal(
            both[:, i : i + 1], pooled.training_batches([order], 0, 5, 2, CONTEXT)
        )


# ---------------------------------------------------------------------- noise


def test_noise_replaces_a_share_of_the_tokens_and_nests():
    """A token with more noise is replaced where it is with less; equal in every epoch."""
    tokens = np.zeros((4000, CONTEXT + 1), dtype=np.uint8)
    there = places(tokens, np.arange(4000), CONTEXT)
    some, more = (noisy(tokens, there, share, 200) for share in (0.1, 0.3))
    assert (more != 0).mean() == pytest.approx(0.3 * 199 / 200, abs=0.01)
    assert np.array_equal(more[some != 0], some[some != 0])
    again = noisy(tokens, there[::-1], 0.3, 200)[::-1]
    assert np.array_equal(again, more)
    assert np.bincount(more[more != 0], minlength=200)[1:].min() > 10


def test_a_token_that_two_windows_share_is_the_same_in_both():
    tokens = np.zeros((50, CONTEXT + 1), dtype=np.uint16)
    noise = noisy(tokens, places(tokens, np.arange(50), CONTEXT), 0.5, 8)
    assert np.array_equal(noise[:-1, -1], noise[1:, 0])


def test_a_noisy_source_by_itself_has_the_order_of_the_clean_one(tmp_path):
    store = open_data(DataConfig(**A, noise=0.2), tmp_path)
    assert isinstance(store, PooledStore) and list(store.pools) == [""]
    clean = Pool(store.pools[""].store)
    windows = np.arange(100)
    share = (store.pools[""].windows(windows, 8) != clean.windows(windows, 8)).mean()
    assert share == pytest.approx(0.2 * 7 / 8, abs=0.04)


# ---------------------------------------------------------------------- configurations


def manifest(**changes) -> Manifest:
    kept = {
        "source": "any",
        "options": {},
        "vocab": 256,
        "dtype": "uint8",
        "train_tokens": 100,
        "validation_tokens": 50,
        "bytes_per_token": 1.0,
        "content_hash": "0",
        "facts": {},
    }
    return Manifest(**kept | changes)


def test_pools_of_two_dtypes_are_read_in_the_wider_one():
    both = pooled_manifest({"a": manifest(), "b": manifest(dtype="uint16", bytes_per_token=3.0)})
    assert (both.dtype, both.bytes_per_token, both.source) == ("uint16", 2.0, "a+b")
    assert both.content_hash != pooled_manifest({"a": manifest(), "c": manifest()}).content_hash


def test_pools_of_two_tokenizers_are_refused():
    with pytest.raises(ConfigError, match=r"a has 256 kinds of tokens and b 300; .* one tokenizer"):
        pooled_manifest({"a": manifest(), "b": manifest(vocab=300)})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weights": {"a": 1.0}}, r"data\.weights = .*: there are no data\.pools"),
        ({"pools": {"a": A}, "unique_tokens": 5}, r"data\.unique_tokens = 5 and data\.pools"),
        ({"pools": {"a": A, "b": B}, "source": "text"}, r"data\.source = 'text' and data\.pools"),
        ({"pools": {"a b": A}}, r"data\.pools has 'a b': a pool's name has letters"),
        ({"pools": {"a": A}, "weights": {"a": 0.5}}, r"one pool, of which the share is 1"),
        ({"pools": {"a": A | {"surce": 1}}}, r"unknown key 'data\.pools\.a\.surce'; did you mean"),
    ],
)
def test_mistakes_name_the_key(values, message):
    with pytest.raises(ConfigError, match=message):
        data_of_one(from_dict(DataConfig, values, "data"))


def test_a_trained_tokenizer_sees_the_text_of_all_pools(tmp_path):
    """One tokenizer, which neither pool would have by itself."""
    words = {"a": "one two three four ", "b": "un deux trois quatre "}
    pools = {}
    for name, text in words.items():
        path = tmp_path / f"{name}.jsonl"
        drawn = np.random.default_rng(0).choice(text.split(), (400, 30))
        rows = [json.dumps({"text": " ".join(row)}) for row in drawn]
        path.write_text("\n".join(rows))
        pools[name] = {"source": "jsonl", "options": {"path": str(path)}}
    tokenizer = {"name": "bpe", "options": {"vocab": 270}}
    config = from_dict(DataConfig, {"pools": pools, "tokenizer": tokenizer})
    store = open_data(config, tmp_path)
    manifests = [pool.store.manifest for pool in store.pools.values()]
    assert len({m.facts["tokenizer_hash"] for m in manifests}) == 1
    alone = {
        name: open_data(from_dict(DataConfig, pool | {"tokenizer": tokenizer}), tmp_path).manifest
        for name, pool in pools.items()
    }
    assert len({m.facts["tokenizer_hash"] for m in (*alone.values(), manifests[0])}) == 3
    with pytest.raises(ConfigError, match=r"a and b have different tokenizers \(\w+, \w+\)"):
        pooled_manifest(alone)
