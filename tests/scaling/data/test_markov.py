"""The synthetic language: its entropy is known exactly, also on the very evaluation windows."""

import itertools
import math

import numpy as np
import pytest

from scalinglab.scaling.data.markov import SLOTS, MarkovSource, profile_entropy, stationary_pairs
from scalinglab.scaling.data.store import gather
from scalinglab.scaling.errors import ConfigError

SOURCE = MarkovSource(vocab=8, successors=4, tokens=200_000, validation_tokens=20_001)


@pytest.fixture(scope="module")
def corpus():
    return SOURCE.corpus()


def conditional(source):
    """P(c | a, b) as nested lists, straight from the definition of the slots."""
    successors, slots = source.chain()
    V = source.vocab
    p = np.zeros((V, V, V))
    for a, b in itertools.product(range(V), repeat=2):
        for slot in slots:
            p[a, b, successors[a * V + b, slot]] += 1 / SLOTS
    return p


@pytest.mark.parametrize("successors", [1, 2, 3, 7, 8, 63, 64])
def test_the_profile_is_a_distribution_over_all_slots(successors):
    profile = MarkovSource(successors=successors).profile()
    assert len(profile) == successors
    assert profile.sum() == SLOTS
    assert profile.min() >= 1
    assert np.all(np.diff(profile) <= 0)


def test_every_context_has_the_same_entropy():
    p = conditional(SOURCE).reshape(-1, SOURCE.vocab)
    entropies = [-sum(x * math.log(x) for x in row if x) for row in p]
    assert entropies == pytest.approx([profile_entropy(SOURCE.profile())] * len(p))


def test_every_context_has_its_own_distinct_successors():
    successors, _ = SOURCE.chain()
    assert all(len(set(row)) == SOURCE.successors for row in successors)
    assert len({tuple(row) for row in successors}) > 50


def test_frequent_symbols_are_preferred():
    """The contexts' frequencies must fall off, or there would be no power law to measure."""
    walk = MarkovSource(vocab=32, successors=4, tokens=50_000, validation_tokens=1).corpus().train
    counts = np.sort(np.bincount(walk, minlength=32))[::-1]
    assert counts[:4].sum() > 4 * counts[-16:].sum() / 4
    assert counts[0] > 5 * counts[-1]


def test_every_triple_of_the_walk_is_possible(corpus):
    p = conditional(SOURCE)
    for part in (corpus.validation, corpus.train):
        assert p[part[:-2], part[1:-1], part[2:]].min() > 0


def test_the_walk_has_the_entropy_that_the_manifest_says(corpus):
    """Plug-in estimate of H(next | pair), whose bias is about contexts * (successors - 1) / 2n."""
    walk = corpus.train.astype(np.int64)
    triples = np.bincount(walk[:-2] * 64 + walk[1:-1] * 8 + walk[2:], minlength=512).reshape(64, 8)
    rows = triples.sum(axis=1, keepdims=True)
    seen = triples > 0
    shares = np.where(seen, triples / np.maximum(rows, 1), 1)
    estimate = -(triples * np.log(shares)).sum() / rows.sum()
    assert estimate == pytest.approx(corpus.facts["entropy"], rel=2e-3)


def test_parts_are_two_stretches_of_one_walk(corpus):
    assert len(corpus.train) == SOURCE.tokens
    assert len(corpus.validation) == SOURCE.validation_tokens
    seam = [*corpus.validation[-2:], corpus.train[0]]
    assert conditional(SOURCE)[tuple(seam)] > 0


def test_it_is_a_function_of_its_seed():
    def walk(seed):
        return bytes(MarkovSource(seed=seed, tokens=1000, validation_tokens=1).corpus().train)

    assert walk(0) == walk(0)
    assert walk(0) != walk(1)


# ---------------------------------------------------------------------- window entropy


def brute_force(source, windows):
    """-log P(rest of the window | its first token), by summing over all that came before it.

    The distribution over pairs is found by squaring the transition matrix of pairs.
    """
    p, V = conditional(source), source.vocab
    step = np.zeros((V * V, V * V))
    for a, b, c in itertools.product(range(V), repeat=3):
        step[a * V + b, b * V + c] = p[a, b, c]
    mix = np.linalg.matrix_power((step + np.eye(V * V)) / 2, 2**20)
    pairs = mix.mean(axis=0).reshape(V, V)
    total = 0.0
    for window in windows:
        weights = pairs[:, window[0]] / pairs[:, window[0]].sum()  # of the unseen token before
        probability = sum(w * p[a, window[0], window[1]] for a, w in enumerate(weights))
        total -= math.log(probability)
        for a, b, c in zip(window, window[1:], window[2:], strict=False):
            total -= math.log(p[a, b, c])
    return total / sum(len(w) - 1 for w in windows)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("context", [1, 2, 7])
def test_window_entropy_is_that_of_brute_force(seed, context):
    source = MarkovSource(vocab=3, successors=2, tokens=2_000, validation_tokens=1, seed=seed)
    windows = gather(source.corpus().train, np.arange(100), context)
    assert source.window_entropy(windows) == pytest.approx(brute_force(source, windows), rel=1e-9)


def test_window_entropy_counts_pairs_that_outgrow_a_byte():
    source = MarkovSource(vocab=17, successors=4, tokens=2_000, validation_tokens=1)
    windows = gather(source.corpus().train, np.arange(20), 7)
    assert windows.dtype == np.uint8
    assert source.window_entropy(windows) == pytest.approx(brute_force(source, windows), rel=1e-9)


def test_window_entropy_is_near_the_entropy_and_includes_the_cost_of_the_first_token(corpus):
    windows = gather(corpus.validation, np.arange(200), 100)
    entropy = corpus.facts["entropy"]
    assert SOURCE.window_entropy(windows) == pytest.approx(entropy, rel=0.02)
    # With one token of context the predictor knows less than the pair: a higher loss.
    short = gather(corpus.validation, np.arange(20_000), 1)
    assert SOURCE.window_entropy(short) > entropy * 1.02


def test_no_predictor_beats_it_on_average(corpus):
    """Gibbs: any other chain's cross-entropy on the windows is larger."""
    windows = gather(corpus.validation, np.arange(200), 100)
    p = 0.9 * conditional(SOURCE) + 0.1 / SOURCE.vocab
    a, b, c = windows[:, :-2], windows[:, 1:-1], windows[:, 2:]
    assert -np.log(p[a, b, c]).mean() > SOURCE.window_entropy(windows)


def test_the_stationary_distribution_stays():
    p = conditional(SOURCE)
    pairs = stationary_pairs(p)
    assert pairs.sum() == pytest.approx(1)
    assert np.einsum("ab,abc->bc", pairs, p) == pytest.approx(pairs, abs=1e-12)


def test_a_periodic_chain_has_a_stationary_distribution_too():
    """0 and 1 alternate for ever; from an uneven start plain iteration would swing."""
    p = np.zeros((3, 3, 3))
    p[:, 0, 1] = p[:, 1:, 0] = 1
    pairs = stationary_pairs(p)
    assert pairs[0, 1] == pytest.approx(0.5) and pairs[1, 0] == pytest.approx(0.5)


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab": 1}, r"data\.options\.vocab = 1: allowed is 2 to 256"),
        ({"vocab": 257}, r"data\.options\.vocab = 257: allowed is 2 to 256"),
        ({"successors": 0}, r"data\.options\.successors = 0: allowed is 1 or more"),
        ({"seed": -1}, r"data\.options\.seed = -1"),
        ({"tokens": 0}, r"data\.options\.tokens = 0"),
        ({"validation_tokens": -1}, r"data\.options\.validation_tokens = -1"),
        ({"vocab": 4, "successors": 5}, r"data\.options\.successors = 5: allowed is 1 to 4"),
    ],
    ids=str,
)
def test_mistakes_name_the_key_and_what_is_allowed(options, message):
    with pytest.raises(ConfigError, match=message):
        MarkovSource(**options).corpus()
