"""What torch lacks against a plain loop over one tensor, written from the paper."""

import math

import pytest
import torch

from scalinglab.scaling.engine.network.stacked import split
from scalinglab.scaling.engine.optimizers.muon import orthogonalised

members = pytest.mark.parametrize("member", range(3))


class Plain:
    """One tensor of one member as torch's optimizers see it: `param_groups` and `step`."""

    def __init__(self, parameter, rule, decay, values):
        self.w, self.rule, self.decay, self.values = parameter, rule, decay, values
        self.param_groups = [{}]
        self.state = {"t": 0}

    @torch.no_grad()
    def step(self):
        self.state["t"] += 1
        self.w.copy_(
            self.rule(
                self.w.clone(),
                self.w.grad.clone(),
                self.param_groups[0]["lr"],
                self.decay,
                self.state,
                **self.values,
            )
        )


def assert_follows(lab, torch_trained, member, name, rule, tolerance=2e-5, **own):
    trained = lab.Trained(lab.settings(name, **own)).run()
    values = lab.ADAM[member] | own
    expected = torch_trained(member, lambda n, p, decay: Plain(p, rule, decay, values))
    for n in lab.SIZES:
        torch.testing.assert_close(
            trained.tensor(n, member), expected[n], rtol=tolerance, atol=tolerance / 10, msg=n
        )


@members
def test_lion(lab, torch_trained, member):
    def lion(w, g, lr, decay, state, beta1, beta2, epsilon):
        m = state.get("m", torch.zeros_like(w))
        state["m"] = beta2 * m + (1 - beta2) * g
        return w - lr * ((beta1 * m + (1 - beta1) * g).sign() + decay * w)

    assert_follows(lab, torch_trained, member, "lion", lion)


@members
def test_schedule_free(lab, torch_trained, member):
    """In the paper's own terms: z, x and y = (1 - beta1) z + beta1 x, never y alone."""

    def schedule_free(y, g, lr, decay, state, beta1, beta2, epsilon):
        z, x = state.get("z", y), state.get("x", y)
        state["v"] = beta2 * state.get("v", torch.zeros_like(y)) + (1 - beta2) * g * g
        step = g / ((state["v"] / (1 - beta2 ** state["t"])).sqrt() + epsilon) + decay * y
        state["lr"] = max(state.get("lr", 0.0), lr)
        state["sum"] = state.get("sum", 0.0) + state["lr"] ** 2
        c = state["lr"] ** 2 / state["sum"]
        state["z"] = z - lr * step
        state["x"] = (1 - c) * x + c * state["z"]
        return (1 - beta1) * state["z"] + beta1 * state["x"]

    assert_follows(lab, torch_trained, member, "schedule_free", schedule_free, 1e-4)
    averages = []

    def build(n, p, decay):
        averages.append((n, Plain(p, schedule_free, decay, lab.ADAM[member])))
        return averages[-1][1]

    torch_trained(member, build)
    trained = lab.Trained(lab.settings("schedule_free")).run()
    found = split(trained.optimizer.evaluation_weights(trained.weights), lab.SIZES)
    for n, plain in averages:
        torch.testing.assert_close(found[n][member], plain.state["x"], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(found[n][member], trained.tensor(n, member), atol=1e-3)


@members
def test_adamp(lab, torch_trained, member):
    projected = set()

    def adamp(w, g, lr, decay, state, beta1, beta2, epsilon, delta, decay_ratio):
        t = state["t"]
        state["m"] = beta1 * state.get("m", torch.zeros_like(w)) + (1 - beta1) * g
        state["v"] = beta2 * state.get("v", torch.zeros_like(w)) + (1 - beta2) * g * g
        p = state["m"] / (1 - beta1**t) / ((state["v"] / (1 - beta2**t)).sqrt() + epsilon)
        for rows in [w.shape[0], 1] if w.dim() > 1 else []:
            W, G, S = w.view(rows, -1), g.view(rows, -1), p.view(rows, -1)
            cosine = torch.stack(
                [abs(a @ b) / a.norm() / b.norm() for a, b in zip(W, G, strict=True)]
            )
            projected.add(bool(cosine.max() < delta / math.sqrt(W.shape[1])))
            if cosine.max() < delta / math.sqrt(W.shape[1]):
                p = torch.stack(
                    [s - (s @ a) / (a @ a) * a for s, a in zip(S, W, strict=True)]
                ).view_as(p)
                decay *= decay_ratio
                break
        return w - lr * (p + decay * w)

    assert_follows(lab, torch_trained, member, "adamp", adamp, delta=1.5, decay_ratio=0.1)
    assert projected == {True, False}


@members
def test_normalized(lab, member):
    """The norm is that of all tensors together."""
    decay, clip = lab.COMMON[member]["weight_decay"], lab.COMMON[member]["clip"]
    decayed = torch.cat(
        [torch.full((size.numel(),), lab.RULES[n].weight_decay) for n, size in lab.SIZES.items()]
    )
    w, m = lab.start()[member], torch.zeros_like(lab.start()[member])
    for s, g in enumerate(lab.gradients()[:, member]):
        m = 0.9 * m + 0.1 * g * min(1.0, clip / float(g.norm()))
        w = w - lab.LR[s, member] * (m / m.norm() + decay * decayed * w)
    found = lab.Trained(lab.settings("normalized")).run()
    torch.testing.assert_close(found.weights[member], w, rtol=2e-5, atol=2e-6)


@members
def test_soap(lab, torch_trained, member):
    """Algorithm 3 for one matrix; everything else is AdamW's.

    A square one: the first gradient of any other leaves a part of its basis to rounding.
    """

    def soap(w, g, lr, decay, state, beta1, beta2, epsilon, refresh_steps):
        t, zero = state["t"], torch.zeros_like(w)
        state["L"] = beta2 * state.get("L", torch.zeros(len(w), len(w))) + (1 - beta2) * g @ g.T
        n = w.shape[1]
        state["R"] = beta2 * state.get("R", torch.zeros(n, n)) + (1 - beta2) * g.T @ g
        if t == 1:
            state["QL"], state["QR"] = (torch.linalg.eigh(state[k])[1].flip(-1) for k in "LR")
            return w - lr * decay * w
        QL, QR = state["QL"], state["QR"]
        state["m"] = beta1 * state.get("m", zero) + (1 - beta1) * g
        state["v"] = beta2 * state.get("v", zero) + (1 - beta2) * (QL.T @ g @ QR) ** 2
        scale = (state["v"] / (1 - beta2 ** (t - 1))).sqrt() + epsilon
        step = QL @ (QL.T @ state["m"] @ QR / (1 - beta1 ** (t - 1)) / scale) @ QR.T
        if (t - 1) % refresh_steps == 0:
            for Q, M, dim in (("QL", "L", 0), ("QR", "R", 1)):
                order = torch.diag(state[Q].T @ state[M] @ state[Q]).argsort(descending=True)
                state["v"] = state["v"].index_select(dim, order)
                state[Q] = torch.linalg.qr(state[M] @ state[Q][:, order])[0]
        return w - lr * (step + decay * w)

    def build(name, parameter, decay):
        if lab.RULES[name].role == "hidden":
            return Plain(parameter, soap, decay, lab.ADAM[member] | {"refresh_steps": 5})
        betas = (lab.ADAM[member]["beta1"], lab.ADAM[member]["beta2"])
        return torch.optim.AdamW(
            [parameter], betas=betas, eps=lab.ADAM[member]["epsilon"], weight_decay=decay
        )

    expected = torch_trained(member, build)
    trained = lab.Trained(lab.settings("soap", refresh_steps=5)).run()
    for n in ("square", "embedding", "gain", "head"):
        torch.testing.assert_close(trained.tensor(n, member), expected[n], rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(8, 8), (4, 32), (32, 4)], ids=str)
def test_the_iteration_sends_singular_values_near_one(size):
    """And keeps the singular vectors: what comes out is U S' V^T with S' in (0.5, 1.5)."""
    matrices = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    found = orthogonalised(matrices, steps=8)
    assert found.shape == matrices.shape
    u, _, vt = torch.linalg.svd(matrices, full_matrices=False)
    inside = u.mT @ found @ vt.mT
    values = torch.diagonal(inside, dim1=-2, dim2=-1)
    assert values.min() > 0.5 and values.max() < 1.5
    torch.testing.assert_close(inside, torch.diag_embed(values), rtol=0, atol=1e-3)
