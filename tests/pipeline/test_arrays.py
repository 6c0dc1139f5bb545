import numpy as np
import pytest

from astromer.pipeline import load_dataset, tile_windows
from tests.pipeline.plain import plain_windows

W = 8
NORMALIZATIONS = ["window", "light_curve"]


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_tile_windows_agrees_with_slices(curves, normalization):
    windows = tile_windows(curves, W, normalization)
    expected = plain_windows(curves, W, normalization)
    for name in ("valid", "size", "curve", "start"):
        np.testing.assert_array_equal(getattr(windows, name), expected[name])
    assert windows.time.dtype == windows.mag.dtype == np.float32
    assert windows.mean_time.dtype == windows.mean_mag.dtype == np.float64
    np.testing.assert_allclose(windows.mean_time, expected["mean_time"], rtol=1e-15)
    np.testing.assert_allclose(windows.mean_mag, expected["mean_mag"], rtol=1e-14)
    np.testing.assert_allclose(windows.time, expected["time"], rtol=0, atol=2e-5)
    np.testing.assert_allclose(windows.mag, expected["mag"], rtol=0, atol=1e-6)
    assert len(windows) == sum(-(-len(curve) // W) for curve in curves)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_tile_windows_are_those_of_the_data_graph(curves, normalization):
    windows = tile_windows(curves, W, normalization)
    dataset = load_dataset(
        curves, task="embed", window_size=W, batch_size=4, normalization=normalization
    )
    batches = list(dataset.as_numpy_iterator())

    def whole(part, name):
        return np.concatenate([batch[part][name] for batch in batches])

    np.testing.assert_allclose(whole(0, "time"), windows.time, rtol=0, atol=2e-5)
    np.testing.assert_allclose(whole(0, "mag"), windows.mag, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(whole(0, "valid"), windows.valid)
    np.testing.assert_array_equal(whole(1, "curve_index"), windows.curve)
    np.testing.assert_array_equal(whole(1, "window_start"), windows.start)


def test_tile_windows_gives_back_the_observations(curves):
    windows = tile_windows(curves, W, "light_curve")
    time = windows.time.astype(np.float64) + windows.mean_time[:, None]
    mag = windows.mag.astype(np.float64) + windows.mean_mag[:, None]
    np.testing.assert_allclose(
        time[windows.valid], np.concatenate([c.time for c in curves]), atol=2e-5, rtol=0
    )
    np.testing.assert_allclose(
        mag[windows.valid], np.concatenate([c.mag for c in curves]), atol=1e-6, rtol=0
    )


def test_tile_windows_of_nothing_has_no_rows():
    for normalization in NORMALIZATIONS:
        windows = tile_windows([], W, normalization)
        assert len(windows) == 0
        assert windows.time.shape == windows.valid.shape == (0, W)


def test_light_curve_normalization_differs_only_for_curves_of_several_windows(curves):
    window = tile_windows(curves, W, "window")
    whole = tile_windows(curves, W, "light_curve")
    several = np.bincount(window.curve)[window.curve] > 1
    np.testing.assert_allclose(
        window.mag[~several], whole.mag[~several], rtol=0, atol=1e-6
    )
    assert (np.abs(window.mag - whole.mag).max(axis=1)[several] > 1e-3).all()
