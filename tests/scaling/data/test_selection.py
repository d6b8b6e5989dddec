"""Which documents are read, and how often: a function of the store, the columns, and k."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalinglab.scaling.data.excerpt import Excerpt, WeightedExcerpt
from scalinglab.scaling.data.mixed import amounts, open_data
from scalinglab.scaling.data.order import DataOrder, PassOrder
from scalinglab.scaling.data.pools import Pool, PooledStore
from scalinglab.scaling.data.selection import Choice, SelectedStore
from scalinglab.scaling.data.sources import open_store, planned_store
from scalinglab.scaling.data.store import TokenStore, window_count
from scalinglab.scaling.data_config import DataConfig, SelectConfig
from scalinglab.scaling.errors import ConfigError, UserError
from scalinglab.scaling.read_options import from_dict
from tests.scaling.data.corpora import documents, texts_of, write_jsonl

TEXTS = documents(400)
SCORE = {text: float((i * 37) % 101) for i, text in enumerate(TEXTS)}
WEIGHT = {text: (0, 0.3, 1, 2.5)[i % 4] for i, text in enumerate(TEXTS)}
LANG = {text: ("en", "de")[i % 2] for i, text in enumerate(TEXTS)}
GAPS = {text: None if i % 50 == 0 else 1.0 for i, text in enumerate(TEXTS)}
CONTEXT = 8


@pytest.fixture(scope="module")
def open_selected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("selected")
    columns = {"score": SCORE, "weight": WEIGHT, "lang": LANG, "gaps": GAPS}
    columns |= {"one": dict.fromkeys(TEXTS, 3.0), "minus": dict.fromkeys(TEXTS, -1.0)}
    columns |= {"none": dict.fromkeys(TEXTS, 0.0)}
    own = {name: list(values.values()) for name, values in columns.items()}
    path = write_jsonl(folder / "a.jsonl", TEXTS, **own)
    source = {"source": "jsonl", "options": {"path": str(path), "columns": [*columns]}}

    def opened(**keys):
        return open_data(from_dict(DataConfig, source | keys, "data"), folder / "out")

    opened.source = source
    return opened


def texts(store, part="train"):
    """The documents that are read, in order."""
    if not isinstance(store, SelectedStore):
        return texts_of(store, part)
    tokens, ends = getattr(store, part), store.document_ends(part)
    everything = tokens.windows(np.zeros(1, np.int64), len(tokens) - 1)[0]
    starts = [0, *ends[:-1]]
    return [bytes(everything[a : b - 1]).decode() for a, b in zip(starts, ends, strict=True)]


def test_top_and_bottom_are_the_best_and_the_worst_of_the_tokens(open_selected):
    whole = open_selected()
    best, worst = (
        open_selected(select={"keep": keep, "by": "score", "fraction": 0.25})
        for keep in ("top", "bottom")
    )
    assert min(SCORE[t] for t in texts(best)) > max(SCORE[t] for t in texts(worst))
    for store in (best, worst):
        assert store.manifest.train_tokens == len(store.train)
        assert len(store.train) == pytest.approx(len(whole.train) / 4, abs=400)
        assert store.validation is not None and len(store.validation) == len(whole.validation)
        order = [t for t in texts(whole) if t in set(texts(store))]
        assert texts(store) == order  # as they stand in the store


@pytest.mark.parametrize("keep", ["top", "bottom", "random"])
def test_parts_that_meet_share_nothing_and_leave_nothing(keep, open_selected):
    by = {} if keep == "random" else {"by": "score"}
    parts = [
        texts(open_selected(select={"keep": keep, "fraction": f, "skip": s} | by))
        for s, f in ((0.0, 0.1), (0.1, 0.2), (0.3, 0.7))
    ]
    assert sorted(text for part in parts for text in part) == sorted(texts(open_selected()))


def test_random_parts_nest_and_follow_the_seed(open_selected):
    few, many, other = (
        set(texts(open_selected(select={"keep": "random", "fraction": f, "seed": seed})))
        for f, seed in ((0.2, 0), (0.5, 0), (0.2, 1))
    )
    assert few < many and few != other


def test_a_condition_chooses_by_category_and_threshold(open_selected):
    store = open_selected(select={"where": "lang == 'de' and score > 50"})
    wanted = [t for t in texts(open_selected()) if LANG[t] == "de" and SCORE[t] > 50]
    assert texts(store) == wanted
    some = open_selected(
        select={"where": "lang == 'de'", "keep": "top", "by": "score", "fraction": 0.5}
    )
    assert {LANG[t] for t in texts(some)} == {"de"}


def test_the_validation_part_is_selected_alike(open_selected):
    store = open_selected(validation_select={"where": "lang == 'en'"})
    assert {LANG[t] for t in texts(store, "validation")} == {"en"}
    assert store.manifest.validation_tokens == len(store.validation)
    assert store.validation_batch(80, CONTEXT).shape == (10, CONTEXT + 1)


def test_what_keeps_all_documents_is_no_selection(open_selected):
    for keys in ({"select": {"where": "score >= 0"}}, {"weight": "one"}):
        store = open_selected(**keys)
        assert type(store) is TokenStore and isinstance(store.train, np.memmap)


def test_windows_cross_from_one_document_to_the_next(open_selected):
    store = open_selected(select={"keep": "random", "fraction": 0.3})
    windows = np.arange(window_count(len(store.train), CONTEXT)).reshape(-1, 1)
    got = store.train.windows(windows, CONTEXT)[:, 0]
    joined = b"".join(t.encode() + b"\xff" for t in texts(store))
    assert bytes(got[:, :-1].tobytes()) == joined[: got[:, :-1].size]
    assert np.array_equal(got[:-1, -1], got[1:, 0])


def test_noise_replaces_the_same_tokens_of_a_document_whoever_reads_it(open_selected):
    whole, part = open_selected(noise=0.3), open_selected(noise=0.3, select={"where": "score > 30"})
    assert isinstance(part, PooledStore)
    pool = part.pools[""]
    (ours,) = pool.windows(np.array([5]), CONTEXT)
    places = pool.store.train.places(np.array([5]), CONTEXT)[0]
    theirs = whole.pools[""].windows(places // CONTEXT, CONTEXT)
    assert np.array_equal(ours, theirs[np.arange(CONTEXT + 1), places % CONTEXT])


# ---------------------------------------------------------------------- weights


def test_documents_come_as_often_as_their_weights_say(open_selected):
    store = open_selected(weight="weight")
    train = store.train
    assert isinstance(train, WeightedExcerpt)
    weights = np.array([WEIGHT[t] for t in texts_of(open_selected())])[train.documents]
    assert (weights > 0).all() and store.manifest.train_tokens == train.lengths.sum()
    passes = 60
    times = np.array([train.times(i) for i in range(passes)])
    wanted = weights / (np.dot(weights, train.lengths) / train.lengths.sum())
    assert np.abs(times - wanted).max() < 1 + 1e-9
    assert np.abs(times.mean(0) - wanted).max() < 6 / passes
    assert (times @ train.lengths / len(train)).std() < 0.1


def test_equal_weights_are_no_weights():
    """A pass is then the excerpt itself."""
    tokens, ends = np.arange(1000, dtype=np.uint16), np.arange(10, 1001, 10)
    documents = np.arange(0, 100, 3)
    plain = Excerpt(tokens, ends, documents)
    weighted = WeightedExcerpt(tokens, ends, documents, np.full(len(documents), 0.7))
    n = window_count(len(plain), CONTEXT)
    windows = np.arange(n)
    for number in range(3):
        assert np.array_equal(
            weighted.windows(windows + number * n, CONTEXT), plain.windows(windows, CONTEXT)
        )


def test_a_pass_is_an_epoch_of_the_order(open_selected):
    store = open_selected(weight="weight")
    n = window_count(store.manifest.train_tokens, CONTEXT)
    order, plain = PassOrder(n, 3), DataOrder(n, 3)
    seen = order.windows_at(0, 2 * n)
    assert sorted(seen.tolist()) == list(range(2 * n))
    assert np.array_equal(seen % n, plain.windows_at(0, 2 * n))


@given(st.integers(1, 5), st.integers(0, 40), st.integers(1, 12), st.booleans())
def test_any_chunks_give_the_same_tokens(open_selected, batch, start, steps, weighted):
    """Prefixes, resumption, and any number of processes: a step is a function of k."""
    keys = {"weight": "weight"} if weighted else {"select": {"keep": "random", "fraction": 0.1}}
    store = open_selected(**keys)
    n = window_count(store.manifest.train_tokens, CONTEXT)
    order = PassOrder(n, 0) if weighted else DataOrder(n, 0)
    whole = store.training_batches([order, order], start, steps, batch, CONTEXT)
    for step in range(steps):
        one = store.training_batches([order], start + step, 1, batch, CONTEXT)
        assert np.array_equal(one[0], whole[step, 1:])
    for row in range(batch):  # as a process that has one sequence of each batch
        k = (start + steps - 1) * batch + row
        window = store.train.windows(order.windows_at(k, 1), CONTEXT)[0]
        assert np.array_equal(window, whole[-1, 0, row])


def test_pools_select_and_weight_each_for_itself(open_selected):
    pool = open_selected.source
    store = open_data(
        from_dict(
            DataConfig,
            {
                "pools": {
                    "best": pool | {"select": {"keep": "top", "by": "score", "fraction": 0.1}},
                    "weighted": pool | {"weight": "weight"},
                },
                "weights": {"best": 0.5, "weighted": 0.5},
            },
        ),
        pool["options"]["path"] and _outputs(open_selected),
    )
    assert isinstance(store, PooledStore)
    assert isinstance(store.pools["weighted"].store.train, WeightedExcerpt)
    assert store.manifest.train_tokens == sum(len(p.store.train) for p in store.pools.values())
    assert isinstance(store.pools["best"], Pool)


def _outputs(open_selected):
    return open_selected().folder.parent.parent


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"select": {"keep": "top", "by": "scor", "fraction": 0.5}},
            r"select\.by = 'scor': the store keeps no such column; it keeps gaps, lang, minus",
        ),
        (
            {"select": {"where": "scor > 1"}},
            r"select\.where: the column = 'scor': the store keeps no such column",
        ),
        (
            {"select": {"keep": "top", "by": "lang", "fraction": 0.5}},
            r"data\.select\.by = 'lang' holds strings, as '..'; numbers are wanted",
        ),
        (
            {"select": {"keep": "top", "by": "gaps", "fraction": 0.5}},
            r"'gaps' is missing or NaN in \d of \d+ documents; leave them out, as by where",
        ),
        (
            {"select": {"keep": "top", "by": "score", "fraction": 0}},
            r"data\.select\.fraction = 0.*: allowed is above 0, up to 1",
        ),
        (
            {"select": {"keep": "random", "fraction": 1.5}},
            r"data\.select\.fraction = 1\.5: allowed is above 0, up to 1",
        ),
        ({"select": {"keep": "random", "fraction": 1e-6}}, r"fraction = 1e-06 leaves none of"),
        ({"select": {"where": "score > 500"}}, r"none of the \d+ documents of the train part"),
        ({"select": {"where": "score >"}}, r"data\.select\.where = 'score >'"),
        ({"select": {"keep": "top", "fraction": 0.5}}, r"data\.select\.by is not set"),
        ({"select": {"fraction": 0.5}}, r"data\.select\.keep is not set"),
        ({"select": {"where": "lang == 'en'", "seed": 3}}, r"data\.select\.seed = 3: it orders"),
        ({"select": {}}, r"data\.select selects nothing"),
        ({"select": {"keep": "random"}}, r"needs data\.select\.fraction below 1"),
        (
            {"select": {"keep": "random", "fraction": 0.7, "skip": 0.5}},
            r"skip = 0\.5 and fraction = 0\.7: together they are 1 at most",
        ),
        ({"weight": "none"}, r"data\.weight = 'none' is 0 for all \d+ documents"),
        ({"weight": "minus"}, r"data\.weight = 'minus' has the value -1: allowed are numbers of 0"),
        ({"weight": "lang"}, r"data\.weight = 'lang' holds strings"),
        ({"weight": "gaps"}, r"data\.weight = 'gaps' is missing or NaN"),
    ],
)
def test_mistakes_are_one_sentence(keys, message, open_selected):
    with pytest.raises(ConfigError, match=message):
        open_selected(**keys)


def test_a_store_without_documents_has_nothing_to_select(tmp_path):
    config = DataConfig(source="markov", options={"tokens": 2_000, "validation_tokens": 200})
    select = from_dict(DataConfig, {"select": {"keep": "random", "fraction": 0.5}}).select
    with pytest.raises(ConfigError, match="does not know its documents"):
        open_data(from_dict(DataConfig, vars(config) | {"select": vars(select)}), tmp_path)


def test_how_much_is_read_is_said_in_words(open_selected):
    store = open_selected(
        select={"where": "lang == 'de'", "keep": "top", "by": "score", "fraction": 0.5},
        weight="weight",
        validation_select={"where": "lang == 'en'"},
    )
    train, validation = amounts(store)
    read, whole = len(store.train.documents), store.whole.documents["train"]
    assert (
        f"top 0.5 by score where lang == 'de', weighted by weight): {read:,} of {whole:,}" in train
    )
    assert f"{len(store.train):,} of {store.whole.train_tokens:,} tokens" in train
    assert "validation (where lang == 'en')" in validation
    assert amounts(open_selected()) == []


def test_a_run_finds_the_store_with_the_columns_that_it_was_planned_on(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", TEXTS, score=list(SCORE.values()))
    bare = from_dict(DataConfig, {"source": "jsonl", "options": {"path": str(path)}})
    kept = from_dict(
        DataConfig, {"source": "jsonl", "options": {"path": str(path), "columns": ["score"]}}
    )
    content = open_store(bare, tmp_path).manifest.content_hash
    wanted = {"score": open_store(kept, tmp_path).manifest.columns["score"]["hash"]}
    found = planned_store(kept, content, "run", tmp_path, columns=wanted)
    assert found.folder == open_store(kept, tmp_path).folder
    with pytest.raises(UserError, match="run run was planned on other values of score than"):
        planned_store(kept, content, "run", tmp_path, columns={"score": "0" * 16})


def test_tokens_are_counted_of_what_is_read(open_selected):
    """The unigram model of a run is one of its documents, not of those that it leaves out."""
    select = {"where": "lang == 'en'"}
    store = open_selected(select=select, weight="weight", validation_select=select)
    expected = np.zeros(256)
    for part in ("train", "validation"):
        rates = {text: WEIGHT[text] if part == "train" else 1.0 for text in texts(store, part)}
        lengths = sum(len(text) + 1 for text in rates)
        mean = sum(rate * (len(text) + 1) for text, rate in rates.items()) / lengths
        for text, rate in rates.items():
            tokens = np.frombuffer(text.encode() + b"\xff", np.uint8)
            expected += np.bincount(tokens, minlength=256) * rate / mean
    assert store.vocabulary().counts == pytest.approx(expected)
    whole = open_selected()
    assert store.vocabulary().unigram_entropy(store, 256, CONTEXT) != pytest.approx(
        whole.vocabulary().unigram_entropy(store, 256, CONTEXT), abs=1e-6
    )
    on_one = open_selected(validation_select=select)
    left = len(on_one.train) + len(on_one.validation)
    assert on_one.vocabulary().counts.sum() == left


def test_counts_of_many_tokens_are_kept_beside_the_store(open_selected, monkeypatch):
    """Each plan would count them again; another selection has others."""
    some = open_selected(select={"where": "lang == 'en'"})
    counted = []
    count = SelectedStore._counted
    monkeypatch.setattr("scalinglab.scaling.data.selection._SOON_COUNTED", 1)
    monkeypatch.setattr(SelectedStore, "_counted", lambda *a: counted.append(1) or count(*a))
    other = Choice(SelectConfig(where="lang == 'de'"), "", None)
    stores = [
        SelectedStore(TokenStore(some.folder), choice)
        for choice in (some.choice, some.choice, other)
    ]
    first, second, of_other = (store.vocabulary().counts for store in stores)
    assert np.array_equal(first, second) and np.array_equal(first, some.vocabulary().counts)
    assert of_other.sum() != first.sum() and len(counted) == 2
