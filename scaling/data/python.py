"""The Python sources of the running interpreter as documents: real text with no download."""

from __future__ import annotations

import dataclasses
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.data.file_documents import REFUSE, SKIP
from scalinglab.scaling.data.folder import Folder
from scalinglab.scaling.data.source import SOURCES
from scalinglab.scaling.data.stdlib import EXCLUDED
from scalinglab.scaling.fields import setting


@SOURCES.register("python")
@dataclass(frozen=True)
class PythonSources(Folder):
    """The standard library's .py files as documents, for any tokenizer."""

    path: str = ""  # "": the standard library's
    pattern: str = "*.py"
    unreadable: str = setting(SKIP, (REFUSE, SKIP))  # a few are tests of other encodings

    def files(self) -> list[Path]:
        """Those of the standard library without its tests and what was installed beside it."""
        root = Path(self.path or sysconfig.get_path("stdlib"))
        found = Folder.files(dataclasses.replace(self, path=str(root)))
        return [p for p in found if not EXCLUDED.intersection(p.relative_to(root).parts[:-1])]
