"""Tokens per second of our engine, a bare loop, Lightning's loop, and several processes at once.

    python benchmarks/engine.py                                # on this CPU, one thread a process
    python benchmarks/engine.py --device cuda                  # everything, two hours
    python benchmarks/engine.py --device cuda --widths 64 --batches 32x256 --entries \\
        bare-compiled captured_compiled captured_compiled:16 bare-compiled@16+mps

An entry is ``LOOP[:MEMBERS][@PROCESSES][+mps][+deterministic]``: ``captured:16`` is a pack of 16,
``bare@4`` four processes at once. Each entry runs in separate processes, is warmed up, and takes
turns with the first entry, so that noise of the machine hits both. Printed: medians of the rounds
and of their ratios. Rates are of all members together. Memory is the peak per member above the
libraries', beside its estimate (``scalinglab.scaling.run.memory``, fp32).
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
from collections.abc import Iterator, Sequence

from loops import Setting, device, parsed, transformer
from teams import DidNotRun, Entry, Team, multi_process_service

from scalinglab.scaling.records import machine
from scalinglab.scaling.run.memory import training_bytes
from scalinglab.scaling.run.step_options import StepOptions

DEPTHS = {256: 6, 512: 8, 1024: 12}  # other widths: 4
ON_A_CPU = {
    "widths": [64, 128],
    "batches": [(8, 128)],
    "precision": "fp32",
    "entries": ["bare", "lightning", "eager", "eager:4", "bare@2", "eager+deterministic"],
}
ON_A_GPU = {
    "widths": [64, 128, 256, 512, 1024],
    "batches": [(32, 256), (16, 128)],  # the second is that of conf/config.yaml
    "precision": "bf16",
    "entries": [
        "bare-compiled",
        "bare",
        "bare-reduce-overhead",
        "lightning",
        "lightning-compiled",
        "eager",
        "compiled",
        "captured",
        "captured_compiled",
        "captured:16",
        "captured_compiled:4",
        "captured_compiled:16",
        "bare-compiled@4",
        "bare-compiled@16",
        "bare-compiled@4+mps",
        "bare-compiled@16+mps",
        "eager+deterministic",
        "captured+deterministic",
    ],
}


def main(words: list[str] | None = None) -> None:
    """Measure and print a table for each width and batch."""
    given = arguments(words)
    print(machine.device_name(given.device) or machine.processor(), given.precision)
    for width in given.widths:
        for batch, context in given.batches:
            depth, head_dim = DEPTHS.get(width, 4), 32 if width < 256 else 64
            shape = transformer(given.depth or depth, width, head_dim, context, 256)
            print(f"\ndepth {shape.depth}, width {width}, {batch} x {context} tokens a step")
            options = StepOptions(given.precision)
            table(Setting(shape, batch, given.device, options=options), given)


def arguments(words: list[str] | None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", type=device)
    parser.add_argument("--widths", type=int, nargs="+")
    parser.add_argument("--depth", type=int, help="default: 4, and more from width 256 on")
    parser.add_argument("--batches", type=sequences, nargs="+", help="SEQUENCESxTOKENS of a step")
    parser.add_argument("--precision", choices=["fp32", "bf16"])
    parser.add_argument("--entries", type=Entry.parse, nargs="+")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a turn")
    given = parsed(parser, words, ON_A_CPU, ON_A_GPU)
    given.entries = [e if isinstance(e, Entry) else Entry.parse(e) for e in given.entries]
    return given


def sequences(text: str) -> tuple[int, int]:
    """``32x256``: sequences, and tokens of each."""
    batch, context = text.split("x")
    return int(batch), int(context)


def table(setting: Setting, given: argparse.Namespace) -> None:
    """Measure each entry, in turns with the first."""
    first, *others = given.entries
    print(f"  {'':24s}{'tokens/s':>12s}   over {first.text:22s}MB a member (estimate)")
    with said_why(first), Team(first, setting) as reference:
        reference.warm_up(given.seconds)
        rates = [reference.rate() for _ in range(given.rounds)]
        print_line(reference, rates, rates)
        for entry in others:
            compare(entry, reference, given)


def compare(entry: Entry, reference: Team, given: argparse.Namespace) -> None:
    """Turns of an entry and of the first one."""
    with (
        said_why(entry),
        multi_process_service(entry.mps) as told,
        Team(entry, reference.setting, told) as team,
    ):
        team.warm_up(given.seconds)
        rounds = [(team.rate(), reference.rate()) for _ in range(given.rounds)]
        print_line(team, *zip(*rounds, strict=True))


@contextlib.contextmanager
def said_why(entry: Entry) -> Iterator[None]:
    """Print why an entry did not run, and continue."""
    try:
        yield
    except DidNotRun as error:
        print(f"  {entry.text:24s}did not run: {error}", flush=True)


def print_line(team: Team, rates: Sequence[float], references: Sequence[float]) -> None:
    """Print the medians of an entry, and the range of its ratios."""
    ratios = sorted(a / b for a, b in zip(rates, references, strict=True))
    over = f"{statistics.median(ratios):6.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    runs, setting = team.entry.members * team.entry.processes, team.setting
    estimate = training_bytes(setting.architecture, setting.batch)
    print(
        f"  {team.entry.text:24s}{statistics.median(rates):12,.0f}   {over:27s}"
        f"{team.peak_bytes / runs / 1e6:9,.0f} ({estimate / 1e6:,.0f})",
        flush=True,
    )


if __name__ == "__main__":
    main()
