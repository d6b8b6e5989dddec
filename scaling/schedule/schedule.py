"""The description that every schedule gives: a learning rate against the step, from a few keys.

To add a kind, write a file in ``scalinglab.scaling.schedule.kinds`` with a class of its keys and
what it makes of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from scalinglab.scaling.registry import Registry, subclass_of

if TYPE_CHECKING:
    from scalinglab.scaling.schedule.pieces import Piece
    from scalinglab.scaling.schedule.room import Room


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig(ABC):
    """LR against step; each kind has a class of its own, with the keys that it uses.

    Attributes
    ----------
    kind : str
        Which schedule.
    """

    choices: ClassVar[Registry[type[ScheduleConfig]]] = Registry(
        "schedule.kind", f"{__package__}.kinds"
    )
    chooser: ClassVar[str] = "kind"

    kind: str = "wsd"

    @abstractmethod
    def build(self, room: Room) -> list[Piece]:
        """The pieces that fill a run.

        Raises
        ------
        ConfigError
            If what the kind needs is missing, or its parts do not fit into the run.
        """


SCHEDULES = ScheduleConfig.choices
SCHEDULES.wants(subclass_of(ScheduleConfig))
