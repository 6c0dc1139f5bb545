"""Checkpoints for tests: written by TensorFlow, and tables written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from astromer.wire import masked_crc


def write_checkpoint(
    prefix: Path, tensors: Mapping[str, Any], num_shards: int = 1
) -> None:
    """Write tensors with TensorFlow's own writer, dealt out to shards in turn."""
    import tensorflow as tf

    names = list(tensors)
    parts = []
    for shard in range(num_shards):
        mine = names[shard::num_shards]
        part = str(prefix) + ("" if num_shards == 1 else f"_part{shard}")
        tf.raw_ops.SaveV2(
            prefix=part,
            tensor_names=mine,
            shape_and_slices=[""] * len(mine),
            tensors=[tf.constant(tensors[name]) for name in mine],
        )
        parts.append(part)
    if num_shards > 1:
        tf.raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=parts, destination_prefix=str(prefix)
        )


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the files of a checkpoint by name."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if ".index" in path.name or ".data-" in path.name
    }


# --- A table by hand, in LevelDB's format


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes) -> bytes:
    """Write a protobuf field: an integer, a message, or - number 6 - a checksum."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if number == 6:
        return varint(number << 3 | 5) + value.to_bytes(4, "little")
    return varint(number << 3) + varint(value)


def header(num_shards: int = 1, **fields: int | bytes) -> bytes:
    """Write a checkpoint's header; `f2` is its byte order, `f3` its version."""
    more = b"".join(field(int(n[1:]), v) for n, v in fields.items())
    return field(1, num_shards) + more


def entry(
    content: bytes, shape: Sequence[int] = (), dtype: int = 1, **fields: int | bytes
) -> bytes:
    """Write a tensor's entry; further fields are `f3` shard, `f4` offset, ..."""
    shaped = b"".join(field(2, field(1, size)) for size in shape)
    values: dict[int, int | bytes] = {
        1: dtype,
        2: shaped,
        5: len(content),
        6: masked_crc(content),
    }
    values |= {int(name[1:]): value for name, value in fields.items()}
    return b"".join(field(n, value) for n, value in sorted(values.items()))


def block(entries: Sequence[tuple[bytes, bytes]], compression: int = 0) -> bytes:
    """Write a block with its trailer; keys are written whole."""
    body = b"".join(
        varint(0) + varint(len(key)) + varint(len(value)) + key + value
        for key, value in entries
    )
    body += (0).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes([compression])
    return body + masked_crc(body).to_bytes(4, "little")


def table(entries: Sequence[tuple[bytes, bytes]], compression: int = 0) -> bytes:
    """Write a table of one block, its index, and an empty block of metadata."""
    data, meta = block(entries, compression), block([])
    places = [(0, len(data) - 5), (len(data), len(meta) - 5)]
    handles = [varint(offset) + varint(size) for offset, size in places]
    index = block([(b"\xff", handles[0])])
    handles.append(varint(len(data) + len(meta)) + varint(len(index) - 5))
    footer = (handles[1] + handles[2]).ljust(40, b"\0")
    magic = bytes.fromhex("57fb808b247547db")
    return data + meta + index + footer + magic


def by_hand(
    entries: Mapping[str, bytes], shard: bytes, head: bytes | None = None
) -> dict[str, bytes]:
    """Return the files of a checkpoint named "w" with one shard."""
    rows = [(b"", header() if head is None else head)]
    rows += [(key.encode(), value) for key, value in entries.items()]
    return {"w.index": table(rows), "w.data-00000-of-00001": shard}


def floats(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()
