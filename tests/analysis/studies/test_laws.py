"""Verdicts by laws: speed-ups, schedules and conventions that were put in are found again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.studies import conventions, optimizers, schedules
from scalinglab.analysis.studies.exponent import exponent, said
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.schedule.build import build_pieces
from scalinglab.scaling.schedule.pieces import lr_array
from scalinglab.scaling.schedule.schedule import ScheduleConfig

# ---------------------------------------------------------------------- an exponent


def test_an_exponent_with_known_errors() -> None:
    x = np.array([1.0, 2.0, 4.0, 8.0])
    slope, error = exponent(x, 3 * x**0.5, np.full(4, 0.1))
    assert slope == pytest.approx(0.5)
    assert error == pytest.approx(0.1 / np.sqrt(((np.log(x) - np.log(x).mean()) ** 2).sum()))
    assert said(slope, error) == "0.50 ± 0.06"
    bent = 3 * x**0.5 * np.exp([0.5, -0.5, -0.5, 0.5])  # five times as far off as the errors say
    assert exponent(x, bent, np.full(4, 0.1))[1] == pytest.approx(error * 5 * np.sqrt(4 / 2))
    assert exponent(x, x, np.zeros(4))[1] == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="two different x"):
        exponent([1, 1], [1, 2], [1, 1])


# ---------------------------------------------------------------------- optimizers


def races(saving: float, noise: float = 5e-4) -> pd.DataFrame:
    """`saving` times fewer tokens give the other optimizer the loss of the baseline."""
    rng, rows = np.random.default_rng(0), []
    for name, factor in (("adamw", 1.0), ("muon", saving)):
        for d in np.geomspace(1e6, 3.2e7, 6):
            for seed in range(2):
                for lr, worse in ((0.01, 1.0), (0.02, 1.05)):
                    loss = (1.0 + (3e5 / (d * factor)) ** 0.4) * worse
                    rows.append(
                        {
                            "optimizer.name": name,
                            "N": 50_000,
                            "D": int(d),
                            "lr": lr,
                            "optimizer.momentum": 0.9 if name == "muon" else np.nan,
                            "loss": loss * np.exp(noise * rng.standard_normal()),
                            "seed": seed,
                            "final_ratio": 0.0,
                        }
                    )
    return pd.DataFrame(rows)


def test_the_tokens_saved_are_found() -> None:
    found = optimizers.judge(races(1.4))
    table = found.tables["Speed-up"]
    assert table["speedup"].to_numpy() == pytest.approx(1.4, rel=0.06)
    assert (table["lower"] <= table["speedup"]).all() and found.warnings == []
    assert found.sentences[0].startswith("muon saves tokens: speed-up over adamw 1.")


def test_no_difference_is_not_called_one() -> None:
    assert "is not told apart" in optimizers.judge(races(1.0, 2e-3)).sentences[0]


def test_a_best_rate_at_the_end_of_its_grid_is_said() -> None:
    runs = races(1.4)
    lower = runs[runs["lr"] == 0.01].assign(lr=0.005)
    better = np.where(runs["optimizer.name"] == "muon", 0.9, 1.1)  # Muon's higher rate is its best
    runs["loss"] = np.where(runs["lr"] == 0.02, runs["loss"] / 1.05 * better, runs["loss"])
    lower["loss"] *= 1.2
    warnings = optimizers.judge(pd.concat([runs, lower])).warnings
    assert warnings[0].startswith("muon, N 50,000: the best LR is the end of its grid at D 1,000,0")
    assert not any(warning.startswith("adamw") for warning in warnings)


def test_a_law_that_misses_its_own_points_says_by_how_much() -> None:
    """A loss that falls ever faster in log D, as the first half million tokens do, is no law."""
    runs = races(1.4)
    runs["loss"] = 2.4 - 0.1 * np.log(runs["D"] / 1e6) ** 1.5 / 2
    (warning,) = optimizers.judge(runs).warnings
    assert warning.startswith("N 50,000: the law of adamw gives its own points speed-ups of 0.")


def test_only_finished_schedules_compare() -> None:
    runs = races(1.4)
    half = runs[runs["optimizer.name"] == "muon"].assign(final_ratio=0.5, loss=0.5)
    found = optimizers.judge(pd.concat([runs, half], ignore_index=True))
    assert "24 runs end above 10% of their peak LR and are left out" in found.warnings[0]
    assert found.tables["Speed-up"]["speedup"].max() < 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r[r["optimizer.name"] == "muon"], "baseline = 'adamw' has no finished schedule"),
        (lambda r: r[r["optimizer.name"] == "adamw"], "nothing to compare"),
        (lambda r: r[r["D"] < 4e6], "token budgets at N 50,000; its law in D needs at least 4"),
    ],
)
def test_what_is_missing_for_a_race_is_named(change, message) -> None:
    with pytest.raises(ValueError, match=message):
        optimizers.judge(change(races(1.4)))


# ---------------------------------------------------------------------- schedules


def annealed() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curves by the momentum law itself (arXiv 2408.11029): it must predict them all."""
    parts, rows = [], []
    for block, kind in {
        "constant": "constant",
        "wsd": "wsd",
        "cosine": "cosine",
        "steps": "multistep",
        "line": "linear",
    }.items():
        config = from_dict(ScheduleConfig, {"kind": kind, "warmup_tokens": 40})
        lr = lr_array(build_pieces(config, 0.01, 800, 1))
        flat = np.concatenate([np.full(39, 0.01), lr[39:]])
        momentum, s2 = np.zeros(800), np.zeros(800)
        for i in range(1, 800):
            momentum[i] = 0.99 * momentum[i - 1] + flat[i - 1] - flat[i]
            s2[i] = s2[i - 1] + momentum[i]
        loss = 1.5 + 0.5 * np.cumsum(flat) ** -0.5 - 0.3 * s2
        measured = np.arange(800) % 20 == 19
        parts.append(
            pd.DataFrame(
                {
                    "run": block + "-id",
                    "step": np.arange(800),
                    "lr": lr,
                    "loss": np.where(measured, loss, np.nan),
                    "cluster": "c",
                }
            )
        )
        rows.append({"run_id": block + "-id", "block": block, "status": "done"})
    return pd.DataFrame(rows), pd.concat(parts, ignore_index=True)


def test_a_curve_law_predicts_and_ranks_schedules_it_has_not_seen() -> None:
    runs, curves = annealed()
    found = schedules.judge(runs, curves=curves, fitted=["constant", "wsd"])
    table = found.tables["Schedules"].set_index("schedule")
    assert (table.loc[["cosine", "steps", "line"], "role"] == "predicted").all()
    assert table["relative error"].abs().max() < 0.01
    assert "final loss of 3 other schedules" in found.sentences[0]
    assert "Kendall's tau 1.00" in found.sentences[1] and "as it says" in found.sentences[1]


@pytest.mark.parametrize(
    ("fitted", "message"),
    [
        (["constnt"], "no finished curve of constnt"),
        (["constant", "wsd", "cosine", "steps", "line"], "no other schedule is left"),
    ],
)
def test_schedules_to_fit_and_to_predict_must_be_there(fitted, message) -> None:
    runs, curves = annealed()
    with pytest.raises(ValueError, match=message):
        schedules.judge(runs, curves=curves, fitted=fitted)


# ---------------------------------------------------------------------- conventions


def ladder() -> pd.DataFrame:
    """A law in n_matmul without noise: under C = 6 N D with that N, a = beta / (alpha + beta)."""
    from scalinglab.scaling.model.architecture import Architecture
    from scalinglab.scaling.model.flops import CONVENTIONS, flop_parts
    from scalinglab.scaling.model.shape import Shape

    rows = []
    for width in (64, 96, 128, 192, 256, 384):
        shape = Architecture(Shape(2, width, width // 16, 4 * width, 128, 256))
        counts, parts = parameter_counts(shape), flop_parts(shape)
        n = counts["n_matmul"]
        for ratio in (5, 20, 80):
            loss = 0.7 + 30 / n**0.4 + 600 / (ratio * n) ** 0.5
            rows.append(
                {
                    **{c: counts[c] for c in ("n_block", "n_matmul", "n_total")},
                    "D": ratio * n,
                    "loss": loss,
                    "role": "fit",
                    **{f"flops_{c}": count(parts) for c, count in CONVENTIONS.items()},
                }
            )
    return pd.DataFrame(rows)


def test_the_law_in_its_own_convention_has_its_own_exponent() -> None:
    table = conventions.judge(ladder(), resamples=0).tables["Exponents"].set_index(["N", "C"])
    assert table.loc[("n_matmul", "matmul"), "a"] == pytest.approx(0.5 / 0.9, abs=0.01)


def test_counting_less_of_the_model_makes_its_size_grow_faster() -> None:
    """Blocks alone vary over more decades than all parameters do: a is largest there."""
    found = conventions.judge(ladder(), resamples=0)
    a = found.tables["Exponents"].set_index(["N", "C"])["a"]
    assert a["n_block", "matmul"] > a["n_matmul", "matmul"] > a["n_total", "matmul"]
    assert "The same runs give N* ~ C^a with a from" in found.sentences[0]


def test_held_out_and_diverged_runs_are_left_out() -> None:
    runs = ladder()
    more = runs.assign(role="held_out", loss=9.0)
    lost = runs.head(2).assign(loss=np.inf)
    both = conventions.judge(pd.concat([runs, more, lost], ignore_index=True), resamples=0)
    assert both.sentences == conventions.judge(runs, resamples=0).sentences
