"""The options that name two recipes to be compared: in one study, in two studies, or in a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from scalinglab.options import OutputsOptions, option
from scalinglab.scaling.errors import ConfigError

A = TypeVar("A")


@dataclass(frozen=True, kw_only=True)
class TwoRecipes(OutputsOptions):
    """Options that name two recipes: exactly one of the three."""

    study: str | None = option("the study that holds both recipes", None)
    studies: list[str] = option("or two studies, one a recipe, the baseline first", [])
    data: str | None = option(
        "or a file or folder made elsewhere", None, meant_by=("file", "path", "csv")
    )

    def answer(
        self,
        done: str,
        of_file: Callable[[str], A],
        of_study: Callable[[Path, str], A],
        of_studies: Callable[[Path, list[str]], A],
        two: str = "A,B",
    ) -> A:
        """The answer of one of three functions, by the option that is given.

        Parameters
        ----------
        done : str
            The participle of the verb, for the message: "compared".
        of_file, of_study, of_studies : callable
            What answers for a file, for a study, and for two studies.
        two : str
            How the message names two studies.

        Raises
        ------
        ConfigError
            If none or several are given.
        """
        if sum(map(bool, (self.study, self.studies, self.data))) != 1:
            raise ConfigError(
                f"name what is {done}: study=NAME arm=KEY, studies=[{two}], or data=FILE arm=COLUMN"
            )
        outputs = self.outputs_path
        if self.data is not None:
            return of_file(self.data)
        if self.study is not None:
            return of_study(outputs, self.study)
        return of_studies(outputs, self.studies)
