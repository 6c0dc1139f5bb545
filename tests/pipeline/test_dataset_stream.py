"""Endless datasets: pass after pass, and the same from any batch on."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from astromer.errors import ConfigError
from astromer.lightcurve import LightCurve
from astromer.pipeline import load_dataset
from astromer.pipeline.dataset import object_ids_of_batch
from tests.pipeline.plain import marked_curves, read_marks, write_records

W = 8
NUM_CURVES = 21
BATCH = 4
PER_PASS = 6
"""Batches of a pass: five full ones, and one of a single window."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Records of marked light curves in three shards."""
    path = tmp_path_factory.mktemp("stream") / "records"
    write_records(path, marked_curves([40] * NUM_CURVES), objects_per_shard=8)
    return path


@pytest.fixture(params=["memory", "disk", "cached"])
def source(request, folder):
    """Return a source of the same marked light curves, with its options."""
    if request.param == "memory":
        return marked_curves([40] * NUM_CURVES), {}
    return folder, {"cache": request.param == "cached"}


@pytest.fixture
def build(source):
    """Return a maker of endless datasets."""
    where, own = source

    def make(**options):
        defaults = {"window_size": W, "batch_size": BATCH, "repeat": True, **own}
        return load_dataset(where, **{**defaults, **options})

    return make


def take(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def assert_equal(found, expected):
    tf.nest.map_structure(np.testing.assert_array_equal, found, expected)


def marks(batches):
    """Return curve, place and hidden positions of all windows, in order."""
    time = np.concatenate([inputs["time"] for inputs, _ in batches])
    mag = np.concatenate([targets["mag"] for _, targets in batches])
    hidden = np.concatenate([inputs["hidden"] for inputs, _ in batches])
    curve, place = read_marks(time, mag)
    return np.array(curve), np.array(place), hidden


def test_each_pass_holds_each_light_curve_once_and_is_fresh(build):
    batches = take(build(), 3 * PER_PASS)
    assert [len(inputs["mag"]) for inputs, _ in batches] == 3 * [4, 4, 4, 4, 4, 1]
    passes = [
        marks(batches[n : n + PER_PASS]) for n in range(0, len(batches), PER_PASS)
    ]
    for curve, _, _ in passes:
        assert sorted(curve) == list(range(NUM_CURVES))
    for (curve, place, hidden), (curve2, place2, hidden2) in itertools.pairwise(passes):
        assert (curve != curve2).sum() > NUM_CURVES // 2
        rows, rows2 = np.argsort(curve), np.argsort(curve2)
        assert (place[rows] != place2[rows2]).sum() > NUM_CURVES // 2
        assert (hidden[rows] != hidden2[rows2]).any(axis=1).sum() > NUM_CURVES // 2


@pytest.mark.parametrize("start", [1, 5, 6, 7, 2 * PER_PASS + 3])
def test_dataset_from_a_batch_on_is_the_whole_one_without_the_first(build, start):
    whole = take(build(seed=5), start + 8)
    assert_equal(take(build(seed=5, start_batch=start), 8), whole[start:])


def test_full_batches_pass_over_the_same_order(build):
    dataset = build(drop_remainder=True)
    assert dataset.element_spec[0]["mag"].shape == (BATCH, W)
    batches = take(dataset, 11)
    assert {len(inputs["mag"]) for inputs, _ in batches} == {BATCH}
    some = take(build(), PER_PASS - 1)
    assert_equal(batches[: PER_PASS - 1], some)
    assert_equal(take(build(drop_remainder=True, start_batch=7), 4), batches[7:])


def test_batches_follow_the_seed_and_not_tensorflows_own(build):
    before = take(build(seed=3), 3)
    tf.random.set_seed(99)
    try:
        after = take(build(seed=3), 3)
    finally:
        # No public way back to no seed at all.
        tf.compat.v1.set_random_seed(None)
    assert_equal(after, before)
    curve, place, hidden = marks(before)
    curve2, place2, hidden2 = marks(take(build(seed=4), 3))
    assert (curve != curve2).any()
    assert (place != place2).any()
    assert (hidden != hidden2).any()


def test_dataset_is_endless_and_says_so(build):
    assert int(build().cardinality()) == tf.data.INFINITE_CARDINALITY


@pytest.mark.parametrize("where", ["memory", "disk", "cached"])
def test_unlabeled_light_curves_are_left_out_before_they_are_counted(tmp_path, where):
    curves = [
        LightCurve(
            curve.time,
            curve.mag,
            curve.mag_err,
            object_id=curve.object_id,
            passband="R",
            class_name=f"class {number:02d}" if number % 3 else None,
        )
        for number, curve in enumerate(marked_curves([40] * NUM_CURVES))
    ]
    write_records(tmp_path / "records", curves, objects_per_shard=8)
    options = {"task": "classify", "window_size": W, "batch_size": BATCH}
    options |= {"repeat": True, "cache": where == "cached"}
    source = curves if where == "memory" else tmp_path / "records"
    batches = take(load_dataset(source, **options), 8)
    # Fourteen of them: three full batches, and one of two.
    assert [len(label) for _, label in batches] == 2 * [4, 4, 4, 2]
    for first in (0, 4):
        labels = np.concatenate([label for _, label in batches[first : first + 4]])
        assert sorted(labels) == list(range(14))
    assert_equal(take(load_dataset(source, **options, start_batch=6), 2), batches[6:])


@pytest.mark.parametrize("number", [0, 5, 8, 15])
def test_batch_tells_its_objects(build, source, number):
    batches = take(build(seed=2), number + 1)
    expected, _, _ = marks(batches[number:])
    where, own = source
    found = object_ids_of_batch(where, number, batch_size=BATCH, seed=2, **own)
    assert found == [f"star{n:03d}" for n in expected]


def test_labeled_batch_tells_its_objects():
    curves = marked_curves([40] * 6)
    unlabeled = [LightCurve(c.time, c.mag, c.mag_err, passband="R") for c in curves]
    source = [curve for pair in zip(unlabeled, curves, strict=True) for curve in pair]
    options = {"task": "classify", "batch_size": 3}
    dataset = load_dataset(source, window_size=W, repeat=True, **options)
    _, label = take(dataset, 3)[2]
    found = object_ids_of_batch(source, 2, **options)
    assert found == [f"star{n:03d}" for n in label]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"training": False}, "repeat=True with training=False"),
        ({"task": "embed"}, "repeat=True with training=False"),
        ({"start_batch": -1}, "zero or more. Received: start_batch=-1"),
        ({"start_batch": 1.5}, "zero or more. Received: start_batch=1.5"),
        ({"repeat": False, "start_batch": 2}, "start_batch=2, repeat=False"),
        ({"drop_remainder": True, "batch_size": 30}, "batch_size=30, 21 light curves"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        load_dataset(marked_curves([9] * 21), **{"repeat": True, **options})
