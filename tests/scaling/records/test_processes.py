"""What tells a process from all others."""

import os

from scalinglab.scaling.records.processes import process_start


def test_a_process_has_one_start_time_and_a_gone_one_none(processes):
    child = processes.Process(target=os.getpid)
    child.start()
    child.join()
    assert process_start(os.getpid()) == process_start(os.getpid()) is not None
    assert process_start(child.pid) is None
