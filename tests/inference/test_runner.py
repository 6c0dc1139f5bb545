import numpy as np
import pytest

from astromer.inference.runner import batches_by_size, compiled, run_batches


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
