"""Whether torch.compile gets each part as one graph, and how far its steps are from eager ones.

    OMP_NUM_THREADS=1 python benchmarks/compiled_parts.py [--device cuda] [--only "experts" ...]

Three steps of a tiny model per part. Printed: graphs of the forward pass (aim: one), graphs
compiled again in later steps (aim: none), seconds of the first step, and the largest relative
difference of the losses. On a CPU with one thread most parts take half a minute of processor time,
nearly all of it in compilers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from loops import Setting, device, engine_of, train, transformer
from torch import nn
from torch._dynamo.utils import counters

from scalinglab.scaling.engine.steps.eager import Member
from scalinglab.scaling.engine.steps.engines import ENGINES
from scalinglab.scaling.model.feed_forwards.low_rank import LowRank as LowRankFeedForward
from scalinglab.scaling.model.feed_forwards.moe import MoE
from scalinglab.scaling.model.linears.low_rank import LowRank
from scalinglab.scaling.model.linears.monarch import Monarch
from scalinglab.scaling.model.mixers.attention import Attention
from scalinglab.scaling.model.mixers.gated_linear import GatedLinear
from scalinglab.scaling.model.module import MODELS, ModuleNetwork
from scalinglab.scaling.model.norms.dyt import DyT
from scalinglab.scaling.model.residuals.hyper import Hyper
from scalinglab.scaling.model.residuals.layer_scale import LayerScale
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.run.step_options import StepOptions

STEPS = 3
PARTS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "experts": {"feed_forward": MoE(experts=4)},
    "experts without capacity, balanced by bias": {
        "feed_forward": MoE(experts=4, capacity=None, balance="bias", shared=1)
    },
    "within documents": {"mixer": Attention(within_documents=True)},
    "window, ALiBi, one key": {
        "mixer": Attention(window=5, positions="alibi", queries_per_key=None)
    },
    "gated linear attention": {"mixer": GatedLinear(chunk=8)},
    "hyper-connections": {"residual": Hyper()},
    "layer scale": {"residual": LayerScale()},
    "low-rank matrices": {"linear": LowRank()},
    "low-rank feed-forward": {"feed_forward": LowRankFeedForward()},
    "Monarch": {"linear": Monarch(blocks=2)},
    "DyT": {"norm": DyT()},
    "loops and dropout": {"loops": 2, "dropout": 0.1},
    "a module of one's own": {},
}


class Small(nn.Module):
    """A network of the user's own."""

    def __init__(self, vocab: int, width: int = 16) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.gate, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.head = nn.Linear(width, vocab)

    def forward(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        """Logits of a gated mean of the tokens before."""
        x_BTD = self.embedding(tokens_BT)
        places_T1 = torch.arange(1, x_BTD.shape[-2] + 1, device=x_BTD.device)[:, None]
        mean_BTD = self.value(x_BTD).cumsum(-2) / places_T1
        return self.head(x_BTD + self.gate(x_BTD).sigmoid() * mean_BTD)


def main() -> None:
    """Print a line for each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", type=device)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    given = parser.parse_args()
    MODELS.register("small")(Small)
    for name in given.only:
        print(f"{name:45} {line(name, given.device)}", flush=True)


def line(name: str, where: str) -> str:
    """The result of a part."""
    setting = Setting(
        transformer(depth=1, width=16, head_dim=8, context=16, vocab=32),
        batch=2,
        device=where,
        options=StepOptions(excluded=(3,)),
        model=PARTS[name],
    )
    own = name == "a module of one's own"
    tokens = setting.tokens(STEPS).astype(np.int64)
    engines = {}
    for kind in ("eager", "compiled"):
        torch._dynamo.reset()
        counters.clear()
        start = time.perf_counter()
        if own:
            network, members = (
                ModuleNetwork("small", {}, 16, 32),
                [Member(0, OPTIMIZERS["adamw"]())],
            )
            engine = ENGINES[kind](network, members, where)
        else:
            engine = engine_of(kind, setting)
        _, first = train(engine, tokens[:1])
        seconds, graphs = time.perf_counter() - start, counters["stats"]["unique_graphs"]
        _, rest = train(engine, tokens[1:])
        engines[kind] = np.concatenate([first, rest])
    ran = engine.ran
    off = np.abs(engines["compiled"] / engines["eager"] - 1).max()
    again = counters["stats"]["unique_graphs"] - graphs
    breaks = sum(counters["graph_break"].values())
    why = "" if ran.why is None else f" ({ran.why})"
    return (
        f"{ran.engine}{why}: {graphs} graph(s), {breaks} break(s), {again} made again, first step "
        f"{seconds:.0f} s, losses off by {off:.1e}"
    )


if __name__ == "__main__":
    main()
