"""Losses that may be negative, and a vocabulary that was not seen."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis


def test_losses_below_zero_are_fitted_by_their_differences(made_by):
    runs, true = made_by("vocabulary", noise=0.0)
    assert (runs.unigram_loss < 0).any() and (runs.unigram_loss > 0).any()
    noisy = runs.assign(
        loss=runs.unigram_loss + 0.003 * np.random.default_rng(0).standard_normal(len(runs))
    )
    result = analysis.fit("vocabulary", noisy, resamples=0)
    assert result.settings["errors"] == "absolute"
    assert result.params["beta"] == pytest.approx(true["beta"], abs=0.01)
    assert np.abs(result.predict(runs).unigram_loss - runs.unigram_loss).max() < 0.01


def test_a_vocabulary_not_seen_is_predicted(made_by):
    runs, _ = made_by("vocabulary")
    largest = runs.N_vocab == runs.N_vocab.max()
    result = analysis.fit("vocabulary", runs[~largest], resamples=0)
    ahead: pd.DataFrame = result.predict(runs[largest])
    assert np.abs(ahead.unigram_loss - runs.unigram_loss[largest]).max() < 1e-3
