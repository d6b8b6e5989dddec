"""Sections of ``device.py`` on speed: small models, other parts, one large model."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from breakdown import by_kind, kernels
from device_case import DeviceCase, Finding, finding, free, reset_peak
from loops import LOOPS, Setting, engine_of, train, transformer
from teams import peak_bytes

from scalinglab.scaling.model.feed_forwards.moe import MoE
from scalinglab.scaling.model.flops import flop_parts
from scalinglab.scaling.model.linears.monarch import Monarch
from scalinglab.scaling.model.mixers.attention import Attention
from scalinglab.scaling.model.mixers.gated_linear import GatedLinear
from scalinglab.scaling.model.residuals.hyper import Hyper
from scalinglab.scaling.records import machine
from scalinglab.scaling.run.memory import training_bytes
from scalinglab.scaling.run.step_options import StepOptions
from scalinglab.scaling.training.throughput import throughput

# Aims over the bare loop of torch.compile: 16 packed runs, one run (benchmarks/README.md).
AIMS = {64: (12.0, 4.0), 128: (8.0, 4.0), 256: (3.0, 2.0), 512: (1.4, 1.2)}
# of a large model: MFU by PaLM's count, share of the time in kernels
MFU_AIM, BUSY_AIM = 0.45, 0.85


def speed(case: DeviceCase) -> Iterator[Finding]:
    """Tokens per second of the engines over the bare loop, and MFU."""
    if case.toy:
        widths, entries = [16], [("bare", 1), ("eager", 1), ("captured", 1), ("eager", 4)]
    else:
        widths = [64, 256, 512, 128]
        entries = [
            ("bare-compiled", 1),
            ("captured", 1),
            ("captured", 16),
            ("captured_compiled", 16),
            ("captured_compiled", 1),
            ("eager", 1),
        ]
    for width in widths:
        setting = case.setting(width)
        reference = None
        for name, members in entries:
            try:
                first, rate = rate_of(name, setting, members, 0.1 if case.toy else 0.7)
            except Exception as error:  # an entry that does not run is a finding
                yield finding(f"width {width}, {name}:{members}", f"did not run: {error}"[:200])
                continue
            reference = reference or rate
            over = rate / reference
            aim = AIMS.get(width, (None, None))[members == 1] if "captured" in name else None
            spent = throughput(
                rate, flop_parts(setting.architecture), machine.device_name(case.device), devices=1
            )
            mfu = "" if spent["mfu"] is None else f", MFU {spent['mfu']:.1%}"
            yield finding(
                f"width {width}, {name}:{members}",
                f"{rate:,.0f} tokens per second, {over:.2f} times {entries[0][0]}{mfu}; "
                f"first chunk {first:.1f} s",
                over,
                aim,
            )
            free()


def rate_of(name: str, setting: Setting, members: int, seconds: float) -> tuple[float, float]:
    """Seconds of the first chunk, and tokens per second of all members after it."""
    loop = LOOPS[name](setting, members)
    tokens = setting.tokens(4, members)
    start = time.perf_counter()
    loop(tokens)
    first = time.perf_counter() - start
    per_step = min(loop(tokens)[0] for _ in range(2)) / 4
    steps = int(min(max(4, seconds / per_step), 500))
    tokens = setting.tokens(steps, members)
    best = min(loop(tokens)[0] for _ in range(2))
    return first, steps * members * setting.tokens_per_step / best


PARTS: Mapping[str, Mapping[str, Any]] = {
    "dense": {},
    "experts": {"feed_forward": MoE(experts=16, top_k=2, granularity=2)},
    "within documents": {"mixer": Attention(within_documents=True)},
    "Monarch": {"linear": Monarch()},
    "experts, sorted": {
        "feed_forward": MoE(experts=16, top_k=2, granularity=2, capacity=None, dispatch="sorted")
    },
    "gated linear": {"mixer": GatedLinear()},
    "hyper-connections": {"residual": Hyper()},
}


def parts(case: DeviceCase) -> Iterator[Finding]:
    """Other parts than the default's: replayed or not, speed, packs, difference from eager."""
    for name, model in PARTS.items():
        setting = case.setting(16 if case.toy else 256, model=model)
        setting = replace(setting, options=replace(setting.options, excluded=(3,)))
        tokens = setting.tokens(4)
        _, expected = train(engine_of("eager", setting), tokens)
        alone = bool(setting.architecture.alone)  # parts whose tensor sizes depend on the tokens
        way = "eager" if alone else "captured"
        for members in (1,) if alone else (1, 4):
            engine = engine_of(way, setting, members)
            _, found = train(engine, setting.tokens(4, members))
            stepped = engine.ran.engine
            text = stepped if stepped == way else f"{stepped}: {engine.ran.why}"
            if members == 1:
                off = float(np.max(np.abs(found - expected) / np.abs(expected)))
                text += f"; losses off eager's by {off:.1e}"
            del engine
            free()
            _, rate = rate_of(way, setting, members, 0.1 if case.toy else 0.5)
            kind = machine.device_name(case.device)
            mfu = throughput(rate, flop_parts(setting.architecture), kind, devices=1)["mfu"]
            known = "" if mfu is None else f", MFU {mfu:.1%} of active FLOPs"
            yield finding(
                f"{name}, {members} member(s)",
                f"{rate:,.0f} tokens per second{known}; {text}",
                float(stepped == way),
                None if case.toy else 1.0,
            )
            free()


def large(case: DeviceCase) -> Iterator[Finding]:
    """A model of 300M: MFU, memory beside its estimate, and the share of time in kernels."""
    depth, width, head, context, vocab, batch, micro = (
        (1, 32, 16, 32, 64, 2, 1) if case.toy else (24, 1024, 128, 2048, 32_768, 16, 8)
    )
    shape = transformer(depth, width, head, context, vocab)
    setting = Setting(shape, batch, case.device, micro, StepOptions("bf16"))
    for name in ["eager"] if case.toy else ["eager", "captured_compiled"]:
        reset_peak(case.device)
        engine, tokens = engine_of(name, setting), setting.tokens(3)
        first, _ = train(engine, tokens)
        chunks = [train(engine, tokens)[0] for _ in range(2 if case.toy else 4)]
        rate = 3 * setting.tokens_per_step / statistics.median(chunks)
        spent = throughput(
            rate, flop_parts(setting.architecture), machine.device_name(case.device), devices=1
        )
        mfu, causal = spent["mfu"], spent["mfu_causal"]
        known = "MFU unknown" if mfu is None else f"MFU {mfu:.1%}, causal {causal:.1%}"
        yield finding(
            f"{name}, depth {depth}, width {width}",
            f"{rate:,.0f} tokens per second, {known}; first chunk {first:.0f} s; stepped: "
            f"{engine.ran.engine}",
            mfu,
            None if mfu is None else MFU_AIM,
        )
        estimate = training_bytes(setting.architecture, micro, options=setting.options)
        peak = peak_bytes(case.device)
        yield finding(
            f"{name}: peak memory",
            f"{peak / 1e9:.2f} GB; estimated for fp32 {estimate / 1e9:.2f}",
            peak / estimate,
        )
        found = kernels(engine, tokens, case.device)
        busy = sum(found.values()) / statistics.median(chunks)
        kinds = ", ".join(
            f"{kind} {s / sum(found.values()):.0%}" for kind, s in by_kind(found).items()
        )
        yield finding(
            f"{name}: kernels run",
            f"{busy:.1%} of the time: {kinds}",
            busy,
            None if case.toy else BUSY_AIM,
        )
        del engine
        free()
