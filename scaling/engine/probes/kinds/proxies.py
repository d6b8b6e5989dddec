"""Zero-cost proxies of the loss, from initial weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from scalinglab.scaling.engine.probes.model import Model, hooked
from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.probes.kinds.proxies import Proxies


@PROBED_BY.register("proxies")
def proxies(probe: Proxies, reading: Reading) -> dict[str, float]:
    """``grad_norm``, ``snip``, ``fisher``, ``log_synflow``, ``naswot`` and the initial ``loss``."""
    weights, batch = reading.weights(), reading.next_batch()
    model = reading.model_of(weights)
    gradients = {name: g.double().cpu() for name, g in model.gradients(batch).items()}
    products = {name: gradients[name] * weights[name].double() for name in gradients}
    numbers = {
        "grad_norm": float(sum(g.square().sum() for g in gradients.values()) ** 0.5),
        "snip": float(sum(p.abs().sum() for p in products.values())),
        "fisher": float(sum(p.square().sum() for p in products.values())),
        "naswot": naswot(model, batch),
        "loss": model.loss(batch),
    }
    return numbers | {"log_synflow": log_synflow(reading, weights, batch)}


def log_synflow(reading: Reading, weights: dict[str, Tensor], batch: Any) -> float:
    """Log of the sum of |w dR/dw| over weights; R is the sum of logits with |w| (2006.05467).

    Layers of norms make R nearly independent of the size of matrices before them; their order over
    shapes stays.
    """
    model = reading.model_of({name: w.abs() for name, w in weights.items()})
    tokens = torch.from_numpy(batch[:1, :-1].copy()).long().to(model.device)
    model.network(tokens).double().sum().backward()
    total = sum(
        float((p.detach().double() * p.grad.double()).abs().sum())
        for p in model.network.parameters()
        if p.grad is not None
    )
    return float(torch.tensor(total, dtype=torch.float64).log())


@torch.no_grad()
def naswot(model: Model, batch: Any) -> float:
    """Log determinant of the matrix of equal signs of all linear outputs between sequences."""
    linear = [m for m in model.network.modules() if isinstance(m, nn.Linear)]
    signs: list[list[Tensor]] = [[] for _ in linear]

    def keep(place: int, given: Any, out: Tensor) -> None:
        signs[place].append((out.detach() > 0).flatten(1).cpu())

    with hooked(linear, keep):
        parts = sum(1 for _ in model.logits(batch))
    size = len(batch)
    kernel = torch.zeros(size, size, dtype=torch.float64)
    for of_module in signs:
        turns = len(of_module) // parts  # where blocks are run several times
        for turn in range(turns):
            pattern = torch.cat(of_module[turn::turns]).double()
            kernel += pattern @ pattern.T + (1 - pattern) @ (1 - pattern).T
    scaled = kernel / kernel.diagonal().mean()
    return float(torch.linalg.slogdet(scaled)[1])
