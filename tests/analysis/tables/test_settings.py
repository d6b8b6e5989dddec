"""Settings of trained runs as columns that a law reads."""

import pytest

from scalinglab import analysis
from scalinglab.analysis.tables.fitted import fitted_runs
from scalinglab.analysis.tables.settings import with_settings
from scalinglab.scaling.errors import UserError


def test_a_law_reads_a_setting_of_the_runs(finished) -> None:
    runs, _ = fitted_runs(finished, "tiny")
    named = {"N_mean": "2 * n_block", "D": "1e3 * model.width"}
    table = with_settings(finished, runs, named.values())
    assert (table["model.width"] == table["width"]).all()
    some = {"alpha": 0.3, "B": 1.0, "beta": 0.3}  # of three sizes not more can be known
    found = analysis.fit("avg_params", table, columns=named, fixed=some, resamples=0)
    assert found.ranges["D"][1] == 1e3 * runs["width"].max()


def test_what_is_no_setting_is_left_to_the_fit_and_what_is_no_number_refused(finished) -> None:
    runs, _ = fitted_runs(finished, "tiny")
    assert "model.widht" not in with_settings(finished, runs, ["model.widht", 512])
    with pytest.raises(UserError, match="optimizer.name is a setting, and run .* 'adamw'"):
        with_settings(finished, runs, ["optimizer.name"])
