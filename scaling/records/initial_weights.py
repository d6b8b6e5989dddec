"""Initial weights from a checkpoint or a file: by their content, with the parameters they match."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.records.prefixes import SUFFIXES, checkpoint_name

KEY = "init_from"  # in the science, and beside it in run.json and the record
WEIGHTS = "weights"  # the folder of the outputs that holds copies of files


@dataclass(frozen=True)
class InitialWeights:
    """Weights of a checkpoint, or of a file that was copied.

    Attributes
    ----------
    content : str
        FAMILY/STEP-PREFIX of a checkpoint, as a prefix determines the weights of a training; or
        the hash of a file's tensors.
    names : mapping
        Name of a source tensor, or a regular expression -> the parameter's name; empty: unused.
    source : str
        The source in words.
    run, step : str and int, or None
        The run and the step of a checkpoint.
    matched : int
        The number of parameters that begin with them.
    left, unused : tuple of str
        Parameters that begin with drawn weights, and tensors that no parameter uses.
    """

    content: str
    names: Mapping[str, str]
    source: str
    run: str | None = None
    step: int | None = None
    matched: int = 0
    left: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    @classmethod
    def of_run(cls, run_id: str, science: Mapping[str, Any], step: int) -> InitialWeights:
        """The weights of a run after some updates."""
        content = checkpoint_name(science, step)
        return cls(content, {}, f"run {run_id} at step {step}", run_id, step)

    @classmethod
    def stored(cls, science: Mapping[str, Any], facts: Mapping[str, Any]) -> InitialWeights | None:
        """The initial weights in a science and its facts; None if weights are drawn."""
        stored = science.get(KEY)
        if stored is None:
            return None
        source = facts.get("source", stored["weights"])
        known_facts: dict[str, Any] = {
            key: facts[key] for key in ("run", "step", "matched") if key in facts
        }
        known_facts |= {key: tuple(facts.get(key, ())) for key in ("left", "unused")}
        return cls(stored["weights"], stored["names"], source, **known_facts)

    def science(self) -> dict[str, Any]:
        """The part of them that belongs to a run's identity."""
        return {"weights": self.content, "names": dict(self.names)}

    def facts(self) -> dict[str, Any]:
        """The facts that do not belong to the identity."""
        facts = asdict(self)
        del facts["content"], facts["names"]
        return facts | {"left": list(self.left), "unused": list(self.unused)}

    @property
    def is_checkpoint(self) -> bool:
        """Whether a run left them."""
        return "/" in self.content

    def place(self, outputs: Path) -> Path | None:
        """The checkpoint, or the folder with the copy of a file; None if it is not there."""
        if not self.is_checkpoint:
            folder = outputs / WEIGHTS / self.content
            return folder if folder.is_dir() else None
        checkpoint = outputs / "checkpoints" / self.content
        paths = [checkpoint.with_name(checkpoint.name + suffix) for suffix in SUFFIXES]
        return next((path for path in paths if path.exists()), None)

    def report(self) -> str:
        """The matched and unmatched parameters, in a sentence."""
        total = self.matched + len(self.left)
        text = f"{self.matched} of {total} parameters begin with the weights of {self.source}"
        if self.left:
            text += f"; drawn are {first_of(self.left)}"
        if self.unused:
            text += f"; no parameter takes {first_of(self.unused)}"
        return text


def named_source(config: Mapping[str, Any]) -> str:
    """The source of a run's initial weights in a configuration; "drawn" without one."""
    group = config.get(KEY) or {}
    sources = (group.get(key) for key in ("study", "block", "run", "file"))
    return next((source for source in sources if source), "drawn")


def first_of(names: tuple[str, ...] | list[str], most: int = 5) -> str:
    """The first of some names, and the number of further ones."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
