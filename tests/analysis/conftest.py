"""Points and curves made by known laws, and published ones where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.laws import LAWS


@pytest.fixture(scope="session")
def public_data() -> Path:
    """Folder of published runs; the test is skipped where there is none."""
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("SCALING_PUBLIC_DATA", default))
    if not folder.is_dir():
        pytest.skip("no published runs: set SCALING_PUBLIC_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def chinchilla_points(public_data) -> pd.DataFrame:
    """Epoch's 240 points of Hoffmann et al., figure 4 (arXiv:2404.10102)."""
    table = pd.read_csv(public_data / "chinchilla" / "chinchilla_points.csv")
    return table[~table.outlier_epoch].rename(columns={"params": "N", "tokens": "D"})


@pytest.fixture(scope="session")
def published_curves(public_data) -> pd.DataFrame:
    """The 25M curves of arXiv:2503.12811 with their learning rate at every step."""
    curves = pd.read_csv(public_data / "multipowerlaw" / "mpl_curves.csv")
    schedules = pd.read_parquet(public_data / "multipowerlaw" / "schedules.parquet")
    measured = curves.loc[curves.model == "25M", ["schedule", "step", "loss"]]
    whole = schedules.merge(measured, on=["schedule", "step"], how="left")
    return whole.rename(columns={"schedule": "run"})


def surface(sizes: int = 6, budgets: int = 6) -> pd.DataFrame:
    """A grid of N and D."""
    N, D = np.meshgrid(np.geomspace(1e7, 3e9, sizes), np.geomspace(1e9, 1e11, budgets))
    return pd.DataFrame({"N": N.ravel(), "D": D.ravel()})


def one_variable(points: int = 24) -> pd.DataFrame:
    """A range of x."""
    return pd.DataFrame({"x": np.geomspace(1e6, 1e11, points)})


def repeated() -> pd.DataFrame:
    """A grid of N and D, each with all its tokens unique and with some of them repeated."""
    return pd.concat([surface().assign(U=lambda f, r=r: f.D / r) for r in (1, 4, 16, 64)])


def pools() -> pd.DataFrame:
    """Three pools of data, each seen up to twenty times."""
    seen, U = np.meshgrid([0.3, 1.0, 1.5, 3.0, 7.5, 20.0], [1e6, 1e7, 1e8])
    return pd.DataFrame({"D": (seen * U).ravel(), "U": U.ravel()})


def streams() -> pd.DataFrame:
    """A grid of N and P."""
    N, P = np.meshgrid(np.geomspace(5e8, 5e9, 6), [1.0, 2.0, 4.0, 8.0])
    return pd.DataFrame({"N": N.ravel(), "P": P.ravel()})


def experts() -> pd.DataFrame:
    """Sizes and numbers of experts, as arXiv:2202.01169 trained them."""
    N, E = np.meshgrid(np.geomspace(1.5e7, 1.3e9, 6), 2.0 ** np.arange(10))
    return pd.DataFrame({"n_active": N.ravel(), "experts": E.ravel()})


def mixtures() -> pd.DataFrame:
    """Sizes, tokens and numbers of experts, up to where more of them no longer count."""
    axes = np.geomspace(8e7, 2.7e9, 4), np.geomspace(5e8, 8e10, 4), [1.0, 2, 8, 32, 128, 512]
    N, D, E = np.meshgrid(*axes)
    return pd.DataFrame({"n_active": N.ravel(), "D": D.ravel(), "experts": E.ravel()})


def activations() -> pd.DataFrame:
    """Shares of active experts, granularities and budgets, as arXiv:2507.17702 has them."""
    A, G, C = np.meshgrid(2.0 ** -np.arange(2, 8), [1.0, 2, 4, 8, 16], [1e18, 1e19, 1e20, 3e20])
    return pd.DataFrame({"A": A.ravel(), "G": G.ravel(), "C": C.ravel()})


def loops() -> pd.DataFrame:
    """Sizes of which a part is run up to eight times, and tokens."""
    N, D, times = np.meshgrid(np.geomspace(3e7, 1e9, 4), np.geomspace(5e8, 3e10, 4), [1.0, 2, 4, 8])
    part = np.where(times > 1, 0.6, 1.0) * N
    columns = {"N": N, "N_loop": part, "loops": times, "D": D}
    return pd.DataFrame({name: column.ravel() for name, column in columns.items()})


def vocabularies() -> pd.DataFrame:
    """A grid of sizes, vocabularies and tokens."""
    axes = np.geomspace(3e7, 1.1e9, 4), np.geomspace(2e6, 2e8, 4), np.geomspace(6e7, 5e10, 4)
    N, N_vocab, D = np.meshgrid(*axes)
    return pd.DataFrame({"N": N.ravel(), "N_vocab": N_vocab.ravel(), "D": D.ravel()})


def shares() -> pd.DataFrame:
    """Sizes, tokens of continued training, and shares of the corpus of the loss in them."""
    axes = np.geomspace(5e8, 4e9, 4), np.geomspace(1e8, 2.6e10, 6), [0, 0.05, 0.1, 0.3, 0.6, 1]
    N, D, r = np.meshgrid(*axes)
    return pd.DataFrame({"N": N.ravel(), "D": D.ravel(), "r": r.ravel()})


def batches() -> pd.DataFrame:
    """Sizes, steps and batch sizes, the latter on both sides of the critical batch."""
    N, steps, batch = np.meshgrid(
        np.geomspace(1e6, 1e9, 4), np.geomspace(1e3, 1e5, 5), np.geomspace(1e4, 1e7, 4)
    )
    return pd.DataFrame({"N": N.ravel(), "steps": steps.ravel(), "batch": batch.ravel()})


def schedules(steps: int = 600, every: int = 20) -> pd.DataFrame:
    """Three schedules with a warm-up of 50 steps; `measured` marks where a loss would be."""
    step = np.arange(steps)
    warm = np.minimum(step / 50, 1)
    shapes = {
        "constant": np.ones(steps),
        "cosine": 0.55 + 0.45 * np.cos(np.pi * step / steps),
        "wsd": np.clip((steps - step) / (0.2 * steps), 0.1, 1),
    }
    runs = [
        pd.DataFrame({"run": name, "step": step, "lr": 3e-3 * warm * shape})
        for name, shape in shapes.items()
    ]
    frame = pd.concat(runs, ignore_index=True)
    return frame.assign(measured=(frame.step % every == 0) & (frame.step >= 60))


def sized_schedules() -> pd.DataFrame:
    """The three schedules at four sizes."""
    sizes = (1e7, 3e7, 1e8, 3e8)
    tables = [schedules().assign(N=N, run=lambda f, N=N: f.run + f" {N:g}") for N in sizes]
    return pd.concat(tables, ignore_index=True)


# A table and the parameters that made it, for each law.
EXAMPLES: dict[str, tuple[Callable[[], pd.DataFrame], dict[str, float]]] = {
    "chinchilla": (surface, dict(E=1.7, A=400.0, alpha=0.34, B=1800.0, beta=0.37)),
    "power": (lambda: pd.DataFrame({"x": np.geomspace(1e15, 1e20, 12)}), dict(x0=1e27, a=0.05)),
    "power_plus_constant": (
        lambda: pd.DataFrame({"x": np.geomspace(1e15, 1e20, 12)}),
        dict(L_inf=1.7, x0=1e17, a=0.15),
    ),
    "kaplan_nd": (surface, dict(N_c=8.8e13, alpha_N=0.076, D_c=5.4e13, alpha_D=0.095)),
    "skaling": (surface, dict(E=1.7, A=400.0, alpha=0.34, B=1800.0, beta=0.37, g=0.7)),
    "farseer": (
        surface,
        {
            **dict(E=1.5, E_slope=-0.12, E_bend=0.17, B=230.0, B_slope=-1.1, B_bend=-0.1),
            **dict(beta=0.31, beta_slope=-0.19, beta_bend=0.12),
        },
    ),
    "data_constrained": (
        repeated,
        dict(E=1.7, A=400.0, alpha=0.34, B=1800.0, beta=0.37, R_D=15.0, R_N=5.0),
    ),
    "repetition_penalty": (
        repeated,
        dict(E=1.7, A=400.0, alpha=0.34, B=1800.0, beta=0.37, P=0.05, delta=0.8, kappa=0.5),
    ),
    "d_cpt": (
        shares,
        {
            **dict(E=0.8, A=400.0, alpha=0.34, B=300.0, beta=0.32),
            **dict(eta=0.25, C=0.3, gamma=0.6, epsilon=0.1),
        },
    ),
    "best_lr": (surface, dict(c=1.79, a=-0.713, b=0.307)),
    "best_batch": (surface, dict(d=0.58, e=0.571)),
    "critical_batch": (
        lambda: pd.DataFrame({"batch": np.geomspace(1e4, 1e7, 12)}),
        dict(S_min=2e4, B_crit=5e5),
    ),
    "critical_batch_at_loss": (
        lambda: pd.DataFrame({"loss": np.linspace(2.2, 4.5, 10)}),
        dict(B_star=2.1e8, alpha_B=0.21),
    ),
    "m1": (one_variable, dict(b=60.0, c=0.12)),
    "m2": (one_variable, dict(b=900.0, c=0.4, e=1.7)),
    "m3": (one_variable, dict(b=900.0, c=0.35, d=3e7, e=1.7)),
    "m4": (one_variable, dict(b=2e3, c=0.5, e=1.7, e0=9.0, a=2.0)),
    "shifted_power": (one_variable, dict(a=900.0, b=3e7, c=0.35, d=1.7)),
    "bnsl": (one_variable, dict(a=1.2, b=30.0, c0=0.1, c1=0.3, d1=1e9, f1=0.4)),
    "overtrained": (surface, dict(E=1.8, a=140.0, b=190.0, eta=0.121)),
    "task_error": (
        lambda: pd.DataFrame({"loss": np.linspace(2.2, 6.0, 16)}),
        dict(eps=0.87, k=2.5, gamma=0.8),
    ),
    "parscale": (streams, dict(E=0.69, A=1.13e7, alpha=0.19, k=0.39)),
    "routed": (experts, dict(LAWS["routed"].reference)),
    "joint_moe": (mixtures, dict(LAWS["joint_moe"].reference)),
    "efficiency_leverage": (activations, dict(LAWS["efficiency_leverage"].reference)),
    "looped": (loops, dict(E=1.57, A=23.0, alpha=0.199, B=1300.0, beta=0.369, phi=0.459)),
    "vocabulary": (
        vocabularies,
        dict(E=5.533, A1=880.0, alpha1=0.447, A2=2080.0, alpha2=0.671, B=22400.0, beta=0.447),
    ),
    "loss_to_loss": (
        lambda: pd.DataFrame({"loss_a": np.linspace(2.2, 5.0, 16)}),
        dict(K=1.1, E_a=1.7, kappa=0.9, E_b=2.0),
    ),
    "kaplan_steps": (
        batches,
        dict(N_c=6.5e13, alpha_N=0.077, S_c=2.1e3, alpha_S=0.76, B_star=2.1e8, alpha_B=0.21),
    ),
    "two_budget": (
        lambda: surface().rename(columns={"D": "m", "N": "n"}),
        dict(E=0.2, a=600.0, alpha=0.35, b=40.0, beta=0.3),
    ),
    "avg_params": (
        lambda: surface().rename(columns={"N": "N_mean"}),
        dict(E=1.7, A=400.0, alpha=0.34, B=1800.0, beta=0.37),
    ),
    "task_accuracy": (
        lambda: pd.DataFrame({"task_loss": np.linspace(0.3, 1.6, 24)}),
        dict(low=0.25, high=0.92, k=6.0, middle=0.8),
    ),
    "task_pass_rate": (
        lambda: pd.DataFrame({"x": np.geomspace(1e7, 1e10, 12)}),
        dict(x0=3e9, a=0.4),
    ),
    "quality_quantity": (pools, dict(d=1.5, a=40.0, b=0.2, tau=3.0)),
    "lr_annealing": (schedules, dict(L0=2.5, A=0.9, alpha=0.45, C=0.8, lam=0.985)),
    "multi_power": (
        schedules,
        dict(L0=2.5, A=0.9, alpha=0.45, B=100.0, C=2.0, beta=0.6, gamma=0.65),
    ),
    "fading_power": (
        schedules,
        dict(L0=2.5, A=0.9, alpha=0.45, B=50.0, C=2.0, beta=0.6, gamma=0.65),
    ),
    "functional": (schedules, dict(L0=2.5, c1=0.9, s=0.45, c2=60.0, c3=1.2, c4=20.0, g=0.6)),
    "joint_annealing": (
        sized_schedules,
        dict(L0=2.0, A=0.9, alpha=0.45, B=0.5, beta=0.3, C=0.8, gamma=0.1, lam=0.985),
    ),
    "size_annealing": (
        sized_schedules,
        dict(L0=2.0, lS=0.9, aS=0.45, lN=0.5, aN=0.3, lM=0.02),
    ),
}


@pytest.fixture(scope="session")
def made_by() -> Callable[..., tuple[pd.DataFrame, dict[str, float]]]:
    """``made_by("chinchilla", noise=.01)``: a table that the law made, and its parameters."""

    def make(name: str, noise: float = 0.0, seed: int = 0) -> tuple[pd.DataFrame, dict[str, float]]:
        law = LAWS[name]
        build, params = EXAMPLES[name]
        frame = build()
        values = np.array([[params[p] for p in law.names]])
        made = law.predict(values, law.read(frame))[0]
        made = made * np.exp(noise * np.random.default_rng(seed).standard_normal(len(frame)))
        if "measured" in frame:
            made = np.where(frame.pop("measured"), made, np.nan)
        return frame.assign(**{law.response: made}), params

    return make


@pytest.fixture(scope="module")
def untested_sharing() -> Iterator[None]:
    """Tests of sharing take most of a comparison's time; `arms/test_comparison.py` has them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "scalinglab.analysis.arms.compare_arms.sharing_tests", lambda *_: pd.DataFrame()
        )
        yield
