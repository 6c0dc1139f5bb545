"""TensorFlow V2 checkpoints to arrays, without TensorFlow and without trust.

A checkpoint is an index - a sorted table in LevelDB's format, of one message per
tensor - and shards that hold the tensors' bytes. Each block of the table and each
tensor carries a checksum; all are verified, and the blocks must fill their file, so
that a damaged or truncated checkpoint is refused and never read as other numbers.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from astromer.errors import PresetError
from astromer.wire import DAMAGE, iterate_fields, masked_crc, read_varint

__all__ = ["INDEX_SUFFIX", "SHARD_MARKER", "read_checkpoint"]

INDEX_SUFFIX: Final = ".index"
SHARD_MARKER: Final = ".data-"
"""What follows a checkpoint's name in the names of its shards, before their numbers."""

_MAGIC: Final = 0xDB4775248B80FB57.to_bytes(8, "little")
_FOOTER_SIZE: Final = 48
_TRAILER_SIZE: Final = 5
"""After each block: its compression, and a checksum of both."""
_MAX_UNFOLDED: Final = 1 << 26
"""Most bytes of all keys and messages; keys that share their beginnings may unfold to
far more than the file. Published models have 20 thousand."""
_UNCOMPRESSED: Final = 0
_SNAPPY: Final = 1

_HEADER_KEY: Final = b""
_BUNDLE_VERSION: Final = 1
_LITTLE_ENDIAN: Final = 0

_STRING: Final = 7
# TensorFlow's numbers of the types that numpy has as well.
_DTYPES: Final = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "u1",
    5: "<i2",
    6: "i1",
    8: "<c8",
    9: "<i8",
    10: "?",
    17: "<u2",
    18: "<c16",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}
# Of strings, a checkpoint holds how its objects hang together and how Keras would
# build them again. Neither is a weight.
_HARMLESS_STRINGS: Final = ("_CHECKPOINTABLE_OBJECT_GRAPH", "/OBJECT_CONFIG_JSON")


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry:
    """What a tensor is and where its bytes lie."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    sliced: bool


def read_checkpoint(
    files: Mapping[str, bytes], prefix: str
) -> dict[str, NDArray[np.generic]]:
    """Read all tensors of a checkpoint.

    Parameters
    ----------
    files : mapping of str to bytes
        Files by name; those of the checkpoint start with `prefix`.
    prefix : str
        Name of the checkpoint, e.g. ``"macho/weights"``.

    Returns
    -------
    tensors : dict of numpy.ndarray
        By key, in the index's order; read-only. What TensorFlow keeps as text about
        its objects is verified and left out.

    Raises
    ------
    PresetError
        If a file is missing, damaged, truncated or compressed, or a tensor is of a
        type that no array has.
    """
    index = prefix + INDEX_SUFFIX
    table = dict(_iterate_table(files[index], index))
    num_shards = _read_header(table.pop(_HEADER_KEY, None), index)
    shards = _shards_of(files, prefix, num_shards)
    entries = {
        key.decode(errors="backslashreplace"): _read_entry(key, message, index)
        for key, message in table.items()
    }
    _check_places(entries, shards, index)
    tensors = {}
    for key, entry in entries.items():
        tensor = _read_tensor(key, entry, shards[entry.shard])
        if tensor is not None:
            tensors[key] = tensor
    return tensors


# --- The table


def _iterate_table(data: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a table, in ascending order of keys."""
    if len(data) < _FOOTER_SIZE or data[-len(_MAGIC) :] != _MAGIC:
        raise PresetError(
            "The index of a checkpoint ends with the mark of a LevelDB table. "
            f"Received: path={name}, {len(data)} bytes that do not. "
            "Download or copy the checkpoint again."
        )
    end = len(data) - _FOOTER_SIZE
    try:
        meta, index = _read_footer(data[end:])
        read = [meta, index]
        entries: list[tuple[bytes, bytes]] = []
        unfolded = 0
        for _, value in _iterate_block(data, index, end, name):
            block, position = _read_handle(value, 0)
            if position != len(value):
                raise ValueError("a block's place is followed by more")
            read.append(block)
            for key, content in _iterate_block(data, block, end, name):
                entries.append((key, content))
                unfolded += len(key) + len(content)
                if unfolded > _MAX_UNFOLDED:
                    raise ValueError(f"more than {_MAX_UNFOLDED:,} bytes of keys")
        for _ in _iterate_block(data, meta, end, name):
            raise ValueError("a filter, which TensorFlow does not write")
        _check_blocks_fill(read, end)
        keys = [key for key, _ in entries]
        if any(first >= second for first, second in itertools.pairwise(keys)):
            raise ValueError("keys are not in order")
    except PresetError:
        raise  # a LookupError itself
    except DAMAGE as error:
        _refuse(name, str(error))
    yield from entries


def _read_footer(footer: bytes) -> tuple[tuple[int, int], tuple[int, int]]:
    """Read the places of the meta block and of the index of blocks."""
    meta, position = _read_handle(footer, 0)
    index, position = _read_handle(footer, position)
    if any(footer[position : -len(_MAGIC)]):
        raise ValueError("the footer holds more than it should")
    return meta, index


def _read_handle(data: bytes, position: int) -> tuple[tuple[int, int], int]:
    """Read a block's place; the footer has no checksum, so its form is verified."""
    numbers = []
    for _ in range(2):
        number, end = read_varint(data, position)
        if end - position != max(1, -(-number.bit_length() // 7)):
            raise ValueError("a block's place is written longer than it need be")
        numbers.append(number)
        position = end
    return (numbers[0], numbers[1]), position


def _iterate_block(
    data: bytes, place: tuple[int, int], end: int, name: str
) -> Iterator[tuple[bytes, bytes]]:
    """Yield a block's keys and values; keys share their beginnings."""
    offset, size = place
    trailer = offset + size
    if trailer + _TRAILER_SIZE > end:
        raise ValueError("a block runs past the end")
    checksum = int.from_bytes(data[trailer + 1 : trailer + _TRAILER_SIZE], "little")
    if masked_crc(data[offset : trailer + 1]) != checksum:
        raise ValueError(f"the checksum of the block at byte {offset} is wrong")
    if (compression := data[trailer]) != _UNCOMPRESSED:
        how = "snappy" if compression == _SNAPPY else f"method {compression}"
        raise PresetError(
            "Compressed checkpoints are not supported; TensorFlow does not write "
            f"them. Received: path={name}, a block compressed with {how}. "
            "Load it where it was written and save it again."
        )
    block = data[offset:trailer]
    num_restarts = int.from_bytes(block[-4:], "little")
    last = len(block) - 4 * (num_restarts + 1)
    if last < 0:
        raise ValueError("a block is shorter than its own list")
    position, key = 0, b""
    while position < last:
        shared, position = read_varint(block, position)
        rest, position = read_varint(block, position)
        length, position = read_varint(block, position)
        stop = position + rest + length
        if shared > len(key) or stop > last:
            raise ValueError("an entry runs past the end of its block")
        key = key[:shared] + block[position : position + rest]
        yield key, block[position + rest : stop]
        position = stop


def _check_blocks_fill(blocks: list[tuple[int, int]], end: int) -> None:
    position = 0
    for offset, size in sorted(blocks):
        if offset != position:
            raise ValueError(f"blocks do not meet at byte {position}")
        position = offset + size + _TRAILER_SIZE
    if position != end:
        raise ValueError(f"blocks end at byte {position}, not at {end}")


# --- Its messages


def _read_header(message: bytes | None, name: str) -> int:
    """Return the number of shards."""
    if message is None:
        _refuse(name, "a table without a checkpoint's header")
    try:
        header = dict(iterate_fields(message))
        version = dict(iterate_fields(header.get(3, b"")))
        num_shards, byte_order = _number(header, 1), _number(header, 2)
        needed = _number(version, 2)
    except DAMAGE as error:
        _refuse(name, f"a header that is none: {error}")
    if byte_order != _LITTLE_ENDIAN or needed > _BUNDLE_VERSION:
        raise PresetError(
            f"Little-endian checkpoints of version {_BUNDLE_VERSION} are read. "
            f"Received: path={name}, version={needed}, byte order {byte_order}. "
            "Save it again with a current TensorFlow."
        )
    return num_shards


def _read_entry(key: bytes, message: bytes, name: str) -> _Entry:
    try:
        fields = dict(iterate_fields(message))
        dimensions = iterate_fields(fields.get(2, b""))
        return _Entry(
            dtype=_number(fields, 1),
            shape=tuple(
                _number(dict(iterate_fields(dimension)), 1)
                for number, dimension in dimensions
                if number == 2
            ),
            shard=_number(fields, 3),
            offset=_number(fields, 4),
            size=_number(fields, 5),
            crc=_number(fields, 6),
            sliced=7 in fields,
        )
    except DAMAGE as error:
        _refuse(name, f"an entry {key!r} that describes no tensor: {error}")


def _number(fields: Mapping[int, Any], number: int) -> int:
    """Return an integer field; what is 0 is not written."""
    value = fields.get(number, 0)
    if not isinstance(value, int):
        raise TypeError(f"field {number} is no integer")
    return value


# --- The shards


def _shards_of(
    files: Mapping[str, bytes], prefix: str, num_shards: int
) -> list[tuple[str, memoryview]]:
    shards = []
    for number in range(num_shards):
        name = f"{prefix}{SHARD_MARKER}{number:05d}-of-{num_shards:05d}"
        if name not in files:
            found = sorted(n for n in files if n.startswith(prefix + SHARD_MARKER))
            raise PresetError(
                f"A shard of the checkpoint is missing: {name}. Received: "
                f"path={prefix + INDEX_SUFFIX}, which needs {num_shards}, beside "
                f"{', '.join(found) or 'none'}. Put the files of one checkpoint into "
                "one folder."
            )
        shards.append((name, memoryview(files[name])))
    return shards


def _check_places(
    entries: Mapping[str, _Entry], shards: list[tuple[str, memoryview]], name: str
) -> None:
    """Raise unless all tensors lie in the shards that exist, beside each other."""
    ends = [0] * len(shards)
    in_order = sorted(entries.items(), key=lambda item: item[1].offset)
    for key, entry in in_order:
        if entry.shard >= len(shards):
            _refuse(name, f"{key} in shard {entry.shard} of {len(shards)}")
        shard, data = shards[entry.shard]
        if entry.offset + entry.size > len(data):
            _refuse(
                shard,
                f"{len(data)} bytes, but {key} ends at byte "
                f"{entry.offset + entry.size}",
            )
        if entry.size and entry.offset < ends[entry.shard]:
            _refuse(name, f"{key} begins within another tensor")
        ends[entry.shard] = max(ends[entry.shard], entry.offset + entry.size)


def _read_tensor(
    key: str, entry: _Entry, shard: tuple[str, memoryview]
) -> NDArray[np.generic] | None:
    """Return an array, or None for text that is no weight."""
    name, data = shard
    content = data[entry.offset : entry.offset + entry.size]
    number = math.prod(entry.shape)
    if entry.dtype == _STRING and key.endswith(_HARMLESS_STRINGS):
        _check_strings(key, entry, content, name)
        return None
    if entry.dtype not in _DTYPES or entry.sliced:
        what = "partitioned" if entry.sliced else f"of TensorFlow's type {entry.dtype}"
        raise PresetError(
            f"A tensor is {what}, which is not supported. Received: path={name}, "
            f"tensor={key}. Save the model's weights alone, as numbers and whole."
        )
    dtype = np.dtype(_DTYPES[entry.dtype])
    if number * dtype.itemsize != entry.size:
        _refuse(name, f"{key} of shape {entry.shape}, but {entry.size} bytes")
    if masked_crc(content) != entry.crc:
        _refuse(name, f"the checksum of {key} is wrong")
    return np.frombuffer(content, dtype).reshape(entry.shape)


def _check_strings(key: str, entry: _Entry, content: memoryview, name: str) -> None:
    """Verify strings: their sizes, a checksum of these, and then the text."""
    data = bytes(content)
    try:
        position, sizes = 0, []
        for _ in range(math.prod(entry.shape)):
            size, position = read_varint(data, position)
            sizes.append(size.to_bytes(4 if size < 1 << 32 else 8, "little"))
        right = masked_crc(*sizes, data[position:]) == entry.crc
        right &= data[position : position + 4] == masked_crc(*sizes).to_bytes(
            4, "little"
        )
    except DAMAGE:
        right = False
    if not right:
        _refuse(name, f"the checksum of {key} is wrong")


def _refuse(name: str, what: str) -> NoReturn:
    raise PresetError(
        f"The checkpoint is damaged or incomplete. Received: path={name}, {what}. "
        "Download or copy it again."
    )
