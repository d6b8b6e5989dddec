"""Step times are measured within bounds: a plan does not wait for one shape."""

from __future__ import annotations

import json
import sys

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.shape import Shape
from scalinglab.sweeps.plan import local_timing


def request(width: int) -> dict:
    shape = Shape(1, width, 1, 4 * width, 16, 8)
    return {"model": Architecture(shape).science(), "batch": 4, "device": "cpu", "threads": 1}


@pytest.fixture
def measuring(monkeypatch, tmp_path):
    """The measuring process is a script: what it says of a shape, by its width."""
    monkeypatch.setattr(local_timing, "SHAPE_SECONDS", 0.5)

    def said_of(lines: str) -> None:
        script = tmp_path / "python"
        script.write_text(
            f"#!{sys.executable} -S\nimport json, sys, time\n"
            "def say(*line): print(json.dumps(line), flush=True)\n"
            "requests = json.load(sys.stdin)\nsay('ready', None)\n"
            f"for r in requests:\n    width = r['model']['width']\n{lines}"
        )
        script.chmod(0o755)
        monkeypatch.setattr(local_timing, "python_command", lambda module: [str(script)])

    return said_of


def test_what_takes_too_long_is_estimated_and_the_rest_is_measured(measuring) -> None:
    measuring("""
    if width == 32: say('so far', {'step': 7.0, 'token': 1.0})
    if width in (32, 64): time.sleep(60)
    say('measured', {'step': width / 8, 'token': .25, 'packed': {}})
""")
    found = local_timing.measure_here([request(w) for w in (16, 32, 64, 8)])
    assert found[0] == {"step": 2.0, "token": 0.25, "packed": {}}
    assert found[1] == {"step": 7.0, "token": 1.0, "packed": {}, "estimated": True}
    assert found[3]["step"] == 1.0 and "estimated" not in found[3]
    # Nothing was said of it: at the rate of the fastest of the others.
    flops = {w: local_timing._flops(request(w)) for w in (8, 16, 64)}
    rate = max(flops[16] / 2.0, flops[8] / 1.0)
    assert found[2]["step"] == pytest.approx(flops[64] / rate) and found[2]["estimated"]


def test_where_nothing_is_known_a_rate_is_assumed(measuring) -> None:
    measuring("    time.sleep(60)\n")
    (one,) = local_timing.measure_here([request(16)])
    assert one["step"] == pytest.approx(
        local_timing._flops(request(16)) / local_timing.RATES["cpu"]
    )
    assert one["estimated"] and json.dumps(one)


def test_a_process_that_fails_says_why(measuring) -> None:
    measuring("    print('no such thing\\nKeyError: 7', file=sys.stderr); sys.exit(1)\n")
    with pytest.raises(ConfigError, match="measuring the step time failed: KeyError: 7"):
        local_timing.measure_here([request(16)])


def test_a_package_that_is_not_installed_is_named_with_its_extra(measuring, monkeypatch) -> None:
    monkeypatch.setattr("scalinglab.scaling.extras.find_spec", lambda module: None)
    measuring("    raise ModuleNotFoundError(\"No module named 'torch'\")\n")
    needed = r"measuring the step time needs torch: pip install 'scaling-laboratory\[train\]'"
    with pytest.raises(ConfigError, match=needed):
        local_timing.measure_here([request(16)])


@pytest.mark.long
def test_shapes_are_really_measured(monkeypatch) -> None:
    own = {"micro_batch": None, "engine": "eager", "packs": [2], "optimizer": "adamw"}
    whole = request(16) | own | {"options": {"precision": "fp32"}}
    monkeypatch.setattr(local_timing, "SHAPE_SECONDS", 300.0)  # on a busy machine
    (one,) = local_timing.measure_here([whole])
    assert one["step"] > 0 and one["packed"]["2"]["token"] > 0 and "estimated" not in one
