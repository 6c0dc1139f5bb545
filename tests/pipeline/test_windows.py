import json

import numpy as np
import pytest
import tensorflow as tf

from astromer.pipeline.windows import (
    cut_windows,
    parse_curves,
    tile_starts,
)
from astromer.records.schema import encode_light_curve

W = 8


def parsed(curves, first_index=0):
    return parse_curves(
        tf.constant([encode_light_curve(curve) for curve in curves]),
        tf.constant(first_index, tf.int64),
    )


def draw_starts(engine, length, count, seed=(3, 4)):
    return engine.starts(np.full(count, length), W, seed)


def test_parse_curves_gives_lengths_labels_and_places(make_light_curve):
    lengths = [1, 5, 12]
    curves = [make_light_curve(n, label=n - 3) for n in lengths]
    batch = parsed(curves, first_index=64)
    assert batch.length.numpy().tolist() == lengths
    assert batch.label.numpy().tolist() == [-2, 2, 9]
    assert batch.index.numpy().tolist() == [64, 65, 66]
    assert batch.index.dtype == batch.length.dtype == tf.int64


@pytest.mark.parametrize("length", [1, W - 1, W], ids=["one", "window-1", "window"])
def test_sample_starts_is_zero_for_curves_no_longer_than_a_window(engine, length):
    assert not draw_starts(engine, length, 500).any()


@pytest.mark.parametrize(
    "length", [W + 1, W + 4, 3 * W], ids=["window+1", "window+4", "3 windows"]
)
def test_sample_starts_is_uniform_over_all_places(engine, length):
    count, places = 20_000, length - W + 1
    found = np.bincount(draw_starts(engine, length, count), minlength=places)
    assert len(found) == places
    expected = count / places
    chi_square = ((found - expected) ** 2 / expected).sum()
    # Mean places - 1, standard deviation sqrt(2 (places - 1)): five of them.
    assert chi_square < places - 1 + 5 * np.sqrt(2 * (places - 1))


def test_sample_starts_repeats_under_a_seed_and_differs_under_another(engine):
    first = draw_starts(engine, 1_000, 50)
    np.testing.assert_array_equal(first, draw_starts(engine, 1_000, 50))
    assert (first != draw_starts(engine, 1_000, 50, seed=(3, 5))).any()


def test_tile_starts_agrees_with_a_loop(engine):
    lengths = [1, W - 1, W, W + 1, 3 * W, 2, 3 * W + 5]
    expected = [
        (row, start)
        for row, length in enumerate(lengths)
        for start in range(0, length, W)
    ]
    row, start = engine.tiles(lengths, W)
    pairs = list(zip(row.tolist(), start.tolist(), strict=True))
    assert pairs == expected


def test_tile_starts_of_nothing_is_nothing(engine):
    row, start = engine.tiles([], W)
    assert row.shape == start.shape == (0,)


def test_tiled_windows_hold_each_observation_once_and_in_order(curves):
    batch = parsed(curves)
    row, start = tile_starts(batch.length, W)
    windows = cut_windows(batch.take(row), start, W)
    valid = windows.valid.numpy()
    for name in ("time", "mag", "mag_err"):
        found = getattr(windows, name).numpy()
        whole = np.concatenate([getattr(curve, name) for curve in curves])
        assert found.dtype == whole.dtype
        np.testing.assert_array_equal(found[valid], whole)
        assert not found[~valid].any()
    np.testing.assert_array_equal(valid.sum(axis=1), windows.size)


@pytest.mark.parametrize("length", [1, W - 1, W, W + 1, 3 * W])
def test_cut_windows_are_slices_bit_by_bit(make_light_curve, length):
    curve = make_light_curve(length)
    starts = np.arange(max(length - W, 0) + 1)
    batch = parsed([curve]).take(tf.zeros(len(starts), tf.int64))
    windows = cut_windows(batch, tf.constant(starts), W)
    size = min(length, W)
    assert windows.time.dtype == tf.float64
    assert windows.mag.dtype == windows.mag_err.dtype == tf.float32
    for name in ("time", "mag", "mag_err"):
        expected = np.zeros((len(starts), W), dtype=getattr(curve, name).dtype)
        for row, start in enumerate(starts):
            expected[row, :size] = getattr(curve, name)[start : start + W]
        assert getattr(windows, name).numpy().tobytes() == expected.tobytes()
    np.testing.assert_array_equal(windows.size, np.full(len(starts), size))
    np.testing.assert_array_equal(windows.start, starts)
    np.testing.assert_array_equal(
        windows.valid, np.broadcast_to(np.arange(W) < size, (len(starts), W))
    )


# Starts that the released code gives for a window of 200, by length.
RELEASED_STARTS = {
    1: [0],
    137: [0],
    199: [0],
    200: [0, 0],
    201: [0, 1],
    399: [0, 199],
    400: [0, 200, 200],
    401: [0, 200, 201],
    1000: [0, 200, 400, 600, 800, 800],
}


def test_released_tiling_repeats_what_the_released_code_repeats(engine):
    row, start = engine.tiles(list(RELEASED_STARTS), 200, "released")
    for number, expected in enumerate(RELEASED_STARTS.values()):
        assert start[row == number].tolist() == expected


def test_released_tiling_equals_the_reference(engine, shared):
    path = shared / "reference" / "pipeline_stats.json"
    windows = json.loads(path.read_text())["windows"]
    lengths = [int(length) for length in windows]
    row, start = engine.tiles(lengths, 200, "released")
    for number, expected in enumerate(windows.values()):
        assert start[row == number].tolist() == expected["starts"]
