"""Classical ways to predict a hidden magnitude from the visible ones around it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from astromer.evaluation.harmonics import (
    evaluate_harmonics,
    fit_harmonics,
    frequencies_around,
)

__all__ = ["INTERPOLATORS", "INTERPOLATORS_VERSION", "Observations", "Prediction"]

Floats = NDArray[np.float64]

INTERPOLATORS_VERSION: Final = 1
"""Raised whenever a method changes, so that no earlier result is taken for it."""

NUM_HARMONICS: Final = 4
MAX_FREQUENCY_PER_D: Final = 25.0
OVERSAMPLING: Final = 5.0
NUM_PEAKS: Final = 10
REFINING_STEPS: Final = 4
REFINING_OVERSAMPLING: Final = 20.0
RIDGE: Final = 0.01
"""Without it, a season without observations lets slow harmonics go anywhere."""
SMALLEST_SCATTER_MAG: Final = 1e-3
TIME_SCALES_D: Final = (0.01, 3000.0)
FIRST_TIME_SCALE_D: Final = 10.0


class Observations(NamedTuple):
    """What is visible of one window."""

    time: Floats
    """(n,): times [d], rising."""
    mag: Floats
    """(n,): magnitudes [mag]."""
    mag_err: Floats
    """(n,): their uncertainties [mag]."""

    @property
    def weight(self) -> Floats:
        """(n,): inverse variances, of which half is the typical one's."""
        typical = max(float(np.median(self.mag_err)), SMALLEST_SCATTER_MAG)
        return 1.0 / (self.mag_err**2 + typical**2)


class Prediction(NamedTuple):
    """Magnitudes at the times asked for."""

    mag: Floats
    """(m,) [mag]."""
    std: Floats | None = None
    """(m,): how far an observation would scatter about it [mag], if a method knows."""


def visible_mean(seen: Observations, asked: Floats) -> Prediction:
    """Predict the mean of the visible."""
    return Prediction(np.full(len(asked), seen.mag.mean()))


def linear(seen: Observations, asked: Floats) -> Prediction:
    """Interpolate in time between the visible neighbors; beyond, take the last."""
    return Prediction(np.interp(asked, seen.time, seen.mag))


def gaussian_process(seen: Observations, asked: Floats) -> Prediction:
    """Predict with a Matern 3/2 kernel and white noise, fitted to the visible."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    mean = seen.mag.mean()
    scale = max(float(seen.mag.std()), SMALLEST_SCATTER_MAG)
    kernel = ConstantKernel(1.0, (1e-3, 1e2)) * Matern(
        FIRST_TIME_SCALE_D, TIME_SCALES_D, nu=1.5
    ) + WhiteKernel(0.1, (1e-6, 10.0))
    process = GaussianProcessRegressor(kernel, alpha=(seen.mag_err / scale) ** 2 + 1e-9)
    with warnings.catch_warnings():
        # A parameter at its bound, or an optimizer that stops early, is a fit too.
        warnings.simplefilter("ignore")
        process.fit(seen.time[:, None], (seen.mag - mean) / scale)
        mag, std = process.predict(asked[:, None], return_std=True)
    # The white noise is in `std`, the uncertainty of a measurement is not.
    error = float(np.median(seen.mag_err))
    return Prediction(mag * scale + mean, np.hypot(std * scale, error))


def lomb_scargle(seen: Observations, asked: Floats) -> Prediction:
    """Predict with four harmonics of the frequency that fits best.

    Frequencies are those around the highest peaks of a periodogram, and around half of
    them.
    """
    origin = seen.time[0]
    time, duration = seen.time - origin, seen.time[-1] - origin
    if duration <= 0:
        return visible_mean(seen, asked)
    lowest = 1.0 / (2.0 * duration)
    number = max(int(MAX_FREQUENCY_PER_D * duration * OVERSAMPLING), 3)
    grid = np.linspace(lowest, max(MAX_FREQUENCY_PER_D, 2 * lowest), number)
    power = np.asarray(
        _nifty_ls()
        .lombscargle(
            time, seen.mag, seen.weight**-0.5, fmin=grid[0], fmax=grid[-1], Nf=number
        )
        .power
    )
    inner = power[1:-1]
    peaks = 1 + np.flatnonzero((inner > power[:-2]) & (inner >= power[2:]))
    if not len(peaks):
        peaks = np.array([int(power.argmax())])
    highest = grid[peaks[np.argsort(-power[peaks])[:NUM_PEAKS]]]
    tried = frequencies_around(
        np.concatenate([highest, highest / 2]),
        duration,
        steps=REFINING_STEPS,
        oversampling=REFINING_OVERSAMPLING,
    )
    # Half of the degrees of freedom at most, lest the fit go through every point.
    num_harmonics = min(NUM_HARMONICS, max((len(time) // 2 - 1) // 2, 1))
    fits = fit_harmonics(time, seen.mag, seen.weight, tried, num_harmonics, ridge=RIDGE)
    best = fits.best()
    return Prediction(
        evaluate_harmonics(
            asked - origin, float(fits.frequency[best]), fits.coefficients[best]
        )
    )


def lomb_scargle_and_process(seen: Observations, asked: Floats) -> Prediction:
    """Predict with harmonics, and what they leave with a Gaussian process."""
    both = lomb_scargle(seen, np.concatenate([seen.time, asked])).mag
    number = len(seen.time)
    rest = gaussian_process(seen._replace(mag=seen.mag - both[:number]), asked)
    return Prediction(both[number:] + rest.mag, rest.std)


INTERPOLATORS: Final[dict[str, Callable[[Observations, Floats], Prediction]]] = {
    "visible mean": visible_mean,
    "linear interpolation": linear,
    "Gaussian process": gaussian_process,
    "Lomb-Scargle": lomb_scargle,
    "Lomb-Scargle + Gaussian process": lomb_scargle_and_process,
}
"""By name: the mean of the visible, which scores R2 = 0; interpolation in time; a
Matern 3/2 process with noise; four harmonics of the best frequency; the two together."""


def _nifty_ls() -> Any:
    try:
        import nifty_ls
    except ImportError as error:
        raise ImportError(
            "Lomb-Scargle fits need the package `nifty-ls`: "
            "pip install 'astromer[benchmark]'."
        ) from error
    return nifty_ls
