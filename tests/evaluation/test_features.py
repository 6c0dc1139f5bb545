"""Features against values that are known, and what must not change them."""

import sys

import numpy as np
import pytest

from astromer.evaluation import features as module
from astromer.evaluation.features import (
    STATISTICS,
    extract_features,
    feature_names,
    trivial_statistics,
)
from astromer.lightcurve import LightCurve


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Search fewer frequencies; the tests' periods are long."""
    monkeypatch.setattr(module, "MAX_FREQUENCY_PER_D", 4.0)
    module._periodogram.cache_clear()
    yield
    module._periodogram.cache_clear()


@pytest.fixture
def make_pulsator(rng):
    """Return a maker of stars with two harmonics; times and noise differ by call."""

    def make(period, *, length=150, second=0.1, start=50_000.0, noise=0.01):
        time = start + np.sort(rng.uniform(0.0, 250.0, length))
        angle = 2 * np.pi * time / period
        mag = 15.0 + 0.3 * np.cos(angle) + second * np.cos(2 * angle + 0.5)
        return LightCurve(
            time, mag + rng.normal(0, noise, length), np.full(length, noise)
        )

    return make


def named(curve, **options):
    names = feature_names(periodogram=options.get("periodogram", True))
    return dict(zip(names, extract_features([curve], **options)[0], strict=True))


@pytest.mark.parametrize("period", [0.61, 3.3, 41.0])
def test_best_period_is_found(make_pulsator, period):
    found = named(make_pulsator(period))
    assert 10 ** found["log_best_period"] == pytest.approx(period, rel=2e-3)
    assert found["explained_by_best_period"] > 0.99


def test_shape_is_that_of_the_harmonics(make_pulsator):
    for start in (50_000.0, 51_234.5):
        found = named(make_pulsator(3.3, start=start))
        assert found["harmonic_amplitude_1"] == pytest.approx(0.3, abs=0.01)
        assert found["harmonic_ratio_2_1"] == pytest.approx(1 / 3, abs=0.02)
        # The phase of the second relative to the first, 0.5, whatever the epoch.
        assert found["harmonic_cosine_2_1"] == pytest.approx(np.cos(0.5), abs=0.1)
        assert found["harmonic_sine_2_1"] == pytest.approx(np.sin(0.5), abs=0.1)


def test_an_eclipsing_binary_is_seen_at_twice_the_peak(rng):
    """Two minima that differ: the strongest peak is half of the orbit."""
    time = np.sort(rng.uniform(0.0, 250.0, 300))
    angle = 2 * np.pi * time / 2.6
    mag = 15 + 0.3 * np.cos(2 * angle) + 0.15 * np.cos(angle)
    found = named(LightCurve(time, mag, np.full(300, 0.01)))
    assert 10 ** found["log_periodogram_period_0"] == pytest.approx(1.3, rel=1e-2)
    assert 10 ** found["log_best_period"] == pytest.approx(2.6, rel=1e-2)


def test_mean_magnitude_and_epoch_have_no_effect(make_pulsator):
    curve = make_pulsator(3.3)
    moved = LightCurve(curve.time + 1000.0, curve.mag + 2.0, curve.mag_err)
    np.testing.assert_allclose(
        extract_features([moved]), extract_features([curve]), rtol=2e-3, atol=2e-3
    )


def test_known_features_have_their_known_values(make_pulsator):
    curve = make_pulsator(3.3)
    found = named(curve, periodogram=False)
    mag = curve.mag.astype(np.float64)
    assert found["amplitude"] == pytest.approx(np.ptp(mag) / 2)
    assert found["standard_deviation"] == pytest.approx(mag.std(ddof=1))
    median = np.median(mag)
    assert found["median_absolute_deviation"] == pytest.approx(
        np.median(abs(mag - median))
    )


def test_without_periodogram_there_are_the_first_of_all_features(make_pulsator):
    curves = [make_pulsator(3.3), make_pulsator(0.61)]
    few = extract_features(curves, periodogram=False)
    names = feature_names(periodogram=False)
    assert feature_names()[: len(names)] == names
    np.testing.assert_array_equal(few, extract_features(curves)[:, : len(names)])
    assert len(set(feature_names())) == len(feature_names())
    assert not any("sigma" in name for name in feature_names())


def test_company_and_threads_change_nothing(make_pulsator):
    curves = [make_pulsator(p, length=n) for p, n in ((3.3, 60), (9.0, 150), (1, 40))]
    together = extract_features(curves, num_threads=2)
    alone = np.concatenate([extract_features([curve]) for curve in curves])
    np.testing.assert_array_equal(together, alone)


def test_what_is_not_defined_is_nan(make_light_curve):
    curves = [make_light_curve(3), make_light_curve(6), make_light_curve(40)]
    constant = LightCurve(np.arange(30.0), np.full(30, 15.0), np.full(30, 0.1))
    at_once = LightCurve(np.zeros(20), np.arange(20.0), np.full(20, 0.1))
    values = extract_features([*curves, constant, at_once])
    assert np.isnan(values[0]).all()
    assert np.isfinite(values[2]).all()
    place = feature_names().index("log_best_period")
    assert np.isnan(values[[0, 1, 4], place]).all()
    assert not np.isinf(values).any()


def test_no_light_curves_give_no_rows():
    assert extract_features([]).shape == (0, len(feature_names()))


def test_trivial_statistics_are_the_four_named():
    mag = [14.0, 14.0, 14.0, 15.0, 14.5]
    found = trivial_statistics(LightCurve(np.arange(5.0), mag, np.full(5, 0.1)))
    z = (np.array(mag) - np.mean(mag)) / np.std(mag)
    expected = [14.3, np.std(mag), np.mean(z**3), 0.5]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert len(found) == len(STATISTICS)
    constant = LightCurve([0.0, 1.0], [15.0, 15.0], [0.1, 0.1])
    assert trivial_statistics(constant).tolist() == [15.0, 0.0, 0.0, 0.0]


def test_missing_package_gives_the_command(make_light_curve, monkeypatch):
    monkeypatch.setitem(sys.modules, "light_curve", None)
    module._plain.cache_clear()
    module.feature_names.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'astromer\[benchmark\]'"):
        extract_features([make_light_curve(30)])
