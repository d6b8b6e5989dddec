"""Verdicts about optima find what was put into made-up sweeps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.plot.layers import layers
from scalinglab.analysis.studies import batch_lr, lr_sensitivity, lr_transfer, norm_depth, tune

GRID = 0.01 * 2.0 ** np.arange(-5, 6)


def sweep(best: float, noise: float, rng, lowest: float = 2.0, bend: float = 0.02) -> np.ndarray:
    return lowest * np.exp(bend * np.log(GRID / best) ** 2 + noise * rng.standard_normal(len(GRID)))


# ---------------------------------------------------------------------- lr_transfer


def widths(drift: dict[str, float], noise: float = 0.002) -> pd.DataFrame:
    rng, rows = np.random.default_rng(0), []
    for arm, power in drift.items():
        for width in (16, 32, 64, 128):
            best = 0.01 * (width / 16) ** power
            for seed in range(3):
                rows += [
                    {"model.parametrization": arm, "width": width, "lr": x, "loss": y, "seed": seed}
                    for x, y in zip(GRID, sweep(best, noise, rng), strict=True)
                ]
    return pd.DataFrame(rows)


def test_a_drifting_optimum_and_one_that_stays_are_told_apart() -> None:
    found = lr_transfer.judge(widths({"sp": -0.8, "mup": 0.0}))
    mup, sp = found.sentences
    assert mup.startswith("mup: the best LR transfers") and "width^" in mup
    assert sp.startswith("sp: the best LR does not transfer") and "width^-0.7" in sp
    assert found.warnings == []


def test_the_regret_is_what_the_bases_best_costs() -> None:
    table = lr_transfer.judge(widths({"sp": -0.8})).tables["Optima"].set_index("width")
    assert table.loc[128, "regret"] == pytest.approx(0.02 * np.log(8**0.8) ** 2, rel=0.15)
    assert table.loc[128, "regret / noise"] == pytest.approx(
        table.loc[128, "regret"] / 0.002, rel=0.4
    )
    assert table.loc[16, "regret"] == 0


def test_an_optimum_at_the_edge_gives_no_verdict() -> None:
    found = lr_transfer.judge(widths({"sp": -3.0}))
    assert "too few widths" in found.sentences[0] or "edge of the grid" in found.warnings[0]


def test_runs_that_name_no_parametrization_are_standard() -> None:
    runs = widths({"sp": 0.0}).drop(columns="model.parametrization")
    assert lr_transfer.judge(runs).sentences[0].startswith("sp: the best LR transfers")


def test_the_regret_has_the_doubt_of_both_optima() -> None:
    table = lr_transfer.judge(widths({"mup": 0.0, "sp": -0.8}, noise=0.005)).tables["Optima"]
    top = table[table["width"] == 128].set_index("arm")
    assert top.loc["mup", "least regret"] == 0 < top.loc["mup", "largest regret"]
    truth = 0.02 * np.log(8**0.8) ** 2
    assert 0 < top.loc["sp", "least regret"] < truth < top.loc["sp", "largest regret"]


def test_seeds_that_scatter_far_from_the_optima_are_no_excuse() -> None:
    runs = widths({"mup": 0.0})
    wild = runs["lr"] > 0.1
    scatter = 1 + 0.2 * np.random.default_rng(1).standard_normal(len(runs)).clip(0)
    noisy = runs.assign(loss=np.where(wild, runs["loss"] * scatter, runs["loss"]))
    calm, wild = (lr_transfer.judge(r).tables["Optima"] for r in (runs, noisy))
    pd.testing.assert_frame_equal(calm, wild)


def test_far_from_the_optimum_the_regret_is_that_of_the_losses() -> None:
    """A loss that levels off above the optimum: the parabola would go on rising."""
    runs = widths({"sp": -1.0}, noise=1e-4)
    runs["loss"] = runs["loss"].clip(upper=2.08)
    table = lr_transfer.judge(runs).tables["Optima"].set_index("width")
    assert table.loc[128, "regret"] == pytest.approx(2.08 / 2.0 - 1, abs=1e-3)


def test_a_base_rate_that_the_top_never_tried_is_said() -> None:
    runs = widths({"sp": -0.8})
    found = lr_transfer.judge(runs[(runs["width"] < 128) | (runs["lr"] < 0.006)])
    assert "was not tried at width 128" in found.warnings[0]


def test_points_of_figures_name_their_runs_and_lines_have_intervals() -> None:
    runs = widths({"sp": -0.8, "mup": 0.0}).query("width < 64")
    runs = runs.assign(run_id=[f"r{k}" for k in range(len(runs))])
    figures = lr_transfer.judge(runs).figures
    assert [text.partition(":")[0] for text, _ in figures] == ["mup", "sp"]
    for _, figure in figures:
        shown = layers(figure.axes[0])
        named = [name for layer in shown if "run_id" in layer.table for name in layer.table.run_id]
        assert len(named) == len(runs) / 2 and set(named) <= set(runs["run_id"])
        parabolas = [layer for layer in shown if layer.name.startswith("parabola")]
        assert len(parabolas) == 2 and all(layer.ends is not None for layer in parabolas)


# ---------------------------------------------------------------------- batch_lr


def batches(power: float, best_power: float) -> pd.DataFrame:
    """Losses blow up above a boundary that goes with a power of the batch."""
    rng, rows = np.random.default_rng(0), []
    for batch in (4, 16, 64, 256):
        limit = 0.04 * (batch / 4) ** power
        for seed in range(2):
            losses = sweep(0.005 * (batch / 4) ** best_power, 0.001, rng, bend=0.005)
            losses[GRID > limit] = np.inf
            rows += [
                {"optimizer.name": "adamw", "batch": batch, "lr": x, "loss": y, "seed": seed}
                for x, y in zip(GRID, losses, strict=True)
            ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("power", "said"), [(0.5, "the square root"), (0.0, "no dependence")])
def test_the_boundarys_exponent_is_found_and_named(power, said) -> None:
    found = batch_lr.judge(batches(power, 0.25))
    assert f"agrees with {said}" in found.sentences[0]
    assert "the best LR as batch^0.2" in found.sentences[0]
    table = found.tables["Batches"].set_index("batch")
    assert table.loc[4, "largest stable lr"] == pytest.approx(0.04)
    assert table.loc[4, "first unstable lr"] == pytest.approx(0.08)


def test_a_boundary_beyond_the_grid_is_said() -> None:
    found = batch_lr.judge(batches(1.0, 0.25))
    assert "no LR of the grid is unstable at batch" in found.warnings[0]


def test_a_loss_far_above_the_best_is_unstable_without_diverging() -> None:
    runs = batches(0.5, 0.25)
    runs["loss"] = runs["loss"].clip(upper=4.0)
    capped, diverged = (
        batch_lr.judge(r).tables["Batches"]["largest stable lr"] for r in (runs, batches(0.5, 0.25))
    )
    pd.testing.assert_series_equal(capped, diverged)


# ---------------------------------------------------------------------- lr_sensitivity


def test_sensitivity_by_hand() -> None:
    """Three rates: excess 0, 1 and, capped by the initial loss, 2; trapezoids over log LR."""
    lr = pd.Series([0.01, 0.1, 1.0])
    assert lr_sensitivity.sensitivity(lr, pd.Series([2.0, 3.0, np.inf]), 4.0) == pytest.approx(
        (0.5 + 1.5) / 2
    )
    assert lr_sensitivity.sensitivity(lr, pd.Series([2.0, 2.0, 2.0]), 4.0) == 0


def test_the_calmer_arm_is_named_with_intervals_over_seeds() -> None:
    rng, rows = np.random.default_rng(0), []
    for arm, bend in (("plain", 0.03), ("calm", 0.003)):
        for n in (10_000, 100_000):
            for seed in range(3):
                rows += [
                    {"block": arm, "N": n, "lr": x, "loss": y, "seed": seed, "vocab": 256}
                    for x, y in zip(GRID, sweep(0.01, 0.005, rng, bend=bend), strict=True)
                ]
    found = lr_sensitivity.judge(pd.DataFrame(rows))
    assert found.sentences[0].startswith("The loss depends least on the LR with 'calm'")
    table = found.tables["Sensitivity"].set_index(["arm", "N"])
    u = np.log(GRID)
    exact = np.trapezoid(2 * np.expm1(0.03 * (u - np.log(0.01)) ** 2), u) / (u[-1] - u[0])
    plain = table.loc["plain", 10_000]
    assert plain["sensitivity"] == pytest.approx(exact, rel=0.1)
    assert plain["lower"] <= plain["sensitivity"] <= plain["upper"]
    assert found.warnings == []


def test_arms_whose_intervals_meet_are_not_told_apart() -> None:
    rng, rows = np.random.default_rng(0), []
    for arm, bend in (("plain", 0.03), ("one", 0.005), ("two", 0.005)):
        rows += [
            {"block": arm, "N": 1, "lr": x, "loss": y, "seed": seed, "vocab": 256}
            for seed in range(3)
            for x, y in zip(GRID, sweep(0.01, 0.01, rng, bend=bend), strict=True)
        ]
    first = lr_sensitivity.judge(pd.DataFrame(rows)).sentences[0]
    assert "most with 'plain'" in first and "Not told from the least: '" in first


def test_other_ranges_of_the_lr_do_not_compare() -> None:
    rows = [
        {"block": b, "N": 1, "lr": x, "loss": 2.0, "seed": 0, "vocab": 8}
        for b, grid in (("a", (0.1, 0.2)), ("b", (0.1, 0.4)))
        for x in grid
    ]
    assert "do not compare" in lr_sensitivity.judge(pd.DataFrame(rows)).warnings[0]


# ---------------------------------------------------------------------- tune


def test_a_sweep_beside_a_ladder_is_judged_alone_and_sizes_do_not_mix() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"block": "lr", "role": "sweep", "D": 1e6, "N": n, "lr": x, "loss": y + (n == 100)}
        for n in (100, 200)
        for x, y in zip(GRID, sweep(0.01, 0.0, rng), strict=True)
    ]
    rows += [{"block": "ladder", "role": "fit", "D": 4e6, "N": 400, "lr": 0.5, "loss": 1.0}]
    found = tune.judge(pd.DataFrame(rows))
    assert found.tables["Settings"]["block"].tolist() == ["lr"]
    assert found.tables["Settings"]["optimum"][0] == pytest.approx(0.01, rel=1e-3)
    assert found.warnings == ["lr: of 2 sizes only N = 200 is judged; give each a block of its own"]


def test_every_arm_has_its_optimum_at_the_best_of_all_else() -> None:
    rng, rows = np.random.default_rng(0), []
    for block, best, lowest in (("adamw", 0.01, 2.0), ("lion", 0.002, 1.9)):
        for decay in (0.1, 0.3):
            losses = sweep(best, 0.0, rng, lowest * (1 + abs(decay - 0.3)))
            rows += [
                {
                    "block": block,
                    "optimizer.name": block,
                    "optimizer.weight_decay": decay,
                    "lr": x,
                    "D": 1000,
                    "loss": y,
                }
                for x, y in zip(GRID, losses, strict=True)
            ]
    found = tune.judge(pd.DataFrame(rows))
    table = found.tables["Settings"].set_index("block")
    assert list(table.index) == ["lion", "adamw"]
    assert table.loc["adamw", "optimum"] == pytest.approx(0.01)
    assert table.loc["lion", "optimum"] == pytest.approx(0.002, rel=1e-3)
    assert set(table["others"]) == {"weight_decay 0.3"} and found.warnings == []


def test_the_end_of_another_setting_is_said() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"block": "adamw", "optimizer.weight_decay": decay, "lr": x, "D": 1, "loss": y}
        for decay in (0.03, 0.1, 0.3)
        for x, y in zip(GRID, sweep(0.01, 0.0, rng, 2 - decay), strict=True)
    ]
    assert tune.judge(pd.DataFrame(rows)).warnings == [
        "adamw: the best weight_decay is the highest tried"
    ]


def test_what_one_arm_misses_by_luck_the_others_tell() -> None:
    """A parabola that meets all of its losses is no surer than its neighbours are."""
    rng, rows = np.random.default_rng(0), []
    for block, noise in (("lucky", 0.0), ("other", 0.01)):
        rows += [
            {"block": block, "lr": x, "D": 1, "loss": y}
            for x, y in zip(GRID, sweep(0.01, noise, rng), strict=True)
        ]
    together = tune.judge(pd.DataFrame(rows)).tables["Settings"].set_index("block")
    alone = tune.judge(pd.DataFrame(rows[: len(GRID)])).tables["Settings"].set_index("block")
    width = [t.loc["lucky", "upper"] / t.loc["lucky", "lower"] for t in (together, alone)]
    assert width[0] > 1.05 and width[1] == pytest.approx(1)


def test_losses_of_runs_that_went_wrong_leave_the_frame() -> None:
    runs = pd.DataFrame(
        {"block": "sgd", "lr": [0.1, 0.3, 1.0, 3.0], "D": 1, "loss": [2.7, 2.4, 2.6, 120.0]}
    )
    (ax,) = tune.judge(runs).figures[0][1].axes
    low, high = ax.get_ylim()
    assert 2.3 < low < 2.4 and 2.6 < high < 4


def test_unequal_budgets_are_told() -> None:
    runs = pd.DataFrame(
        {
            "block": ["a"] * 4 + ["b"] * 3,
            "lr": [1, 2, 4, 8, 1, 2, 4],
            "D": 1,
            "loss": [2.0, 1.0, 2.0, 3.0, 2.0, 1.0, 2.0],
        }
    )
    assert tune.judge(runs).warnings == [
        "the arms differ in runs, as a search ends where a round changes nothing: a 4, b 3"
    ]


# ---------------------------------------------------------------------- norm_depth


def depths(gap: float, noise: float = 0.001) -> pd.DataFrame:
    """Pre-norm gains less from each doubling of the depth than peri-norm."""
    rng, rows = np.random.default_rng(0), []
    for arm, gain in (("peri", 0.1 + gap), ("pre", 0.1)):
        for k, depth in enumerate((2, 4, 8)):
            for lr, worse in ((0.005, 0.05), (0.01, 0.0), (0.02, np.inf if arm == "pre" else 0.1)):
                rows += [
                    {
                        "model.placement": arm,
                        "depth": depth,
                        "lr": lr,
                        "seed": seed,
                        "loss": (2 - gain * k + worse) * (1 + noise * rng.standard_normal()),
                    }
                    for seed in range(3)
                ]
    return pd.DataFrame(rows)


def test_the_better_placement_is_named_with_what_depth_gains() -> None:
    found = norm_depth.judge(depths(0.03))
    assert found.sentences[0].startswith("At depth 8 peri is best, loss 1.7")
    assert "beyond the noise between seeds" in found.sentences[0]
    table = found.tables["Depths"].set_index(["arm", "depth"])
    assert table.loc[("pre", 4), "loss"] == pytest.approx(1.9, abs=0.005)
    assert table.loc[("pre", 4), "lr"] == 0.01 and table.loc[("pre", 4), "diverged"] == 3
    assert "pre: the loss falls by +0.0" in found.sentences[2]


def test_rates_that_scatter_far_above_the_best_hide_no_difference() -> None:
    runs = depths(0.03)
    wild = (runs["lr"] == 0.02) & (runs["model.placement"] == "peri")
    runs.loc[wild, "loss"] *= 1 + 0.3 * np.random.default_rng(2).random(wild.sum())
    assert "beyond the noise between seeds" in norm_depth.judge(runs).sentences[0]


def test_what_a_seed_does_to_all_arms_alike_hides_no_difference() -> None:
    """Runs of one seed share the order of their data."""
    runs = depths(0.015)
    assert "beyond the noise between seeds" in norm_depth.judge(runs).sentences[0]
    runs["loss"] *= 1 + 0.02 * runs["seed"]
    assert "beyond the noise between seeds" in norm_depth.judge(runs).sentences[0]
    lone = runs[(runs["model.placement"] == "pre") & (runs["seed"] > 0) | (runs["seed"] == 0)]
    assert "not told apart" in norm_depth.judge(lone).sentences[0]  # only pre has all seeds


def test_a_difference_within_the_noise_is_called_so() -> None:
    found = norm_depth.judge(depths(0.0, noise=0.01))
    assert "not told apart by the noise" in found.sentences[0]
