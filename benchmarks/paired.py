"""Processor time of the quickstart's steps by two versions of the code, in turns.

    git worktree add --detach /tmp/older COMMIT
    python benchmarks/paired.py /tmp/older              # against the tree of this file

Each version has its own process, which trains by its own ``benchmarks/loops.py`` and waits while
the other trains. Processor time is measured, in short turns, so that other jobs are the same noise
for both; the median of the rounds' ratios is printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent.parent
DEPTH, HEAD_DIM, CONTEXT, VOCAB, BATCH = 2, 16, 128, 256, 16  # of the quickstart
WARM_UP = 3  # steps


def main(words: list[str] | None = None) -> None:
    """Print a row a width."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("older", type=Path, help="the tree of another version")
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 48, 80])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="of the processor, about, a turn"
    )
    given = parser.parse_args(words)
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
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(tree)}
    return subprocess.Popen(
        [sys.executable, __file__, "--child", str(tree), str(width)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def turn(team: subprocess.Popen[str], steps: int) -> float:
    """Processor seconds of some steps."""
    assert team.stdin is not None
    assert team.stdout is not None
    team.stdin.write(f"{steps}\n")
    team.stdin.flush()
    return float(team.stdout.readline())


def trains(tree: str, width: int) -> None:
    """The process that answers `turn`."""
    sys.path[0] = f"{tree}/benchmarks"  # in place of that of this file
    import loops  # of that version
    import torch

    torch.set_num_threads(1)
    shape = loops.transformer(DEPTH, width, HEAD_DIM, CONTEXT, VOCAB)
    setting = loops.Setting(shape, BATCH)
    engine = loops.engine_of("eager", setting)
    loops.train(engine, setting.tokens(WARM_UP))
    for line in sys.stdin:
        tokens = setting.tokens(int(line))
        start = time.process_time()
        loops.train(engine, tokens)
        print(time.process_time() - start, flush=True)


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
    if sys.argv[1:2] == ["--child"]:
        trains(sys.argv[2], int(sys.argv[3]))
    else:
        main()
