"""What can be measured of a run at its validations: docs/measurements.md.

The arithmetic of each stands in ``scalinglab.scaling.engine.steps.measurements`` under its name.
"""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.registry import Registry


@dataclass(frozen=True)
class Measurement:
    """A measurement, known without torch.

    Attributes
    ----------
    columns : tuple of str
        What it gives; ``*`` stands for a layer or a tensor.
    """

    columns: tuple[str, ...]


MEASUREMENTS: Registry[Measurement] = Registry("execution.measure")
MEASUREMENTS.register("noise_scale")(
    Measurement(("noise_scale", "gradient_signal", "gradient_noise"))
)
MEASUREMENTS.register("activations")(Measurement(("activation_rms.*",)))
MEASUREMENTS.register("logits")(Measurement(("logit_rms", "logit_max")))
MEASUREMENTS.register("updates")(Measurement(("weight_rms.*", "update_rms.*")))
MEASUREMENTS.register("singular_values")(Measurement(("top_singular_value.*",)))
