"""Which runs happen and where: study -> plan -> workers -> state.

``Study``, for notebooks, is imported on first use: a worker loads none of it.
"""

from typing import Any

__all__ = ["Study"]


def __getattr__(name: str) -> Any:
    """Import a public name the first time it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'sweeps' has no attribute {name!r}; it has {__all__}")
    from scalinglab.study import Study

    return Study


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
