"""A period to fold with, where none is known."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from astromer.errors import ConfigError
from astromer.lightcurve import LightCurve

__all__ = ["find_period"]

_LEAST_OBSERVATIONS: Final = 10
_CANDIDATES: Final = 12
_PER_PEAK: Final = 5
"""Frequencies within the width of a peak, one over the duration."""
_FINER: Final = 20
"""How much finer the frequency of a candidate is sought."""
_TERMS: Final = 3
_DOUBLING: Final = 20.0
"""How much more than chance the odd harmonics of the double period must explain."""


def find_period(
    light_curve: LightCurve,
    *,
    shortest_period: float = 0.03,
    longest_period: float | None = None,
) -> float | None:
    """Find the period of a light curve by a Lomb-Scargle periodogram.

    The highest peaks are compared again with two more harmonics. A period is doubled
    if its two halves differ significantly, as those of an eclipsing binary do. No
    substitute for a catalog: daily aliases happen.

    Parameters
    ----------
    light_curve : LightCurve
        At least ten observations.
    shortest_period : float
        Shortest period sought [d]. Delta Scuti stars have 0.03 d and more.
    longest_period : float, optional
        Longest period sought [d]; the duration by default.

    Returns
    -------
    period : float or None
        Period [d]; None if the magnitudes are all the same.

    Raises
    ------
    ConfigError
        If there are too few observations, or no periods between the two.
    ImportError
        If astropy is not installed.
    """
    longest = light_curve.duration if longest_period is None else longest_period
    if len(light_curve) < _LEAST_OBSERVATIONS:
        raise ConfigError(
            f"A period needs {_LEAST_OBSERVATIONS} observations. Received: "
            f'{len(light_curve)} for object_id="{light_curve.object_id}". '
            "Give the period, or plot against time."
        )
    if not 0.0 < shortest_period < longest:
        raise ConfigError(
            "Periods must be positive and ascending. Received: "
            f"shortest_period={shortest_period}, longest_period={longest} (by default "
            f'the duration) for object_id="{light_curve.object_id}". Give the period, '
            "or plot against time."
        )
    mag = light_curve.mag.astype(np.float64)
    if not np.ptp(mag):
        return None
    try:
        from astropy.timeseries import LombScargle
    except ImportError as error:
        raise ImportError(
            'A periodogram needs astropy: pip install "astromer[astropy]". '
            "Or give the period."
        ) from error
    time = light_curve.time - light_curve.time.mean()
    # Errors of zero are unknown; a median error is as good as any.
    known = light_curve.mag_err > 0
    typical = float(np.median(light_curve.mag_err[known])) if known.any() else 1.0
    mag_err = np.where(known, light_curve.mag_err, typical).astype(np.float64)

    step = 1.0 / (_PER_PEAK * light_curve.duration)
    first, last = 1.0 / longest, 1.0 / shortest_period
    frequency = first + step * np.arange(int((last - first) / step) + 1)
    power = LombScargle(time, mag, mag_err).power(
        frequency, method="fast", assume_regular_frequency=True
    )
    harmonic = LombScargle(time, mag, mag_err, nterms=_TERMS)
    fine = step * np.arange(-_FINER, _FINER + 1) / _FINER
    best, best_power = frequency[int(np.argmax(power))], -np.inf
    for peak in _peaks(power):
        near = np.clip(frequency[peak] + fine, first / 2, None)
        powers = harmonic.power(near, method="chi2")
        if powers.max() > best_power:
            best, best_power = near[int(np.argmax(powers))], float(powers.max())
    doubled = LombScargle(time, mag, mag_err, nterms=2 * _TERMS)
    share = float(doubled.power([best / 2], method="chi2")[0])
    rest = max(len(time) - 4 * _TERMS - 1, 1)
    gain = (share - best_power) / (2 * _TERMS) / max(1.0 - share, 1e-12) * rest
    fits = 2.0 / best <= longest and len(time) > 8 * _TERMS
    return float((2.0 if fits and gain > _DOUBLING else 1.0) / best)


def _peaks(power: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the places of the highest local maxima, highest first."""
    padded = np.concatenate([[-np.inf], power, [-np.inf]])
    places = np.flatnonzero((power >= padded[:-2]) & (power >= padded[2:]))
    return places[np.argsort(power[places])[::-1]][:_CANDIDATES]
