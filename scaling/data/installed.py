"""Text of the installed packages: prose, or source code of other languages, without a network.

Descriptions, documentation and licences are prose; the headers of torch (``pattern="*.h"``) are
C++. Installations differ in these files, but the content hash is part of every run's identity.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scalinglab.scaling.data.file_documents import REFUSE, SKIP
from scalinglab.scaling.data.folder import Folder
from scalinglab.scaling.data.source import SOURCES
from scalinglab.scaling.fields import Within, setting


@SOURCES.register("installed")
@dataclass(frozen=True)
class InstalledPackages(Folder):
    """Files of the installed packages as documents, for any tokenizer."""

    path: str = ""  # "": the folder in which numpy, and so all packages, are installed
    pattern: str = "*.md,*.rst,METADATA,LICENSE*,COPYING*,NOTICE*"
    unreadable: str = setting(SKIP, (REFUSE, SKIP))  # a few are of other encodings
    max_overlap: float = setting(1.0, Within(0, 1))  # licences repeat each other: it is counted

    def files(self) -> list[Path]:
        """All files that match."""
        root = Path(self.path or Path(np.__file__).parent.parent)
        return Folder.files(dataclasses.replace(self, path=str(root)))
