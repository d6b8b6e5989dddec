"""What is measured of a run without being asked for."""

from dataclasses import replace

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.module import ModuleNetwork
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.run.measurements import measured


def test_what_parts_tell_is_measured_and_a_module_has_no_parts() -> None:
    execution = ExecutionConfig(measure=["logits"])
    assert measured(execution, ModuleNetwork("mine.MyNet", {}, 8, 16)) == ["logits"]
    keys = {"depth": 3, "width": 24, "heads": 2, "context": 16, "feed_forward": {"name": "moe"}}
    experts = architecture_of(from_dict(ModelConfig, keys), vocab=10)
    assert measured(execution, experts) == ["logits", "parts"]
    assert measured(replace(execution, processes=2), experts) == ["logits"]
