"""Weights, gradients and moments in parts give the curve of one process, whoever goes on with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

COLUMNS = ["loss", "grad_norm", "validation_loss"]
FIFTY = {"tokens": 64 * 50, "optimizer.clip": 0.5}


def test_fifty_steps(make_run, elsewhere, run_with_ranks):
    folder = make_run(FIFTY)
    assert run_with_ranks(folder, shard=True) == "done"
    pd.testing.assert_frame_equal(
        pd.read_csv(folder.curve_file())[COLUMNS],
        pd.read_csv(elsewhere(FIFTY).curve_file())[COLUMNS], rtol=1e-5)
