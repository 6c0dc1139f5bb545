"""Protobuf by hand against its documentation and TensorFlow's own classes."""

from __future__ import annotations

import pytest

from astromer.records.protobuf import (
    DAMAGE,
    first_value,
    iterate_fields,
    iterate_map,
    tagged,
    varint,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "00"),
        (127, "7f"),
        (150, "9601"),  # the example in protobuf's documentation
        (-1, "ffffffffffffffffff01"),
    ],
)
def test_varint_has_the_documented_bytes(value, expected):
    assert varint(value).hex() == expected


def test_fields_are_read_with_number_and_value():
    # Both messages stand in protobuf's documentation: a = 150, and b = "testing".
    message = bytes.fromhex("089601") + bytes.fromhex("120774657374696e67")
    assert list(iterate_fields(message)) == [(1, 150), (2, b"testing")]
    assert tagged(b"\x12", b"testing") == message[3:]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (b"\x0d\x00\x00\x00\x00", "wire type 5"),
        (b"\x12\x05abc", "past the end"),
        (b"\x08\x96", "index out of range"),
    ],
    ids=["float", "short", "no end"],
)
def test_fields_of_something_else_are_damage(message, error):
    with pytest.raises(DAMAGE, match=error):
        list(iterate_fields(message))


def test_first_value_is_what_tensorflow_wrote():
    tf = pytest.importorskip("tensorflow")
    for kind, values in (
        ("bytes_list", [b"R", b"B"]),
        ("float_list", [-6.25, 1.0]),
        ("int64_list", [-(2**63), 7]),
        ("int64_list", [2**63 - 1]),
    ):
        feature = tf.train.Feature()
        getattr(feature, kind).value.extend(values)
        assert first_value(feature.SerializeToString()) == values[0]
    features = tf.train.Features()
    features.feature["label"].int64_list.value.append(3)
    ((name, feature),) = iterate_map(features.SerializeToString())
    assert (name, first_value(feature)) == ("label", 3)


def test_first_value_of_an_unpacked_list_is_read():
    # Older writers repeat the tag 0x08 before each number instead of packing.
    assert first_value(b"\x1a\x04\x08\x05\x08\x06") == 5


@pytest.mark.parametrize("feature", [b"", b"\x0a\x00"], ids=["no list", "no value"])
def test_first_value_of_an_empty_feature_is_damage(feature):
    with pytest.raises(ValueError, match="empty feature"):
        first_value(feature)
