"""Protobuf by hand against its documentation and TensorFlow's own classes."""

from __future__ import annotations

import pytest

from astromer.records.protobuf import first_value, iterate_map, tagged, varint


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


def test_field_is_tag_size_and_content():
    # b = "testing", as in protobuf's documentation.
    assert tagged(b"\x12", b"testing").hex() == "120774657374696e67"


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
