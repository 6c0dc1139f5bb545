"""The record: our own bytes against TensorFlow's, and damage that must not pass."""

import random
import struct

import numpy as np
import pytest

from astromer.errors import RecordError
from astromer.lightcurve import LightCurve
from astromer.records import schema

GOLDEN = bytes.fromhex(
    # An Example's features, 137 bytes; then an entry per key: the class EC.
    "0a8901"
    "0a14" "0a0a636c6173735f6e616d65" "1206" "0a04" "0a024543"
    # The label 2, a packed int64 list.
    "0a0e" "0a056c6162656c" "1205" "1a03" "0a0102"
    # The magnitude 1.5, float32.
    "0a0f" "0a036d6167" "1208" "0a06" "0a04" "0000c03f"
    # The uncertainty 0.25, float32.
    "0a13" "0a076d61675f657272" "1208" "0a06" "0a04" "0000803e"
    # The object a.
    "0a12" "0a096f626a6563745f6964" "1205" "0a03" "0a0161"
    # The passband R.
    "0a11" "0a087061737362616e64" "1205" "0a03" "0a0152"
    # The time 2.0, float64.
    "0a14" "0a0474696d65" "120c" "0a0a" "0a08" "0000000000000040"
)  # fmt: skip


@pytest.fixture
def small_curve():
    return LightCurve([2.0], [1.5], [0.25], "R", "a", 2, "EC")


@pytest.fixture
def shard(tmp_path, make_light_curve):
    """Write three records; returns the path and the records."""
    records = [
        schema.encode_light_curve(make_light_curve(length, object_id=f"s{length}"))
        for length in (1, 3, 2)
    ]
    path = tmp_path / "shard.tfrecord"
    with open(path, "wb") as stream:
        sizes = [schema.write_frame(stream, record) for record in records]
    assert path.stat().st_size == sum(sizes)
    return path, records


def test_example_has_the_golden_bytes(small_curve):
    assert schema.encode_light_curve(small_curve) == GOLDEN
    assert schema.decode_example(GOLDEN) == small_curve


@pytest.mark.parametrize("length", [1, 2, 15, 16, 127, 128, 200, 2_049, 40_000])
def test_example_round_trip_is_exact_at_any_length(make_light_curve, length):
    curve = make_light_curve(length, object_id=f"star {length}", label=length)
    assert schema.decode_example(schema.encode_light_curve(curve)) == curve


@pytest.mark.parametrize("seed", range(5))
def test_example_round_trip_is_exact_for_any_attributes(seed):
    rng = np.random.default_rng(seed)
    letters = ["\N{GREEK SMALL LETTER DELTA}", "\N{BLACK STAR}", "z", " ", "\x00", "é"]
    for _ in range(50):
        length = int(rng.integers(1, 60))
        curve = LightCurve(
            rng.normal(0, 1e5, length),
            rng.normal(0, 20, length),
            rng.exponential(1.0, length),
            object_id="".join(rng.choice(letters, rng.integers(0, 80))),
            passband="".join(rng.choice(letters, 2)),
            label=int(rng.integers(-(2**63), 2**63 - 1)),
            class_name=[None, "RRab", "Δ Scuti"][rng.integers(3)],
        )
        assert schema.decode_example(schema.encode_light_curve(curve)) == curve


@pytest.mark.parametrize("label", [-(2**63), -1, 0, 127, 128, 2**63 - 1])
def test_example_keeps_labels_of_any_sign(make_light_curve, label):
    example = schema.encode_light_curve(make_light_curve(2, label=label))
    assert schema.decode_example(example).label == label


def test_example_keeps_an_unknown_class_unknown(make_light_curve):
    example = schema.encode_light_curve(make_light_curve(2, class_name=None))
    assert schema.decode_example(example).class_name is None


def test_example_is_what_tensorflow_parses(make_light_curve):
    tf = pytest.importorskip("tensorflow")
    curve = make_light_curve(
        300, object_id="\N{BLACK STAR} 7", label=-5, class_name="LPV"
    )
    example = tf.train.Example.FromString(schema.encode_light_curve(curve))
    feature = example.features.feature
    assert set(feature) == {
        "object_id",
        "passband",
        "label",
        "class_name",
        "time",
        "mag",
        "mag_err",
    }
    assert feature["object_id"].bytes_list.value[0].decode() == curve.object_id
    assert feature["passband"].bytes_list.value[0] == b"R"
    assert feature["class_name"].bytes_list.value[0] == b"LPV"
    assert list(feature["label"].int64_list.value) == [-5]
    for key, dtype in (("time", "<f8"), ("mag", "<f4"), ("mag_err", "<f4")):
        values = np.frombuffer(feature[key].bytes_list.value[0], dtype)
        np.testing.assert_array_equal(values, getattr(curve, key))


def test_example_of_tensorflow_is_read(make_light_curve):
    tf = pytest.importorskip("tensorflow")
    curve = make_light_curve(40, label=3, class_name="EC")
    ours = tf.train.Example.FromString(schema.encode_light_curve(curve))
    # Map entries come in another order from TensorFlow; the meaning is the same.
    assert schema.decode_example(ours.SerializeToString()) == curve


def test_tensorflow_reads_our_files(shard):
    tf = pytest.importorskip("tensorflow")
    path, records = shard
    assert list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()) == records


def test_our_reader_reads_tensorflows_files(tmp_path, shard):
    tf = pytest.importorskip("tensorflow")
    path, records = shard
    theirs = tmp_path / "theirs.tfrecord"
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for record in records:
            writer.write(record)
    assert list(schema.iterate_frames(theirs)) == records
    assert theirs.read_bytes() == path.read_bytes()


def test_frame_has_the_published_checksum(tmp_path):
    path = tmp_path / "one.tfrecord"
    with open(path, "wb") as stream:
        schema.write_frame(stream, b"123456789")
    data = path.read_bytes()
    # 0xE3069283 is the check value of CRC-32C over these nine digits.
    crc = 0xE3069283
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert data[:8] == struct.pack("<Q", 9)
    assert data[12:] == b"123456789" + struct.pack("<I", masked)


def test_frames_of_an_empty_file_are_none(tmp_path):
    path = tmp_path / "empty.tfrecord"
    path.touch()
    assert list(schema.iterate_frames(path)) == []


def test_frames_detect_a_flipped_bit_at_every_position(tmp_path, shard):
    path, records = shard
    data = path.read_bytes()
    damaged = tmp_path / "damaged.tfrecord"
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        damaged.write_bytes(changed)
        with pytest.raises(RecordError, match=r"damaged.tfrecord, record [012]\b"):
            list(schema.iterate_frames(damaged))
    assert list(schema.iterate_frames(path)) == records


def test_frames_detect_truncation_within_a_record(tmp_path, shard):
    path, records = shard
    data = path.read_bytes()
    ends = {0, *np.cumsum([len(record) + 16 for record in records]).tolist()}
    cut = tmp_path / "cut.tfrecord"
    for size in range(len(data)):
        cut.write_bytes(data[:size])
        if size in ends:
            # Nothing in a TFRecord file says how many records there should be:
            # that is for the manifest's counts and checksums.
            assert len(list(schema.iterate_frames(cut))) < len(records)
            continue
        with pytest.raises(RecordError, match=r"damaged|ends within a record"):
            list(schema.iterate_frames(cut))


def test_frames_before_the_damage_are_read(tmp_path, shard):
    path, records = shard
    path.write_bytes(path.read_bytes()[:-1])
    frames = schema.iterate_frames(path)
    assert [next(frames), next(frames)] == records[:2]
    with pytest.raises(RecordError, match="record 2"):
        next(frames)


def test_decode_detects_truncation_at_every_position(small_curve):
    for size in range(len(GOLDEN)):
        with pytest.raises(RecordError, match=rf"Received: {size} bytes"):
            schema.decode_example(GOLDEN[:size])


def test_decode_of_garbage_is_a_record_error_or_a_light_curve():
    generator = random.Random(1)
    refused = 0
    for _ in range(3_000):
        changed = bytearray(GOLDEN)
        for _ in range(generator.choice([1, 2, 3])):
            changed[generator.randrange(len(changed))] = generator.randrange(256)
        try:
            curve = schema.decode_example(bytes(changed))
        except RecordError:
            refused += 1
        else:
            assert len(curve) == 1
    assert refused > 1_000


@pytest.mark.parametrize(
    "foreign",
    [b"", b"not a record", b"\x0a\x00", b"\x0a\x04\x0a\x02\x12\x00", b"\xff" * 12],
    ids=["empty", "text", "no features", "empty feature", "ones"],
)
def test_decode_refuses_foreign_bytes_and_says_what_to_try(foreign):
    with pytest.raises(RecordError, match="read_released_records"):
        schema.decode_example(foreign)


@pytest.mark.parametrize("key", ["time", "mag", "mag_err", "object_id", "label"])
def test_decode_names_a_missing_key(small_curve, key):
    tf = pytest.importorskip("tensorflow")
    example = tf.train.Example.FromString(schema.encode_light_curve(small_curve))
    del example.features.feature[key]
    with pytest.raises(RecordError, match=f"KeyError: '{key}'"):
        schema.decode_example(example.SerializeToString())
