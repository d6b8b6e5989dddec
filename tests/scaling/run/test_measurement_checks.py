"""Measurements of a person's own are tried before a run is planned."""

import pytest
import torch

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.steps.measurements import MEASURED_BY
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.run.measurement_checks import check_measurements
from scalinglab.scaling.run.measurements import MEASUREMENTS, Measurement

SMALL = {"depth": 2, "width": 16, "heads": 2, "context": 8}


@pytest.fixture
def own():
    """Register a measurement as a file of a person's own does."""

    def register(measure, *columns):
        MEASUREMENTS.register("mine", "mine")(Measurement(columns))
        MEASURED_BY.register("mine", "mine")(measure)
        return ExecutionConfig(measure=["logits", "mine"])

    yield register
    del MEASUREMENTS["mine"], MEASURED_BY["mine"]


def both(subject):
    assert subject.before is not None  # as at a validation
    mean = torch.stack([w.flatten(1).mean(1) for w in subject.weights.values()]).mean(0)
    return {"mine.mean": mean, "mine.other": mean}


def test_a_column_that_is_not_declared_is_refused_when_a_run_is_planned(own):
    network = architecture_of(from_dict(ModelConfig, SMALL), vocab=10)
    with pytest.raises(ConfigError, match=r"'mine' gives the column 'mine.other' and declares"):
        check_measurements(own(both, "mine.mean"), network)


def test_one_that_fails_is_refused_and_one_that_holds_is_not(own):
    network = architecture_of(from_dict(ModelConfig, SMALL), vocab=10)
    execution = own(both, "mine.*")
    check_measurements(execution, network)
    check_measurements(ExecutionConfig(measure=["logits"]), network)
    MEASURED_BY.register("mine", "mine")(lambda subject: {"mine.mean": subject.nothing})
    MEASUREMENTS.register("mine", "mine")(Measurement(("mine.mean",)))
    with pytest.raises(ConfigError, match=r"execution.measure = \[mine\] fails on a batch of 4"):
        check_measurements(execution, network)
