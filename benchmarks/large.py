"""One large model on one device: tokens per second, MFU, memory, and the time of a step by part.

    python benchmarks/large.py --device cuda              # 300M and 1B, three engines, bf16
    python benchmarks/large.py --device cuda --sizes 1b --engines captured --micro-batch 4
    python benchmarks/large.py                            # a toy, on a CPU

Rates are medians of chunks of steps, after one that compiles. The MFU is against the device's dense
bfloat16 peak, by PaLM's count (full attention) and by that of causal attention. The parts of a step
are timed separately, with a wait for the device after each; those of a captured step are timed
before its capture. Kernels are torch.profiler's, in whole chunks.
"""

from __future__ import annotations

import argparse
import gc
import statistics
from collections.abc import Mapping
from itertools import islice, product

import torch
from breakdown import by_kind, kernels, parts
from loops import Setting, device, engine_of, parsed, train, transformer

from scalinglab.scaling.engine.steps.engines import ENGINES
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.flops import flop_parts
from scalinglab.scaling.records import machine
from scalinglab.scaling.run.memory import training_bytes
from scalinglab.scaling.run.step_options import StepOptions
from scalinglab.scaling.training.throughput import throughput

# Depth, width and width of a head; named by the parameters of the blocks.
SIZES = {
    "toy": (2, 64, 32),
    "300m": (24, 1024, 128),
    "700m": (24, 1536, 128),
    "1b": (20, 2048, 128),
}
ON_A_CPU = {
    "sizes": ["toy"],
    "batch": 2,
    "micro_batch": 2,
    "context": 128,
    "vocab": 1_024,
    "engines": ["eager"],
}
ON_A_GPU = {
    "sizes": ["300m", "1b"],
    "batch": 16,
    "micro_batch": 8,
    "context": 2_048,
    "vocab": 32_768,
    "engines": ["eager", "compiled", "captured_compiled"],
}


def main(words: list[str] | None = None) -> None:
    """Measure and print, engine by engine."""
    given = arguments(words)
    torch.set_num_threads(given.threads)
    print(
        f"{machine.device_name(given.device) or machine.processor()}: {given.batch} x "
        f"{given.context} tokens a step, {given.micro_batch} sequences at once, vocabulary "
        f"{given.vocab}"
    )
    for size, name in product(given.sizes, given.engines):
        setting = setting_of(size, given)
        count = parameter_counts(setting.architecture)
        print(
            f"\n{name}, depth {setting.shape.depth}, width {setting.shape.width}: "
            f"{count['n_block']:,} parameters in blocks, {count['n_total']:,} in all"
        )
        try:
            measure(name, setting, given)
        except torch.OutOfMemoryError as error:
            print(f"  did not run: {error}")
        gc.collect()  # an engine is freed by the garbage collector; the next one needs its memory


def setting_of(size: str, given: argparse.Namespace) -> Setting:
    """A model by name, and how it steps."""
    depth, width, head_dim = SIZES[size]
    shape = transformer(depth, width, head_dim, given.context, given.vocab)
    options = StepOptions(given.precision, loss_chunk=given.loss_chunk, recompute=given.recompute)
    return Setting(shape, given.batch, given.device, given.micro_batch, options)


def arguments(words: list[str] | None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", type=device)
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES))
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES))
    parser.add_argument("--batch", type=int, help="sequences of a step")
    parser.add_argument("--context", type=int)
    parser.add_argument("--vocab", type=int)
    parser.add_argument("--precision", default="bf16", choices=["fp32", "bf16"])
    parser.add_argument("--micro-batch", type=int, help="sequences at once")
    parser.add_argument("--loss-chunk", type=int, help="tokens whose logits exist at once")
    parser.add_argument("--recompute", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="of a chunk")
    return parsed(parser, words, ON_A_CPU, ON_A_GPU)


def measure(name: str, setting: Setting, given: argparse.Namespace) -> None:
    """Build one engine, run steps, and print the measurements."""
    on_gpu = setting.device != "cpu"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    engine, tokens = engine_of(name, setting), setting.tokens(given.steps)
    print(f"  first chunk       {train(engine, tokens)[0]:.1f} s")
    chunks = [train(engine, tokens)[0] for _ in range(given.rounds)]
    print_rates([chunk / given.steps for chunk in chunks], setting)
    if on_gpu:
        estimate = training_bytes(setting.architecture, given.micro_batch, options=setting.options)
        print(
            f"  peak memory       {torch.cuda.max_memory_allocated() / 1e9:.2f} GB "
            f"(estimate for fp32 {estimate / 1e9:.2f} GB)"
        )
    print_shares("of a step", parts(engine, tokens, setting.device))
    found = kernels(engine, tokens, setting.device)
    busy = sum(found.values()) / statistics.median(chunks)
    print(f"  kernels take      {busy:.1%} of the time of a chunk")
    print_shares("by kind of kernel", by_kind(found))
    print_shares("kernels", found, most=10)


def print_rates(seconds_a_step: list[float], setting: Setting) -> None:
    """Tokens a second and MFU, medians."""
    rates = [setting.tokens_per_step / s for s in seconds_a_step]
    print(
        f"  tokens per second {statistics.median(rates):,.0f} "
        f"({min(rates):,.0f} to {max(rates):,.0f})"
    )
    found = throughput(
        statistics.median(rates),
        flop_parts(setting.architecture),
        machine.device_name(setting.device),
        devices=1,
    )
    print(f"  FLOP/s            {found['flops_per_second']:.3g} by PaLM's count")
    if found["mfu"] is None:
        print("  MFU               unknown: so is the peak of this device")
    else:
        print(
            f"  MFU               {found['mfu']:.1%} by PaLM's count, {found['mfu_causal']:.1%} "
            f"with causal attention, of {found['peak_flops']:.4g} FLOP/s"
        )


def print_shares(title: str, seconds: Mapping[str, float], most: int | None = None) -> None:
    """Print shares of the time, the largest first."""
    total = sum(seconds.values()) or 1.0
    print(f"  {title}")
    for name, spent in islice(sorted(seconds.items(), key=lambda item: -item[1]), most):
        print(f"    {spent / total:6.1%}  {name[:100]}")


if __name__ == "__main__":
    main()
