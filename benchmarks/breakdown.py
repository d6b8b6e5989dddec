"""Time of a step by its parts and by kernels."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping

import numpy as np
import torch
from loops import LR, train
from torch import Tensor
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from scalinglab.scaling.engine.steps.engine import Engine

# Kinds by a word in the kernel's name, on GPUs and CPUs; the first match counts.
KINDS = {
    "attention": "flash|fmha|attention",
    "matrix products": r"gemm|cutlass|nvjet|xmma|::b?mm\b|::addmm",
    "copies": "memcpy|memset|::copy_|::clone",
}
THE_REST = "norms, activations, loss, optimizer"


def parts(engine: Engine, tokens_SkBT: np.ndarray, device: str) -> Mapping[str, float]:
    """Seconds of the parts of steps after the first, with a wait for the device after each part."""
    seconds: Counter[str] = Counter()
    last = 0.0

    def lap(part: str) -> None:
        nonlocal last
        if device != "cpu":
            torch.cuda.synchronize()
        now = time.perf_counter()
        seconds[part] += now - last
        last = now

    def backward(loss: Tensor) -> None:
        lap("forward")
        loss.backward()
        lap("backward")

    lr = torch.full(tokens_SkBT.shape[1:2], LR, dtype=torch.float64, device=device)
    for step, tokens in enumerate(tokens_SkBT):
        if step == 1:
            seconds.clear()
        last = time.perf_counter()
        on_device = torch.from_numpy(tokens).to(device).long()
        lap("tokens to the device")
        engine.step(on_device, lr, backward)
        lap("clipping and optimizer")
    return seconds


def kernels(engine: Engine, tokens_SkBT: np.ndarray, device: str) -> Mapping[str, float]:
    """Device seconds of each kernel (on a CPU: of each torch operation)."""
    on_gpu = device != "cpu"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as seen:
        train(engine, tokens_SkBT)
    wanted = DeviceType.CUDA if on_gpu else DeviceType.CPU
    return {
        event.key: 1e-6 * (event.self_device_time_total if on_gpu else event.self_cpu_time_total)
        for event in seen.key_averages()
        if event.device_type == wanted
    }


def by_kind(seconds: Mapping[str, float]) -> Mapping[str, float]:
    """Kernels summed up by ``KINDS``."""
    found: Counter[str] = Counter()
    for name, spent in seconds.items():
        kinds = (k for k, pattern in KINDS.items() if re.search(pattern, name, re.IGNORECASE))
        found[next(kinds, THE_REST)] += spent
    return found
