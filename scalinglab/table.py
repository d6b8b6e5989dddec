"""A file that another program wrote, as an object: what a study can be asked, without a study.

>>> from scalinglab import Table                                                  # doctest: +SKIP
>>> table = Table("points.csv")
>>> table.fit(law="chinchilla", columns={"N": "params"}).summary
"""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.answers.methods import FileAnswers


@dataclass(frozen=True)
class Table(FileAnswers):
    """Runs in a file or folder, read as by ``scaling import``; nothing is read until it is asked.

    Attributes
    ----------
    path : str
        A table with a row a run or a row a step, a log, or a folder of them.
    """

    path: str
