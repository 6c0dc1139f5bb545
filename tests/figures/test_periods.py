"""Periods of simulated stars, whose periods are known."""

import sys

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.figures import find_period
from astromer.lightcurve import LightCurve
from astromer.simulate import iterate_stars, simulate_survey


def sinusoid(period, length=80, duration=120.0, error=0.02):
    rng = np.random.default_rng(1)
    time = 50_000.0 + np.sort(rng.uniform(0, duration, length))
    mag = 15 + 0.3 * np.sin(2 * np.pi * time / period) + rng.normal(0, 0.02, length)
    return LightCurve(time, mag, np.full(length, error), object_id="star")


@pytest.mark.parametrize("period", [0.23, 0.61, 3.7, 41.0])
@pytest.mark.parametrize("error", [0.02, 0.0])
def test_period_of_a_sinusoid_is_found(period, error):
    found = find_period(sinusoid(period, error=error))
    # A tenth of a cycle over the whole duration.
    assert abs(120.0 / found - 120.0 / period) < 0.1


def test_period_of_an_eclipsing_binary_is_not_half_of_it():
    rng = np.random.default_rng(2)
    time = 50_000.0 + np.sort(rng.uniform(0, 100, 300))
    phase = time / 1.37 % 1.0
    depth = 0.8 * np.exp(-(((phase - 0.25) / 0.05) ** 2))
    depth += 0.3 * np.exp(-(((phase - 0.75) / 0.05) ** 2))
    mag = 14 + depth + rng.normal(0, 0.01, 300)
    found = find_period(LightCurve(time, mag, np.full(300, 0.01)))
    assert found == pytest.approx(1.37, rel=1e-3)


def test_light_curve_that_does_not_vary_has_no_period():
    curve = sinusoid(0.61)
    curve = LightCurve(curve.time, np.full(len(curve), 15.1), curve.mag_err)
    assert find_period(curve) is None


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_periods_of_a_simulated_survey_are_found():
    classes = {"RRab": 4, "RRc": 4, "Cep_0": 4, "LPV": 4}
    stars = iterate_stars(classes=classes, seed=3)
    sample = simulate_survey(classes=classes, survey="asas", seed=3)
    ratios = [
        find_period(curve) / star.period
        for star, curve in zip(stars, sample, strict=True)
    ]
    # Long periods vary from cycle to cycle.
    assert np.mean(np.abs(np.array(ratios) - 1) < 0.03) >= 0.9


def test_range_of_periods_is_searched_and_no_other():
    curve = sinusoid(0.61)
    found = find_period(curve, shortest_period=1.0, longest_period=20.0)
    assert 1.0 <= found <= 20.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shortest_period": 0.0}, "shortest_period=0.0, longest_period="),
        ({"shortest_period": 5.0, "longest_period": 2.0}, "longest_period=2.0"),
    ],
)
def test_periods_must_ascend(options, message):
    with pytest.raises(ConfigError, match=message):
        find_period(sinusoid(0.61), **options)


def test_few_observations_have_no_period():
    with pytest.raises(ConfigError, match='Received: 9 for object_id="star"'):
        find_period(sinusoid(0.61, length=9))


def test_ten_observations_are_enough_to_answer():
    assert find_period(sinusoid(0.61, length=10)) > 0


def test_without_astropy_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "astropy.timeseries", None)
    with pytest.raises(ImportError, match=r"astromer\[astropy\].*give the period"):
        find_period(sinusoid(0.61))


def test_periods_of_delta_scuti_stars_are_found(rng):
    time = np.sort(rng.uniform(0.0, 400.0, 300))
    mag = 15 + 0.2 * np.sin(2 * np.pi * time / 0.0553) + rng.normal(0, 0.02, 300)
    curve = LightCurve(time, mag, np.full(300, 0.02))
    assert find_period(curve) == pytest.approx(0.0553, rel=1e-4)


def test_period_of_observations_at_one_time_is_refused():
    curve = LightCurve(np.ones(12), np.arange(12.0), np.ones(12), object_id="s")
    with pytest.raises(ConfigError, match=r'longest_period=0\.0.*object_id="s"'):
        find_period(curve)
