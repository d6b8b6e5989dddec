"""A light version of `benchmarks/coverage.py`."""

import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("coverage_benchmark", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclass looks
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["clean", "heavy", "heteroscedastic", "clustered"])
def test_intervals_cover_and_warnings_keep_quiet(bench, noise):
    """60 studies: a share of .95 is met within .07 in all but one of a hundred."""
    tally = bench.well_specified(bench.ladder(), bench.KINDS[noise], 60)
    for what in tally.asked:
        assert tally.share(what) >= 0.88, what
    for what, count in tally.warned.items():
        assert count <= 0.1 * tally.replicates + 4, what


@pytest.mark.slow
def test_what_cannot_be_known_is_named(bench):
    names = {"A", "alpha", "B", "beta"}
    tally = bench.unidentified(bench.one_ratio(), bench.chinchilla, names, 30)
    assert tally.share("named") > 0.9
    assert bench.unidentified(bench.ladder(), bench.no_floor, {"E"}, 30).share("named") > 0.85
