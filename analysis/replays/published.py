"""The replays: which tables, what their authors printed, and how we answer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.decisions.approaches import compare_approaches
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.lr_batch import lr_batch, regret
from scalinglab.analysis.replays.replay import Findings, Replay, compared, parameters


def _datablations(runs: pd.DataFrame) -> Findings:
    # The surface as the authors fixed it (their notebook prints the logarithms).
    surface = {"E": np.exp(0.6254804), "A": np.exp(6.255414), "alpha": 0.3526596}
    surface |= {"B": np.exp(7.3049974), "beta": 0.3526596}
    law = fit("data_constrained", runs, fixed=surface)
    free = fit("data_constrained", runs, tied={"beta": "alpha"}, resamples=0)
    rows = [
        ("objective", 0.0158259, law.objective, None),
        *parameters(law, {"R_D": 15.388, "R_N": 5.310}),
        ("objective, nothing fixed", 0.0158259, free.objective, None),
    ]
    return Findings(compared(rows), lambda ax: plot.residuals(law, runs, x="D", ax=ax), (law, free))


def _r_squared(measured: pd.Series, predicted: np.ndarray) -> float:
    return float(
        1 - ((measured - predicted) ** 2).sum() / ((measured - measured.mean()) ** 2).sum()
    )


def _parallel(runs: pd.DataFrame) -> Findings:
    runs = runs.rename(columns={"num_params": "N", "parallel_size": "P"})
    training, target = runs[runs["split"] == "train"], runs[runs["split"] == "test"]
    laws = {name: fit("parscale", group) for name, group in training.groupby("group")}
    guess = pd.concat(
        [laws[name].predict(group)["loss"] for name, group in target.groupby("group")]
    ).reindex(target.index)
    first, law = next(iter(laws.items()))
    group = training[training["group"] == first]
    far = target[target["group"] == first]
    rows = [("R² on the costly runs", 0.99, _r_squared(target["loss"], guess.to_numpy()), None)]
    return Findings(
        compared(rows),
        lambda ax: plot.loss_against(law, group, "P", by="N", held_out=far, ax=ax),
        tuple(laws.values()),
    )


def _moe(runs: pd.DataFrame) -> Findings:
    names = {
        "dense_parameter_count": "n_active",
        "num_experts": "experts",
        "loss_validation": "loss",
    }
    runs = runs.rename(columns=names)
    training, target = runs[runs["split"] == "train"], runs[runs["split"] == "test"]
    law = fit("routed", training)
    guess = law.predict(target)["loss"].to_numpy()
    rows = [("R² on the costly runs", 0.81, _r_squared(target["loss"], guess), None)]
    return Findings(
        compared(rows), lambda ax: plot.experts(law, training, held_out=target, ax=ax), (law,)
    )


def _chinchilla(points: pd.DataFrame) -> Findings:
    runs = points[~points["outlier_epoch"]].rename(columns={"params": "N", "tokens": "D"})
    law = fit("chinchilla", runs)
    printed = {"E": 1.8172, "A": 482.01, "alpha": 0.3478, "B": 2085.43, "beta": 0.3658}
    share = law.draws["beta"] / (law.draws["alpha"] + law.draws["beta"])
    best = law.params["beta"] / (law.params["alpha"] + law.params["beta"])
    ends = np.quantile(share.dropna(), [0.025, 0.975])
    rows = [
        *parameters(law, printed),
        ("exponent of N*(C)", 0.5126, best, (float(ends[0]), float(ends[1]))),
        ("objective", 1.01874582e-3, law.objective, None),
    ]
    return Findings(compared(rows), lambda ax: plot.loss_against_compute(law, runs, ax=ax), (law,))


def _parscale(points: pd.DataFrame) -> Findings:
    points = points.rename(columns={"params": "N"})
    printed = {
        "stack_v2_python": ({"E": 0.69129, "alpha": 0.18940, "k": 0.39343}, 3.6767e-5),
        "pile": ({"E": 1.28885, "alpha": 0.19636, "k": 0.33443}, 1.81394e-5),
    }
    rows, laws = [], []
    for corpus, (values, objective) in printed.items():
        law = fit("parscale", points[points["corpus"] == corpus])
        laws.append(law)
        rows += [(f"{corpus}: {name}", *numbers) for name, *numbers in parameters(law, values)]
        rows.append((f"{corpus}: objective", objective, law.objective, None))
    pile = points[points["corpus"] == "pile"]
    return Findings(
        compared(rows), lambda ax: plot.loss_against(laws[1], pile, "P", by="N", ax=ax), tuple(laws)
    )


def _porian(points: pd.DataFrame) -> Findings:
    rows, shown = [], points
    cases = (
        ("as Kaplan et al. counted and warmed up", 0.856, ("base", "long", "kaplan", "train")),
        ("all corrected, hyper-parameters tuned", 0.498, ("tuned", "short", "standard", "val")),
    )
    for name, printed, (hparams, warmup, count, loss) in cases:
        chosen = (points["hparams"] == hparams) & (points["warmup"] == warmup)
        chosen &= (points["param_count"] == count) & (points["val"] == loss)
        shown = points[chosen].rename(columns={"n": "N", "tokens": "D", "flops": "C"})
        approaches = compare_approaches(
            shown.rename(columns={"C": "budget"}), 1e19, budget="budget", resamples=200
        )
        table = approaches.exponents
        [a, low, high] = (
            float(table.loc[table["approach"] == "2 IsoFLOP", key].iloc[0])
            for key in ("a", "a_lower", "a_upper")
        )
        rows.append((f"exponent of N*(C), {name}", printed, a, (low, high)))
    return Findings(compared(rows), lambda ax: plot.isoflop(shown, ax=ax))


def _steplaw(runs: pd.DataFrame) -> Findings:
    runs = runs.astype({"N": float, "D": float})
    runs = runs.assign(batch=2048.0 * runs["bs"], loss=runs["smooth loss"])
    laws = lr_batch(runs)
    published_regret = regret(
        laws.sweep, 1.79 * runs.N**-0.713 * runs.D**0.307, 0.58 * runs.D**0.571
    )
    rows = [
        *(
            (f"exponent of {variable} in the learning rate", value, exponent, ends)
            for (_, value, exponent, ends), variable in zip(
                parameters(laws.lr, {"a": -0.713, "b": 0.307}), "ND", strict=True
            )
        ),
        ("exponent of D in the batch", 0.571, laws.batch.params["e"], laws.batch.interval("e")),
        (
            "mean excess loss of the choice (%)",
            100 * float(published_regret.mean()),
            100 * float(laws.regret().mean()),
            None,
        ),
    ]
    tuned = runs.groupby(["N", "D", "lr"], as_index=False)["loss"].min()  # over the batch
    swept = tuned.groupby("N")["D"].agg(lambda tokens: tokens.mode().max())
    shown = tuned[tuned["D"] == tuned["N"].map(swept)]
    return Findings(compared(rows), lambda ax: plot.lr_basins(shown, ax=ax), (laws.lr, laws.batch))


_ALL = (
    Replay(
        "datablations",
        "What repeated tokens are worth",
        "Muennighoff et al. 2023, arXiv:2305.16264",
        "huggingface/datablations on GitHub",
        "Apache-2.0",
        "datablations_c4.csv",
        "The authors fix Chinchilla's surface and fit how fast repeated tokens (R_D) and excess "
        "parameters (R_N) lose their worth. The optimum is flat: another pair of constants fits "
        "as well, and the runs do not identify R_D. With nothing fixed the law fits twice as "
        "well.",
        ("N", "D", "U", "loss"),
        _datablations,
    ),
    Replay(
        "scalebench-parallel",
        "Parallel streams, predicted from cheap runs",
        "Li et al. 2026, arXiv:2604.22753; runs of Chen et al. 2025, arXiv:2505.10475",
        "PlanarG/active-sl on GitHub",
        "CC-BY-4.0",
        "scalebench_parallel.csv",
        "ScaleBench fits ten laws to a pool of runs and predicts costly ones; 0.99 is the mean of"
        " its ten laws. We fit the law of the runs' own paper.",
        ("num_params", "parallel_size", "group", "loss", "split"),
        _parallel,
    ),
    Replay(
        "scalebench-moe",
        "Routed models, predicted from cheap runs",
        "Li et al. 2026, arXiv:2604.22753; runs of Clark et al. 2022, arXiv:2202.01169",
        "PlanarG/active-sl on GitHub",
        "CC-BY-4.0",
        "scalebench_moe.csv",
        "ScaleBench fits ten laws to a pool of runs and predicts costly ones; 0.81 is the mean of"
        " its ten laws. The law of the runs' own paper has no floor, and is too high for the "
        "largest models.",
        ("dense_parameter_count", "num_experts", "loss_validation", "split"),
        _moe,
    ),
    Replay(
        "chinchilla",
        "Chinchilla's third approach, refitted",
        "Besiroglu et al. 2024, arXiv:2404.10102; points of Hoffmann et al. 2022, arXiv:2203.15556",
        "epoch-research/analyzing-chinchilla on GitHub, with columns params, tokens, loss, "
        "outlier_epoch",
        "no licence file",
        "chinchilla_points.csv",
        "240 points, read off a figure. Their optimizer stopped a little early: the same "
        "objective has a lower minimum.",
        ("params", "tokens", "loss", "outlier_epoch"),
        _chinchilla,
    ),
    Replay(
        "parscale",
        "Parallel streams",
        "Chen et al. 2025, arXiv:2505.10475",
        "QwenLM/ParScale on GitHub, with columns params, P, corpus, loss",
        "licence not seen",
        "parscale_points.csv",
        "24 models on each of two corpora.",
        ("params", "P", "corpus", "loss"),
        _parscale,
    ),
    Replay(
        "porian",
        "From Kaplan's exponent to Chinchilla's",
        "Porian et al. 2024, arXiv:2406.19146",
        "formll/resolving-scaling-law-discrepancies on GitHub, as one table of points",
        "MIT; its notice has to travel with the table",
        "isoflop_points.csv",
        "IsoFLOP minima of the same models under two ways to count, warm up and tune. The authors"
        " average over noise in another way than we do.",
        ("hparams", "warmup", "param_count", "val", "n", "tokens", "flops", "loss"),
        _porian,
    ),
    Replay(
        "steplaw",
        "A learning rate and a batch from N and D",
        "Li et al. 2025, arXiv:2503.04715",
        "step-law/steplaw on GitHub",
        "no licence file",
        "dense_lr_bs_loss.csv",
        "1,911 runs. The printed exponent of D is not what the released code finds in the "
        "released runs either; the excess loss of the choice is what counts, and it hardly "
        "differs.",
        ("N", "D", "lr", "bs", "smooth loss"),
        _steplaw,
    ),
)
REPLAYS: dict[str, Replay] = {replay.name: replay for replay in _ALL}
"""Replays by name."""
