import subprocess
import sys

import pytest

from scalinglab import analysis

TRAINING = ["torch", "lightning", "hydra", "wandb", "submitit"]


def _loaded(code: str, modules: list[str]) -> str:
    code = f"import sys; {code}; print([m for m in {modules!r} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_import_loads_nothing_heavy():
    heavy = [*TRAINING, "matplotlib", "scipy", "pandas", "numpy"]
    assert _loaded("from scalinglab import analysis", heavy) == "[]"


def test_fit_loads_no_training_code_and_no_scipy():
    assert (
        _loaded("from scalinglab import analysis; analysis.fit", [*TRAINING, "matplotlib", "scipy"])
        == "[]"
    )


def test_an_unknown_name_lists_the_known():
    with pytest.raises(AttributeError, match="chinchila.*read_fit"):
        _ = analysis.chinchila
