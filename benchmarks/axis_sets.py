"""Published sets, each with the law fitted to it and the axes along which runs are held out.

An axis numbers the runs by a column or a ratio, from the smallest on: budgets (the named ones, else
octaves of cost, as in `surface_sets`), D/N, D/U, N/U, streams, experts, vocabulary. Runs whose
errors are correlated are one group: those of a size, of a size and mixture, or of a sweep.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import mixtures
import numpy as np
import pandas as pd
import repetition
import scalebench
from numpy.typing import ArrayLike
from surface_sets import DEVELOPMENT, TEST, folder, octaves, surfaces

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.laws.lr_batch import BEST_BATCH, BEST_LR
from scalinglab.analysis.laws.mixing import mixing_law

Array = np.ndarray

NO_LOSSES = ("scalebench vocab", "steplaw lr", "steplaw batch")  # errors of another scale


@dataclass(frozen=True)
class Case:
    """A set, its law, and the axes of held-out runs.

    Attributes
    ----------
    name, role : str
        The role as in `surface_sets`: whether defaults may be chosen on it.
    corpus : str
        Cases of one corpus share runs: their groups are counted once.
    law : Law
    runs : DataFrame
        With the columns of the law and its response.
    axes : dict of str to array
        Axis -> the level of each run, 0 for the smallest.
    group : array
        Runs of one label have correlated errors.
    """

    name: str
    role: str
    corpus: str
    law: Law
    runs: pd.DataFrame = field(repr=False)
    axes: Mapping[str, Array] = field(repr=False)
    group: Array = field(repr=False)


def cases(only: str = "") -> Iterator[Case]:
    """All cases whose name contains a word."""
    for some in (on_surfaces, repeated, streams, experts, vocabularies, sweeps, pairs, mixed):
        yield from (case for case in some() if only in case.name)


def on_surfaces() -> Iterator[Case]:
    """The sets of `surface_sets`, with Chinchilla's law."""
    for one in surfaces():
        runs = one.runs.drop(columns="budget")
        axes = {"budget": one.runs["budget"].to_numpy(), "D/N": levels(runs["D"] / runs["N"])}
        size = np.unique(runs["N"], return_inverse=True)[1]
        yield Case(one.name, one.role, one.corpus, LAWS["chinchilla"], runs, axes, size)


def repeated() -> Iterator[Case]:
    """All runs of arXiv:2305.16264, most of them on repeated tokens."""
    runs = repetition.read()[["N", "D", "U", "loss"]]
    N, D, U = runs["N"], runs["D"], runs["U"]
    axes = {
        "budget": levels(N * D),
        "D/N": levels(D / N),
        "D/U": levels(D / U),
        "N/U": levels(N / U),
    }
    name = "datablations, repeated"
    yield Case(name, TEST, name, LAWS["data_constrained"], runs, axes, N.to_numpy())


def streams() -> Iterator[Case]:
    """Parallel streams, two corpora (arXiv:2505.10475); all runs saw the same number of tokens."""
    points = pd.read_csv(folder() / "parscale" / "parscale_points.csv")
    for corpus, runs in points.rename(columns={"params": "N"}).groupby("corpus"):
        runs = runs.reset_index(drop=True)
        size = (runs.groupby("P")["N"].rank() - 1).to_numpy(int)
        axes = {"budget": size, "streams": numbered(runs["P"])}
        yield Case(
            f"parscale {corpus}", TEST, f"parscale {corpus}", LAWS["parscale"], runs, axes, size
        )


def experts() -> Iterator[Case]:
    """Routed models, all trained on the same number of tokens (ScaleBench, arXiv:2604.22753)."""
    runs = _both_parts("moe")
    size, number = runs["n_active"], runs["experts"]
    axes = {
        "budget": numbered(size),
        "experts": numbered(number),
        "experts/size": levels(number / size),
    }
    yield Case("scalebench moe", TEST, "moe", LAWS["routed"], runs, axes, size.to_numpy())


def vocabularies() -> Iterator[Case]:
    """Vocabulary sizes (same source). The loss minus a unigram model's loss may be negative."""
    runs = _both_parts("vocab")
    axes = {
        "budget": levels(runs["N"] * runs["D"]),
        "D/N": levels(runs["D"] / runs["N"]),
        "vocabulary/size": levels(runs["N_vocab"] / runs["N"]),
    }
    runs = runs.assign(run=runs.groupby(["N", "vocab_size"]).ngroup())
    yield Case(
        "scalebench vocab", TEST, "vocab", LAWS["vocabulary"], runs, axes, runs["N"].to_numpy()
    )


def sweeps() -> Iterator[Case]:
    """The best LR and batch of 17 sweeps (arXiv:2503.04715): runs within .25 % of their best."""
    runs = pd.read_csv(folder() / "steplaw" / "dense_lr_bs_loss.csv")
    runs = runs.assign(batch=2048.0 * runs["bs"], loss=runs["smooth loss"])
    runs = runs[["N", "D", "lr", "batch", "loss"]].astype(float)
    cell = runs.groupby(["N", "D"])
    good = runs["loss"] <= 1.0025 * cell["loss"].transform("min")
    runs = runs.assign(cluster=cell.ngroup())[good].reset_index(drop=True)
    axes = {"budget": levels(runs["N"] * runs["D"]), "D/N": levels(runs["D"] / runs["N"])}
    for law in (BEST_LR, BEST_BATCH):
        name = f"steplaw {law.response}"
        yield Case(name, TEST, name, law, runs, axes, runs["cluster"].to_numpy())


def pairs() -> Iterator[Case]:
    """From the loss on one corpus to that of the same model on another (arXiv:2411.12925)."""
    own = {s.name.split()[1]: s.runs for s in surfaces("loss_to_loss") if s.entry == "loss_to_loss"}
    for one, other in (("fineweb_100b", "slimpajama"), ("fineweb_100b", "starcoder")):
        known = own[one].rename(columns={"loss": "loss_a"})[["N", "C", "loss_a"]]
        runs = known.merge(own[other][["N", "C", "loss"]], on=["N", "C"])
        name = f"loss_to_loss {one} to {other}"
        axes = {"budget": numbered(runs["C"])}
        yield Case(name, DEVELOPMENT, name, LAWS["loss_to_loss"], runs, axes, runs["N"].to_numpy())


def mixed() -> Iterator[Case]:
    """38 mixtures of seven domains, six sizes; losses on each domain and on another set."""
    runs, pools = mixtures.read()
    group = (runs["mixture"].astype(str) + " " + runs["N"].astype(str)).to_numpy()
    for target in (*pools, "openhermes"):
        law = mixing_law(mixtures.in_order(pools, target))
        own = runs.assign(loss=runs[f"loss.{target}"])
        axes = {"budget": numbered(runs["N"])}
        yield Case(f"mixtures {target}", TEST, "mixtures", law, own, axes, group)


def levels(values: ArrayLike) -> Array:
    """Octaves below the largest value, of at least three runs, numbered from the smallest."""
    at = np.asarray(values, float)
    return numbered(-octaves(np.log2(at.max() / at)))


def numbered(values: ArrayLike) -> Array:
    """Rank of each value among the distinct values, from the smallest."""
    return np.unique(np.asarray(values), return_inverse=True)[1]


def _both_parts(task: str) -> pd.DataFrame:
    parts = [scalebench.read(task, part) for part in ("train", "test")]
    return pd.concat(parts, ignore_index=True)


def fitted(case: Case, seen: Array, resamples: int) -> analysis.Result:
    """The law of a case with its defaults, fitted to the runs of a fold."""
    return analysis.fit(case.law, case.runs[seen], resamples=resamples)
