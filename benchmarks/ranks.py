"""Memory per process of a run with several processes, beside its estimate.

Prints the peak resident memory of the ranks above that before the model was built: with initial
weights in place, and after two steps.

    python benchmarks/ranks.py [processes=2] [shard=True] [optimizer=adamw] [depth=12] [width=768]
        [vocab=10240] [context=64] [batch=2]
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.engine.steps.sharded import ShardedEngine
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.records.machine import peak_memory_bytes
from scalinglab.scaling.run.memory import training_bytes

STEPS = 2


@dataclass(frozen=True)
class Options:
    """Options of the command line; `batch` is that of one process."""

    processes: int = 2
    shard: bool = True
    optimizer: str = "adamw"
    depth: int = 12
    width: int = 768
    vocab: int = 10_240
    context: int = 64
    batch: int = 2

    @property
    def architecture(self) -> Architecture:
        """The model."""
        shape = Shape(
            self.depth, self.width, self.width // 64, 4 * self.width, self.context, self.vocab
        )
        return Architecture(shape)


def member(name: str) -> Member:
    """A run with this optimizer."""
    values = {"weight_decay": 0.1, "clip": 1.0, "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8}
    kind = OPTIMIZERS[name]
    known = kind.__dataclass_fields__
    return Member(0, kind(**{key: value for key, value in values.items() if key in known}))


def of_rank(rank: int, options: Options, meeting: str, results) -> None:
    """Bytes of one rank above its libraries: with initial weights, and after some steps."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=options.processes
    )
    before = peak_memory_bytes()
    kind = ShardedEngine if options.shard else EagerEngine
    engine = kind(options.architecture, [member(options.optimizer)])
    built = peak_memory_bytes()
    tokens = np.random.default_rng(rank).integers(
        options.vocab, size=(STEPS, 1, options.batch, options.context + 1)
    )
    engine.train(tokens, np.full((STEPS, 1), 1e-4), torch.Tensor.backward)
    results.put((built - before, peak_memory_bytes() - before))
    dist.barrier()
    dist.destroy_process_group()


def main() -> None:
    """Print the figures."""
    given = dict(word.split("=") for word in sys.argv[1:])
    kinds = {key: type(getattr(Options(), key)) for key in given}
    options = Options(
        **{
            key: value == "True" if kinds[key] is bool else kinds[key](value)
            for key, value in given.items()
        }
    )
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        meeting = str(Path(folder) / "meeting")
        ranks = [
            context.Process(target=of_rank, args=(r, options, meeting, results))
            for r in range(options.processes)
        ]
        for rank in ranks:
            rank.start()
        found = [results.get() for _ in ranks]
        for rank in ranks:
            rank.join()
    million = parameter_counts(options.architecture)["n_total"] / 1e6
    built, trained = (max(bytes_) / 1e6 for bytes_ in zip(*found, strict=True))
    estimate = training_bytes(
        options.architecture,
        options.batch,
        optimizer=options.optimizer,
        shards=options.processes if options.shard else 1,
    )
    print(
        f"{million:.1f}M parameters, {options.processes} processes, shard={options.shard}: "
        f"with weights {built:,.0f} MB, after {STEPS} steps {trained:,.0f} MB, "
        f"estimated {estimate / 1e6:,.0f} MB"
    )


if __name__ == "__main__":
    main()
