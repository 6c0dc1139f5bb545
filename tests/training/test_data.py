import dataclasses
import hashlib
import itertools
import json

import numpy as np
import pytest
import tensorflow as tf

from astromer.errors import ConfigError, RecordError
from astromer.pipeline import MaskingConfig, load_dataset
from astromer.records import Manifest, read_records
from astromer.training import PretrainOptions
from astromer.training.data import (
    FIXED_SEED,
    RunData,
    Splits,
    fixed_batches,
    train_stream,
)
from tests.models.windows import tiny_config
from tests.pipeline.plain import write_records
from tests.training.conftest import make_curves


def make_data(records, *, task="pretrain", masking=None, weights="off", **options):
    return RunData(
        splits=Splits.open(records),
        options=PretrainOptions(**{"batch_size": 8, **options}),
        encoder=tiny_config(normalization="light_curve"),
        task=task,
        masking=masking,
        error_weights=weights,
    )


def take(stream, count):
    return list(itertools.islice(stream.as_numpy_iterator(), count))


def assert_equal(found, expected):
    tf.nest.map_structure(np.testing.assert_array_equal, found, expected)


@pytest.fixture
def in_memory(survey):
    names = ("train", "validation", "test")
    return {name: list(read_records(survey, split=name)) for name in names}


def test_splits_of_records_are_those_of_the_manifest(survey):
    splits = Splits.open(survey)
    assert splits.num_light_curves == {"train": 22, "validation": 8, "test": 6}
    assert splits.num_labeled == splits.num_light_curves
    content = (survey / "manifest.json").read_bytes()
    assert splits.sha256 == hashlib.sha256(content).hexdigest()
    # The manifest holds the checksum of every shard.
    for shard in json.loads(content)["shards"]:
        written = (survey / shard["name"]).read_bytes()
        assert shard["sha256"] == hashlib.sha256(written).hexdigest()
    assert Splits.open(survey / "manifest.json") == splits


def test_splits_in_memory_are_known_by_their_light_curves(in_memory):
    splits = Splits.open(in_memory)
    assert splits.num_light_curves == {"train": 22, "validation": 8, "test": 6}
    assert splits.num_labeled["train"] == 22
    again = Splits.open({name: list(curves) for name, curves in in_memory.items()})
    assert again.sha256 == splits.sha256
    fewer = Splits.open({**in_memory, "test": in_memory["test"][1:]})
    assert fewer.sha256 != splits.sha256
    moved = {**in_memory, "test": [], "train": in_memory["train"] + in_memory["test"]}
    assert Splits.open(moved).num_light_curves == {"train": 28, "validation": 8}


def test_passes_are_counted(survey):
    data = make_data(survey)
    assert (data.windows_per_pass, data.batches_per_pass) == (22, 3)
    assert [data.windows_until(n) for n in range(8)] == [0, 8, 16, 22, 30, 38, 44, 52]


def test_only_labeled_light_curves_are_counted_for_classes(tmp_path):
    curves = make_curves(12)
    for curve in curves[:5]:
        object.__setattr__(curve, "class_name", None)
    write_records(tmp_path / "records", curves, split={"train": 1.0})
    data = make_data(tmp_path / "records", task="classify", batch_size=4)
    assert (data.windows_per_pass, data.batches_per_pass) == (7, 2)
    sizes = [len(labels) for _, labels in take(train_stream(data), 4)]
    assert sizes == [4, 3, 4, 3]


@pytest.mark.parametrize("is_tiled", [False, True])
def test_end_of_a_stream_waits_for_no_tuner(survey, is_tiled):
    data = dataclasses.replace(make_data(survey, task="classify"), is_tiled=is_tiled)
    assert train_stream(data).options().autotune.enabled is False


@pytest.mark.parametrize("start", [0, 4])
def test_stream_is_the_endless_dataset_of_the_options(survey, start):
    masking = MaskingConfig(probed_fraction=0.75)
    data = make_data(
        survey,
        masking=masking,
        weights="released",
        seed=5,
        shuffle_buffer=4,
        cache=True,
    )
    expected = load_dataset(
        survey,
        split="train",
        window_size=8,
        batch_size=8,
        seed=5,
        normalization="light_curve",
        masking=masking,
        error_weights="released",
        shuffle_buffer=4,
        cache=True,
        repeat=True,
        start_batch=start,
    )
    assert_equal(take(train_stream(data, start), 4), take(expected, 4))


def test_stream_in_memory_is_that_of_the_light_curves(in_memory):
    data = make_data(in_memory)
    expected = load_dataset(
        in_memory["train"],
        window_size=8,
        batch_size=8,
        normalization="light_curve",
        repeat=True,
    )
    assert_equal(take(train_stream(data), 4), take(expected, 4))


@pytest.mark.parametrize("split", ["validation", "test"])
def test_fixed_batches_are_tiles_whose_masks_follow_no_seed_of_the_run(survey, split):
    expected = load_dataset(
        survey,
        split=split,
        window_size=8,
        batch_size=8,
        seed=FIXED_SEED,
        normalization="light_curve",
        training=False,
    )
    for seed in (0, 9):
        found = fixed_batches(make_data(survey, seed=seed), split)
        assert_equal(take(found, 9), take(expected, 9))


def test_split_that_is_not_there_has_no_batches(in_memory):
    data = make_data({"train": in_memory["train"]})
    assert fixed_batches(data, "validation") is None


def test_batch_names_its_objects(survey, in_memory):
    ids = {curve.object_id for curve in in_memory["train"]}
    for records in (survey, in_memory):
        data = make_data(records, seed=3)
        first_pass = [data.object_ids(n) for n in range(3)]
        assert list(map(len, first_pass)) == [8, 8, 6]
        assert {name for names in first_pass for name in names} == ids
        assert data.object_ids(3) != first_pass[0]


def test_fewer_light_curves_than_a_batch_are_refused(survey):
    make_data(survey, batch_size=22).check()
    with pytest.raises(ConfigError, match=r"batch_size=23, 22 light curves\. Lower"):
        make_data(survey, batch_size=23).check()


def test_nothing_to_train_on_is_refused(tmp_path, in_memory):
    write_records(tmp_path / "records", make_curves(4), split={"test": 1.0})
    for records in (tmp_path / "records", {"test": in_memory["test"]}, {"train": []}):
        with pytest.raises(RecordError, match="no split `train`"):
            Splits.open(records)


def test_split_of_another_name_in_memory_is_refused(in_memory):
    with pytest.raises(ConfigError, match='split="valid"'):
        Splits.open({"train": in_memory["train"], "valid": in_memory["test"]})


def test_records_of_another_schema_are_refused(tmp_path, survey):
    values = Manifest.load(survey).to_dict() | {"schema_version": 99}
    (tmp_path / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(RecordError, match="schema_version=99"):
        Splits.open(tmp_path)
