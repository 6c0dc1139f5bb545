"""Scores of class probabilities, and whether two methods differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Calibration",
    "PairedDifference",
    "brier_score",
    "calibrate",
    "confusion_matrix",
    "f1_per_class",
    "paired_difference",
]

NUM_BINS: Final = 10
NUM_RESAMPLES: Final = 2000
INTERVAL: Final = (2.5, 97.5)
"""Percentiles of resampled differences that bound the interval."""

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]


def confusion_matrix(
    labels: Labels, predicted: Labels, num_classes: int
) -> NDArray[np.int64]:
    """Count predictions by true class (rows) and predicted class (columns).

    Parameters
    ----------
    labels, predicted : numpy.ndarray, shape (n,), int64
        Class numbers.
    num_classes : int

    Returns
    -------
    confusion : numpy.ndarray, shape (num_classes, num_classes), int64
    """
    pairs = labels * num_classes + predicted
    counts = np.bincount(pairs, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def f1_per_class(confusion: NDArray[np.number]) -> NDArray[np.float64]:
    """Return the F1 of each class; their mean is the macro F1.

    Parameters
    ----------
    confusion : numpy.ndarray, shape (..., num_classes, num_classes)
        From `confusion_matrix`, or sums of weights.

    Returns
    -------
    f1 : numpy.ndarray, shape (..., num_classes), float64
        0 for a class that is neither there nor predicted.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    total = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    f1: NDArray[np.float64] = 2.0 * hits / np.maximum(total, 1e-12)
    return f1


def brier_score(probabilities: Probabilities, labels: Labels) -> float:
    """Return the mean squared distance from the truth, from 0 (best) to 2.

    Parameters
    ----------
    probabilities : numpy.ndarray, shape (n, num_classes)
    labels : numpy.ndarray, shape (n,), int64

    Returns
    -------
    score : float
        Summed over classes, as Brier (1950) did.
    """
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Calibration:
    """Whether predictions made with a confidence come true as often.

    Bins are of equal width in the probability of the predicted class; empty ones are
    left out.
    """

    confidence: NDArray[np.float64]
    """(num_bins,): mean probability of the predicted class."""
    accuracy: NDArray[np.float64]
    """(num_bins,): share of predictions that are right."""
    count: NDArray[np.int64]
    """(num_bins,): number of predictions."""

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of the two, by number."""
        gap = np.abs(self.confidence - self.accuracy)
        return float((gap * self.count).sum() / self.count.sum())


def calibrate(
    probabilities: Probabilities, labels: Labels, num_bins: int = NUM_BINS
) -> Calibration:
    """Compare confidence with accuracy.

    Parameters
    ----------
    probabilities : numpy.ndarray, shape (n, num_classes)
    labels : numpy.ndarray, shape (n,), int64
    num_bins : int

    Returns
    -------
    calibration : Calibration
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * num_bins).astype(int), num_bins - 1)
    count = np.bincount(place, minlength=num_bins)
    filled = count > 0
    sums = (
        np.bincount(place, weights=values, minlength=num_bins)[filled]
        for values in (confidence, right)
    )
    means = (total / count[filled] for total in sums)
    return Calibration(next(means), next(means), count[filled])


@dataclasses.dataclass(frozen=True, slots=True)
class PairedDifference:
    """How much better one method is than another on the same test objects."""

    difference: float
    """Macro F1 of the first minus that of the second, mean over folds."""
    low: float
    """Lower end of the interval of 95 % of resamples."""
    high: float
    """Upper end."""
    share_above_zero: float
    """Part of the resamples in which the first is better."""


def paired_difference(
    first: Sequence[Labels],
    second: Sequence[Labels],
    labels: Sequence[Labels],
    names: Sequence[Sequence[str]],
    num_classes: int,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> PairedDifference:
    """Compare two methods by a bootstrap over test objects.

    Objects are drawn with replacement within their class; one that is tested in several
    folds is drawn for all of them at once. The interval tells how the difference would
    scatter for other test objects, not for other training sets.

    Parameters
    ----------
    first, second : sequence of numpy.ndarray, shape (n,), int64
        Predicted classes by fold.
    labels : sequence of numpy.ndarray, shape (n,), int64
        True classes by fold.
    names : sequence of sequence of str
        Object names by fold.
    num_classes : int
    num_resamples : int
    seed : int

    Returns
    -------
    difference : PairedDifference
    """
    place = {name: i for i, name in enumerate(sorted(set().union(*names)))}
    rows = [np.array([place[name] for name in fold]) for fold in names]
    label = np.zeros(len(place), dtype=np.int64)
    for row, fold in zip(rows, labels, strict=True):
        label[row] = fold
    rng = np.random.default_rng(seed)
    weight = np.zeros((num_resamples, len(place)))
    for number in np.unique(label):
        members = np.flatnonzero(label == number)
        equal = np.full(len(members), 1.0 / len(members))
        weight[:, members] = rng.multinomial(len(members), equal, size=num_resamples)
    # The first row is the sample as it is.
    weight = np.concatenate([np.ones((1, len(place))), weight])
    differences = np.zeros(len(weight))
    for row, fold, one, other in zip(rows, labels, first, second, strict=True):
        scores = [
            _macro_f1(weight[:, row], fold, guess, num_classes)
            for guess in (one, other)
        ]
        differences += (scores[0] - scores[1]) / len(rows)
    low, high = np.percentile(differences[1:], INTERVAL)
    return PairedDifference(
        difference=float(differences[0]),
        low=float(low),
        high=float(high),
        share_above_zero=float((differences[1:] > 0).mean()),
    )


def _macro_f1(
    weight: NDArray[np.float64], labels: Labels, predicted: Labels, num_classes: int
) -> NDArray[np.float64]:
    """Return the macro F1 under each row of weights."""
    pairs = np.eye(num_classes**2)[labels * num_classes + predicted]
    confusion = (weight @ pairs).reshape(-1, num_classes, num_classes)
    f1: NDArray[np.float64] = f1_per_class(confusion).mean(axis=-1)
    return f1
