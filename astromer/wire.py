"""How TensorFlow's files are written: protobuf's fields, and masked checksums.

Reading these few rules here, whoever opens such a file needs neither library.
Damaged bytes raise one of `DAMAGE`, for whoever knows which file they came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import google_crc32c

__all__ = ["DAMAGE", "iterate_fields", "masked_crc", "read_varint"]

DAMAGE: Final = (AttributeError, LookupError, TypeError, ValueError)
"""What reading raises on bytes that are something else."""

_MORE: Final = 0x80
_UINT32: Final = (1 << 32) - 1
_UINT64: Final = (1 << 64) - 1
_FIXED_SIZES: Final = {1: 8, 5: 4}
"""Bytes of the wire types whose size is fixed."""


def iterate_fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Read a protobuf message field by field.

    Parameters
    ----------
    message : bytes

    Yields
    ------
    number : int
        Number of the field.
    value : int or bytes
        An integer as stored, without a sign; anything else as bytes.

    Raises
    ------
    ValueError or IndexError
        If the bytes are no message of numbers, texts and messages.
    """
    position = 0
    while position < len(message):
        tag, position = read_varint(message, position)
        kind = tag & 7
        if kind == 0:
            value, position = read_varint(message, position)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, position = read_varint(message, position)
        elif kind in _FIXED_SIZES:
            size = _FIXED_SIZES[kind]
        else:
            raise ValueError(f"wire type {kind}")
        if position + size > len(message):
            raise ValueError("a field runs past the end")
        content = message[position : position + size]
        yield tag >> 3, content if kind == 2 else int.from_bytes(content, "little")
        position += size


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Read an integer of seven bits a byte.

    Parameters
    ----------
    data : bytes
    position : int
        Where it begins.

    Returns
    -------
    value : int
        At least 0; a negative number appears in two's complement of 64 bits.
    position : int
        Where it ends.

    Raises
    ------
    IndexError
        If the bytes end within it.
    ValueError
        If it has more than 64 bits.
    """
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < _MORE:
            if value > _UINT64:
                raise ValueError("an integer of more than 64 bits")
            return value, position
        shift += 7


def masked_crc(*parts: bytes | memoryview) -> int:
    """Return the CRC32C of bytes, in parts or whole, as TensorFlow stores it.

    Rotated and offset, so that the checksum of data that hold checksums is safe.

    Examples
    --------
    >>> masked_crc(b"1234", b"56789") == masked_crc(b"123456789")
    True
    """
    crc = 0
    for part in parts:
        crc = google_crc32c.extend(crc, bytes(part))
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & _UINT32
