"""Every optimizer trains a run, stops, goes on to the same bits, and packs."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from scalinglab.scaling.data.mixed import open_planned
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.engine.optimizers.optimizer import UPDATES
from scalinglab.scaling.engine.trainer.checkpoint import load_checkpoint
from scalinglab.scaling.records.prefixes import stored_checkpoints

LR = {"sgd": 0.1, "lion": 1e-3, "normalized": 0.1, "adafactor": 0.02, "muon": 0.02}
COLUMNS = ["loss", "grad_norm", "validation_loss"]


def changes(name, **own):
    return {"optimizer.name": name, "optimizer.lr": LR.get(name, 0.01), "tokens": 64 * 20} | own


@pytest.mark.parametrize("name", UPDATES)
def test_twenty_steps_stopped_packed_and_alone(
    make_run, train_run, elsewhere, curve_of, tiny_store, name
):
    """One curve however it came about, and it goes down."""
    folder, alone = make_run(changes(name)), elsewhere(changes(name))
    asked = iter((False, True))
    assert train_run(folder, should_stop=lambda: next(asked)) == "interrupted"
    assert train_run(folder) == "done"
    assert 0 < folder.record().started_at_step < 20
    assert curve_of(folder) == curve_of(alone)
    frame = pd.read_csv(alone.curve_file())
    assert frame["loss"].iloc[-3:].mean() < frame["loss"].iloc[:3].mean() - 0.01

    members = [make_run(changes(name, seed=seed)) for seed in (1, 2, 3)]
    assert train_run(*members) == "done"
    packed, solo = members[2], elsewhere(changes(name, seed=3))
    pd.testing.assert_frame_equal(
        pd.read_csv(packed.curve_file())[COLUMNS],
        pd.read_csv(solo.curve_file())[COLUMNS],
        rtol=2e-3 if name in ("lion", "soap") else 1e-4,
    )


def test_the_final_loss_of_schedule_free_is_that_of_the_average(make_run, train_run):
    """Measured again by hand, from the checkpoint of the end."""
    folder = make_run(changes("schedule_free"))
    train_run(folder)
    (step, path), *_ = stored_checkpoints(folder.outputs, folder.record().spec.science)
    state, run = load_checkpoint(path).state, folder.spec()
    assert step == 20
    model = Transformer(run.architecture)
    windows = open_planned(run, folder.outputs).validation_batch(512, 16)
    tokens = torch.from_numpy(windows).long()

    def loss(weights):
        logits = torch.func.functional_call(model, weights, (tokens[:, :-1],))
        return float(
            torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        )

    trained = {k[7:]: v for k, v in state.items() if k.startswith("weight/")}
    # y = (1 - beta1) z + beta1 x
    average = {n: (y - 0.1 * state[f"iterate/{n}"]) / 0.9 for n, y in trained.items()}
    final = folder.record().final.validation_loss
    assert final == pytest.approx(loss(average), rel=1e-5)
    assert abs(final - loss(trained)) > 1e-4
