"""What is random in training: fresh in every epoch, the same under a seed."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from astromer.pipeline import load_dataset
from tests.pipeline.plain import marked_curves, read_marks, write_records

W = 8
NUM_CURVES = 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Records of marked light curves in five shards."""
    path = tmp_path_factory.mktemp("epochs") / "records"
    write_records(path, marked_curves([40] * NUM_CURVES), objects_per_shard=10)
    return path


@pytest.fixture(params=["memory", "disk", "cached"])
def source(request, folder):
    """Return a source of the same marked light curves, with its options."""
    if request.param == "memory":
        return marked_curves([40] * NUM_CURVES), {}
    return folder, {"cache": request.param == "cached"}


def epoch(dataset):
    """Return curve, place and hidden positions of all windows, in order."""
    found = list(dataset.as_numpy_iterator())
    time = np.concatenate([inputs["time"] for inputs, _ in found])
    mag = np.concatenate([targets["mag"] for _, targets in found])
    hidden = np.concatenate([inputs["hidden"] for inputs, _ in found])
    curve, place = read_marks(time, mag)
    return np.array(curve), np.array(place), hidden


def build(source, **options):
    where, own = source
    return load_dataset(where, window_size=W, batch_size=8, **{**own, **options})


def test_each_epoch_holds_each_light_curve_once(source):
    dataset = build(source)
    for _ in range(2):
        curve, place, _ = epoch(dataset)
        assert sorted(curve) == list(range(NUM_CURVES))
        assert place.min() >= 0
        assert place.max() <= 40 - W


def test_second_epoch_has_other_order_windows_and_masks(source):
    dataset = build(source)
    (curve, place, hidden), (curve2, place2, hidden2) = epoch(dataset), epoch(dataset)
    assert (curve != curve2).sum() > NUM_CURVES // 2
    by_curve, by_curve2 = np.argsort(curve), np.argsort(curve2)
    assert (place[by_curve] != place2[by_curve2]).sum() > NUM_CURVES // 2
    changed = (hidden[by_curve] != hidden2[by_curve2]).any(axis=1)
    assert changed.sum() > NUM_CURVES // 2
    # The draws follow neither from the position in the batch.
    assert (place != place2).any()
    assert (hidden != hidden2).any()


def test_same_seed_gives_the_same_two_epochs(source):
    first, again = build(source, seed=3), build(source, seed=3)
    for _ in range(2):
        tf.nest.map_structure(
            np.testing.assert_array_equal,
            list(first.as_numpy_iterator()),
            list(again.as_numpy_iterator()),
        )


def test_another_seed_gives_another_epoch(source):
    curve, place, hidden = epoch(build(source, seed=3))
    curve2, place2, hidden2 = epoch(build(source, seed=4))
    assert (curve != curve2).any()
    by_curve, by_curve2 = np.argsort(curve), np.argsort(curve2)
    assert (place[by_curve] != place2[by_curve2]).any()
    assert (hidden[by_curve] != hidden2[by_curve2]).any()


def test_training_can_be_switched_off_and_on(folder):
    still = load_dataset(folder, window_size=W, training=False)
    curve, place, _ = epoch(still)
    expected = [(k, s) for k in range(NUM_CURVES) for s in range(0, 40, W)]
    assert list(zip(curve.tolist(), place.tolist(), strict=True)) == expected
    moving = load_dataset(folder, split="all", window_size=W, training=True)
    assert sorted(epoch(moving)[0]) == list(range(NUM_CURVES))


def test_windows_of_an_epoch_start_everywhere():
    # 33 places for 2,000 light curves: each is met about 60 times.
    dataset = load_dataset(marked_curves([40] * 2_000), window_size=W, batch_size=500)
    starts = np.concatenate(
        [(inputs["time"][:, 1] - inputs["time"][:, 0] - 1) / 2 for inputs, _ in dataset]
    )
    found = np.bincount(np.round(starts).astype(int), minlength=33)
    assert len(found) == 33
    expected = 2_000 / 33
    chi_square = ((found - expected) ** 2 / expected).sum()
    assert chi_square < 32 + 5 * np.sqrt(64)


def test_shuffle_buffer_shapes_the_order_from_disk(tmp_path):
    write_records(tmp_path / "records", marked_curves([20] * NUM_CURVES))
    orders = {}
    for buffer in (1, 5, NUM_CURVES):
        dataset = load_dataset(
            tmp_path / "records", window_size=W, batch_size=8, shuffle_buffer=buffer
        )
        orders[buffer] = epoch(dataset)[0]
        assert sorted(orders[buffer]) == list(range(NUM_CURVES))
    # One shard: with a buffer of one the order is the file's.
    assert orders[1].tolist() == list(range(NUM_CURVES))
    # A light curve leaves a buffer of five at most four places early.
    assert (orders[5] - np.arange(NUM_CURVES)).max() <= 4
    assert (orders[5] != orders[1]).any()
    assert (orders[NUM_CURVES] - np.arange(NUM_CURVES)).max() > 4


def test_cache_reads_the_shards_once_and_windows_stay_fresh(tmp_path, folder):
    copy = tmp_path / "records"
    shutil.copytree(folder, copy)
    dataset = load_dataset(copy, window_size=W, batch_size=8, cache=True)
    shutil.rmtree(copy)
    first, second = epoch(dataset), epoch(dataset)
    assert sorted(first[0]) == sorted(second[0]) == list(range(NUM_CURVES))
    order, order2 = np.argsort(first[0]), np.argsort(second[0])
    assert (first[1][order] != second[1][order2]).any()


def test_classification_windows_are_fresh_in_every_epoch():
    dataset = load_dataset(
        marked_curves([40] * NUM_CURVES), task="classify", window_size=W, batch_size=8
    )
    epochs = []
    for _ in range(2):
        places = {}
        for inputs, labels in dataset.as_numpy_iterator():
            _, place = read_marks(inputs["time"], inputs["mag"])
            places.update(zip(labels.tolist(), place, strict=True))
        epochs.append(places)
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(NUM_CURVES))
    assert epochs[0] != epochs[1]
