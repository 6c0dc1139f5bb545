"""The wire format against protobuf's documentation and published checksums."""

import pytest

from astromer.wire import DAMAGE, iterate_fields, masked_crc, read_varint


def test_fields_are_read_with_number_and_value():
    # Both messages stand in protobuf's documentation: a = 150, and b = "testing".
    message = bytes.fromhex("089601") + bytes.fromhex("120774657374696e67")
    assert list(iterate_fields(message)) == [(1, 150), (2, b"testing")]


def test_fields_of_fixed_size_are_integers():
    message = b"\x0d\x01\x02\x00\x00" + b"\x11" + bytes(7) + b"\x80"
    assert list(iterate_fields(message)) == [(1, 0x201), (2, 0x80 << 56)]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (b"\x0b\x0c", "wire type 3"),
        (b"\x12\x05abc", "past the end"),
        (b"\x0d\x00\x00\x00", "past the end"),
        (b"\x08\x96", "index out of range"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "more than 64 bits"),
    ],
    ids=["group", "short", "short number", "no end", "long"],
)
def test_fields_of_something_else_are_damage(message, error):
    with pytest.raises(DAMAGE, match=error):
        list(iterate_fields(message))


@pytest.mark.parametrize(
    ("written", "value"), [("00", 0), ("7f", 127), ("9601", 150), ("ff" * 9 + "01", -1)]
)
def test_varint_is_read_with_its_end(written, value):
    data = b"\x00" + bytes.fromhex(written) + b"\x05"
    assert read_varint(data, 1) == (value % 2**64, len(data) - 1)


def test_masked_crc_undone_is_the_published_checksum():
    # CRC-32C of "123456789" in the catalog of checksums is e3069283.
    masked = masked_crc(b"123456789")
    rotated = (masked - 0xA282EAD8) % 2**32
    assert (rotated >> 17 | rotated << 15) % 2**32 == 0xE3069283
    assert masked_crc() == masked_crc(b"") == 0xA282EAD8
