"""Fits of harmonics against numpy's least squares and astropy's periodogram."""

import numpy as np
import pytest

from astromer.evaluation.harmonics import (
    evaluate_harmonics,
    fit_harmonics,
    frequencies_around,
)


@pytest.fixture
def series(rng):
    """Times, magnitudes and weights of a star with two harmonics at 1.7 per day."""
    time = np.sort(rng.uniform(0, 200, 80))
    angle = 2 * np.pi * 1.7 * time
    mag = 15 + 0.3 * np.cos(angle) - 0.1 * np.sin(2 * angle) + rng.normal(0, 0.02, 80)
    return time, mag, rng.uniform(0.5, 2.0, 80)


@pytest.mark.parametrize("num_harmonics", [1, 3, 4])
def test_fit_equals_weighted_least_squares(series, num_harmonics):
    time, mag, weight = series
    frequencies = np.array([0.013, 0.9, 1.7])
    fits = fit_harmonics(time, mag, weight, frequencies, num_harmonics)
    for frequency, explained, found in zip(*fits, strict=True):
        columns = [np.ones_like(time)]
        for k in range(1, num_harmonics + 1):
            angle = 2 * np.pi * k * frequency * time
            columns += [np.cos(angle), np.sin(angle)]
        design = np.stack(columns, axis=1)
        root = np.sqrt(weight)
        expected, *_ = np.linalg.lstsq(design * root[:, None], mag * root)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_allclose(
            evaluate_harmonics(time, frequency, found), design @ found, atol=1e-9
        )
        mean = np.average(mag, weights=weight)
        residual = np.average((mag - design @ expected) ** 2, weights=weight)
        total = np.average((mag - mean) ** 2, weights=weight)
        assert explained == pytest.approx(1 - residual / total, abs=1e-6)


def test_explained_share_is_astropys_standard_power(series):
    from astropy.timeseries import LombScargle

    time, mag, weight = series
    frequencies = np.linspace(0.1, 2.0, 50)
    periodogram = LombScargle(time, mag, weight**-0.5, nterms=3)
    expected = periodogram.power(frequencies, method="chi2", normalization="standard")
    fits = fit_harmonics(time, mag, weight, frequencies, 3)
    np.testing.assert_allclose(fits.explained, expected, atol=1e-5)


def test_best_fit_is_at_the_true_frequency(series):
    grid = frequencies_around(np.array([1.698]), 200.0, steps=20, oversampling=20)
    fits = fit_harmonics(*series, grid, 2)
    assert fits.frequency[fits.best()] == pytest.approx(1.7, abs=3e-4)
    amplitudes = np.hypot(*fits.coefficients[fits.best(), 1:].reshape(2, 2).T)
    np.testing.assert_allclose(amplitudes, [0.3, 0.1], atol=0.01)


def test_more_unknowns_than_observations_give_finite_numbers():
    time = np.array([0.0, 1.0, 2.5])
    fits = fit_harmonics(time, np.array([1.0, 2, 0]), np.ones(3), np.array([0.3]), 4)
    assert np.isfinite(fits.coefficients).all()


def test_frequencies_around_are_fine_and_positive():
    grid = frequencies_around(np.array([1.0, 0.001]), 100.0, steps=2, oversampling=10)
    np.testing.assert_allclose(
        grid, [0.998, 0.999, 1.0, 1.001, 1.002, 0.001, 0.002, 0.003], atol=1e-12
    )
