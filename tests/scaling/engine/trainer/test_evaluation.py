"""What is exported is what validation was measured with."""

import numpy as np
import pytest
import torch

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.engine.trainer.checkpoint import load_checkpoint
from scalinglab.scaling.engine.trainer.evaluation import evaluation_weights
from scalinglab.scaling.engine.trainer.trainer import train
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.prefixes import stored_checkpoints
from scalinglab.scaling.records.state import Outcome


@pytest.mark.parametrize("optimizer", ["adamw", "schedule_free", "muon"])
def test_the_loss_of_the_weights_is_that_of_the_record(optimizer, make_run, tiny_store):
    changes = {"optimizer.name": optimizer, "tokens": 64 * 8}
    if optimizer == "schedule_free":
        changes |= {"schedule": {"kind": "constant", "warmup_tokens": 128}}
    folder = make_run(changes)
    claim = Claim.acquire(folder, 60.0)
    assert claim is not None
    assert train([claim], {}, ExecutionConfig()) == Outcome.DONE
    run = folder.spec()
    checkpoint = load_checkpoint(dict(stored_checkpoints(folder.outputs, run.science))[8])
    model = Transformer(run.architecture)
    model.load_state_dict(evaluation_weights(run, checkpoint))
    windows = torch.from_numpy(tiny_store.validation_batch(512, 16).astype(np.int64))
    with torch.no_grad():
        logits = model(windows[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
    assert loss.item() == pytest.approx(checkpoint.curve.validation[8], rel=1e-5)
