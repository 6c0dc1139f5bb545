"""Records in the released layout, written here with TensorFlow's own classes."""

from __future__ import annotations

import numpy as np
import pytest

from astromer.errors import RecordError
from astromer.records import read_released_records
from astromer.records.schema import write_frame

tf = pytest.importorskip("tensorflow")


def sequence_example(
    columns, *, object_id=b"1.3441.15", label=2, length=None, names=None
):
    def ints(value):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    lists = {
        name: tf.train.FeatureList(
            feature=[
                tf.train.Feature(float_list=tf.train.FloatList(value=[x]))
                for x in column
            ]
        )
        for name, column in zip(
            names or ("dim_0", "dim_1", "dim_2"), columns, strict=False
        )
    }
    return tf.train.SequenceExample(
        context=tf.train.Features(
            feature={
                "id": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[object_id])
                ),
                "label": ints(label),
                "length": ints(len(columns[0]) if length is None else length),
            }
        ),
        feature_lists=tf.train.FeatureLists(feature_list=lists),
    ).SerializeToString()


def without_a_label():
    example = tf.train.SequenceExample.FromString(sequence_example(COLUMNS))
    example.context.feature["label"].Clear()
    return example.SerializeToString()


def write(path, *examples):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as stream:
        for example in examples:
            write_frame(stream, example)


COLUMNS = ([48823.5, 48824.25, 48830.0], [-6.25, -6.5, -6.0], [0.25, 0.5, 0.125])


@pytest.mark.parametrize(
    "names", [None, ("0", "1", "2"), ("dim_9", "dim_10", "dim_11")], ids=str
)
def test_released_records_are_read_as_tensorflow_wrote_them(tmp_path, names):
    file = tmp_path / "chunk_0.record"
    write(
        file,
        sequence_example(COLUMNS, names=names),
        sequence_example(
            [c[:1] for c in COLUMNS], object_id=b"b", label=-1, names=names
        ),
    )
    first, second = read_released_records(file, passband="R")
    np.testing.assert_array_equal(first.time, COLUMNS[0])
    np.testing.assert_array_equal(first.mag, COLUMNS[1])
    np.testing.assert_array_equal(first.mag_err, COLUMNS[2])
    assert (first.object_id, first.label, first.passband) == ("1.3441.15", 2, "R")
    assert (second.object_id, second.label, len(second)) == ("b", -1, 1)


def test_released_id_may_be_a_number(tmp_path):
    example = tf.train.SequenceExample.FromString(sequence_example(COLUMNS))
    example.context.feature["id"].int64_list.value.append(42)
    file = tmp_path / "0.record"
    write(file, example.SerializeToString())
    assert next(read_released_records(file)).object_id == "42"


def test_released_folders_are_read_in_the_order_of_numbers(tmp_path):
    for folder in ("b", "a"):
        for number in (10, 2, 0):
            name = f"{folder}{number}".encode()
            write(
                tmp_path / folder / f"chunk_{number}.record",
                sequence_example(COLUMNS, object_id=name),
            )
    names = [curve.object_id for curve in read_released_records(tmp_path)]
    assert names == ["a0", "a2", "a10", "b0", "b2", "b10"]


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (lambda: sequence_example(COLUMNS[:2]), "expected 3"),
        (lambda: sequence_example(COLUMNS, length=7), "length=7, but 3"),
        (lambda: sequence_example([[1.0], [2.0], [-0.5]]), "must not be negative"),
        (lambda: sequence_example([[], [], []]), "at least one observation"),
        (lambda: sequence_example([[1.0, 2.0], [2.0], [0.5]]), "one length"),
        (without_a_label, "empty feature"),
        (lambda: b"\x0a\x02\x0a\x00\x12\x02\x08\x01", "released layout"),
        (lambda: b"\xff\xff", "released layout"),
        (lambda: b"", "released layout"),
    ],
    ids=[
        "two lists",
        "length",
        "negative",
        "empty",
        "ragged",
        "no value",
        "number",
        "noise",
        "nothing",
    ],
)
def test_released_records_that_are_damaged_name_file_and_record(
    tmp_path, example, message
):
    file = tmp_path / "chunk_0.record"
    write(file, sequence_example(COLUMNS), example())
    curves = read_released_records(file)
    next(curves)
    with pytest.raises(RecordError, match=message) as caught:
        next(curves)
    assert "chunk_0.record, record 1" in str(caught.value)


def test_released_folder_without_records_is_refused(tmp_path):
    with pytest.raises(RecordError, match=r"chunk_0.record. Received: path="):
        read_released_records(tmp_path)
    with pytest.raises(RecordError, match="holds none"):
        read_released_records(tmp_path / "absent")


def test_records_of_this_package_are_not_taken_for_released_ones(records):
    shard = next(records.glob("*.tfrecord"))
    with pytest.raises(RecordError, match="read by `read_records`"):
        next(read_released_records(shard))
