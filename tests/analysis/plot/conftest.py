"""Small results to draw, made once."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.judgement.study_multiverse import table_multiverse

mpl.use("Agg")


def _surface() -> pd.DataFrame:
    """Four IsoFLOP budgets of six sizes, and one run that diverged with a finite loss."""
    rows = []
    for cost in (1e18, 1e19, 1e20, 1e21):
        best = 0.6 * cost**0.45
        rows += [{"N": n, "D": cost / (6 * n)} for n in best * np.geomspace(0.3, 3, 6)]
    table = pd.DataFrame(rows)
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(len(table)))
    table["loss"] = (1.7 + 400 / table["N"] ** 0.34 + 1800 / table["D"] ** 0.37) * noise
    table["C"] = 6 * table["N"] * table["D"]
    table["run_id"] = [f"run-{k}" for k in range(len(table))]
    table.loc[7, "loss"] = 9.8
    return table


def _curves() -> pd.DataFrame:
    parts = []
    for k, (name, n) in enumerate((("cosine", 1e6), ("wsd", 1e6), ("wsd", 4e6), ("constant", 1e6))):
        step = np.arange(1, 301)
        shapes = {
            "cosine": 0.5 + 0.5 * np.cos(np.pi * step / 300),
            "wsd": np.minimum(1, (301 - step) / 60),
            "constant": np.ones(300),
        }
        lr = 1e-2 * shapes[name]
        loss = 2 + (3 - 0.3 * k) / step**0.4 + 15 * lr
        measured = np.where(step % 10 == 0, loss, np.nan)
        parts.append(
            pd.DataFrame(
                {"run": f"r{k}", "step": step, "lr": lr, "loss": measured, "N": n, "schedule": name}
            )
        )
    return pd.concat(parts, ignore_index=True)


def _arms() -> pd.DataFrame:
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 4)))
    rng, tables = np.random.default_rng(0), []
    for arm, A in (("adamw", 400), ("muon", 330)):
        loss = (1.7 + A / N**0.34 + 1800 / D**0.37) * np.exp(0.001 * rng.standard_normal(len(N)))
        tables.append(pd.DataFrame({"arm": arm, "N": N, "D": D, "seed": 0, "loss": loss}))
    return pd.concat(tables, ignore_index=True)


def _sweep() -> pd.DataFrame:
    N, lr = (x.ravel() for x in np.meshgrid([1e6, 1e7, 1e8], np.geomspace(1e-3, 1e-1, 7)))
    away = np.log(lr / (2e-2 * (N / 1e6) ** -0.15))
    loss = 4 * (N / 1e6) ** -0.05 * np.exp(0.01 * away**2)
    loss[(lr > 0.09) & (N > 9e7)] = np.inf
    return pd.DataFrame({"N": N, "lr": lr, "loss": loss})


def _experts() -> pd.DataFrame:
    law = analysis.LAWS["routed"]
    n, e = (x.ravel() for x in np.meshgrid(np.geomspace(1e8, 1e9, 3), 2.0 ** np.arange(7)))
    values = {"a": -0.08, "b": -0.1, "c": 0.005, "d": 1.1, "E_start": 2.0, "E_max": 300.0}
    params = np.array([[values[name] for name in law.names]])
    noise = np.exp(0.002 * np.random.default_rng(1).standard_normal(len(n)))
    loss = law.predict(params, {"n_active": n, "experts": e})[0] * noise
    return pd.DataFrame({"n_active": n, "experts": e, "loss": loss})


def _shares() -> pd.DataFrame:
    sizes, tokens, shares = [5e8, 2e9, 4e9], [1e9, 1e10], [0.05, 0.1, 0.2, 0.4, 0.8]
    N, D, r = (x.ravel() for x in np.meshgrid(sizes, tokens, shares))
    loss = 1.6 + 300 / N**0.33 + 120 * r**0.5 / D**0.3 + 0.05 / (r + 0.02) ** 0.5
    noise = np.exp(0.002 * np.random.default_rng(2).standard_normal(len(N)))
    return pd.DataFrame({"N": N, "D": D, "r": r, "loss": loss * noise})


@pytest.fixture(scope="session")
def made() -> SimpleNamespace:
    """Runs of several kinds with what was fitted to them."""
    runs, curves, experts = _surface(), _curves(), _experts()
    held_out = runs["C"] > 5e20
    many = {"resamples": 40, "starts": 8}
    law = analysis.fit("chinchilla", runs[~held_out], **many)
    target = curves[curves["run"] == "r1"].assign(run="t")
    begun = target.assign(loss=target["loss"].where(target["step"] <= 150))
    return SimpleNamespace(
        runs=runs[~held_out],
        held_out=runs[held_out],
        law=law,
        curves=curves,
        curve_law=analysis.fit("lr_annealing", curves[curves["run"] == "r1"], **many),
        allocation=analysis.allocate(law, [1e20, 1e21, 1e22]),
        laws=analysis.compare_laws(
            ["chinchilla", "overtrained"], runs[~held_out & (runs["loss"] < 9)], resamples=0
        ),
        arms=analysis.compare_arms(_arms(), between=("adamw", "muon"), resamples=40),
        sweep=_sweep(),
        shares=_shares(),
        share_law=analysis.fit("d_cpt", _shares(), **many),
        experts=experts,
        expert_law=analysis.fit("routed", experts, **many),
        multiverse=table_multiverse({"a": runs}, analysis.read_target("N at C=1e21"), starts=4),
        profile=analysis.profile_likelihood("chinchilla", runs.drop(7), "alpha", starts=8),
        begun=begun,
        forecast=analysis.forecast_run(
            curves[curves["run"].isin(["r0", "r3"])], begun, resamples=20, law="lr_annealing"
        ),
    )
