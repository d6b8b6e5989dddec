"""Processor time of dropless experts: one grouped product of torch against one product an expert.

    python benchmarks/experts.py                       # of this processor, in one thread

Forward and backward pass of the experts of one block on tokens that are sorted by expert, with even
loads, by turns. Both give the same numbers to rounding; the largest difference is printed, too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from scalinglab.scaling.engine.network import grouped
from scalinglab.scaling.engine.network.feed_forwards import experts as modules
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.shape import Shape

Product = Callable[[Tensor, Tensor, Tensor], Tensor]
WIDTH = 128


def main(words: list[str] | None = None) -> None:
    """Print a row for each number of experts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--experts", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--tokens", type=int, default=4096, help="rows of all experts together")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args(words)
    torch.set_num_threads(1)
    if not grouped.has_grouped_product("cpu", torch.float32):
        raise SystemExit("this torch has no grouped product on CPUs: there is nothing to compare")
    for experts in given.experts:
        show(experts, given.tokens, given.rounds)


def show(count: int, tokens: int, rounds: int) -> None:
    """Measure experts as wide together as a dense feed-forward of four times the width."""
    shape = Shape(depth=1, width=WIDTH, heads=4, mlp_width=4 * WIDTH, context=tokens, vocab=256)
    experts = modules.Experts(Architecture(shape), count, max(16, 4 * WIDTH * 8 // count))
    for parameter in experts.parameters():
        torch.nn.init.normal_(parameter, std=WIDTH**-0.5)
    x_ND = torch.randn(tokens, WIDTH)
    load_E = torch.full((count,), tokens // count)
    seconds: dict[str, list[float]] = {"grouped": [], "loop": []}
    outputs = {}
    products: dict[str, Product] = {
        "grouped": grouped.grouped_linear,
        "loop": grouped._one_by_one,
    }
    for _ in range(rounds):
        for name, product in products.items():
            outputs[name], spent = timed(experts, product, x_ND, load_E)
            seconds[name].append(spent)
    ratios = [loop / one for loop, one in zip(seconds["loop"], seconds["grouped"], strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    difference = float((outputs["loop"] - outputs["grouped"]).abs().max())
    print(
        f"{count} experts of width {experts.up.weight.shape[1]}: {tokens} tokens in "
        f"{statistics.median(seconds['grouped']):.3f} s, a loop takes "
        f"{statistics.median(ratios):.2f} times as long (quarters {low:.2f}, {high:.2f}); largest "
        f"difference {difference:.1e}",
        flush=True,
    )


def timed(
    experts: modules.Experts, product: Product, x_ND: Tensor, load_E: Tensor
) -> tuple[Tensor, float]:
    """The output by a product, and the processor's seconds of both passes."""
    chosen, modules.grouped_linear = modules.grouped_linear, product
    experts.zero_grad()
    start = time.process_time()
    try:
        y_ND = experts.sorted(x_ND, load_E)
        y_ND.square().sum().backward()
    finally:
        modules.grouped_linear = chosen
    return y_ND.detach(), time.process_time() - start


if __name__ == "__main__":
    main()
