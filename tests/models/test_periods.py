import keras
import numpy as np
import pandas as pd
import pytest
from astropy.timeseries import LombScargle

from astromer.models import Encoder, EncoderConfig, Reconstructor, periods
from astromer.models.config import PERIOD_CHANNELS
from tests.models.windows import tiny_config

NUM_PERIODS, NUM_HARMONICS = 3, 2
PERIOD_CONFIG = {
    "magnitude_scale": "visible",
    "num_periods": NUM_PERIODS,
    "period_harmonics": NUM_HARMONICS,
    "num_frequencies": 2**14,
    "max_frequency": 10.0,
}


def as_array(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def draw_window(rng, signal, size=80, padding=0, days=300.0, noise=0.02):
    """Return a window of one light curve, about half of it hidden."""
    time = np.sort(rng.uniform(-days / 2, days / 2, size))
    mag = signal(time) + rng.normal(0.0, noise, size)
    inputs = {
        "time": time.astype("float32"),
        "mag": mag.astype("float32"),
        "valid": np.ones(size, bool),
        "hidden": rng.uniform(size=size) < 0.4,
    }
    return {name: np.pad(v, (0, padding))[None] for name, v in inputs.items()}


def sawtooth(period):
    # Two harmonics, as many as are fitted.
    def signal(time):
        angle = 2 * np.pi * time / period
        return 0.4 * np.sin(angle) + 0.2 * np.sin(2 * angle + 0.5)

    return signal


def search(inputs, **changes):
    """Return what is said of each observation and of the window, by candidate."""
    scaled, mean, scatter = periods.VisibleScale()(
        inputs["mag"], inputs["valid"], inputs["hidden"]
    )
    options = {"max_frequency": 10.0, "num_frequencies": 2**14, **changes}
    layer = periods.PeriodSearch(NUM_PERIODS, NUM_HARMONICS, **options)
    masks = inputs["valid"], inputs["hidden"]
    each, whole = map(as_array, layer(inputs["time"], scaled, *masks))
    each = each.reshape(*inputs["time"].shape, NUM_PERIODS, -1)
    whole = whole.reshape(len(whole), NUM_PERIODS, -1)
    return each, whole, as_array(mean), as_array(scatter)


def frequencies_of(whole, max_frequency=10.0, num_frequencies=2**14):
    """Turn the described logarithms back into frequencies [1/d]."""
    lowest = np.log(max_frequency / num_frequencies / 2)
    place = whole[..., 2 * PERIOD_CHANNELS]
    return np.exp(lowest + place * (np.log(max_frequency) - lowest))


# --- Scale and statistics


def test_visible_scale_is_numpys(rng):
    inputs = draw_window(rng, sawtooth(3.0), padding=5)
    seen = inputs["valid"] & ~inputs["hidden"]
    mag = inputs["mag"][seen]
    scaled, mean, scatter = periods.VisibleScale()(
        inputs["mag"], inputs["valid"], inputs["hidden"]
    )
    assert float(mean[0, 0]) == pytest.approx(mag.mean(), abs=1e-6)
    assert float(scatter[0, 0]) == pytest.approx(mag.std() + 1e-3, rel=1e-5)
    expected = (mag - mag.mean()) / (mag.std() + 1e-3)
    np.testing.assert_allclose(as_array(scaled)[seen], expected, atol=1e-5)
    assert (as_array(scaled)[~seen] == 0.0).all()


def test_statistics_are_those_of_pandas(rng):
    mag = rng.gamma(2.0, size=(1, 3000)).astype("float32")
    valid, hidden = np.ones_like(mag, bool), np.zeros_like(mag, bool)
    scaled, _, scatter = periods.VisibleScale()(mag, valid, hidden)
    found = as_array(periods.MagnitudeStatistics()(scaled, scatter, valid, hidden))[0]
    column = pd.Series(mag[0].astype(float))
    assert found[0] == pytest.approx(np.log10(column.std()) + 1.0, abs=2e-3)
    assert found[1] == pytest.approx(column.skew() / 2, abs=0.01)
    expected = np.log10((column.kurt() + 3) / 3)
    assert found[2] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("visible", [0, 1, 2])
def test_windows_with_next_to_nothing_visible_are_finite(visible, rng):
    inputs = draw_window(rng, sawtooth(3.0), size=12)
    inputs["hidden"] = np.arange(12)[None] >= visible
    model = Reconstructor(tiny_config(**PERIOD_CONFIG, residual="identity"), seed=0)
    assert np.isfinite(as_array(model(inputs))).all()


# --- Periods


@pytest.mark.parametrize("period", [0.137, 0.71, 2.9, 31.0])
def test_search_finds_the_period_that_astropy_finds(period, rng):
    inputs = draw_window(rng, sawtooth(period))
    seen = inputs["valid"] & ~inputs["hidden"]
    _, whole, *_ = search(inputs)
    time, mag = inputs["time"][seen].astype(float), inputs["mag"][seen].astype(float)
    grid = np.arange(1, 100_000) * 1e-4
    power = LombScargle(time, mag, nterms=2).power(grid, method="fastchi2")
    expected = grid[power.argmax()]
    assert expected == pytest.approx(1 / period, abs=2e-3)
    assert frequencies_of(whole)[0, 0] == pytest.approx(expected, abs=3e-4)


def test_highest_peaks_are_those_of_direct_sums(rng):
    time = np.sort(rng.uniform(-150.0, 150.0, (1, 60))).astype("float32")
    values = rng.normal(size=(1, 60)).astype("float32")
    layer = periods.PeriodSearch(1, 1, max_frequency=5.0, num_frequencies=1024)
    found = as_array(layer._peaks(time, values))[0, :3]
    grid = np.arange(1, 1025) * 5.0 / 1024
    waves = np.exp(2j * np.pi * np.outer(grid, time[0].astype(float)))
    power = np.abs(waves @ values[0].astype(float)) ** 2
    # The highest of every 32 frequencies, where it exceeds those of its neighbors.
    bins = power.reshape(-1, 32)
    height = np.pad(bins.max(axis=1), 1)
    is_peak = (height[1:-1] >= height[:-2]) & (height[1:-1] >= height[2:])
    order = np.argsort(np.where(is_peak, -height[1:-1], 0.0), kind="stable")[:3]
    expected = grid[order * 32 + bins[order].argmax(axis=1)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_fit_predicts_hidden_observations(rng):
    inputs = draw_window(rng, sawtooth(0.613), noise=0.0)
    each, _, mean, scatter = search(inputs)
    fitted = each[..., 0, 0] * scatter + mean
    hidden = inputs["hidden"]
    error = (fitted - inputs["mag"])[hidden]
    # The ridge takes a twentieth of the second harmonic.
    assert np.sqrt(np.mean(error**2)) < 0.05
    assert inputs["mag"][hidden].std() > 0.25


def test_light_curve_with_two_unequal_minima_repeats_at_twice_the_peak(rng):
    def binary(time):
        angle = 2 * np.pi * time / 1.7
        return 0.3 * np.cos(2 * angle) + 0.1 * np.cos(angle)

    _, whole, *_ = search(draw_window(rng, binary, size=150))
    assert frequencies_of(whole)[0, 0] == pytest.approx(1 / 1.7, abs=3e-4)


def test_candidates_differ_and_explain_less_and_less(rng):
    _, whole, *_ = search(draw_window(rng, sawtooth(0.9), noise=0.1))
    share = whole[0, :, 2 * PERIOD_CHANNELS + 1]
    assert (np.diff(share) <= 0.02).all()
    assert share[0] > 0.8
    apart = np.abs(np.subtract.outer(*[frequencies_of(whole)[0]] * 2))
    assert apart[~np.eye(NUM_PERIODS, dtype=bool)].min() > 1e-3


def test_of_frequencies_that_are_equal_a_low_one_is_taken(rng):
    # At whole days f, 1 - f, 1 + f and so on are one, up to how the grid meets a peak.
    time = np.sort([rng.choice(10, 4, replace=False) for _ in range(32)]).astype("f4")
    inputs = {"time": time - 5.0, "mag": rng.normal(size=time.shape).astype("f4")}
    valid = np.ones(time.shape, bool)
    _, whole, _, _ = search({**inputs, "valid": valid, "hidden": ~valid})
    assert (frequencies_of(whole)[:, 0] < 3.0).mean() > 0.9
    constant = {**inputs, "mag": np.full(time.shape, 15.0, "f4")}
    _, whole, _, _ = search({**constant, "valid": valid, "hidden": ~valid})
    assert (frequencies_of(whole)[:, 0] < 0.01).all()


def test_description_does_not_depend_on_when_time_begins(rng):
    inputs = draw_window(rng, sawtooth(2.3))
    _, before, *_ = search(inputs)
    later = dict(inputs, time=inputs["time"] + np.float32(0.77))
    _, after, *_ = search(later)
    # Phases count from the faintest of 48.
    np.testing.assert_allclose(after[0, 0], before[0, 0], atol=0.2)
    harmonics = slice(2 * PERIOD_CHANNELS + 2, None)
    sizes = [np.hypot(*w[0, 0, harmonics].reshape(-1, 2).T) for w in (before, after)]
    np.testing.assert_allclose(*sizes, atol=5e-3)


def test_description_does_not_depend_on_amplitude(rng):
    inputs = draw_window(rng, sawtooth(2.3))
    _, before, *_ = search(inputs)
    _, after, *_ = search(dict(inputs, mag=inputs["mag"] * np.float32(0.5)))
    np.testing.assert_allclose(after[0, 0], before[0, 0], atol=0.02)


def test_higher_frequencies_are_not_searched(rng):
    inputs = draw_window(rng, sawtooth(0.11))
    _, whole, *_ = search(inputs, max_frequency=4.0)
    assert frequencies_of(whole, max_frequency=4.0).max() < 4.01


# --- Outliers


def with_outliers(rng, period, noise=0.05):
    """Return a window, a tenth of it far too bright or too faint."""
    inputs = draw_window(rng, sawtooth(period), size=120, noise=noise)
    wild = rng.choice(120, 12, replace=False)
    inputs["mag"][0, wild] += rng.choice([-2.5, 2.5], 12).astype("float32")
    return inputs, wild


@pytest.mark.parametrize("limit", [1.5, 3.0])
def test_outliers_weigh_what_astropy_gives_large_uncertainties(limit, rng):
    inputs, _ = with_outliers(rng, 0.71)
    seen = inputs["valid"] & ~inputs["hidden"]
    _, whole, *_ = search(inputs, outlier_limit=limit)
    time, mag = inputs["time"][seen].astype(float), inputs["mag"][seen].astype(float)
    far = np.abs(mag - mag.mean()) / mag.std()
    uncertainty = np.maximum(1.0, far / limit)
    grid = np.arange(1, 100_000) * 1e-4
    peer = LombScargle(time, mag, uncertainty, nterms=2)
    power = peer.power(grid, method="fastchi2")
    assert frequencies_of(whole)[0, 0] == pytest.approx(grid[power.argmax()], abs=5e-4)
    # The ridge takes a little.
    share = whole[0, 0, 2 * PERIOD_CHANNELS + 1]
    assert power.max() - 0.05 < share < power.max() + 1e-3


def test_outliers_spoil_a_fit_less_where_they_weigh_less(rng):
    inputs, wild = with_outliers(rng, 0.71)
    expected = sawtooth(0.71)(inputs["time"])
    tame = np.setdiff1d(np.arange(120), wild)
    errors = []
    for limit in (None, 1.0):
        each, _, mean, scatter = search(inputs, outlier_limit=limit)
        fitted = each[..., 0, 0] * scatter + mean
        errors.append(np.sqrt(np.mean((fitted - expected)[0, tame] ** 2)))
    assert errors[1] < 0.8 * errors[0]


def test_fit_with_outliers_is_weighted_ridge_regression(rng):
    inputs, _ = with_outliers(rng, 0.71)
    each, whole, mean, scatter = search(inputs, outlier_limit=1.5)
    seen = inputs["valid"] & ~inputs["hidden"]
    time = inputs["time"].astype(float)
    scaled = (inputs["mag"][seen] - mean[0, 0]) / scatter[0, 0]
    weight = 1 / np.maximum(1.0, np.abs(scaled) / 1.5) ** 2
    weight /= weight.sum()
    center = weight @ scaled
    width = np.sqrt(weight @ (scaled - center) ** 2) + 1e-3
    # As many equal weights would scatter a mean as much (Kish 1965).
    effective = 1 / np.sum(weight**2)
    order = np.arange(1, NUM_HARMONICS + 1)
    angle = 2 * np.pi * frequencies_of(whole)[0, 0] * time[0, :, None] * order
    waves = np.stack([np.cos(angle), np.sin(angle)], axis=-1).reshape(len(angle), -1)
    design = np.column_stack([np.ones(len(angle)), waves])
    ridge = np.diag(0.3 * np.repeat([0, *order], [1, *[2] * len(order)]) ** 2 + 1e-4)
    left = design[seen[0]].T * weight
    coefficients = np.linalg.solve(
        left @ design[seen[0]] + ridge / effective, left @ (scaled - center) / width
    )
    expected = center + width * (design @ coefficients)
    np.testing.assert_allclose(each[0, :, 0, 0], expected, atol=2e-3)
    share = coefficients @ (left @ (scaled - center)) / width
    assert whole[0, 0, 2 * PERIOD_CHANNELS + 1] == pytest.approx(share, abs=1e-3)


def test_window_without_outliers_is_fitted_as_ever(rng):
    inputs = draw_window(rng, sawtooth(2.9))
    before, after = search(inputs), search(inputs, outlier_limit=10.0)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, atol=5e-3)


# --- Fits


def test_harmonics_are_those_of_ridge_regression(rng):
    time = np.sort(rng.uniform(-50, 50, 60))
    values = rng.normal(size=60)
    weight = np.full((1, 60), 1 / 60, "float32")
    fits = periods.fit_harmonics(
        time[None].astype("float32"),
        values[None].astype("float32"),
        weight,
        np.full((1, 1), 60.0, "float32"),
        np.array([[0.31]], "float32"),
        3,
    )
    angle = 2 * np.pi * 0.31 * time[:, None] * np.arange(1, 4)
    waves = np.stack([np.cos(angle), np.sin(angle)], axis=-1).reshape(60, 6)
    design = np.column_stack([np.ones(60), waves])
    order = np.array([0, 1, 1, 2, 2, 3, 3])
    ridge = np.diag(0.3 * order**2 + 1e-4)
    expected = np.linalg.solve(design.T @ design + ridge, design.T @ values)
    found = as_array(fits.coefficients)[0, 0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("num_harmonics", [1, 2, 4])
def test_fits_around_peaks_are_those_at_each_frequency(num_harmonics, rng):
    time = np.sort(rng.uniform(-50, 50, (2, 90))).astype("float32")
    values = rng.normal(size=(2, 90)).astype("float32")
    weight = rng.uniform(size=(2, 90)).astype("float32")
    weight /= weight.sum(axis=1, keepdims=True)
    count = np.full((2, 1), 70.0, "float32")
    peaks = np.array([[0.31, 1.7, 4.9], [0.02, 0.9, 8.3]], "float32")
    offset = 1e-3
    tried = peaks[:, :, None] + np.array([-offset, 0.0, offset], "float32")
    tried = np.stack([tried, 0.5 * tried], axis=2).reshape(2, -1)
    arguments = time, values, weight, count
    found = periods.fit_around_peaks(*arguments, peaks, offset, num_harmonics)
    expected = periods.fit_harmonics(*arguments, tried, num_harmonics)
    np.testing.assert_allclose(as_array(found.frequency), tried, rtol=1e-6)
    np.testing.assert_allclose(
        as_array(found.explained), as_array(expected.explained), atol=2e-4
    )
    np.testing.assert_allclose(
        as_array(found.coefficients), as_array(expected.coefficients), atol=2e-3
    )


def test_small_systems_are_solved_as_numpy_does(rng):
    root = rng.normal(size=(3, 5, 7, 7))
    matrix = root @ np.swapaxes(root, -1, -2) + 0.5 * np.eye(7)
    vector = rng.normal(size=(3, 5, 7))
    expected = np.linalg.solve(matrix, vector[..., None])[..., 0]
    found = periods.solve_positive(
        keras.ops.convert_to_tensor(matrix.astype("float32")),
        keras.ops.convert_to_tensor(vector.astype("float32")),
    )
    np.testing.assert_allclose(as_array(found), expected, atol=2e-3)


# --- In the encoder


@pytest.fixture(scope="module", params=[None, 2.0], ids=["all_alike", "outliers"])
def encoder(request):
    config = tiny_config(
        **PERIOD_CONFIG, outlier_limit=request.param, residual="identity"
    )
    return Encoder(config, seed=0)


def test_hidden_magnitudes_change_nothing(encoder, rng):
    inputs = draw_window(rng, sawtooth(0.9), padding=4)
    other = dict(inputs, mag=np.where(inputs["hidden"], 7.0, inputs["mag"]))
    np.testing.assert_array_equal(
        as_array(encoder(other)), as_array(encoder(inputs)), strict=True
    )


def test_hidden_observations_know_their_phase(encoder, rng):
    inputs = draw_window(rng, sawtooth(0.9))
    place = int(np.flatnonzero(inputs["hidden"][0])[0])
    later = inputs["time"].copy()
    later[0, place] += 0.3
    difference = as_array(encoder(dict(inputs, time=later)) - encoder(inputs))[0]
    assert np.abs(difference[place]).max() > 1e-3
    others = inputs["valid"][0] & ~inputs["hidden"][0]
    np.testing.assert_allclose(difference[others], 0.0, atol=1e-5)


def test_padding_changes_nothing(encoder, rng):
    inputs = draw_window(rng, sawtooth(0.9))
    padded = {name: np.pad(v, ((0, 0), (0, 13))) for name, v in inputs.items()}
    padded["mag"][:, 80:] = 5.0
    padded["time"][:, 80:] = -3e3
    np.testing.assert_allclose(
        as_array(encoder(padded))[:, :80], as_array(encoder(inputs)), atol=1e-4
    )


def test_reconstruction_scales_with_magnitudes(rng):
    model = Reconstructor(tiny_config(**PERIOD_CONFIG, residual="identity"), seed=0)
    inputs = draw_window(rng, sawtooth(0.9))
    before = as_array(model(inputs))
    after = as_array(model(dict(inputs, mag=inputs["mag"] + np.float32(3.0))))
    np.testing.assert_allclose(after, before + 3.0, atol=2e-3)


def test_no_gradient_passes_the_search(rng):
    import tensorflow as tf

    inputs = {k: tf.constant(v) for k, v in draw_window(rng, sawtooth(0.9)).items()}
    layer = periods.PeriodSearch(2, 2, 10.0, 2**12)
    with tf.GradientTape() as tape:
        tape.watch(inputs["mag"])
        each, whole = layer(
            inputs["time"], inputs["mag"], inputs["valid"], inputs["hidden"]
        )
        total = tf.reduce_sum(each) + tf.reduce_sum(whole)
    assert tape.gradient(total, inputs["mag"]) is None


def test_model_is_the_same_after_saving(rng, tmp_path):
    model = Reconstructor(tiny_config(**PERIOD_CONFIG, residual="identity"), seed=1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    inputs = draw_window(rng, sawtooth(0.9))
    np.testing.assert_array_equal(as_array(loaded(inputs)), as_array(model(inputs)))


def test_named_config_is_built():
    config = EncoderConfig.from_name("astromer_period")
    assert (config.num_periods, config.block_norm) == (4, "before")
    assert config.outlier_limit == 3.0
    model = Encoder(config, seed=0)
    names = {layer.name for layer in model.layers}
    assert {"period_search", "phase_embedding", "window_embedding"} <= names
