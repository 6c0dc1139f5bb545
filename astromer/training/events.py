"""Scores as event files for TensorBoard, without TensorFlow.

An event file is a TFRecord file of `tensorflow.Event` messages, of which scores need
five fields. TensorFlow itself writes them only where TensorBoard is installed.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import keras

from astromer.records.protobuf import tagged, varint
from astromer.records.schema import write_frame

__all__ = ["EventWriter"]

# Protobuf tags: field number << 3 | wire type.
_WALL_TIME = b"\x09"  # Event.wall_time = 1, double
_STEP = b"\x10"  # Event.step = 2, varint
_FILE_VERSION = b"\x1a"  # Event.file_version = 3, text
_SUMMARY = b"\x2a"  # Event.summary = 5
_VALUE = b"\x0a"  # Summary.value = 1
_TAG = b"\x0a"  # Summary.Value.tag = 1
_SIMPLE_VALUE = b"\x15"  # Summary.Value.simple_value = 2, float

_VALIDATION: Final = "val_"


class EventWriter(keras.callbacks.Callback):
    """Write the scores of every epoch, training and validation one above the other.

    Parameters
    ----------
    folder : pathlib.Path
        Gets the folders ``train`` and ``validation``, with a new file in each for every
        process that writes.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._name = f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        parts: dict[str, dict[str, float]] = {"train": {}, "validation": {}}
        for name, value in (logs or {}).items():
            part = "validation" if name.startswith(_VALIDATION) else "train"
            parts[part][name.removeprefix(_VALIDATION)] = float(value)
        for part, scores in parts.items():
            if scores:
                self._append(self.folder / part, epoch + 1, scores)

    def _append(self, folder: Path, epoch: int, scores: Mapping[str, float]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        now = _WALL_TIME + struct.pack("<d", time.time())
        values = b"".join(
            tagged(
                _VALUE,
                tagged(_TAG, name.encode()) + _SIMPLE_VALUE + struct.pack("<f", value),
            )
            for name, value in scores.items()
        )
        with open(folder / self._name, "ab") as stream:
            if stream.tell() == 0:
                write_frame(stream, now + tagged(_FILE_VERSION, b"brain.Event:2"))
            event = now + _STEP + varint(epoch) + tagged(_SUMMARY, values)
            write_frame(stream, event)
