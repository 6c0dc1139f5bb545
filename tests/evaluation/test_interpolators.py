"""Classical predictions against values that are known and other libraries."""

import sys

import numpy as np
import pytest

from astromer.evaluation.interpolators import INTERPOLATORS, Observations


@pytest.fixture
def make_seen(rng):
    """Return a maker of observations of a function of time."""

    def make(function, *, number=60, span=40.0, noise=0.01):
        time = 50_000.0 + np.sort(rng.uniform(0.0, span, number))
        mag = function(time) + rng.normal(0.0, noise, number)
        return Observations(time, mag, np.full(number, noise))

    return make


def pulse(time):
    angle = 2 * np.pi * time / 0.61
    return 15 + 0.3 * np.cos(angle) + 0.15 * np.sin(2 * angle)


def drift(time):
    return 15 + 0.5 * np.sin(2 * np.pi * (time - 50_000.0) / 30.0)


def test_visible_mean_and_interpolation_are_what_they_say():
    seen = Observations(
        np.array([0.0, 1.0, 3.0]), np.array([15.0, 16.0, 14.0]), np.full(3, 0.1)
    )
    asked = np.array([-1.0, 0.5, 2.0, 9.0])
    mean = INTERPOLATORS["visible mean"](seen, asked)
    np.testing.assert_allclose(mean.mag, 15.0)
    straight = INTERPOLATORS["linear interpolation"](seen, asked)
    np.testing.assert_allclose(straight.mag, [15.0, 15.5, 15.0, 14.0])
    assert mean.std is None
    assert straight.std is None


@pytest.mark.parametrize("name", ["Lomb-Scargle", "Lomb-Scargle + Gaussian process"])
def test_harmonics_follow_a_fast_star(name, make_seen):
    seen = make_seen(pulse)
    asked = np.linspace(50_001.0, 50_039.0, 200)
    residual = INTERPOLATORS[name](seen, asked).mag - pulse(asked)
    assert np.sqrt(np.mean(residual**2)) < 0.02


@pytest.mark.parametrize("name", INTERPOLATORS)
def test_every_method_but_the_mean_follows_a_slow_star(name, make_seen):
    seen = make_seen(drift)
    asked = np.linspace(50_001.0, 50_039.0, 200)
    residual = INTERPOLATORS[name](seen, asked).mag - drift(asked)
    rmse = np.sqrt(np.mean(residual**2))
    assert (rmse > 0.3) if name == "visible mean" else (rmse < 0.06)


def test_errors_of_the_process_hold_what_they_promise(make_seen, rng):
    """Noise alone: the errors must be those of the noise."""
    seen = make_seen(lambda time: 15.0 + 0 * time, noise=0.05, number=150)
    asked = np.linspace(50_001.0, 50_039.0, 100)
    found = INTERPOLATORS["Gaussian process"](seen, asked)
    np.testing.assert_allclose(found.mag, 15.0, atol=0.04)
    assert 0.045 < np.median(found.std) < 0.08


def test_errors_of_the_process_grow_away_from_observations(make_seen):
    seen = make_seen(drift)
    near, far = INTERPOLATORS["Gaussian process"](
        seen, np.array([seen.time[30], seen.time[-1] + 200.0])
    ).std
    assert far > 5 * near


@pytest.mark.parametrize("name", INTERPOLATORS)
@pytest.mark.parametrize("number", [5, 6, 9])
def test_few_observations_give_finite_magnitudes(name, number, make_seen):
    found = INTERPOLATORS[name](make_seen(pulse, number=number), np.array([50_003.0]))
    assert np.isfinite(found.mag).all()


@pytest.mark.parametrize("name", INTERPOLATORS)
def test_observations_at_one_time_or_without_scatter_are_no_trouble(name):
    at_once = Observations(np.zeros(6), np.arange(6.0) / 10, np.full(6, 0.1))
    constant = Observations(np.arange(6.0), np.full(6, 15.0), np.zeros(6))
    for seen in (at_once, constant):
        found = INTERPOLATORS[name](seen, np.array([0.5]))
        assert np.isfinite(found.mag).all()
        assert abs(found.mag - seen.mag.mean()).max() < 0.6


def test_missing_package_gives_the_command(make_seen, monkeypatch):
    monkeypatch.setitem(sys.modules, "nifty_ls", None)
    with pytest.raises(ImportError, match=r"pip install 'astromer\[benchmark\]'"):
        INTERPOLATORS["Lomb-Scargle"](make_seen(pulse), np.array([1.0]))
