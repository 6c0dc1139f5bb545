"""The record: one light curve as one `tf.train.Example`, written and read here.

The keys, their types and the layout on disk are known to this module alone. Writing
does without TensorFlow, so that a converter process starts at once; the bytes are
plain TFRecord files of plain Examples, which any TensorFlow reads.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from astromer.errors import RecordError
from astromer.lightcurve import LightCurve
from astromer.records.protobuf import first_value, iterate_map, tagged, varint
from astromer.wire import DAMAGE, iterate_fields, masked_crc

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CLASS_NAME_KEY",
    "LABEL_KEY",
    "MAG_ERR_KEY",
    "MAG_KEY",
    "OBJECT_ID_KEY",
    "PASSBAND_KEY",
    "SCHEMA_VERSION",
    "TIME_KEY",
    "decode_example",
    "encode_arrays",
    "encode_light_curve",
    "iterate_frames",
    "write_frame",
]

SCHEMA_VERSION: Final = 1
"""Raised whenever a reader of older records would misread newer ones."""

OBJECT_ID_KEY: Final = "object_id"
"""bytes: the object's name, UTF-8."""
PASSBAND_KEY: Final = "passband"
"""bytes: the filter's name, UTF-8."""
LABEL_KEY: Final = "label"
"""int64: class number, -1 where unknown; the manifest maps it to a name."""
CLASS_NAME_KEY: Final = "class_name"
"""bytes: class name, UTF-8, empty where unknown."""
TIME_KEY: Final = "time"
"""bytes: times [d], float64, little endian, ascending."""
MAG_KEY: Final = "mag"
"""bytes: magnitudes [mag], float32, little endian."""
MAG_ERR_KEY: Final = "mag_err"
"""bytes: uncertainties [mag], float32, little endian."""


def encode_light_curve(light_curve: LightCurve) -> bytes:
    """Serialize a light curve as a `tf.train.Example`.

    Parameters
    ----------
    light_curve : LightCurve

    Returns
    -------
    example : bytes
        The same light curve always gives the same bytes.
    """
    return encode_arrays(
        light_curve.time,
        light_curve.mag,
        light_curve.mag_err,
        object_id=light_curve.object_id,
        passband=light_curve.passband,
        label=light_curve.label,
        class_name=light_curve.class_name,
    )


def encode_arrays(
    time: NDArray[np.float64],
    mag: NDArray[np.float32],
    mag_err: NDArray[np.float32],
    *,
    object_id: str,
    passband: str,
    label: int,
    class_name: str | None,
) -> bytes:
    """Serialize checked arrays as a `tf.train.Example`; see `LightCurve`.

    Values are written as bytes lists, not float lists: times keep float64, and a
    batch is decoded without a loop.
    """
    values = (
        (_CLASS_NAME, (class_name or "").encode()),
        (_MAG, mag.astype("<f4", copy=False).tobytes()),
        (_MAG_ERR, mag_err.astype("<f4", copy=False).tobytes()),
        (_OBJECT_ID, object_id.encode()),
        (_PASSBAND, passband.encode()),
        (_TIME, time.astype("<f8", copy=False).tobytes()),
    )
    parts: list[bytes] = []
    for key, value in values:
        parts += _before_bytes(key, len(value)), value
    # In the order of their names, as every Example is written.
    parts.insert(2, _int64_entry(_LABEL, label))
    return tagged(_FEATURES, b"".join(parts))


def decode_example(serialized: bytes) -> LightCurve:
    """Read one Example back; the inverse of `encode_light_curve`.

    Parameters
    ----------
    serialized : bytes
        An Example written by this module or by any protobuf library.

    Returns
    -------
    light_curve : LightCurve

    Raises
    ------
    RecordError
        If the bytes are not an Example of this schema.
    """
    try:
        values = {
            name: first_value(feature)
            for _, features in iterate_fields(serialized)
            for name, feature in iterate_map(features)
        }
        return LightCurve(
            np.frombuffer(values[TIME_KEY], "<f8"),
            np.frombuffer(values[MAG_KEY], "<f4"),
            np.frombuffer(values[MAG_ERR_KEY], "<f4"),
            passband=values[PASSBAND_KEY].decode(),
            object_id=values[OBJECT_ID_KEY].decode(),
            label=values[LABEL_KEY],
            class_name=values[CLASS_NAME_KEY].decode() or None,
        )
    except DAMAGE as error:
        raise RecordError(
            "The record is not a light curve of this schema. Received: "
            f"{len(serialized)} bytes ({type(error).__name__}: {error}). "
            "Records of the released code are read by `read_released_records`."
        ) from error


def write_frame(stream: BinaryIO, record: bytes) -> int:
    """Append one record to a TFRecord stream.

    Parameters
    ----------
    stream : binary file object
    record : bytes

    Returns
    -------
    size : int
        Bytes written: the record, its length and two checksums.
    """
    frame = b"".join((_frame_header(len(record)), record, _masked_crc(record)))
    stream.write(frame)
    return len(frame)


def iterate_frames(path: Path) -> Iterator[bytes]:
    """Read the records of a TFRecord file, verifying every checksum.

    Parameters
    ----------
    path : pathlib.Path

    Yields
    ------
    record : bytes

    Raises
    ------
    RecordError
        If a checksum is wrong or the file ends within a record; names the file
        and the index of the record.
    """
    with open(path, "rb") as stream:
        index = 0
        while header := stream.read(12):
            where = f"Received: path={path}, record {index}"
            if len(header) < 12 or _masked_crc(header[:8]) != header[8:]:
                raise RecordError(
                    f"The length of a record is damaged. {where}. "
                    "Convert the shard again."
                )
            (length,) = struct.unpack("<Q", header[:8])
            record, checksum = stream.read(length), stream.read(4)
            if len(record) < length or len(checksum) < 4:
                raise RecordError(
                    f"The file ends within a record. {where}. Convert the shard again."
                )
            if _masked_crc(record) != checksum:
                raise RecordError(
                    f"A record's checksum is wrong. {where}. Convert the shard again."
                )
            yield record
            index += 1


@functools.lru_cache(maxsize=4096)
def _frame_header(size: int) -> bytes:
    """Return the size of a record and its checksum."""
    length = struct.pack("<Q", size)
    return length + _masked_crc(length)


def _masked_crc(data: bytes) -> bytes:
    return struct.pack("<I", masked_crc(data))


# Protobuf tags: field number << 3 | wire type (2 = length delimited, 0 = varint).
_FEATURES = b"\x0a"  # Example.features = 1
_ENTRY = b"\x0a"  # Features.feature = 1, a map entry
_KEY = b"\x0a"  # entry.key = 1
_VALUE = b"\x12"  # entry.value = 2, a Feature
_BYTES_LIST = b"\x0a"  # Feature.bytes_list = 1
_INT64_LIST = b"\x1a"  # Feature.int64_list = 3
_LIST_VALUE = b"\x0a"  # BytesList.value = 1, Int64List.value = 1 (packed)

_CLASS_NAME = tagged(_KEY, CLASS_NAME_KEY.encode())
_LABEL = tagged(_KEY, LABEL_KEY.encode())
_MAG = tagged(_KEY, MAG_KEY.encode())
_MAG_ERR = tagged(_KEY, MAG_ERR_KEY.encode())
_OBJECT_ID = tagged(_KEY, OBJECT_ID_KEY.encode())
_PASSBAND = tagged(_KEY, PASSBAND_KEY.encode())
_TIME = tagged(_KEY, TIME_KEY.encode())


# Sizes and classes repeat from one light curve to the next.
@functools.lru_cache(maxsize=4096)
def _before_bytes(key: bytes, size: int) -> bytes:
    """Return what an entry of so many bytes begins with: its key, tags and sizes."""
    before = b""
    for tag in (_LIST_VALUE, _BYTES_LIST, _VALUE):
        before = tag + varint(len(before) + size) + before
    return _ENTRY + varint(len(key) + len(before) + size) + key + before


@functools.lru_cache(maxsize=256)
def _int64_entry(key: bytes, value: int) -> bytes:
    feature = tagged(_INT64_LIST, tagged(_LIST_VALUE, varint(value)))
    return tagged(_ENTRY, key + tagged(_VALUE, feature))
