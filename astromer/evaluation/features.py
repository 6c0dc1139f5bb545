"""Hand-crafted features of light curves, from the package `light-curve`.

None tells the mean magnitude or the number of observations: both say more about how a
catalog was made than about a star. With the periodogram, a fit of harmonics tells the
best of its peaks and of twice their periods, which are the orbits of most eclipsing
binaries, and the shape of the light curve in phase.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from astromer.evaluation.harmonics import fit_harmonics, frequencies_around
from astromer.lightcurve import LightCurve

__all__ = [
    "FEATURES_VERSION",
    "STATISTICS",
    "extract_features",
    "feature_names",
    "trivial_statistics",
]

FEATURES_VERSION: Final = 1
"""Raised whenever a feature changes, so that no cached one is taken for it."""

MAX_FREQUENCY_PER_D: Final = 25.0
"""Largest frequency searched [1/d]; delta Scuti stars reach it."""
OVERSAMPLING: Final = 3.0
"""Frequencies per inverse of the duration, at least."""
LARGEST_GRID: Final = 2**20
NUM_PEAKS: Final = 5
NUM_HARMONICS: Final = 3
REFINING_STEPS: Final = 4
"""Steps of a finer grid to each side of a peak."""
REFINING_OVERSAMPLING: Final = 20.0

SAMPLING: Final = ("linear_trend_sigma",)
"""What the package computes along, but is a matter of when a star was observed."""

STATISTICS: Final = ("mean", "std", "skewness", "amplitude")
"""The four trivial statistics: magnitudes' mean, standard deviation [mag], skewness
and half of their range [mag]."""

_MIN_OBSERVATIONS: Final = 4
"""Below it, or where all are at one time, nothing here is defined."""


def extract_features(
    light_curves: Sequence[LightCurve],
    *,
    periodogram: bool = True,
    num_threads: int = 1,
) -> NDArray[np.float64]:
    """Compute features of light curves.

    Parameters
    ----------
    light_curves : sequence of LightCurve
    periodogram : bool
        Whether to search for periods, which takes nearly all of the time.
    num_threads : int

    Returns
    -------
    features : numpy.ndarray, shape (n, num_features), float64
        In the order of `feature_names`; NaN where one is not defined.

    Raises
    ------
    ImportError
        If the package `light-curve` is not installed.
    """
    names = feature_names(periodogram=periodogram)
    features = np.full((len(light_curves), len(names)), np.nan)
    usable = [
        i
        for i, curve in enumerate(light_curves)
        if len(curve) >= _MIN_OBSERVATIONS and curve.duration > 0
    ]
    if not usable:
        return features
    # Relative times: the package squares them.
    curves = [
        (c.time - c.time[0], c.mag.astype(np.float64), c.mag_err.astype(np.float64))
        for c in (light_curves[i] for i in usable)
    ]
    kept = [name not in SAMPLING for name in _plain().names]
    parts = [_apply(_plain(), curves, num_threads)[:, kept]]
    if periodogram:
        spectra = _search_periods(curves, num_threads)
        fits = np.stack(
            [
                _fit(curve, 10.0 ** -peaks[np.isfinite(peaks)])
                for curve, peaks in zip(curves, spectra[:, PERIODS], strict=True)
            ]
        )
        parts += [spectra, fits]
    values = np.concatenate(parts, axis=1)
    features[usable] = np.where(np.isfinite(values), values, np.nan)
    return features


@functools.cache
def feature_names(*, periodogram: bool = True) -> tuple[str, ...]:
    """Name the features in the order of `extract_features`.

    Parameters
    ----------
    periodogram : bool

    Returns
    -------
    names : tuple of str
        Periods are logarithms to base 10 of days.
    """
    names = [name for name in _plain().names if name not in SAMPLING]
    if periodogram:
        names += [
            f"log_{name}" if "_period_" in name and "s_to_n" not in name else name
            for name in _periodogram(2).names
        ]
        names += [
            "log_best_period",
            "explained_by_best_period",
            "explained_by_twice_best_period",
            "harmonic_amplitude_1",
            *(
                f"harmonic_{what}_{k}_1"
                for k in range(2, NUM_HARMONICS + 1)
                for what in ("ratio", "cosine", "sine")
            ),
        ]
    return tuple(names)


def trivial_statistics(light_curve: LightCurve) -> NDArray[np.float64]:
    """Compute the four statistics that any method should beat.

    Parameters
    ----------
    light_curve : LightCurve

    Returns
    -------
    values : numpy.ndarray, shape (4,), float64
        See `STATISTICS`. The skewness of a constant light curve is 0.
    """
    mag = light_curve.mag.astype(np.float64)
    mean, std = mag.mean(), mag.std()
    skewness = np.mean((mag - mean) ** 3) / std**3 if std > 0 else 0.0
    return np.array([mean, std, skewness, np.ptp(mag) / 2])


def _package() -> Any:
    try:
        import light_curve
    except ImportError as error:
        raise ImportError(
            "Hand-crafted features need the package `light-curve`: "
            "pip install 'astromer[benchmark]'."
        ) from error
    return light_curve


@functools.cache
def _plain() -> Any:
    """Features of magnitudes in time."""
    lc = _package()
    return lc.Extractor(
        lc.Amplitude(),
        lc.AndersonDarlingNormal(),
        lc.BeyondNStd(1),
        lc.BeyondNStd(2),
        lc.BiweightScale(),
        lc.Cusum(),
        lc.Eta(),
        lc.EtaE(),
        lc.InterPercentileRange(0.02),
        lc.InterPercentileRange(0.1),
        lc.InterPercentileRange(0.25),
        lc.Kurtosis(),
        lc.LaflerKinmanStringLength(),
        lc.LinearTrend(),
        lc.MagnitudePercentageRatio(0.2, 0.1),
        lc.MagnitudePercentageRatio(0.4, 0.05),
        lc.MaximumSlope(),
        lc.MedianAbsoluteDeviation(),
        lc.MedianBufferRangePercentage(0.1),
        lc.MedianBufferRangePercentage(0.2),
        lc.OtsuSplit(),
        lc.PercentAmplitude(),
        lc.QnScale(),
        lc.ReducedChi2(),
        lc.Roms(),
        lc.Skew(),
        lc.StandardDeviation(),
        lc.StetsonK(),
    )


@functools.cache
def _periodogram(size: int) -> Any:
    """Peaks and moments of a spectrum on so many frequencies, a power of two."""
    lc = _package()
    # From zero in steps to the last: what the package's fast transform takes.
    return lc.Periodogram(
        peaks=NUM_PEAKS,
        freqs=np.linspace(0.0, 2 * np.pi * MAX_FREQUENCY_PER_D, size + 1),
        fast=True,
        features=[
            lc.Amplitude(),
            lc.BeyondNStd(2),
            lc.BeyondNStd(3),
            lc.Skew(),
            lc.StandardDeviation(),
        ],
    )


PERIODS: Final = slice(0, 2 * NUM_PEAKS, 2)
"""Where the spectrum's features hold periods; signal to noise lies between them."""

Curve = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _apply(
    extractor: Any, curves: Sequence[Curve], num_threads: int
) -> NDArray[np.float64]:
    values: NDArray[np.float64] = extractor.many(
        list(curves), fill_value=np.nan, sorted=True, check=False, n_jobs=num_threads
    )
    return values


def _search_periods(curves: Sequence[Curve], num_threads: int) -> NDArray[np.float64]:
    wanted = [OVERSAMPLING * MAX_FREQUENCY_PER_D * curve[0][-1] for curve in curves]
    sizes = np.array(
        [min(1 << max(int(n) - 1, 1).bit_length(), LARGEST_GRID) for n in wanted]
    )
    spectra = np.empty((len(curves), len(_periodogram(2).names)))
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        chosen = [curves[int(row)] for row in rows]
        spectra[rows] = _apply(_periodogram(int(size)), chosen, num_threads)
    with np.errstate(divide="ignore", invalid="ignore"):
        periods = np.log10(spectra[:, PERIODS])
    spectra[:, PERIODS] = np.where(np.isfinite(periods), periods, np.nan)
    return spectra


def _fit(curve: Curve, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the best period among peaks and their doubles, and the shape at it."""
    time, mag, mag_err = curve
    tried = _around(np.concatenate([frequencies, frequencies / 2]), time)
    if len(time) < 4 * NUM_HARMONICS or not len(tried):
        return np.full(4 + 3 * (NUM_HARMONICS - 1), np.nan)
    # Half of the weight is the typical error's, so that no observation rules alone.
    weight = 1.0 / (mag_err**2 + max(float(np.median(mag_err)), 1e-4) ** 2)
    fits = fit_harmonics(time, mag, weight, tried, NUM_HARMONICS)
    best = fits.best()
    frequency = fits.frequency[best]
    twice = _around(np.array([frequency / 2]), time)
    double = fit_harmonics(time, mag, weight, twice, NUM_HARMONICS)
    first, *others = fits.coefficients[best, 1::2] - 1j * fits.coefficients[best, 2::2]
    shape = []
    for k, term in enumerate(others, start=2):
        # Relative to the first harmonic, a phase does not depend on the epoch.
        phase = np.angle(term) - k * np.angle(first)
        shape += [abs(term) / max(abs(first), 1e-9), np.cos(phase), np.sin(phase)]
    explained = fits.explained[best], double.explained.max(initial=0.0)
    return np.array([-np.log10(frequency), *explained, abs(first), *shape])


def _around(
    centers: NDArray[np.float64], time: NDArray[np.float64]
) -> NDArray[np.float64]:
    return frequencies_around(
        centers, time[-1], steps=REFINING_STEPS, oversampling=REFINING_OVERSAMPLING
    )
