"""Reports of 2,000 runs and of 1,000 curves: time and memory to write, size, first paint.

    python benchmarks/large_reports.py [folder] [--runs 2000] [--curves 1000]

Runs are planned as ever; in place of the training each gets the losses of a law with noise. The
page of 2,000 runs has a surface of ten sizes, ten token budgets and twenty seeds, and a larger size
held out; that of 1,000 curves has five schedules of ten lengths and twenty seeds beside a small
ladder. Pages are kept if a folder is named.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from first_paint import main as print_first_paint

from scalinglab.analysis.laws.schedule_areas import felt_drop, lr_area, without_warmup
from scalinglab.compose import compose
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.curve import Curve
from scalinglab.scaling.records.fingerprint import code_fingerprint
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.schedule.pieces import lr_array
from scalinglab.scaling.training.events import validation_steps
from scalinglab.scaling.training.finish import finish
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan

E, A, ALPHA, B, BETA = 1.85, 23.0, 0.372, 711.0, 0.525
ANNEALING, DECAY, NOISE = 0.05, 0.99, 0.004
COMMON = """
model: {depth: 2, head_dim: 16, context: 64}
batch: 16
schedule: {warmup_tokens: 8192}
data:
  options: {vocab: 64, tokens: 2200001, validation_tokens: 8193}
  validation_tokens: 8192
"""
RUNS = """# @package _global_
defaults:
  - override /data: markov
study:
  name: many_runs
  question: How should a budget be split, asked of very many runs?
  blocks:
    ladder:
      role: fit
      grid:
        model: {width: [16, 32, 48, 64, 80, 96, 112, 128, 144, 160]}
        tokens: [131072, 163840, 204800, 262144, 327680, 393216, 524288, 655360, 786432, 1048576]
        seed: SEEDS
    larger:
      role: held_out
      grid: {model: {width: [192, 224]}, tokens: [1048576, 2097152]}
  answer: {law: chinchilla, budgets: [1e12, 1e13]}
"""
CURVES = """# @package _global_
defaults:
  - override /data: markov
study:
  name: many_curves
  question: What does a law of curves say of very many of them?
  blocks:
    ladder:
      role: fit
      grid: {model: {width: [16, 32, 48, 64, 80]}, tokens: [131072, 262144, 524288, 1048576]}
    curves:
      role: curve
      grid:
        model: {width: [32]}
        tokens: [131072, 163840, 204800, 262144, 327680, 393216, 524288, 655360, 786432, 1048576]
        schedule: {kind: [constant, cosine, linear, wsd, inverse_sqrt]}
        seed: SEEDS
  answer: {law: chinchilla, budgets: [1e12], curve_law: lr_annealing, curve_held_out: cosine}
"""


def record(folder: RunFolder) -> None:
    """Finish a run with the losses of a law: of size, of tokens, and of the fallen LR."""
    spec = folder.spec()
    claim = Claim.acquire(folder, 60)
    assert claim is not None
    lr = lr_array(spec.pieces)
    rng = np.random.default_rng(int.from_bytes(spec.run_id.encode()[:6], "big"))
    area = lr_area(without_warmup(lr)) / lr.max() * spec.tokens_per_step
    loss = E + A / spec.counts["n_matmul"] ** ALPHA + B / area**BETA
    felt = felt_drop(without_warmup(lr), np.array([DECAY]))[0]
    loss = (loss - ANNEALING * felt / lr.max()) * math.exp(NOISE * rng.standard_normal())
    validation = {k: float(loss[k - 1]) for k in validation_steps(spec.pieces)}
    curve = Curve(loss.astype(np.float32), np.ones_like(loss, np.float32), validation)
    facts = {
        "throughput": {"seconds": 1.0, "steps": spec.steps, "tokens_per_second": 1e5},
        "code": {"fingerprint": code_fingerprint()},
    }
    finish(claim, spec, curve, lr, facts)


def written(study: str, folder: Path) -> Path:
    """Write a report by the command line, and print what this took."""
    page = folder / f"{study}.html"
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "scalinglab.cli", "report", f"study={study}", f"to={page}"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"scaling report study={study} ended with {process.returncode}")
    print(
        f"{study}: written in {used.ru_utime + used.ru_stime:.1f} s of the processor, "
        f"{time.perf_counter() - began:.1f} s, peak memory {used.ru_maxrss / 1024:.0f} MiB",
        flush=True,
    )
    return page


def main() -> None:
    """Print the figures of both pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=2000, help="in steps of a hundred")
    parser.add_argument("--curves", type=int, default=1000, help="in steps of fifty")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).absolute()
        studies = folder / "scaling_conf" / "study"
        studies.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        pages = []
        for name, text, seeds in (
            ("many_runs", RUNS, given.runs // 100),
            ("many_curves", CURVES, given.curves // 50),
        ):
            text = text.replace("SEEDS", str(list(range(seeds))))
            (studies / f"{name}.yaml").write_text(text + COMMON)
            plan = make_plan(compose([f"study={name}"]))
            save_plan(plan)
            for planned in plan.runs:
                if (run := plan.run_folder(planned)).done() is None:
                    record(run)
            print(f"{name}: {len(plan.runs):,} runs", flush=True)
            pages.append(str(written(name, folder)))
        print_first_paint(pages)


if __name__ == "__main__":
    main()
