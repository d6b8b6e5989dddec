"""Model FLOPs utilization by hand, and the peaks that it is a share of."""

from __future__ import annotations

import pytest

from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.flops import flop_parts
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.training.throughput import Clock, peak_flops, throughput


@pytest.mark.parametrize(
    ("device", "tera"),
    [
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H200", 989.4),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835.5),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA A10", 125),
        ("NVIDIA A10G", None),
        ("NVIDIA L40", None),
        ("Tesla V100-SXM2-16GB", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("AMD EPYC 7763 64-Core Processor", None),
        (None, None),
    ],
)
def test_peaks_are_dense_and_of_the_very_device(device, tera):
    assert peak_flops(device) == (None if tera is None else pytest.approx(tera * 1e12))


def test_utilization_of_gpt2_small_on_eight_a100():
    """6 (N_block + V d) + 12 L d T a token; nanoGPT: 853 thousand tokens a second are 29 %."""
    shape = Shape(depth=12, width=768, heads=12, mlp_width=3072, context=1024, vocab=50304)
    parts, rate = flop_parts(Architecture(shape)), 853e3
    found = throughput(rate, parts, "NVIDIA A100-SXM4-40GB", devices=8)
    matmul = 6 * (12 * 12 * 768**2 + 50304 * 768)
    palm = matmul + 12 * 12 * 768 * 1024
    assert found["mfu"] == pytest.approx(rate * palm / (8 * 312e12))
    assert found["mfu"] == pytest.approx(0.29, abs=0.005)
    causal = rate * (matmul + 6 * 12 * 768 * 1024) / (8 * 312e12)
    assert found["mfu_causal"] == pytest.approx(causal)
    assert found["flops_per_second"] == pytest.approx(rate * palm)
    assert found["peak_flops"] == 8 * 312e12


def test_what_is_not_known_is_none():
    parts = flop_parts(Architecture(Shape(1, 16, 2, 64, 16, 8)))
    on_cpu = throughput(1e3, parts, "some processor", 1)
    assert on_cpu["mfu"] is on_cpu["mfu_causal"] is on_cpu["peak_flops"] is None
    assert on_cpu["tokens_per_second"] == 1e3 and on_cpu["flops_per_second"] > 0
    assert set(throughput(None, parts, "NVIDIA H200", 1).values()) == {None, 989.4e12}


def test_the_first_chunk_is_no_throughput():
    clock = Clock()
    assert clock.steps_per_second is None
    clock.add(1, 10.0)  # compiles
    assert clock.steps_per_second == 0.1  # nothing better is known
    clock.add(4, 2.0)
    clock.add(6, 3.0)
    assert clock.steps_per_second == 2.0
