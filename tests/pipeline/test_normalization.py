import numpy as np
import pytest
import tensorflow as tf

from astromer.lightcurve import LightCurve
from astromer.pipeline.normalization import curve_means, subtract_means, window_means
from astromer.pipeline.windows import cut_windows, parse_curves
from astromer.records.schema import encode_light_curve

W = 8


def cut(curves, starts, window_size=W):
    batch = parse_curves(
        tf.constant([encode_light_curve(curve) for curve in curves]),
        tf.constant(0, tf.int64),
    )
    return batch, cut_windows(batch, tf.constant(starts, tf.int64), window_size)


def test_window_means_leave_padding_out(curves):
    starts = [max(len(curve) - W, 0) for curve in curves]
    _, windows = cut(curves, starts)
    mean_time, mean_mag = window_means(windows)
    assert mean_time.dtype == mean_mag.dtype == tf.float64
    for row, (curve, start) in enumerate(zip(curves, starts, strict=True)):
        part = slice(start, start + W)
        assert mean_time[row].numpy() == pytest.approx(
            curve.time[part].mean(), abs=1e-9
        )
        mag = curve.mag[part].astype(np.float64)
        assert mean_mag[row].numpy() == pytest.approx(mag.mean(), abs=1e-12)


def test_curve_means_are_over_whole_light_curves(curves):
    batch, _ = cut(curves, [0] * len(curves))
    mean_time, mean_mag = curve_means(batch)
    assert mean_time.dtype == mean_mag.dtype == tf.float64
    for row, curve in enumerate(curves):
        assert mean_time[row].numpy() == pytest.approx(curve.time.mean(), abs=1e-9)
        mag = curve.mag.astype(np.float64)
        assert mean_mag[row].numpy() == pytest.approx(mag.mean(), abs=1e-12)


def test_curve_means_of_no_curves_are_none(curves):
    batch, _ = cut(curves, [0] * len(curves))
    mean_time, mean_mag = curve_means(batch.take(tf.zeros([0], tf.int64)))
    assert mean_time.shape == mean_mag.shape == (0,)


def test_normalized_windows_have_mean_zero_and_zeros_at_padding(curves):
    _, windows = cut(curves, [0] * len(curves))
    time, mag = subtract_means(windows, *window_means(windows))
    assert time.dtype == mag.dtype == tf.float32
    size = windows.size.numpy()
    for values, accuracy in ((time.numpy(), 1e-4), (mag.numpy(), 1e-6)):
        np.testing.assert_allclose(values.sum(axis=1) / size, 0.0, atol=accuracy)
        assert not values[~windows.valid.numpy()].any()


def test_minutes_at_mjd_59000_survive_the_cast_to_float32():
    minute = 1.0 / 1_440.0
    second = minute / 60.0
    time = 59_000.123_456 + minute * np.arange(W)
    curve = LightCurve(time, np.full(W, 15.0), np.full(W, 0.1))
    _, windows = cut([curve], [0])
    found, _ = subtract_means(windows, *window_means(windows))
    # Known without any mean: the places are symmetric about their middle.
    expected = minute * (np.arange(W) - (W - 1) / 2)
    assert np.abs(found.numpy()[0] - expected).max() < 1e-4 * second

    naive = time.astype(np.float32) - time.astype(np.float32).mean()
    assert np.abs(naive - expected).max() > minute
    assert len(np.unique(naive)) < W


def test_windows_agree_with_the_reference_pipeline(shared):
    reference = np.load(shared / "reference" / "masked_batch.npz")
    owner = reference["lcid"].astype(int)
    curves = [LightCurve.from_array(reference[f"curve_{number}"]) for number in owner]
    _, windows = cut(curves, [0] * len(curves), 200)
    np.testing.assert_array_equal(windows.size, reference["mask"].sum(axis=1))
    means = window_means(windows)
    # The reference worked in float32: its mean times are good to 0.004 d.
    for found, column, accuracy in zip(means, (0, 1), (5e-3, 1e-5), strict=True):
        expected = reference["mean_values"][:, column]
        np.testing.assert_allclose(found, expected, rtol=0, atol=accuracy)
    time, mag = subtract_means(windows, *means)
    valid = windows.valid.numpy()
    for found, name, accuracy in ((time, "x_times", 5e-3), (mag, "y_target", 1e-5)):
        expected = reference[name][..., 0]
        np.testing.assert_allclose(
            found.numpy()[valid], expected[valid], rtol=0, atol=accuracy
        )
