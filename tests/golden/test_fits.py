"""Every law predicts what it did, and finds the parameters that it found."""

from __future__ import annotations

import pytest

from tests.golden import fits, product
from tests.golden.write import read

LAWS = read("fits")["laws"]


def test_every_law_has_a_record() -> None:
    assert set(product.laws()) == set(LAWS), "write fits"


@pytest.mark.parametrize("law", sorted(LAWS))
def test_a_law_predicts_what_it_did(law: str) -> None:
    frame = fits.table(law, LAWS[law])
    made = frame[product.response(law)].to_numpy()
    now = product.predict(law, LAWS[law]["made_with"], frame)
    there = made == made
    assert there.any()
    assert [n for n, t in zip(now, there, strict=True) if t] == pytest.approx(
        list(made[there]), rel=1e-7
    )


@pytest.mark.parametrize("law", sorted(LAWS))
def test_a_law_is_fitted_as_it_was(law: str) -> None:
    now = product.fit(law, fits.table(law, LAWS[law]))
    assert set(now) == set(LAWS[law]["made_with"])
    found = {name: now[name] for name in LAWS[law]["fitted"]}
    assert found and found == pytest.approx(LAWS[law]["fitted"], rel=2e-3)
