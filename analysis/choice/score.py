"""Scores of laws by held-out points, and the shares of laws that predict them best.

The score is the mean log density that a law gives to held-out points. The variance of that density
has three parts: the noise; a part that grows with the distance as a random walk does, as no law is
the true one; and the square of the bias. Signed errors are regressed on the distance, so that a
bias is found even if the error passes through zero at the measured points. The square of the bias's
standard error is subtracted, as few origins determine it poorly.

Shares maximise the same score of the mixture (stacking: Yao et al. 2018, arXiv:1704.02030), and
none is below `FLOOR`. A law whose score is `MARGIN` below the best has none: of few points, the
laws of most parameters predict anything, and a tenth of that spoils a mean.

The constants were chosen on the development sets of `benchmarks/surface_sets.py`, each entry left
out in turn (benchmarks/README.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

FLOOR = 0.1  # of a share, before they are made one
NEAR = np.log(2.0)  # how far the question lies beyond, where nobody says
MARGIN = 1.5  # of the mean log density
_CLOSE = 0.5  # of the distances' logarithms: origins count by how close they are to the question's
_RECENT = 2.0  # an origin so far below the largest budget, in logarithms, counts e times less
_NEAREST = 0.2  # logarithm of a distance: points within differ by noise
_WILD = 1.0  # the largest error that counts as it is
_IMPOSSIBLE = 2.0  # what a prediction counts as which no response can be
_LEAST_NOISE = 2e-3  # of log loss: seeds differ by as much
TOLD = 0.975  # of the draws that keep a lead: below, its 95 % interval includes zero
_FEWEST_CLUSTERS = 3
_STEPS = 200
_DRAWS = 1000


@dataclass(frozen=True)
class HeldOut:
    """Points predicted ahead of origins, by some candidates.

    Attributes
    ----------
    error : array, shape (candidates, m)
        Predicted - measured on the scale of the fit; infinite where nothing possible is predicted.
    origin, row : array of int, shape (m,)
        Which origin, and which point.
    distance, below : array, shape (m,)
        See `Origin`.
    noise : float
        Known noise of the response, on the same scale.
    """

    error: Array
    origin: Array
    row: Array
    distance: Array
    below: Array
    noise: float = 0.0

    def of(self, candidates: list[int]) -> HeldOut:
        """The same points, some of the candidates."""
        return HeldOut(
            self.error[candidates], self.origin, self.row, self.distance, self.below, self.noise
        )

    @property
    def sizes(self) -> Array:
        """Errors, those of impossible predictions and of wild ones counted as large ones."""
        wild = np.clip(self.error, -_WILD, _WILD)
        return np.where(np.isfinite(self.error), wild, _IMPOSSIBLE)

    def weights(self, question: float = NEAR) -> Array:
        """How much each point counts for a question so far beyond the points, sum 1, (m,)."""
        each = np.exp(-np.abs(self.distance - question) / _CLOSE - self.below / _RECENT)
        return _share(each / np.bincount(self.origin)[self.origin])


def variances(predictions: HeldOut, weights: Array, question: float = NEAR) -> Array:
    """Variance that each candidate's errors have at each point, (candidates, m)."""
    far = np.maximum(predictions.distance, _NEAREST)
    grown = (predictions.sizes**2 / far) @ weights
    noise = max(predictions.noise, _LEAST_NOISE) ** 2
    bias = trend(predictions, weights, question)
    squared = np.maximum(bias.value**2 - bias.standard_error**2, 0)
    return noise + grown[:, None] * far + squared[:, None]


@dataclass(frozen=True)
class Trend:
    """Regression of signed errors on log distance: its value at the question, (candidates,)."""

    value: Array
    standard_error: Array


def trend(predictions: HeldOut, weights: Array, question: float = NEAR) -> Trend:
    """The bias of each candidate at the question, by weighted regression clustered by origin."""
    error, distance = predictions.sizes, predictions.distance
    middle = weights @ distance
    mean, away = error @ weights, distance - middle
    spread = weights @ away**2
    origins = len(np.unique(predictions.origin))
    if origins < 3 or not spread > 0:
        return Trend(mean, np.full(len(mean), np.inf))
    slope = error @ (weights * away) / spread
    left = (error - mean[:, None] - slope[:, None] * away) ** 2 @ weights
    lever = 1 + (question - middle) ** 2 / spread
    value = mean + slope * (question - middle)
    return Trend(value, np.sqrt(left * lever / (origins - 2)))


def log_densities(predictions: HeldOut, weights: Array, question: float = NEAR) -> Array:
    """Logarithm of the density that each candidate gives to each point, (candidates, m)."""
    variance = variances(predictions, weights, question)
    return -0.5 * (predictions.sizes**2 / variance + np.log(2 * np.pi * variance))


def cluster_scores(predictions: HeldOut, question: float, cluster: Array) -> Array:
    """What each cluster of points adds to the score of each candidate, (candidates, clusters).

    Parameters
    ----------
    predictions : HeldOut
    question : float
        As in `HeldOut.weights`.
    cluster : array of int, shape (n,)
        Points that miss together: a budget, a schedule; of all points.
    """
    weights = predictions.weights(question)
    density = log_densities(predictions, weights, question) * weights
    some, number = np.unique(cluster[predictions.row], return_inverse=True)
    return density @ (number[:, None] == np.arange(len(some)))


def stacked(density: Array, weights: Array, floor: float = FLOOR) -> Array:
    """Shares of the mixture of greatest mean log density, none below `floor`, (candidates,).

    None of those far behind, see above. By expectation and maximisation, which has no step to
    choose.
    """
    score = density @ weights
    near = score >= score.max() - MARGIN
    likely = np.exp(density - density.max(axis=0))
    shares = np.full(len(density), 1 / len(density))
    for _ in range(_STEPS):
        part = shares[:, None] * likely
        shares = (part / part.sum(axis=0)) @ weights
    return _share(np.where(near, np.maximum(shares, min(floor, 1 / len(shares))), 0))


def win_share(lead: Array) -> float:
    """Share of random weightings of the clusters of points under which a lead stays one.

    One half for fewer than three clusters, which determine nothing.

    Parameters
    ----------
    lead : array, shape (clusters,) or (draws, clusters)
        What each cluster adds to the lead; of one fit, or of another one in each draw.
    """
    if lead.ndim == 1:
        lead = np.broadcast_to(lead, (_DRAWS, len(lead)))
    if lead.shape[1] < _FEWEST_CLUSTERS:
        return 0.5
    weight = np.random.default_rng(0).exponential(size=lead.shape)
    return float(np.mean((weight * lead).sum(axis=1) > 0))


def leads(scores: Array, drawn: Array | None = None) -> Array:
    """How often the candidate of the best score keeps its lead, over each; NaN for itself.

    Of two laws of one family one may be ahead by a little in every cluster: then it is the noise of
    the fits that put it there, and only refits show that their order could turn.

    Parameters
    ----------
    scores : array, shape (candidates, clusters)
        See `cluster_scores`.
    drawn : array, shape (draws, candidates, clusters), optional
        The same of refits to resamples.

    Returns
    -------
    array, shape (candidates,)
    """
    best = int(np.argmax(scores.sum(axis=1)))
    each = scores if drawn is None else drawn
    share = [win_share(each[..., best, :] - each[..., k, :]) for k in range(len(scores))]
    return np.where(np.arange(len(scores)) == best, np.nan, share)


def _share(values: Array) -> Array:
    return values / values.sum()
