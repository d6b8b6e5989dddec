"""A laboratory for scaling-law studies: plan, launch, watch, fit, decide, report.

One name holds everything: ``scalinglab.scaling`` (how one run happens), ``scalinglab.sweeps``
(which runs, and where), ``scalinglab.analysis`` (what they say) and, here, what a person does:
`Study`, `Table`, `train_run`, `extend` and the command line. They are imported on first use: a
worker needs none of them.
"""

import importlib
from pathlib import Path
from typing import Any

__all__ = ["Study", "Table", "extend", "train_run"]

_FILES = {
    "Study": "scalinglab.study",
    "Table": "scalinglab.table",
    "extend": "scalinglab.scaling.extensions.loading",
    "train_run": "scalinglab.single_run",
}

# In a checkout the packages stand beside this folder, installed they stand in it.
if not (Path(__file__).parent / "scaling").is_dir():
    __path__.append(str(Path(__file__).parent.parent))


def __getattr__(name: str) -> Any:
    """Import a public name the first time it is asked for."""
    if name not in _FILES:
        raise AttributeError(f"module 'scalinglab' has no attribute {name!r}")
    return getattr(importlib.import_module(_FILES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
