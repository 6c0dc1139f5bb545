"""Training windows that are tiles, raw or encoded."""

import dataclasses

import numpy as np
import pytest

from astromer.pipeline import tile_windows
from astromer.training.tiles import Encoded, TileStream
from tests.training.conftest import WINDOW, make_curves

# Ten: of two tiles with one observation each, no batch could tell which is there.
CURVES = make_curves(10)
TILES = tile_windows(CURVES, WINDOW)


def make_stream(curves=CURVES, **options):
    options = {"task": "classify", "batch_size": 4, "seed": 3, **options}
    return TileStream(curves, window_size=WINDOW, **options)


def rows_of(stream, number):
    """Find the windows of a batch among all tiles, by their magnitudes."""
    inputs, _ = stream.batch(number)
    return [
        int(np.flatnonzero((TILES.mag == mag).all(axis=1))[0]) for mag in inputs["mag"]
    ]


def test_windows_are_tiles_one_of_every_light_curve_in_a_pass():
    stream = make_stream(batch_size=len(CURVES))
    passes = [rows_of(stream, number) for number in range(4)]
    for rows in passes:
        assert sorted(TILES.curve[rows]) == list(range(len(CURVES)))
        assert list(TILES.curve[rows]) != list(range(len(CURVES)))
    assert len({tuple(rows) for rows in passes}) == 4
    # Over passes, all tiles come.
    assert {row for n in range(60) for row in rows_of(stream, n)} == set(
        range(len(TILES))
    )


def test_inputs_and_labels_are_those_of_the_tiles():
    stream = make_stream()
    inputs, label = stream.batch(5)
    rows = rows_of(stream, 5)
    np.testing.assert_array_equal(inputs["time"], TILES.time[rows])
    np.testing.assert_array_equal(inputs["valid"], TILES.valid[rows])
    assert not inputs["hidden"].any()
    np.testing.assert_array_equal(label, stream.curves.label[TILES.curve[rows]])


def test_observations_count_alike():
    # Eight and four observations: the first tile comes twice as often.
    curve = next(c for c in CURVES if len(c) == 12)
    stream = make_stream([curve, CURVES[0]], batch_size=2_000)
    inputs, _ = stream.batch(0)
    first, second = tile_windows([curve], WINDOW).mag
    counts = [(inputs["mag"] == mag).all(axis=1).sum() for mag in (first, second)]
    assert sum(counts) == 1_000
    # Within four standard deviations of the binomial.
    assert counts[0] == pytest.approx(2_000 / 3, abs=4 * np.sqrt(1_000 * 2 / 9))


def test_a_seed_repeats_and_another_does_not():
    one, again, other = (make_stream(seed=s) for s in (3, 3, 4))
    assert [rows_of(one, n) for n in range(5)] == [rows_of(again, n) for n in range(5)]
    assert [rows_of(one, n) for n in range(5)] != [rows_of(other, n) for n in range(5)]


def test_encoded_tiles_stand_for_the_same_windows():
    unlabeled = [
        dataclasses.replace(curve, class_name=None) if place in (0, 4) else curve
        for place, curve in enumerate(CURVES)
    ]
    stream = make_stream(unlabeled)
    expected = [stream.batch(n) for n in range(6)]
    kept = [curve for curve in unlabeled if curve.class_name is not None]
    tiles = tile_windows(kept, WINDOW)
    # As if the encoder gave the magnitudes back.
    stream.encoded = Encoded(tiles.mag[:, :, None], tiles.valid)
    assert len(stream.encoded) == len(tiles)
    for number, (inputs, label) in enumerate(expected):
        found, found_label = stream.batch(number)
        np.testing.assert_array_equal(found["values"][..., 0], inputs["mag"])
        np.testing.assert_array_equal(found["valid"], inputs["valid"])
        assert found["valid"].dtype == np.float32
        np.testing.assert_array_equal(found_label, label)
