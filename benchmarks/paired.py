"""Processor time of the quickstart's steps by two versions of the code, in turns.

    git worktree add --detach /tmp/older COMMIT
    python benchmarks/paired.py /tmp/older              # against the tree of this file
    python benchmarks/paired.py /tmp/older --calls      # what a step calls: the same at any load

Each version has its own process, which trains by its own ``benchmarks/loops.py`` and waits while
the other trains. Processor time is measured, in short turns, so that other jobs are the same noise
for both; the median of the rounds' ratios is printed. With ``--calls`` it prints what no load
changes: the functions of Python and of C that a step calls, and the operations of torch, backward
pass and update included.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.parent
DEPTH, HEAD_DIM, CONTEXT, VOCAB, BATCH = 2, 16, 128, 256, 16  # of the quickstart
WARM_UP = 3  # steps
SHORT, LONG = 2, 12  # steps whose calls are counted


def main(words: list[str] | None = None) -> None:
    """Print a row a width."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("older", type=Path, help="the tree of another version")
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 48, 80])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="of the processor, about, a turn"
    )
    parser.add_argument("--calls", action="store_true", help="count calls instead of seconds")
    given = parser.parse_args(words)
    if given.calls:
        show_calls([calls(tree, given.widths[0]) for tree in (given.older.resolve(), HERE)])
        return
    for width in given.widths:
        teams = [child(tree, width) for tree in (given.older.resolve(), HERE)]
        try:
            one = turn(teams[0], 10) / 10
            steps = max(1, round(given.seconds / one))
            rounds = []
            for k in range(given.rounds):
                found = {i: turn(teams[i], steps) for i in ((0, 1) if k % 2 else (1, 0))}
                rounds.append((found[0], found[1]))
        finally:
            for team in teams:
                team.kill()
                team.wait()
        show(width, rounds, steps * BATCH * CONTEXT)


def child(tree: Path, width: int) -> subprocess.Popen[str]:
    """A process of one version: reads a number of steps, trains, answers its processor time."""
    return subprocess.Popen(
        [sys.executable, __file__, "--child", str(tree), str(width)],
        env=environment(tree),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def environment(tree: Path) -> dict[str, str]:
    """Of a process of one version."""
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(tree)}


def turn(team: subprocess.Popen[str], steps: int) -> float:
    """Processor seconds of some steps."""
    assert team.stdin is not None
    assert team.stdout is not None
    team.stdin.write(f"{steps}\n")
    team.stdin.flush()
    return float(team.stdout.readline())


def trainer(tree: str, width: int) -> Callable[[int], Callable[[], Any]]:
    """A function of a number of steps that prepares them, and gives a function that trains them."""
    sys.path[0] = f"{tree}/benchmarks"  # in place of that of this file
    import loops  # of that version
    import torch

    torch.set_num_threads(1)
    shape = loops.transformer(DEPTH, width, HEAD_DIM, CONTEXT, VOCAB)
    setting = loops.Setting(shape, BATCH)
    engine = loops.engine_of("eager", setting)

    def prepared(steps: int) -> Callable[[], Any]:
        return partial(loops.train, engine, setting.tokens(steps))

    prepared(WARM_UP)()
    return prepared


def trains(tree: str, width: int) -> None:
    """The other side of `turn`."""
    prepared = trainer(tree, width)
    for line in sys.stdin:
        train = prepared(int(line))
        start = time.process_time()
        train()
        print(time.process_time() - start, flush=True)


def calls(tree: Path, width: int) -> dict[str, float]:
    """What a step of one version calls, by kind, counted in a process of its own."""
    command = [sys.executable, __file__, "--count", str(tree), str(width)]
    done = subprocess.run(
        command, env=environment(tree), stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


def counts(tree: str, width: int) -> None:
    """The other side of `calls`: chunks of several lengths, so that only their steps count."""
    prepared = trainer(tree, width)
    few, many = (counted(prepared(steps)) for steps in (SHORT, LONG))
    print(json.dumps({kind: (many[kind] - few[kind]) / (LONG - SHORT) for kind in many}))


def counted(train: Callable[[], Any]) -> dict[str, int]:
    """The calls of a training, by kind."""
    from torch.utils._python_dispatch import TorchDispatchMode

    found = {"functions of Python": 0, "functions of C": 0, "operations of torch": 0}
    kinds = {"call": "functions of Python", "c_call": "functions of C"}

    def profiler(_: object, event: str, __: object) -> None:
        if event in kinds:
            found[kinds[event]] += 1

    class Operations(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            found["operations of torch"] += 1
            return function(*args, **(kwargs or {}))

    with Operations():
        train()
    sys.setprofile(profiler)
    train()
    sys.setprofile(None)
    return found


def show_calls(of_versions: list[dict[str, float]]) -> None:
    """A line for each kind."""
    older, this = of_versions
    for kind in this:
        print(f"{kind} a step: {older[kind]:g} and {this[kind]:g}", flush=True)


def show(width: int, rounds: list[tuple[float, float]], tokens: int) -> None:
    """Print tokens per processor second of both, and their ratio, new over old."""
    older, this = (statistics.median(r[side] for r in rounds) for side in (0, 1))
    ratios = [before / now for before, now in rounds]
    low, _, high = statistics.quantiles(ratios, n=4)
    print(
        f"width {width}: {tokens / older:,.0f} and {tokens / this:,.0f} tokens a second of the "
        f"processor, ratio {statistics.median(ratios):.3f} (quarters {low:.3f} and {high:.3f} of "
        f"{len(rounds)} rounds)",
        flush=True,
    )


if __name__ == "__main__":
    if sys.argv[1:2] in (["--child"], ["--count"]):
        {"--child": trains, "--count": counts}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
    else:
        main()
