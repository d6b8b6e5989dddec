"""Facts about processes and machine that records and claims rest on."""

import os

from scaling import machine


def test_a_process_has_one_start_time_and_a_gone_one_none(processes):
    child = processes.Process(target=os.getpid)
    child.start()
    child.join()
    assert machine.process_start(os.getpid()) == machine.process_start(os.getpid()) is not None
    assert machine.process_start(child.pid) is None


def test_versions_name_what_a_run_depends_on():
    versions = machine.versions()
    assert {"python", "torch", "lightning", "numpy"} <= versions.keys()
    assert "absent" not in versions.values()


def test_memory_and_cores_are_plausible():
    assert machine.peak_memory_bytes() > 50_000_000
    assert 1 <= machine.cores() <= os.cpu_count()
