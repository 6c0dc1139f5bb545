"""Several workers: each reads its own part of the light curves, and together all."""

import itertools

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.pipeline import load_dataset
from astromer.pipeline.dataset import object_ids_of_batch
from astromer.records import Manifest, read_records
from tests.pipeline.plain import marked_curves, read_marks, write_records

W = 8
CURVES = marked_curves([40] * 21)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Records of marked light curves in five files."""
    path = tmp_path_factory.mktemp("shards") / "records"
    write_records(path, CURVES, objects_per_shard=5)
    return path


@pytest.fixture(params=["memory", "disk", "cached"])
def source(request, folder):
    if request.param == "memory":
        return {"source": CURVES}
    return {"source": folder, "cache": request.param == "cached"}


def load(source, shard, **options):
    options = {"window_size": W, "batch_size": 4, "training": True, **options}
    return load_dataset(**source, shard=shard, **options)


def one_pass(source, shard):
    batches = list(load(source, shard).as_numpy_iterator())
    time = np.concatenate([inputs["time"] for inputs, _ in batches])
    mag = np.concatenate([targets["mag"] for _, targets in batches])
    return read_marks(time, mag)[0], len(batches)


def test_workers_read_every_light_curve_once(source):
    parts = [one_pass(source, (index, 3))[0] for index in range(3)]
    assert sorted(itertools.chain(*parts)) == list(range(21))


def test_worker_reads_its_own_files_and_no_others(folder):
    shards = Manifest.load(folder).shard_paths()
    for index in range(2):
        own = read_records(shards[index::2])
        owner, _ = one_pass({"source": folder}, (index, 2))
        assert sorted(f"star{k:03d}" for k in owner) == sorted(c.object_id for c in own)


def test_cardinality_is_that_of_the_part(source):
    for index in range(3):
        _, number = one_pass(source, (index, 3))
        assert len(load(source, (index, 3))) == number


def test_workers_do_not_share_masks(folder):
    # All windows are full: with the same draws the masks would be the same.
    hidden = [
        next(load({"source": folder}, (k, 2), seed=3).as_numpy_iterator())[0]["hidden"]
        for k in range(2)
    ]
    assert (hidden[0] != hidden[1]).any()


def test_part_is_seekable_and_its_light_curves_have_names(source):
    batches = load(source, (1, 2), repeat=True, seed=5)
    expected = list(itertools.islice(batches.as_numpy_iterator(), 5))
    later = load(source, (1, 2), repeat=True, seed=5, start_batch=4)
    inputs, targets = next(later.as_numpy_iterator())
    np.testing.assert_array_equal(inputs["hidden"], expected[4][0]["hidden"])
    np.testing.assert_array_equal(targets["mag"], expected[4][1]["mag"])
    owner, _ = read_marks(inputs["time"], targets["mag"])
    names = object_ids_of_batch(**source, batch=4, batch_size=4, seed=5, shard=(1, 2))
    assert names == [f"star{k:03d}" for k in owner]


def test_one_worker_reads_what_no_worker_does(source):
    alone = load(source, (0, 1), repeat=True).as_numpy_iterator()
    plain = load_dataset(
        **source, window_size=W, batch_size=4, training=True, repeat=True
    ).as_numpy_iterator()
    np.testing.assert_array_equal(next(alone)[1]["mag"], next(plain)[1]["mag"])


def test_fewer_files_than_workers_are_refused(folder):
    with pytest.raises(
        ConfigError,
        match=r"5 files.*for 6 workers.*lower `--objects-per-shard`, now 5",
    ):
        load({"source": folder}, (0, 6))
    with pytest.raises(ConfigError, match="21 light curves for 22 workers"):
        load({"source": CURVES}, (0, 22))


@pytest.mark.parametrize(
    ("shard", "options", "message"),
    [
        ((2, 2), {}, "worker 2 of 2"),
        ((-1, 2), {}, "index_of_worker=-1"),
        ((0, 0), {}, "number_of_workers=0"),
        ((0, 2), {"training": False}, r"Received: shard=\(0, 2\).*training=False"),
        ((0, 2), {"task": "classify"}, 'task="classify".*take_part'),
    ],
)
def test_part_that_cannot_be_is_refused(shard, options, message):
    with pytest.raises(ConfigError, match=message):
        load({"source": CURVES}, shard, **options)
