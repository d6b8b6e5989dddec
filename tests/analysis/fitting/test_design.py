import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis


@pytest.fixture(scope="module")
def runs(made_by):
    table, _ = made_by("chinchilla", noise=0.005)
    return table


def _warnings(table, law="chinchilla", **options):
    return " ".join(analysis.fit(law, table, **{"resamples": 0, **options}).warnings)


def test_a_good_grid_is_not_warned_of(runs):
    assert analysis.fit("chinchilla", runs, resamples=200).warnings == ()


def test_sizes_and_tokens_that_rise_together_are_named(runs):
    rng = np.random.default_rng(0)
    N = np.geomspace(1e7, 3e9, 20)
    together = pd.DataFrame({"N": N, "D": 20 * N * np.exp(0.05 * rng.standard_normal(20))})
    together["loss"] = 1.7 + 400 / together.N**0.34 + 1800 / together.D**0.37
    assert "N and D are confounded (correlation 1.000" in _warnings(together)
    budget = together.assign(D=1e19 / together.N * np.exp(0.05 * rng.standard_normal(20)))
    budget["loss"] = 1.7 + 400 / budget.N**0.34 + 1800 / budget.D**0.37
    assert "N and D are confounded (correlation -" in _warnings(budget)


def test_three_sizes_are_too_few(runs):
    three = runs[runs.N.isin(np.unique(runs.N)[:3])]
    assert "N has only 3 different values" in _warnings(three)
    jittered = three.assign(N=three.N * (1 + 1e-4 * np.arange(len(three)) / len(three)))
    assert "N has only 3 different values" in _warnings(jittered)
    assert "different values" not in _warnings(runs[runs.N.isin(np.unique(runs.N)[:4])])


def test_an_exponent_at_its_bound_says_what_the_points_show(runs):
    flat = runs.assign(loss=2 + 1800 / runs.D**0.37)
    flat.loc[flat.N == flat.N.min(), "loss"] += 1
    assert "the data show a step, not a power law" in _warnings(flat)
    bounded = _warnings(runs, bounds={"alpha": (0.5, 1)})
    assert "alpha is not identified: it ended on the bound 0.5 that was given" in bounded


def test_unfinished_runs_are_counted(runs):
    status = np.where(np.arange(len(runs)) < 3, "running", "done")
    assert "3 of 36 rows come from unfinished runs" in _warnings(runs.assign(status=status))
    stopped = runs.assign(steps=1000, step=np.where(runs.index < 2, 400, 1000))
    assert "2 of 36 rows come from unfinished runs" in _warnings(stopped)
    diverged = np.where(np.arange(len(runs)) < 3, "diverged", "done")
    assert _warnings(runs.assign(status=diverged)) == ""


def test_points_inside_a_schedule_are_named(runs):
    checkpoints = runs.assign(run_id=runs.N.astype(str), schedule="cosine")
    assert "6 runs have points at several lengths of one schedule" in _warnings(checkpoints)
    assert _warnings(checkpoints.assign(schedule="constant")) == ""
    assert _warnings(checkpoints.assign(run_id=runs.index.astype(str))) == ""


def test_constant_runs_among_annealed_ones_are_named(runs):
    mixed = runs.assign(schedule=np.where(runs.index < 6, "constant", "wsd"))
    assert "6 of 36 points end at a constant learning rate" in _warnings(mixed)
    arms = _warnings(mixed, arm="schedule", shared=["E", "A", "alpha", "B", "beta"][:3])
    assert "constant learning rate" not in arms


def test_mixed_conventions_are_named(runs):
    vocab = runs.assign(vocab=np.where(runs.index < 5, 256, 50257))
    assert "column 'vocab' has 2 values (256, 50257): losses per token" in _warnings(vocab)
    arms = _warnings(runs.assign(dataset=["a", "b"] * 18), arm="dataset", shared=["E", "alpha"])
    assert "column 'dataset'" not in arms
    counts = runs.assign(n_block=0.8 * runs.N, n_total=runs.N)
    assert _warnings(counts) == ""
    mixed = counts.assign(N=np.where(runs.index < 18, counts.n_block, counts.n_total))
    assert "N is n_block in some rows, n_total in others" in _warnings(mixed)
    ways = runs.assign(n_count=["n_block", "n_total"] * 18)
    assert "column 'n_count' has 2 values (n_block, n_total): N is counted in" in _warnings(ways)
    C = 6 * runs.N * runs.D
    budgets = runs.assign(C=np.where(runs.index < 7, C, 1.2 * C))
    found = _warnings(budgets, "power_plus_constant", x="C")
    assert "C is 6 N D in 7 of 36 rows" in found
    assert "C is 6 N D" not in _warnings(budgets)


def _well_specified(kind, seed):
    """Points that the law made, with nothing wrong with them."""
    rng = np.random.default_rng(seed)
    if kind == "one variable":
        C = np.geomspace(1e16, 1e21, 16)
        noise = np.exp(0.002 * rng.standard_normal(16))
        runs = pd.DataFrame({"C": C, "loss": (1.7 + (1e18 / C) ** 0.15) * noise})
        return analysis.fit("power_plus_constant", runs, x="C", resamples=200, seed=seed)
    count = 120
    N = np.exp(rng.uniform(np.log(1e7), np.log(3e9), count))
    if kind == "grid":
        sizes, budgets = np.geomspace(1e7, 3e9, 7), np.geomspace(1e9, 1e11, 7)
        N, D = (a.ravel() for a in np.meshgrid(sizes, budgets))
    elif kind == "band":
        D = N * np.exp(rng.uniform(np.log(5), np.log(100), count))
    else:
        D = rng.choice(np.geomspace(3e18, 3e20, 5), count) / 6 / N
    heavy = kind == "isoflops"
    luck = 0.003 * (rng.standard_t(4, len(N)) if heavy else rng.standard_normal(len(N)))
    loss = (1.7 + 400 / N**0.34 + 1800 / D**0.37) * np.exp(luck)
    runs = pd.DataFrame({"N": N, "D": D, "C": 6 * N * D, "loss": loss, "status": "done"})
    runs["vocab"], runs["n_matmul"], runs["n_total"] = 256, N, 1.1 * N
    return analysis.fit("chinchilla", runs, resamples=200, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grid", "band", "isoflops", "one variable"])
def test_warnings_do_not_cry_wolf(kind):
    alarms = [bool(_well_specified(kind, seed).warnings) for seed in range(100)]
    assert np.mean(alarms) < 0.1


def test_rows_that_differ_in_what_the_law_does_not_read_are_no_copies(runs):
    of_tokens = runs.assign(loss=np.round(2 + 1800 / runs.D**0.37, 3))
    assert "repeat others" not in _warnings(of_tokens, "power_plus_constant", x="D")
    twice = pd.concat([of_tokens, of_tokens.iloc[:5]])
    assert "5 rows repeat others to the last digit" in _warnings(
        twice, "power_plus_constant", x="D"
    )


@pytest.mark.parametrize(
    ("column", "values", "named"),
    [
        (
            "recipe",
            ('{"batch":4,"optimizer":{"name":"adamw"}}', '{"batch":4,"optimizer":"b"}'),
            "optimizer",
        ),
        ("recipe", ("tuned", "plain"), "recipe"),
        ("optimizer", ("adamw", "muon"), "optimizer"),
    ],
)
def test_two_recipes_in_one_law_are_told_as_a_plan_tells_them(runs, column, values, named):
    said = f"these runs mix recipes ({named}): one law is fitted to all of them"
    two = pd.concat([runs.assign(**{column: value}) for value in values], ignore_index=True)
    assert said in analysis.fit("chinchilla", two, resamples=0).warnings
    assert "mix recipes" not in _warnings(two, arm=column)
    assert "mix recipes" not in _warnings(runs.assign(**{column: values[0]}))
    assert "mix recipes" not in _warnings(runs.assign(**{column: np.nan}))
    sides = two.assign(side=np.where(two.N < 1e8, "a", "b"))
    assert said in _warnings(sides, arm="side")  # each arm is two recipes
