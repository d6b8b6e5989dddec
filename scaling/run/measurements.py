"""Measurements at the validations of a run: docs/measurements.md.

The arithmetic of each stands in ``scalinglab.scaling.engine.steps.measurements`` under its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.module import Network
from scalinglab.scaling.registry import Registry, instance_of


@dataclass(frozen=True)
class Measurement:
    """The description of a measurement, without torch.

    Attributes
    ----------
    columns : tuple of str
        Its columns; ``*`` stands for a layer or a tensor. Other columns are refused, so that no
        measurement writes into a column of another.
    """

    columns: tuple[str, ...]

    def refuse_others(self, name: str, columns: Iterable[str]) -> None:
        """Raise `ConfigError` for a column that the measurement `name` does not declare."""
        for column in columns:
            if not any(fnmatchcase(column, pattern) for pattern in self.columns):
                raise ConfigError(
                    f"measurement {name!r} gives the column {column!r} and declares "
                    f"{', '.join(self.columns)}: name it in register.measurement({name!r})"
                )


MEASUREMENTS: Registry[Measurement] = Registry("execution.measure")
MEASUREMENTS.wants(instance_of(Measurement))
MEASUREMENTS.register("noise_scale")(
    Measurement(("noise_scale", "gradient_signal", "gradient_noise"))
)
MEASUREMENTS.register("activations")(Measurement(("activation_rms.*",)))
MEASUREMENTS.register("logits")(Measurement(("logit_rms", "logit_max", "log_partition")))
MEASUREMENTS.register("attention")(
    Measurement(("attention_logit_max", "attention_logit_max.*", "attention_entropy.*"))
)
MEASUREMENTS.register("gradients")(Measurement(("gradient_rms_min", "gradient_rms.*")))
MEASUREMENTS.register("updates")(Measurement(("weight_rms.*", "update_rms.*")))
MEASUREMENTS.register("singular_values")(Measurement(("top_singular_value.*",)))
# What the parts of the blocks tell of themselves: measured wherever a part has something to tell.
MEASUREMENTS.register("parts")(Measurement(("*",)))


def measured(execution: ExecutionConfig, architecture: Network) -> list[str]:
    """The measurements of a run: those of ``execution.measure``, and that of its parts."""
    tells = any(part.told for part in architecture.parts)
    alone = execution.processes == 1 and "parts" not in execution.measure
    return [*execution.measure, *(["parts"] if tells and alone else [])]
