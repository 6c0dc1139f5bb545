"""The few rules of protobuf that an Example is written and read by.

Doing without its library, a converter process starts at once and depends on no
version of it. What every message has in common is in `astromer.wire`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from astromer.wire import iterate_fields, read_varint

__all__ = ["first_value", "iterate_map", "tagged", "varint"]

_MORE: Final = 0x80
_UINT64: Final = (1 << 64) - 1
_FLOAT_LIST, _INT64_LIST = 2, 3


# Sizes repeat from one light curve to the next; this halves the time of encoding.
@functools.lru_cache(maxsize=1024)
def varint(value: int) -> bytes:
    """Write an integer, a negative one in two's complement of 64 bits."""
    value &= _UINT64
    out = bytearray()
    while value >= _MORE:
        out.append(value & 0x7F | _MORE)
        value >>= 7
    out.append(value)
    return bytes(out)


def tagged(tag: bytes, payload: bytes) -> bytes:
    """Write a field: its tag, its size, and what it holds."""
    return tag + varint(len(payload)) + payload


def iterate_map(message: bytes) -> Iterator[tuple[str, bytes]]:
    """Read the entries of a map: their keys, and their values as messages."""
    for _, entry in iterate_fields(message):
        pair = dict(iterate_fields(entry))
        yield pair[1].decode(), pair[2]


def first_value(feature: bytes) -> Any:
    """Read the first value of a `tf.train.Feature`.

    Parameters
    ----------
    feature : bytes

    Returns
    -------
    value : bytes, float or int
        As the kind of the feature's list says.

    Raises
    ------
    ValueError
        If the feature holds no value.
    """
    kind, values = _first_field(feature)
    _, first = _first_field(values)
    if kind == _FLOAT_LIST:
        return float(np.frombuffer(first, "<f4", count=1)[0])
    if kind == _INT64_LIST:
        # A packed list arrives as bytes, an unpacked one as its number.
        number = first if isinstance(first, int) else read_varint(first, 0)[0]
        number &= _UINT64
        return number - (1 << 64) * (number >> 63)
    return first


def _first_field(message: bytes) -> tuple[int, Any]:
    for field in iterate_fields(message):
        return field
    raise ValueError("an empty feature")
