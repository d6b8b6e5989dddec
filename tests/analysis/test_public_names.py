import subprocess
import sys

import pytest

import analysis

HEAVY = ("torch", "lightning", "hydra", "wandb", "submitit", "matplotlib", "scipy", "pandas")


def test_import_loads_nothing_heavy():
    code = f"import sys, analysis; print([m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_fit_loads_no_training_code_and_no_scipy():
    code = f"import sys, analysis; analysis.fit; print([m for m in {HEAVY[:-1]!r} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_an_unknown_name_lists_the_known():
    with pytest.raises(AttributeError, match="chinchila.*read_fit"):
        analysis.chinchila  # noqa: B018
