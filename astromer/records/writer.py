"""Light curves to one TFRecord shard, which appears complete or not at all."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from astromer.ahead import read_ahead
from astromer.records.cleaning import CleanPartition
from astromer.records.jsonfile import write_json
from astromer.records.manifest import ShardInfo
from astromer.records.schema import encode_arrays, write_frame

__all__ = [
    "ShardTask",
    "finished_shard",
    "forget_partitions",
    "note_shard",
    "write_shard",
]

BUFFER_BYTES: Final = 8 << 20
"""Bytes gathered before they are hashed and written."""


@dataclasses.dataclass(frozen=True, slots=True)
class ShardTask:
    """What one shard is made of."""

    name: str
    """File name."""
    split: str
    """Split that it belongs to."""
    pieces: Sequence[tuple[CleanPartition | Path, NDArray[np.int64]]]
    """Partitions, in memory or saved, and rows of their `curves`."""
    num_light_curves: int
    """Light curves of all pieces."""
    num_observations: int
    """Observations of all pieces."""


def write_shard(
    task: ShardTask, folder: Path, work: Path, label_map: Mapping[str, int]
) -> ShardInfo:
    """Write a shard and the note that tells a later run that it is complete.

    Parameters
    ----------
    task : ShardTask
    folder : pathlib.Path
        Where the shard goes.
    work : pathlib.Path
        Where the note and the unfinished shard go; on the same file system.
    label_map : mapping of str to int
        Class number by class name.

    Returns
    -------
    info : ShardInfo
    """
    temporary = work / f"{task.name}.tmp"
    checksum = hashlib.sha256()
    size = 0
    with open(temporary, "wb") as stream:
        for data in read_ahead(_encode(task, label_map)):
            checksum.update(data)
            size += stream.write(data)
    info = ShardInfo(
        name=task.name,
        split=task.split,
        num_light_curves=task.num_light_curves,
        num_observations=task.num_observations,
        bytes=size,
        sha256=checksum.hexdigest(),
    )
    # The note comes first: a shard under its final name always has one.
    note_shard(info, work)
    temporary.replace(folder / task.name)
    return info


def note_shard(info: ShardInfo, work: Path) -> None:
    """Write the note by which `finished_shard` knows a shard.

    Parameters
    ----------
    info : ShardInfo
    work : pathlib.Path
        As for `write_shard`.
    """
    write_json(_note(work, info.name), dataclasses.asdict(info))


def finished_shard(name: str, folder: Path, work: Path) -> ShardInfo | None:
    """Return what is known of a shard that an earlier run finished, if it did.

    Parameters
    ----------
    name : str
        File name of the shard.
    folder, work : pathlib.Path
        As for `write_shard`.

    Returns
    -------
    info : ShardInfo or None
        None if the shard is absent, or not the one that the note describes.
    """
    path, note = folder / name, _note(work, name)
    if not path.is_file() or not note.is_file():
        return None
    info = ShardInfo(**json.loads(note.read_text(encoding="utf-8")))
    with open(path, "rb") as stream:
        checksum = hashlib.file_digest(stream, "sha256").hexdigest()
    return info if checksum == info.sha256 else None


def forget_partitions() -> None:
    """Let go of the saved partitions that this process has read.

    They are kept by their folder, in which a later conversion may save others.
    """
    _load.cache_clear()


def _note(work: Path, name: str) -> Path:
    return work / f"{name}.json"


# A shard ends in the partition in which the next one begins.
@functools.lru_cache(maxsize=2)
def _load(folder: Path) -> CleanPartition:
    return CleanPartition.load(folder)


def _encode(task: ShardTask, label_map: Mapping[str, int]) -> Iterator[bytes]:
    """Yield the bytes of a shard, some megabytes at a time."""
    buffer = io.BytesIO()
    for source, rows in task.pieces:
        part = source if isinstance(source, CleanPartition) else _load(source)
        ends = np.cumsum(part.curves["num_observations"].to_numpy())
        chosen = part.curves[rows]
        stops = ends[rows].tolist()
        lengths = chosen["num_observations"].to_list()
        names = zip(
            chosen["object_id"],
            chosen["passband"],
            chosen["class_name"],
            stops,
            lengths,
            strict=True,
        )
        for object_id, passband, class_name, stop, length in names:
            start = stop - length
            example = encode_arrays(
                part.time[start:stop],
                part.mag[start:stop],
                part.mag_err[start:stop],
                object_id=object_id,
                passband=passband,
                label=-1 if class_name is None else label_map[class_name],
                class_name=class_name,
            )
            write_frame(buffer, example)
            if buffer.tell() >= BUFFER_BYTES:
                yield buffer.getvalue()
                buffer = io.BytesIO()
    yield buffer.getvalue()
