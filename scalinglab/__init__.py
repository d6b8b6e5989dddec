"""A laboratory for scaling-law studies: plan, launch, watch, fit, decide, report.

One name holds everything: ``scalinglab.scaling`` (how one run happens), ``scalinglab.sweeps``
(which runs, and where), ``scalinglab.analysis`` (what they say) and, here, what a person does:
`Study` and the command line. `Study` is imported on first use: a worker needs none of it.
"""

from pathlib import Path
from typing import Any

__all__ = ["Study"]

# In a checkout the packages stand beside this folder, installed they stand in it.
if not (Path(__file__).parent / "scaling").is_dir():
    __path__.append(str(Path(__file__).parent.parent))


def __getattr__(name: str) -> Any:
    """Import a public name the first time it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'scalinglab' has no attribute {name!r}")
    from scalinglab.study import Study

    return Study


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
