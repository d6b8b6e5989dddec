"""A preconditioner without eigenvectors is one member's misfortune."""

from __future__ import annotations

import pytest
import torch

from scalinglab.scaling.engine.optimizers.soap import eigenvectors

HUGE = 1e6  # of a preconditioner that the eigensolver of these tests does not like


@pytest.fixture
def stubborn(monkeypatch):
    """An eigensolver that fails as LAPACK does: the whole stack, without saying where."""
    eigh = torch.linalg.eigh

    def fails(matrices):
        if (matrices.abs() > HUGE).any():
            raise torch.linalg.LinAlgError("linalg.eigh: The algorithm failed to converge")
        return eigh(matrices)

    monkeypatch.setattr(torch.linalg, "eigh", fails)


def symmetric(*size: int) -> torch.Tensor:
    matrices = torch.randn(*size, generator=torch.Generator().manual_seed(0))
    return matrices @ matrices.mT


def test_they_come_strongest_first():
    matrices = symmetric(3, 2, 5, 5)
    vectors = eigenvectors(matrices)
    strength = (vectors * (matrices @ vectors)).sum(-2)
    assert (strength.diff() <= 0).all()
    torch.testing.assert_close(vectors @ torch.diag_embed(strength) @ vectors.mT, matrices)


def test_of_all_matrices_but_the_one_that_has_none(stubborn):
    matrices = symmetric(3, 2, 5, 5)
    expected = eigenvectors(matrices)
    matrices[1, 0] *= 2 * HUGE
    found = eigenvectors(matrices)
    assert found[1, 0].isnan().all()
    found[1, 0] = expected[1, 0]
    assert torch.equal(found, expected)


def test_its_member_diverges_and_the_bits_of_the_others_stay(lab, stubborn, monkeypatch):
    members = lab.settings("soap")
    members[0] = type(members[0])(**vars(members[0]) | {"clip": 1e30})
    clean = lab.Trained(members).run()
    large = lab.gradients().clone()
    large[0, 0] *= HUGE  # the first gradient makes the bases
    monkeypatch.setattr(lab, "gradients", lambda: large)
    broken = lab.Trained(members).run()
    assert not torch.isfinite(broken.weights[0]).all()
    assert torch.equal(broken.weights[1:], clean.weights[1:])
