"""Facts about the machine that records and plans rest on."""

import os

import pytest

from scalinglab.scaling.records import machine


def test_versions_name_what_a_run_depends_on():
    versions = machine.versions()
    assert {"python", "torch", "lightning", "numpy"} <= versions.keys()
    assert "absent" not in versions.values()


def test_memory_and_cores_are_plausible():
    assert machine.peak_memory_bytes() > 50_000_000
    assert 1 <= machine.cores() <= os.cpu_count()


QUOTAS = {
    "second": ("0::/job/step", {"job/cpu.max": "150000 100000", "job/step/cpu.max": "max 100000"}),
    "container": ("0::/", {"cpu.max": "150000 100000"}),
    "first": (
        "5:cpuset:/other\n4:cpu,cpuacct:/job",
        {
            "cpu/job/cpu.cfs_quota_us": "75000",
            "cpu/job/cpu.cfs_period_us": "50000",
            "cpu/cpu.cfs_quota_us": "-1",
            "cpu/cpu.cfs_period_us": "100000",
        },
    ),
}


@pytest.mark.parametrize("case", QUOTAS)
def test_the_quota_of_a_control_group_or_of_one_above_it_counts(tmp_path, monkeypatch, case):
    """A container with the time of 1.5 cores shows all cores of its machine."""
    own, files = QUOTAS[case]
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(own + "\n")
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert machine.cpu_quota(tmp_path) == 1.5
    monkeypatch.setattr(machine, "cpu_quota", lambda: 1.5)
    assert machine.cores() == 1
    monkeypatch.setattr(machine, "cpu_quota", lambda: 1000.0)
    assert machine.cores() == len(os.sched_getaffinity(0))


def test_no_control_groups_no_quota(tmp_path):
    assert machine.cpu_quota(tmp_path) is None


def test_what_computes_is_named_by_its_maker(tmp_path, monkeypatch):
    """A GPU by nvidia-smi, asked for the first that is ours; nothing where there is none."""
    machine.device_name.cache_clear()
    assert machine.device_name("cpu") == machine.processor()
    smi = tmp_path / "nvidia-smi"
    smi.write_text('#!/bin/sh\n[ "$4" = 3 ] && echo "NVIDIA H100 PCIe"\n')
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert machine.device_name("cuda") == "NVIDIA H100 PCIe"
    machine.device_name.cache_clear()
    monkeypatch.setenv("PATH", "")
    assert machine.device_name("cuda") is None
    machine.device_name.cache_clear()
