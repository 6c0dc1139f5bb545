"""Least-squares fits of a mean and a few harmonics, at many frequencies at once."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["HarmonicFits", "evaluate_harmonics", "fit_harmonics", "frequencies_around"]

SMALLEST_RIDGE: Final = 1e-9
"""Keeps equations of few observations solvable."""


class HarmonicFits(NamedTuple):
    """Fits of one light curve, one per frequency."""

    frequency: NDArray[np.float64]
    """(num_frequencies,) [1/d]."""
    explained: NDArray[np.float64]
    """(num_frequencies,): share of the weighted variance that the fit explains."""
    coefficients: NDArray[np.float64]
    """(num_frequencies, 1 + 2 * num_harmonics) [mag]: mean, then cosine and sine of
    each harmonic in turn."""

    def best(self) -> int:
        """Return the place of the fit that explains most."""
        return int(np.argmax(self.explained))


def frequencies_around(
    centers: NDArray[np.float64], duration: float, *, steps: int, oversampling: float
) -> NDArray[np.float64]:
    """Return a fine grid around each frequency.

    Parameters
    ----------
    centers : numpy.ndarray, shape (n,)
        Frequencies [1/d].
    duration : float
        Time between first and last observation [d].
    steps : int
        Steps to each side.
    oversampling : float
        Steps per inverse of the duration.

    Returns
    -------
    frequencies : numpy.ndarray, shape (n * (2 * steps + 1),)
        Those that are positive [1/d].
    """
    offsets = np.arange(-steps, steps + 1) / (oversampling * max(duration, 1e-9))
    frequencies = (np.asarray(centers)[:, None] + offsets).ravel()
    return frequencies[frequencies > 0]


def fit_harmonics(
    time: NDArray[np.float64],
    mag: NDArray[np.float64],
    weight: NDArray[np.float64],
    frequencies: NDArray[np.float64],
    num_harmonics: int,
    *,
    ridge: float = SMALLEST_RIDGE,
) -> HarmonicFits:
    """Fit a mean and harmonics of each frequency, with a floating mean.

    The normal equations hold nothing but sums of powers of one complex exponential, so
    a frequency costs little more than its exponentials.

    Parameters
    ----------
    time, mag, weight : numpy.ndarray, shape (n,)
        Times [d], magnitudes [mag], and weights such as inverse variances.
    frequencies : numpy.ndarray, shape (num_frequencies,)
        In 1/d.
    num_harmonics : int
        1 is a sinusoid.
    ridge : float
        Added to the diagonal of the normal equations, whose entries are about a half:
        what the observations hardly tell is drawn to zero.

    Returns
    -------
    fits : HarmonicFits
    """
    weight = weight / weight.sum()
    mean = weight @ mag
    centered = mag - mean
    power = np.exp(2j * np.pi * np.outer(frequencies, time))
    phasor = np.ones_like(power)
    # sums[k] = sum of w e^{ik}, data[k] = sum of w m e^{ik}.
    sums = np.empty((2 * num_harmonics + 1, len(frequencies)), complex)
    data = np.empty((num_harmonics + 1, len(frequencies)), complex)
    for k in range(2 * num_harmonics + 1):
        sums[k] = phasor @ weight
        if k <= num_harmonics:
            data[k] = phasor @ (weight * centered)
        phasor *= power
    size = 2 * num_harmonics + 1
    matrix = np.empty((len(frequencies), size, size))
    vector = np.empty((len(frequencies), size))
    for row in range(size):
        j, row_is_sine = (row + 1) // 2, row > 0 and row % 2 == 0
        vector[:, row] = data[j].imag if row_is_sine else data[j].real
        for column in range(size):
            k, column_is_sine = (column + 1) // 2, column > 0 and column % 2 == 0
            total, difference = sums[j + k], sums[abs(j - k)]
            if row_is_sine and column_is_sine:
                value = (difference.real - total.real) / 2
            elif not row_is_sine and not column_is_sine:
                value = (difference.real + total.real) / 2
            else:
                # sin a cos b = (sin(a + b) + sin(a - b)) / 2
                sign = np.sign(j - k) if row_is_sine else np.sign(k - j)
                value = (total.imag + sign * difference.imag) / 2
            matrix[:, row, column] = value
    matrix += ridge * np.eye(size)
    solved = np.linalg.solve(matrix, vector[..., None])[..., 0]
    coefficients = np.asarray(solved, dtype=np.float64)
    variance = weight @ centered**2
    explained = (coefficients * vector).sum(axis=1) / max(float(variance), 1e-30)
    coefficients[:, 0] += mean
    return HarmonicFits(frequencies, explained, coefficients)


def evaluate_harmonics(
    time: NDArray[np.float64], frequency: float, coefficients: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the fitted magnitudes at some times.

    Parameters
    ----------
    time : numpy.ndarray, shape (n,)
        Times [d], from the same origin as those fitted.
    frequency : float
        In 1/d.
    coefficients : numpy.ndarray, shape (1 + 2 * num_harmonics,)
        From `fit_harmonics` [mag].

    Returns
    -------
    mag : numpy.ndarray, shape (n,) [mag]
    """
    harmonics = np.arange(1, len(coefficients) // 2 + 1)
    angle = 2 * np.pi * frequency * np.outer(time, harmonics)
    mag: NDArray[np.float64] = (
        coefficients[0]
        + np.cos(angle) @ coefficients[1::2]
        + np.sin(angle) @ coefficients[2::2]
    )
    return mag
