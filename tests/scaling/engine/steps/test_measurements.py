"""What is measured in between is what it says, and changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from scalinglab.scaling.engine.network.attention_calls import AttentionCalls
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.engine.steps.measurements import MEASURED_BY, Subject, measure, noise_scale
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.run.measurements import MEASUREMENTS, Measurement
from scalinglab.scaling.run.step_options import StepOptions

SMALL = Architecture(Shape(depth=2, width=16, heads=2, mlp_width=64, context=16, vocab=11))
ADAMW = AdamWConfig(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)
TOKENS = np.random.default_rng(0).integers(11, size=(6, 3, 8, 17))
LR = np.full((6, 3), 0.01)


def engine(k=3, **options):
    return EagerEngine(SMALL, [Member(seed, ADAMW) for seed in range(k)], **options)


def train(target, steps=slice(None), k=3):
    return target.train(TOKENS[steps, :k], LR[steps, :k], torch.Tensor.backward)


def plain(target, member):
    model = Transformer(SMALL)
    state = target.state(member)
    model.load_state_dict({n: state[f"weight/{n}"] for n, _ in model.named_parameters()})
    return model


def test_a_batch_in_parts_measures_the_same():
    """No more logits exist at once than training makes."""
    whole, parts = engine(), engine(micro_batch=3)
    names = ["activations", "logits"]
    expected, found = whole.measure(names, TOKENS[0]), parts.measure(names, TOKENS[0])
    for one, other in zip(expected, found, strict=True):
        assert len(one) == 5 and one == pytest.approx(other, rel=1e-5)


def test_the_names_that_may_be_given_are_those_there_are():
    assert set(MEASUREMENTS) == set(MEASURED_BY)


def test_a_column_that_is_not_declared_is_refused(monkeypatch):
    narrow = dict(MEASUREMENTS.items()) | {"logits": Measurement(("logit_rms",))}
    monkeypatch.setattr("scalinglab.scaling.engine.steps.measurements.MEASUREMENTS", narrow)
    with pytest.raises(ConfigError, match="'logits' gives the column 'logit_max' and declares"):
        engine().measure(["logits"], TOKENS[0])


@pytest.mark.parametrize("k", [1, 3])
def test_measuring_changes_no_bit(k):
    expected, target = train(engine(k), k=k), engine(k)
    target.watched = True
    first = train(target, slice(3), k)
    target.measure(list(MEASUREMENTS), TOKENS[3, :k])
    second = train(target, slice(3, None), k)
    assert np.array_equal(np.concatenate([first.loss, second.loss]), expected.loss)


@pytest.mark.parametrize("micro_batch", [None, 1, 3])
def test_the_noise_scale_is_that_of_gradients_taken_one_by_one(micro_batch):
    target = engine(micro_batch=micro_batch)
    train(target)
    found = target.measure(["noise_scale"], TOKENS[0])
    part = {None: 2, 1: 1, 3: 2}[micro_batch]
    for i in range(3):
        model, gradients = plain(target, i), []
        for part_tokens in torch.from_numpy(TOKENS[0, i]).split(part):
            model.zero_grad()
            logits = model(part_tokens[:, :-1]).flatten(0, 1)
            torch.nn.functional.cross_entropy(logits, part_tokens[:, 1:].flatten()).backward()
            gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]).double())
        small = torch.stack(gradients).square().sum(1).mean()
        big = torch.stack(gradients).mean(0).square().sum()
        signal = (128 * big - 16 * part * small) / (128 - 16 * part)
        noise = (small - big) / (1 / (16 * part) - 1 / 128)
        assert found[i]["gradient_signal"] == pytest.approx(signal.item(), rel=1e-4)
        assert found[i]["gradient_noise"] == pytest.approx(noise.item(), rel=1e-4)
        assert found[i]["noise_scale"] == pytest.approx((noise / signal).item(), rel=1e-3)


def test_the_noise_scale_of_known_gradients():
    """Gradients G + e of one sequence with known variance: the means of both estimates are true."""
    random = torch.Generator().manual_seed(0)
    mean, deviation, size = torch.full((50,), 0.3), 2.0, 4

    def gradients(tokens_kbT):
        spread = deviation / tokens_kbT.shape[1] ** 0.5
        return mean + spread * torch.randn(1, 50, generator=random)

    tokens = torch.zeros(1, 16, 5, dtype=torch.long)
    subject = Subject(torch.nn.Identity(), {}, None, tokens, size, gradients)
    found = [noise_scale(subject) for _ in range(3000)]
    signal, noise = (
        torch.stack([f[c] for f in found]).mean().item()
        for c in ("gradient_signal", "gradient_noise")
    )
    assert signal == pytest.approx(50 * 0.3**2, rel=0.05)
    assert noise == pytest.approx(50 * deviation**2 * 4, rel=0.02)  # of one of the 4 tokens


def test_one_sequence_has_no_noise_scale():
    assert engine(1).measure(["noise_scale"], TOKENS[0, :1, :1]) == [{}]


def test_activations_and_logits_are_those_of_the_plain_model():
    target = engine()
    train(target)
    found = target.measure(["activations", "logits"], TOKENS[0])
    for i in range(3):
        model, tokens = plain(target, i), torch.from_numpy(TOKENS[0, i, :, :-1])
        streams = []
        for block in model.blocks:
            block.register_forward_hook(lambda _, __, out: streams.append(out.detach()))
        logits = model(tokens).detach()
        expected = {f"activation_rms.{n}": s.square().mean().sqrt() for n, s in enumerate(streams)}
        expected |= {"logit_rms": logits.square().mean().sqrt(), "logit_max": logits.abs().max()}
        expected["log_partition"] = logits.exp().sum(-1).log().mean()
        assert found[i].keys() == expected.keys()
        for name, value in expected.items():
            assert found[i][name] == pytest.approx(value.item(), rel=1e-4)


def test_several_streams_are_measured_as_the_head_reads_them():
    target = EagerEngine(replace(SMALL, residual="hyper"), [Member(0, ADAMW)])
    train(target, k=1)
    (found,) = target.measure(["activations"], TOKENS[0, :1])
    model, seen = Transformer(replace(SMALL, residual="hyper")), []
    state = target.state(0)
    model.load_state_dict({n: state[f"weight/{n}"] for n, _ in model.named_parameters()})
    for block in model.blocks:
        block.register_forward_hook(lambda _, __, out: seen.append(out.detach().mean(-2)))
    model(torch.from_numpy(TOKENS[0, 0, :, :-1]))
    expected = {f"activation_rms.{n}": float(s.square().mean().sqrt()) for n, s in enumerate(seen)}
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_run_in_bfloat16_is_measured_in_bfloat16():
    target = engine(1, options=StepOptions(precision="bf16"))
    names = ["logits", "attention"]
    (found,), (whole,) = (t.measure(names, TOKENS[0, :1]) for t in (target, engine(1)))
    calls, model, tokens = AttentionCalls(), plain(target, 0), torch.from_numpy(TOKENS[0, 0])
    calls.begin(1.0)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), calls:
        logits = model(tokens[:, :-1])
    assert found["logit_max"] == float(logits.float().abs().max()) != whole["logit_max"]
    assert found["attention_logit_max"] == pytest.approx(max(calls.logit_max))
    assert whole["attention_logit_max"] != found["attention_logit_max"]


@pytest.mark.parametrize("micro_batch", [None, 3])
def test_gradients_and_attention_are_those_of_the_plain_model(micro_batch):
    target = engine(micro_batch=micro_batch)
    train(target)
    found = target.measure(["gradients", "attention"], TOKENS[0])
    for i in range(3):
        model, tokens = plain(target, i), torch.from_numpy(TOKENS[0, i])
        calls = AttentionCalls()
        calls.begin(1.0)
        with calls:
            logits = model(tokens[:, :-1]).flatten(0, 1)
        torch.nn.functional.cross_entropy(logits, tokens[:, 1:].flatten()).backward()
        rms = {n: p.grad.square().mean().sqrt().item() for n, p in model.named_parameters()}
        expected = {f"gradient_rms.{n}": value for n, value in rms.items()}
        expected |= {f"attention_logit_max.{n}": v for n, v in enumerate(calls.logit_max)}
        expected |= {f"attention_entropy.{n}": v for n, v in enumerate(calls.entropy)}
        expected["gradient_rms_min"] = min(rms.values())
        expected["attention_logit_max"] = max(calls.logit_max)
        assert found[i] == pytest.approx(expected, rel=2e-3)
        assert len(calls.entropy) == 2 and 0 < min(calls.entropy) <= 1


def test_updates_are_the_difference_that_the_last_step_made():
    target = engine()
    train(target, slice(5))
    before = [target.state(i) for i in range(3)]
    target.watched = True
    train(target, slice(5, None))
    found = target.measure(["updates"], TOKENS[0])
    for i in range(3):
        after = target.state(i)
        for name, _ in Transformer(SMALL).named_parameters():
            now, then = after[f"weight/{name}"], before[i][f"weight/{name}"]
            for column, value in ((f"weight_rms.{name}", now), (f"update_rms.{name}", now - then)):
                expected = value.square().mean().sqrt().item()
                assert found[i][column] == pytest.approx(expected, rel=1e-5)


def test_updates_that_nobody_watched_are_not_there():
    target = engine(1)
    train(target, k=1)
    assert target.measure(["updates"], TOKENS[0, :1]) == [{}]


def test_top_singular_values_are_those_of_the_decomposition():
    target = engine()
    train(target)
    found = target.measure(["singular_values"], TOKENS[0])
    matrices = [
        n
        for n, p in Transformer(SMALL).named_parameters()
        if n.startswith("blocks") and p.dim() == 2
    ]
    for i in range(3):
        state = target.state(i)
        assert set(found[i]) == {f"top_singular_value.{n}" for n in matrices}
        for n in matrices:
            exact = torch.linalg.matrix_norm(state[f"weight/{n}"], 2).item()
            assert exact * 0.98 < found[i][f"top_singular_value.{n}"] < exact * 1.0001


def test_a_run_records_columns_at_its_validations(make_run, train_run, elsewhere, curve_of):
    """Also over an interruption, and its curve is that of a run that was not measured."""
    measured = {"execution.measure": ["logits", "updates", "noise_scale"]}
    folder, plain_run = make_run(measured), elsewhere()
    assert folder.run_id == plain_run.run_id
    asked = iter([False] * 6 + [True])
    assert train_run(folder, should_stop=lambda: next(asked)) == "interrupted"
    assert train_run(folder) == "done"
    columns = folder.record().measured
    assert columns["step"] == [31, 32, 33, 35, 36, 37, 38, 40]
    assert {len(values) for values in columns.values()} == {8}
    assert all(v > 0 for v in columns["logit_rms"] + columns["update_rms.head.weight"])
    assert curve_of(folder) == curve_of(plain_run)
    assert plain_run.record().measured == {"step": []}


def test_members_of_a_pack_are_measured_each(make_run, train_run, elsewhere):
    measured = {"execution.measure": ["logits"]}
    folders = [make_run(measured | {"seed": seed}) for seed in (1, 2)]
    assert train_run(*folders) == "done"
    alone = elsewhere(measured | {"seed": 2}).record().measured
    found = folders[1].record().measured
    assert found["logit_max"] == pytest.approx(alone["logit_max"], rel=1e-2)
    assert found["logit_max"] != folders[0].record().measured["logit_max"]


def test_logits_are_those_of_the_objective_and_a_parameter_may_be_one_number():
    """A network of anybody's: its logits are scaled by the loss, its parameters of any shape."""
    weights = {"weight": torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(0))}
    tokens = torch.arange(10).view(2, 1, 5) % 5
    model = torch.nn.Embedding(5, 5)
    found = measure(["logits"], Subject(model, weights, None, tokens, 1, id, multiplier=0.5))
    for i in range(2):
        logits = 0.5 * weights["weight"][i][tokens[i, 0, :-1]]
        assert found[i]["log_partition"] == pytest.approx(logits.logsumexp(-1).mean().item())
        assert found[i]["logit_max"] == pytest.approx(logits.abs().max().item())
    gradient = torch.tensor([[2.0, 3.0, 4.0], [5.0, 6.0, 8.0]])
    shapes = {"scale": torch.zeros(2), "pair": torch.zeros(2, 2)}
    found = measure(["gradients"], Subject(model, shapes, None, tokens, 1, lambda _: gradient))
    assert [row["gradient_rms.scale"] for row in found] == [2, 5]


def test_nothing_is_measured_without_a_name():
    assert measure([], Subject(torch.nn.Identity(), {}, None, torch.zeros(2, 1, 3), 1, id)) == [
        {},
        {},
    ]
