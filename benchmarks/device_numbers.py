"""Sections of ``device.py`` on numbers: replays, equal attempts, packs, checkpoints, memory."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from device_case import DeviceCase, Finding, finding, free, reset_peak
from loops import Setting, engine_of, train, transformer
from packing import apart as distance
from packing import chains, losses, wsd
from teams import peak_bytes

from scalinglab.scaling.engine.steps import captured
from scalinglab.scaling.engine.steps.determinism import determinism
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.engine.steps.engines import ENGINES
from scalinglab.scaling.engine.trainer.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.records.curve import Curve
from scalinglab.scaling.run.memory import training_bytes


def capture(case: DeviceCase) -> Iterator[Finding]:
    """Whether steps are replayed in each precision, and their difference beside what is allowed."""
    seen: list[tuple[torch.Tensor, torch.Tensor, Any]] = []
    judge = captured.difference

    def watched(found: torch.Tensor, expected: torch.Tensor, allowed: Any) -> str | None:
        seen.append((found, expected, allowed))
        return judge(found, expected, allowed)

    captured.difference = watched
    precisions = ("fp32", "bf16") if case.device == "cpu" else ("fp32", "tf32", "bf16")
    names = ["captured"] if case.toy else ["captured", "captured_compiled"]
    for name in names:
        for precision in precisions:
            for members in (1, 4):
                seen.clear()
                setting = case.setting(64 if not case.toy else 16, precision)
                engine = engine_of(name, setting, members)
                train(engine, setting.tokens(2, members))
                replayed = engine.ran.engine.startswith("captured")
                text = f"{engine.ran.engine}{'' if replayed else f': {engine.ran.why}'}"
                if seen:
                    found, expected, allowed = seen[-1]
                    off = ((found - expected).abs() / expected.abs()).amax((0, 2)).tolist()
                    text += (
                        f"; loss off by {off[0]:.1e} of {allowed[0]:.1e}, gradient norm by "
                        f"{off[1]:.1e} of {allowed[1]:.1e}"
                    )
                yield finding(
                    f"{name}, {precision}, {members} member(s)",
                    text,
                    float(replayed),
                    None if case.toy else 1.0,
                )
                free()


def deterministic(case: DeviceCase) -> Iterator[Finding]:
    """Difference of equal attempts with and without ``execution.deterministic``, and its cost."""
    setting = case.setting(16 if case.toy else 128)
    name = "eager" if case.toy else "captured"
    tokens = setting.tokens(8 if case.toy else 60, 2)
    seconds = {}
    for wanted in (True, False):
        with determinism(wanted):
            engines = [engine_of(name, setting, 2) for _ in range(2)]
            one, other = (train(engine, tokens)[1] for engine in engines)
            seconds[wanted] = min(train(engine, tokens)[0] for engine in engines)
        off = float(np.max(np.abs(one - other) / one))
        yield finding(
            f"two attempts, {'' if wanted else 'not '}deterministic",
            "equal bits" if np.array_equal(one, other) else f"apart by {off:.1e}",
            float(np.array_equal(one, other)),
            1.0 if wanted else None,
        )
    yield finding(
        "cost of determinism",
        f"{seconds[True] / seconds[False]:.2f} of the time",
        seconds[True] / seconds[False],
    )


def memory(case: DeviceCase) -> Iterator[Finding]:
    """Peak memory of training beside its estimate, and peak of the first validation."""
    width = 16 if case.toy else 512
    cases = [("adamw", "fp32", 1), ("adamw", "bf16", 1), ("adamw", "fp32", 4), ("muon", "fp32", 1)]
    for optimizer, precision, members in cases[: 2 if case.toy else None]:
        setting = case.setting(width, precision)
        setting = replace(setting, shape=replace(setting.shape, vocab=300 if case.toy else 50_304))
        settings = OPTIMIZERS[optimizer]()
        free()
        reset_peak(case.device)
        engine = ENGINES["eager"](
            setting.architecture,
            [Member(0, settings)] * members,
            setting.device,
            8,
            setting.options,
        )
        tokens = setting.tokens(1, members)
        engine.evaluate(tokens[0, 0])
        first = peak_bytes(case.device)
        train(engine, tokens)
        peak = peak_bytes(case.device)
        estimate = training_bytes(
            setting.architecture, min(8, setting.batch), members, optimizer, setting.options
        )
        yield finding(
            f"{optimizer}, {precision}, {members} member(s), width {width}",
            f"peak {peak / 1e9:.2f} GB, estimated {estimate / 1e9:.2f}; of the first "
            f"validation {first / 1e9:.2f}",
            peak / estimate,
        )
        del engine
    free()


def apart(case: DeviceCase) -> Iterator[Finding]:
    """Difference of pack members from the same runs alone, beside that of one changed last bit."""
    name, steps = ("eager", 16) if case.toy else ("captured", 256)
    shape = transformer(2, 32, 16, 16 if case.toy else 128, 64 if case.toy else 256)
    setting = Setting(shape, 2 if case.toy else 16, case.device)
    peaks = (0.016, 0.256) if case.toy else (0.016, 0.064, 0.256)
    tokens, lr = chains(shape, setting.batch, steps), np.outer(wsd(steps), peaks)
    pack = losses(name, setting, np.repeat(tokens, len(peaks), 1), lr)
    for i, peak in enumerate(peaks):
        alone = losses(name, setting, tokens, lr[:, i : i + 1])[:, 0]
        moved = losses(name, setting, tokens, lr[:, i : i + 1], nudge=True)[:, 0]
        off, bit = (distance(other, alone, steps) for other in (pack[:, i], moved))
        yield finding(
            f"peak LR {peak}, fp32, {steps} steps",
            f"pack of {len(peaks)} {off:.1e}, one last bit {bit:.1e}",
            off,
        )


def checkpoints(case: DeviceCase) -> Iterator[Finding]:
    """Seconds from a device to a file and back, and whether the bits are equal."""
    shape = transformer(*((1, 32, 16, 32, 64) if case.toy else (24, 1024, 128, 256, 32_768)))
    engine = engine_of("eager", Setting(shape, 1, case.device))
    with tempfile.TemporaryDirectory() as folder:
        path, lap = Path(folder) / "step-1.pt", time.perf_counter
        at = [lap()]
        state = engine.state(0)
        at.append(lap())
        save_checkpoint(path, Checkpoint(1, "p", state, Curve.empty()))
        at.append(lap())
        engine.load(0, load_checkpoint(path).state, 1)
        at.append(lap())
        same = all(torch.equal(value, state[key]) for key, value in engine.state(0).items())
        taken, written, read = (b - a for a, b in itertools.pairwise(at))
        size = path.stat().st_size / 1e9
        yield finding(
            f"{size:.2g} GB",
            f"from the device {taken:.2f} s, written {written:.2f} s, read and loaded {read:.2f} s",
            float(same),
            1.0,
        )
