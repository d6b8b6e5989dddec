"""The sections of ``device.py``: each gives findings, the most telling first.

    python benchmarks/device_sections.py NAME DEVICE QUICK SECONDS

A finding is a line of JSON: what, the figure as it is to be read, its value, and the aim if there
is one. On a CPU and with QUICK the sizes are toys, and what needs a compiler is left out.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from breakdown import by_kind, kernels
from launched import STUDY
from loops import ADAMW, LOOPS, LR, Setting, engine_of, train, transformer
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
from scalinglab.scaling.model.feed_forwards.moe import MoE
from scalinglab.scaling.model.flops import flop_parts
from scalinglab.scaling.model.linears.monarch import Monarch
from scalinglab.scaling.model.mixers.attention import Attention
from scalinglab.scaling.model.mixers.gated_linear import GatedLinear
from scalinglab.scaling.model.residuals.hyper import Hyper
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.curve import Curve
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.run.memory import training_bytes
from scalinglab.scaling.run.step_options import StepOptions
from scalinglab.scaling.training.throughput import throughput

ROOT = Path(__file__).parent.parent
Finding = dict[str, Any]
# Of 16 packed, and of one run, over the bare loop of torch.compile (benchmarks/README.md).
AIMS = {64: (12.0, 4.0), 128: (8.0, 4.0), 256: (3.0, 2.0), 512: (1.4, 1.2)}
DEPTHS = {256: 6, 512: 8}  # others: 4
MFU_AIM, BUSY_AIM = 0.45, 0.85  # of a large model: by PaLM's count, and any kernel at all


@dataclass(frozen=True)
class Given:
    """Where, how large, and for how long."""

    device: str
    quick: bool
    seconds: float

    @property
    def toy(self) -> bool:
        """Whether sizes are toys."""
        return self.quick or self.device == "cpu"

    def setting(self, width: int, precision: str = "bf16", **named: Any) -> Setting:
        """A small model of a width."""
        batch, context, depth = (2, 16, 1) if self.toy else (32, 256, DEPTHS.get(width, 4))
        shape = transformer(depth, width, min(width, 64 if width >= 256 else 32), context, 256)
        return Setting(shape, batch, self.device, options=StepOptions(precision), **named)


def finding(what: str, figure: str, value: Any = None, aim: float | None = None) -> Finding:
    """One line."""
    return {"what": what, "figure": figure, "value": value, "aim": aim}


def free() -> None:
    """Engines hang in cycles, and the next one needs their memory."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# ---------------------------------------------------------------------- sections


def capture(given: Given) -> Iterator[Finding]:
    """Whether steps are replayed in each precision, how far replays are, and what is allowed."""
    seen: list[tuple[torch.Tensor, torch.Tensor, Any]] = []
    judge = captured.difference

    def watched(found: torch.Tensor, expected: torch.Tensor, allowed: Any) -> str | None:
        seen.append((found, expected, allowed))
        return judge(found, expected, allowed)

    captured.difference = watched
    precisions = ("fp32", "bf16") if given.device == "cpu" else ("fp32", "tf32", "bf16")
    names = ["captured"] if given.toy else ["captured", "captured_compiled"]
    for name in names:
        for precision in precisions:
            for members in (1, 4):
                seen.clear()
                setting = given.setting(64 if not given.toy else 16, precision)
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
                    None if given.toy else 1.0,
                )
                free()


def speed(given: Given) -> Iterator[Finding]:
    """Tokens a second of the engines over the bare loop, and MFU."""
    if given.toy:
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
        setting = given.setting(width)
        reference = None
        for name, members in entries:
            try:
                first, rate = rate_of(name, setting, members, 0.1 if given.toy else 0.7)
            except Exception as error:  # an entry that does not run is a finding
                yield finding(f"width {width}, {name}:{members}", f"did not run: {error}"[:200])
                continue
            reference = reference or rate
            over = rate / reference
            aim = AIMS.get(width, (None, None))[members == 1] if "captured" in name else None
            spent = throughput(
                rate, flop_parts(setting.architecture), machine.device_name(given.device), devices=1
            )
            mfu = "" if spent["mfu"] is None else f", MFU {spent['mfu']:.1%}"
            yield finding(
                f"width {width}, {name}:{members}",
                f"{rate:,.0f} tokens a second, {over:.2f} times {entries[0][0]}{mfu}; "
                f"first chunk {first:.1f} s",
                over,
                aim,
            )
            free()


def rate_of(name: str, setting: Setting, members: int, seconds: float) -> tuple[float, float]:
    """Seconds of the first chunk, and tokens a second of all members after it."""
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


def parts(given: Given) -> Iterator[Finding]:
    """Other parts than the default's: replayed or not, in packs, how fast, and how far from eager."""
    for name, model in PARTS.items():
        setting = given.setting(16 if given.toy else 256, model=model)
        setting = replace(setting, options=replace(setting.options, excluded=(3,)))
        tokens = setting.tokens(4)
        _, expected = train(engine_of("eager", setting), tokens)
        alone = bool(setting.architecture.alone)  # its sizes follow from the tokens
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
            _, rate = rate_of(way, setting, members, 0.1 if given.toy else 0.5)
            kind = machine.device_name(given.device)
            mfu = throughput(rate, flop_parts(setting.architecture), kind, devices=1)["mfu"]
            known = "" if mfu is None else f", MFU {mfu:.1%} of active FLOPs"
            yield finding(
                f"{name}, {members} member(s)",
                f"{rate:,.0f} tokens a second{known}; {text}",
                float(stepped == way),
                None if given.toy else 1.0,
            )
            free()


def large(given: Given) -> Iterator[Finding]:
    """One model of 300M: MFU, memory beside its estimate, and how busy the device is."""
    depth, width, head, context, vocab, batch, micro = (
        (1, 32, 16, 32, 64, 2, 1) if given.toy else (24, 1024, 128, 2048, 32_768, 16, 8)
    )
    shape = transformer(depth, width, head, context, vocab)
    setting = Setting(shape, batch, given.device, micro, StepOptions("bf16"))
    for name in ["eager"] if given.toy else ["eager", "captured_compiled"]:
        reset_peak(given.device)
        engine, tokens = engine_of(name, setting), setting.tokens(3)
        first, _ = train(engine, tokens)
        chunks = [train(engine, tokens)[0] for _ in range(2 if given.toy else 4)]
        rate = 3 * setting.tokens_per_step / statistics.median(chunks)
        spent = throughput(
            rate, flop_parts(setting.architecture), machine.device_name(given.device), devices=1
        )
        mfu, causal = spent["mfu"], spent["mfu_causal"]
        known = "MFU unknown" if mfu is None else f"MFU {mfu:.1%}, causal {causal:.1%}"
        yield finding(
            f"{name}, depth {depth}, width {width}",
            f"{rate:,.0f} tokens a second, {known}; first chunk {first:.0f} s; stepped: "
            f"{engine.ran.engine}",
            mfu,
            None if mfu is None else MFU_AIM,
        )
        estimate = training_bytes(setting.architecture, micro, options=setting.options)
        peak = peak_bytes(given.device)
        yield finding(
            f"{name}: peak memory",
            f"{peak / 1e9:.2f} GB; estimated for fp32 {estimate / 1e9:.2f}",
            peak / estimate,
        )
        found = kernels(engine, tokens, given.device)
        busy = sum(found.values()) / statistics.median(chunks)
        kinds = ", ".join(
            f"{kind} {s / sum(found.values()):.0%}" for kind, s in by_kind(found).items()
        )
        yield finding(
            f"{name}: kernels run",
            f"{busy:.1%} of the time: {kinds}",
            busy,
            None if given.toy else BUSY_AIM,
        )
        del engine
        free()


def deterministic(given: Given) -> Iterator[Finding]:
    """Equal attempts: bits with ``execution.deterministic``, how far apart without; what it costs."""
    setting = given.setting(16 if given.toy else 128)
    name = "eager" if given.toy else "captured"
    tokens = setting.tokens(8 if given.toy else 60, 2)
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
        "what it costs",
        f"{seconds[True] / seconds[False]:.2f} of the time",
        seconds[True] / seconds[False],
    )


def memory(given: Given) -> Iterator[Finding]:
    """Peaks of training beside what was estimated, and of the first validation beside training."""
    width = 16 if given.toy else 512
    cases = [("adamw", "fp32", 1), ("adamw", "bf16", 1), ("adamw", "fp32", 4), ("muon", "fp32", 1)]
    for optimizer, precision, members in cases[: 2 if given.toy else None]:
        setting = given.setting(width, precision)
        setting = replace(setting, shape=replace(setting.shape, vocab=300 if given.toy else 50_304))
        settings = OPTIMIZERS[optimizer]()
        free()
        reset_peak(given.device)
        engine = ENGINES["eager"](
            setting.architecture,
            [Member(0, settings)] * members,
            setting.device,
            8,
            setting.options,
        )
        tokens = setting.tokens(1, members)
        engine.evaluate(tokens[0, 0])
        first = peak_bytes(given.device)
        train(engine, tokens)
        peak = peak_bytes(given.device)
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


def reset_peak(device: str) -> None:
    """Begin a peak anew, where that can be done."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()


def apart(given: Given) -> Iterator[Finding]:
    """How far members of a pack are from the same runs alone, beside one last bit."""
    name, steps = ("eager", 16) if given.toy else ("captured", 256)
    shape = transformer(2, 32, 16, 16 if given.toy else 128, 64 if given.toy else 256)
    setting = Setting(shape, 2 if given.toy else 16, given.device)
    peaks = (0.016, 0.256) if given.toy else (0.016, 0.064, 0.256)
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


def checkpoints(given: Given) -> Iterator[Finding]:
    """Seconds from a device to a file and back, and whether the bits are the same."""
    shape = transformer(*((1, 32, 16, 32, 64) if given.toy else (24, 1024, 128, 256, 32_768)))
    engine = engine_of("eager", Setting(shape, 1, given.device))
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


def launched(given: Given) -> Iterator[Finding]:
    """`scaling launch` of a small sweep: what the records say, and tokens a second."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "conf" / "study" / "launched.yaml"
        study.parent.mkdir(parents=True)
        size, tokens = (16, 20_480) if given.toy else (64, 2_097_152)
        study.write_text(STUDY.format(width=size, tokens=tokens, seed="0,1,2,3"))
        words = ["study=launched", f"execution.device={given.device}", "launch=inline"]
        if given.toy:
            words += [
                "launch.pack=4",
                "model.context=16",
                "model.depth=1",
                "schedule.warmup_tokens=512",
                "data.options.tokens=60001",
                "data.options.validation_tokens=2001",
                "data.validation_tokens=1024",
                "data.options.vocab=16",
            ]
        done = subprocess.run(
            [sys.executable, "-m", "scalinglab.cli", "launch", *words],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            print(done.stdout[-2000:], done.stderr[-2000:])
            raise SystemExit(f"scaling launch ended with {done.returncode}")
        for sentence in done.stdout.splitlines():
            if sentence.startswith(("packs:", "precision =")) or (
                "could train together" in sentence
            ):
                yield finding("the plan says", sentence)
        for path in sorted(Path(folder).glob("outputs/runs/*/DONE"))[:1]:
            record = RunFolder(path.parent).record()
            place, rate = record.machine, record.throughput.tokens_per_second
            yield finding(
                "a record says",
                f"{place.engine} (asked {place.engine_asked}), packs of {place.packs}, "
                f"{rate or 0:,.0f} tokens a second, loss {record.final.validation_loss:.4f}",
            )


def tests(given: Given) -> Iterator[Finding]:
    """The tests that need a device; each failure by its name."""
    if given.device == "cpu":
        chosen = ["tests/scaling/engine/steps/test_reduction.py", "-k", "filled"]
    else:
        chosen = ["tests", "-m", "gpu and not slurm"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "-p",
        "no:cacheprovider",
        "-W",
        "default",
        *chosen,
    ]
    counts = {"PASSED": 0, "FAILED": 0, "ERROR": 0, "SKIPPED": 0}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            told = "::" in line.split(" ")[0]
            kind = next((k for k in counts if told and f" {k} " in line), None)
            if kind is None:
                print(line, end="")
                continue
            counts[kind] += 1
            if kind in ("FAILED", "ERROR"):
                yield finding(line.split(" ")[0], kind.lower(), 0.0, 1.0)
    good = counts["PASSED"] > 0 and not counts["FAILED"] + counts["ERROR"]
    said = ", ".join(f"{n} {kind.lower()}" for kind, n in counts.items() if n)
    yield finding("pytest", said or "none was run", float(good), 1.0)


SECTIONS: Mapping[str, Any] = {
    "capture": capture,
    "speed": speed,
    "large": large,
    "parts": parts,
    "determinism": deterministic,
    "memory": memory,
    "apart": apart,
    "checkpoints": checkpoints,
    "launched": launched,
    "tests": tests,
}


def main() -> None:
    """Say the findings of one section, each as soon as it is known."""
    name, device, quick, seconds = sys.argv[1:]
    warnings.filterwarnings("ignore")
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(min(8, machine.cores())))
    torch.set_num_threads(1)
    given = Given(device, quick == "1", float(seconds))
    said = machine.device_name(device)
    print(f"{said}, torch {torch.__version__}, LR {LR}, {ADAMW}")
    for row in SECTIONS[name](given):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
