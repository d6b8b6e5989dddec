"""Attention within documents: each sees itself alone, in every way to train it."""

from __future__ import annotations

import copy
import dataclasses
import itertools

import numpy as np
import pytest
import torch

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.engine.trainer.loop import Training
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.flops import flop_parts
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.run.resolve import resolve
from scalinglab.scaling.run.step_options import StepOptions

END = 3
SMALL = {"depth": 2, "width": 24, "heads": 2, "context": 12}
# Documents of 4, 1, 3 and 4 tokens, the last without its end.
TOKENS = torch.tensor([[5, 1, 7, END, END, 2, 9, END, 8, 1, 1, 6]])
LENGTHS = (4, 1, 3, 4)
OPTIONS = [{}, {"window": 3}, {"positions": "alibi"}, {"positions": "none", "queries_per_key": 2}]


def network(**mixer) -> Architecture:
    keys = {"mixer": {"within_documents": True, **mixer}}
    return architecture_of(from_dict(ModelConfig, SMALL | keys), vocab=14)


def model(architecture: Architecture, ends=(END,)) -> Transformer:
    made = Transformer(architecture, ends)
    made.load_state_dict(dict(initial_weights(architecture, seed=0)))
    return made


@pytest.mark.parametrize("options", OPTIONS)
def test_packed_documents_are_as_if_each_stood_alone(options):
    """Positions are relative, so a document is the same wherever it stands."""
    whole = model(network(**options))
    with torch.no_grad():
        packed = whole(TOKENS)
        alone = [whole(part) for part in TOKENS.split(LENGTHS, dim=1)]
    torch.testing.assert_close(packed, torch.cat(alone, dim=1))
    seen_whole = model(network(**options), ends=())(TOKENS).detach()
    assert not torch.allclose(packed[:, 5], seen_whole[:, 5], atol=1e-3)


def test_flops_are_those_without_bounds():
    plain = dataclasses.replace(network(), mixer=from_dict(ModelConfig, SMALL).mixer)
    assert flop_parts(network()) == flop_parts(plain)


ADAMW = AdamWConfig(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)


def losses(members, tokens, micro_batch=None, **options) -> np.ndarray:
    engine = EagerEngine(
        network(),
        members,
        micro_batch=micro_batch,
        options=StepOptions(excluded=(END,), **options),
    )
    lr = np.full(tokens.shape[:2], 0.003)
    return engine.train(tokens, lr, torch.Tensor.backward).loss


def test_packs_parts_of_batches_and_blocks_computed_again_train_the_same():
    members = [Member(0, ADAMW), Member(1, dataclasses.replace(ADAMW, weight_decay=0.5))]
    tokens = np.random.default_rng(0).integers(14, size=(6, 2, 4, 13))
    packed = losses(members, tokens)
    for i, member in enumerate(members):
        alone = losses([member], tokens[:, i : i + 1])
        np.testing.assert_allclose(packed[:, i], alone[:, 0], rtol=2e-5)
    for options in ({"recompute": True}, {"loss_chunk": 8}, {"micro_batch": 2}):
        np.testing.assert_allclose(losses(members[1:], tokens[:, 1:], **options), alone, rtol=2e-5)


@pytest.fixture
def tiny_store(tiny_store):
    """With a token that ends documents."""
    store = copy.copy(tiny_store)
    store.manifest = dataclasses.replace(store.manifest, excluded=(END,))
    return store


def trained(folder, chunks: int | None = None) -> str:
    asked, claim = itertools.count(1), Claim.acquire(folder, 60.0)
    training = Training(
        [claim],
        {},
        ExecutionConfig(checkpoint_seconds=1000.0),
        lambda: chunks is not None and next(asked) >= chunks,
    )
    while not training.over:
        chunk = training.next_chunk()
        training.absorb(training.engine.train(chunk.tokens, chunk.lr, torch.Tensor.backward), 0.1)
    return training.close()


def test_a_stop_leaves_no_trace(make_run, make_apart, curve_of):
    changes = {f"model.{k}": v for k, v in SMALL.items()} | {
        "model.mixer.within_documents": True,
        "tokens": 20 * 48,
        "schedule.kind": "constant",
        "schedule.warmup_tokens": 96,
    }
    folder, alone = make_run(changes), make_apart(changes)
    assert trained(alone) == "done"
    assert trained(folder, chunks=2) == "interrupted"
    assert trained(folder) == "done"
    assert folder.record().started_at_step > 0
    assert curve_of(folder) == curve_of(alone)


def test_data_without_a_token_that_ends_documents_is_refused(tiny_config, tiny_store):
    manifest = dataclasses.replace(tiny_store.manifest, excluded=())
    with pytest.raises(ConfigError, match="stays within documents, and no token of this data"):
        resolve(tiny_config({"model.mixer.within_documents": True}), manifest)
