"""What can be asked of a launch."""

from __future__ import annotations

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.read_options import from_dict
from scalinglab.sweeps.config import LaunchConfig, check_launch


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"poll_seconds": -1}, "launch.poll_seconds = -1.0: allowed is 0 or more"),
        ({"idle_seconds": -5}, "launch.idle_seconds = -5.0: allowed is 0 or more"),
        ({"budget": {"device_hours": -1}}, "launch.budget.device_hours = -1.0: allowed is 0 or"),
        ({"backend": "cloud"}, "launch.backend = 'cloud' is not one of: inline, local, slurm"),
        ({"measure": "never"}, "launch.measure = 'never' is not one of: auto, here, target, off"),
        ({"classes": {"big": 5}}, "launch.classes.big = 5: expected a group with 'where'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_makes_no_sense_is_refused(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_launch(from_dict(LaunchConfig, values, "launch"))


def test_a_configuration_made_in_python_is_held_to_the_same() -> None:
    with pytest.raises(ConfigError, match="launch.workers = 0: allowed is 1 or more"):
        check_launch(LaunchConfig(workers=0))
