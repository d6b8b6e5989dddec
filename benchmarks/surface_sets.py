"""Published surfaces: runs with N, D and a loss, with the role of each set in choosing defaults.

Adding a set is one entry of `SETS`, or one file in the folder that `held_out.py --folder` names.
A reader yields surfaces; those of one entry share runs or authors, and are left out together where
defaults are chosen.

`development`: sets that defaults may be chosen on, always by leaving one entry out. The widening
beyond the range (`scalinglab.analysis.intervals.rolling`) was developed on them. `test`: only
scored.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scoring import SEED_NOISE

DEVELOPMENT, TEST = "development", "test"
FEWEST = 3  # runs of a budget without a name


@dataclass(frozen=True)
class Surface:
    """One loss of one recipe on one corpus.

    Attributes
    ----------
    name : str
    runs : DataFrame
        ``N, D, loss``, ``C`` (the named budget where the runs have one, else 6 N D), ``budget``
        (its number, from the smallest on) and ``run`` (rows of one training).
    role : str
    entry : str
        The entry of `SETS` that it comes from.
    corpus : str
        Surfaces of one corpus share runs: their sizes are not independent groups.
    noise : float
        Standard deviation of log loss between seeds.
    """

    name: str
    runs: pd.DataFrame = field(repr=False)
    role: str
    entry: str
    corpus: str
    noise: float = SEED_NOISE


@dataclass(frozen=True)
class Entry:
    """A published set and its reader.

    Attributes
    ----------
    role : str
    read : callable
        Folder of all sets -> (name, runs) of each surface. Surfaces whose names agree up to a comma
        are of one corpus.
    noise : float
        Standard deviation of log loss between seeds.
    """

    role: str
    read: Callable[[Path], Iterator[tuple[str, pd.DataFrame]]]
    noise: float = SEED_NOISE


def surfaces(only: str = "", more: Path | None = None) -> Iterator[Surface]:
    """All surfaces whose name contains a word; also those of a folder's files."""
    for entry, how in SETS.items():
        for name, runs in how.read(folder()):
            if only in name:
                corpus = name.partition(",")[0]
                yield Surface(name, with_budgets(runs), how.role, entry, corpus, how.noise)
    for path in sorted(more.glob("*.csv")) if more else ():
        if only in path.stem:
            runs = pd.read_csv(path)
            yield Surface(path.stem, with_budgets(runs), TEST, path.stem, path.stem)


def with_budgets(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with `C`, and the number of the budget of each.

    Named budgets are kept. Else the runs of an octave of 6 N D, counted down from the largest, are
    of one budget, and of more octaves until they are three: the runs of a ladder have as many
    budgets as sizes and ratios.
    """
    runs = runs.dropna(subset=["N", "D", "loss"]).astype({"N": float, "D": float})
    if "C" in runs:
        budget = np.unique(runs.C, return_inverse=True)[1]
    else:
        runs = runs.assign(C=6 * runs.N * runs.D)
        budget = np.unique(-octaves(np.log2(runs.C.max() / runs.C)), return_inverse=True)[1]
    if "run" not in runs:
        runs = runs.assign(run=np.arange(len(runs)))
    return runs.assign(budget=budget).reset_index(drop=True)


def octaves(below: np.ndarray) -> np.ndarray:
    """The number of each run's budget, counted down from the largest by octaves."""
    octave, number = np.floor(below + 1e-9), np.zeros(len(below))
    at, held = 0, 0
    for each in np.unique(octave):
        if held >= FEWEST:
            at, held = at + 1, 0
        number[octave == each] = at
        held += int((octave == each).sum())
    return number


def chinchilla(data: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Figure 4 of arXiv:2203.15556, read off three times: all curves twice, the IsoFLOPs once."""
    points = pd.read_csv(data / "chinchilla" / "chinchilla_points.csv")
    points = points[~points.outlier_epoch]
    yield (
        "massivetext, curves",
        points.rename(columns={"params": "N", "tokens": "D"})[["N", "D", "loss"]],
    )
    yield "massivetext, curves again", pd.read_csv(data / "takano" / "df.csv")[["N", "D", "loss"]]
    yield "massivetext, isoflops", isoflops(data, "massivetext")


def comma(data: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Marin's IsoFLOPs on Comma (arXiv:2603.22339)."""
    yield "comma isoflops", isoflops(data, "comma")


def isoflops(data: Path, dataset: str) -> pd.DataFrame:
    names = {"params": "N", "tokens": "D", "budget": "C"}
    runs = pd.read_csv(data / "isoflops" / "isoflops.csv").rename(columns=names)
    return runs[~runs.outlier & (runs.dataset == dataset)][["N", "D", "C", "loss"]]


def porian(data: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Ten IsoFLOP sweeps of arXiv:2406.19146."""
    runs = pd.read_csv(data / "porian" / "isoflop_points.csv")
    runs = runs.rename(columns={"n": "N", "tokens": "D", "flops": "C"})
    for key, some in runs.groupby(["hparams", "warmup", "decay", "param_count", "val"]):
        yield f"porian {' '.join(key[:3])}, {' '.join(key[3:])}", some[["N", "D", "C", "loss"]]


OWN = {"fineweb-100b": "fineweb_100b", "slimpajama-chunk1": "slimpajama", "starcoder": "starcoder"}


def loss_to_loss(data: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """IsoFLOP sweeps on three corpora, each on its own validation set (arXiv:2411.12925)."""
    table = pd.read_csv(data / "loss_to_loss" / "sweep.csv")
    table = table.rename(columns={"params": "N", "tokens": "D", "iso_flop": "C"})
    for corpus, name in OWN.items():
        runs = table[table.data == corpus]
        loss = runs[f"eval/{name}_val/CrossEntropyLoss"]
        yield f"loss_to_loss {name}", runs.assign(loss=loss)[["N", "D", "C", "loss"]]


def gadre(data: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Five sizes, D/N from 5 to 640, two corpora (arXiv:2403.08540)."""
    table = pd.read_csv(data / "gadre" / "gadre_models.csv")
    for corpus, runs in table.groupby("dataset_name"):
        yield f"gadre {corpus}", runs.assign(loss=runs.loss_c4_val)[["N", "D", "loss"]]


def gemstones(data: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """22 shapes, checkpoints every 10 B tokens (arXiv:2502.06857)."""
    runs = pd.read_json(data / "gemstones" / "hot.jsonl", lines=True)
    names = {"params_active_precise": "N", "tokens": "D", "final_loss": "loss", "run_name": "run"}
    yield "gemstones", runs.rename(columns=names)[["run", "N", "D", "loss"]]


LADDER_SIZES = {"190M": 190354176, "370M": 371262464, "760M": 758220288}
LADDER_SIZES |= {"1B": 1279395840, "3B": 3169537280}


def olmo_ladder(data: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Five sizes, five D/N (arXiv:2412.04403), on two validation sets."""
    steps = pd.read_parquet(data / "olmo_ladder" / "ladder_runs.parquet")
    steps = steps.sort_values("_step", kind="stable")
    last = steps[~steps.run.str.contains("rerun")].groupby("run").tail(1)
    N = last.run.str.split("-").str[0].map(LADDER_SIZES).astype(float)
    D = last["throughput/total_tokens"].astype(float)
    for name in ("c4_en", "pile"):
        loss = last[f"eval/{name}-validation/CrossEntropyLoss"].astype(float)
        yield f"olmo_ladder {name}", pd.DataFrame({"N": N, "D": D, "loss": loss})


def steplaw(data: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """The best run of each of 17 sweeps of LR and batch (arXiv:2503.04715)."""
    runs = pd.read_csv(data / "steplaw" / "dense_lr_bs_loss.csv")
    best = runs.groupby(["N", "D"], as_index=False)["smooth loss"].min()
    yield "steplaw best", best.rename(columns={"smooth loss": "loss"})


def datablations(data: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """The runs of arXiv:2305.16264 that repeat nothing."""
    runs = pd.read_csv(data / "datablations" / "c4_fit_182.csv")
    yield "datablations one epoch", runs[runs.epochs <= 1][["N", "D", "loss"]]


def mixtures(data: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Four mixtures of SlimPajama with five trained sizes, mean loss of seven domains."""
    table = pd.read_csv(data / "mixtures" / "train.csv.gz")
    losses = [name for name in table if name.endswith("_loss") and name != "openhermes_loss"]
    table = table.rename(columns={"model_size": "N", "n_tokens": "D"})
    table = table.assign(loss=table[losses].mean(axis=1), run=table.N)
    weights = [name for name in table if name.startswith("weight")]
    whole = [runs for _, runs in table.groupby(weights) if runs.N.nunique() >= 5]
    for k in range(0, len(whole), max(len(whole) // 4, 1)):
        yield f"mixtures {k}", whole[k][["run", "N", "D", "loss"]]


def revisiting(data: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Checkpoints of five models (arXiv:2209.06640), about eight losses per octave."""
    runs = pd.read_csv(data / "revisiting" / "train.csv")
    runs = runs[(runs.Domain == "LM") & (runs.Task == "val_loss")].drop_duplicates()
    runs = runs.assign(N=runs.Model.astype(float), D=runs["Seen Examples"], loss=runs.Loss)
    place = np.round(4 * np.log2(runs.D))
    some = runs.sort_values("D").groupby([runs.N, place]).tail(1)
    yield "revisiting lm", some.assign(run=some.N)[["run", "N", "D", "loss"]]


SETS = {
    "chinchilla": Entry(DEVELOPMENT, chinchilla, noise=0.004),  # read off a colour scale
    "comma": Entry(DEVELOPMENT, comma),
    "porian": Entry(DEVELOPMENT, porian),
    "loss_to_loss": Entry(DEVELOPMENT, loss_to_loss),
    "gadre": Entry(TEST, gadre),
    "gemstones": Entry(TEST, gemstones),
    "olmo_ladder": Entry(TEST, olmo_ladder),
    "steplaw": Entry(TEST, steplaw),
    "datablations": Entry(TEST, datablations),
    "mixtures": Entry(TEST, mixtures),
    "revisiting": Entry(TEST, revisiting),
}


def folder() -> Path:
    """Where the published runs are."""
    default = Path(__file__).parents[2] / "shared" / "data"
    found = Path(os.environ.get("SCALING_PUBLIC_DATA", default))
    if not found.is_dir():
        raise SystemExit("no published runs: set SCALING_PUBLIC_DATA to their folder")
    return found
