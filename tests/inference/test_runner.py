import threading

import numpy as np
import pytest

from astromer.inference.runner import (
    batches_by_size,
    compiled,
    run_batches,
    windows_ahead,
)
from astromer.pipeline import tile_windows


@pytest.mark.parametrize("window_size", [8, 60, 200])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batches_hold_each_window_once_and_fit_their_sizes(
    rng, window_size, batch_size
):
    size = rng.integers(1, window_size + 1, 500)
    planned = list(batches_by_size(size, batch_size, window_size))
    rows = np.concatenate([part for part, _ in planned])
    assert sorted(rows.tolist()) == list(range(500))
    for part, width in planned:
        assert len(part) <= batch_size
        assert size[part].max() <= width <= window_size
        assert width < size[part].max() + 25
    widths = [width for _, width in planned]
    assert widths == sorted(widths)
    assert len(set(widths)) <= -(-window_size // 25)
    assert len(planned) == -(-500 // batch_size)


def test_batches_of_no_windows_are_none():
    assert list(batches_by_size(np.array([], dtype=np.int64), 8, 200)) == []


def test_sorting_by_size_saves_positions(rng):
    size = rng.integers(1, 201, 2_000)
    planned = sum(len(part) * width for part, width in batches_by_size(size, 50, 200))
    # Half of the 200 positions are padding on average; a step wastes 25 at most.
    assert planned < 2_000 * (100.5 + 25 + 5)


def test_run_batches_gives_each_window_its_own_row_in_few_shapes(rng):
    size = rng.integers(1, 61, 101)
    values = np.where(np.arange(60) < size[:, None], rng.normal(size=(101, 60)), 0.0)
    shapes, found = set(), np.full(101, np.nan)

    def apply(batch):
        shapes.add(batch["values"].shape)
        return batch["values"].sum(axis=1, keepdims=True)

    def receive(rows, outputs):
        assert len(rows) == len(outputs)
        assert np.isnan(found[rows]).all()
        found[rows] = outputs[:, 0]

    run_batches(apply, {"values": values}, size, 16, receive)
    np.testing.assert_allclose(found, values.sum(axis=1))
    # 101 = 6 x 16 + 5, and 5 is filled up to 8.
    assert {rows for rows, _ in shapes} == {16, 8}


@pytest.mark.parametrize(("number", "filled"), [(1, 1), (2, 2), (3, 4), (5, 6), (6, 6)])
def test_last_batch_is_filled_up_to_a_power_of_two_or_the_batch(number, filled):
    shapes = []

    def apply(batch):
        shapes.append(batch["values"].shape)
        return batch["values"]

    run_batches(
        apply,
        {"values": np.ones((number, 8))},
        np.full(number, 8),
        6,
        lambda rows, outputs: None,
    )
    assert shapes == [(filled, 8)]


def test_compiled_function_is_built_once_per_key(own_model):
    built = []

    def build():
        built.append(1)
        return own_model

    first = compiled(own_model, "key", build)
    assert compiled(own_model, "key", build) is first
    assert compiled(own_model, "other", build) is not first
    assert len(built) == 2


def test_windows_ahead_are_those_of_their_light_curves(model, curves):
    found = list(windows_ahead(iter(curves), model.config, 30))
    assert len(found) > 2
    assert [curve for group, _ in found for curve in group] == curves
    for group, windows in found:
        expected = tile_windows(group, model.config.window_size)
        for name in ("time", "mag", "valid", "size", "curve"):
            np.testing.assert_array_equal(
                getattr(windows, name), getattr(expected, name)
            )


def test_windows_are_cut_one_group_ahead_and_no_further(model, curves):
    read, second = [], threading.Event()

    def source():
        for curve in curves:
            read.append(curve)
            if len(read) == 2:
                second.set()
            yield curve

    ahead = windows_ahead(source(), model.config, 1)  # each light curve is a group
    next(ahead)
    assert second.wait(10), "nothing is read while the first group is in work"
    assert len(read) == 2
    next(ahead)
    ahead.close()
    assert len(read) == 3
    assert not [t for t in threading.enumerate() if t.name.startswith("windows")]


def test_error_of_a_source_comes_out_where_its_windows_would(model, curves):
    def source():
        yield from curves[:2]
        raise OSError("the disk is gone")

    ahead = windows_ahead(source(), model.config, 1)
    assert [next(ahead)[0] for _ in range(2)] == [[curves[0]], [curves[1]]]
    with pytest.raises(OSError, match="disk is gone"):
        next(ahead)
