"""Records of the authors' released code: `tf.train.SequenceExample` files.

Context features `id` (bytes), `label` (int64) and `length` (int64), and three
feature lists of one float per observation: times, magnitudes, uncertainties in the
order of their names (`dim_0`, `dim_1`, `dim_2`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from astromer.errors import RecordError
from astromer.lightcurve import LightCurve
from astromer.records.protobuf import first_value, iterate_map
from astromer.records.schema import iterate_frames
from astromer.wire import DAMAGE, iterate_fields

__all__ = ["read_released_records"]

# A feature list of single floats repeats these bytes before each value: the tags and
# sizes of Feature, FloatList and its packed values.
_FLOAT_STEP: Final = np.frombuffer(b"\x0a\x08\x12\x06\x0a\x04", np.uint8)
_STEP_SIZE: Final = len(_FLOAT_STEP) + 4


def read_released_records(
    path: str | Path, *, passband: str = ""
) -> Iterator[LightCurve]:
    """Read light curves from records that the released Astromer code wrote.

    Parameters
    ----------
    path : str or pathlib.Path
        A file, or a folder with ``*.record`` files in it or below it. Files are read
        by folder, and in it by number: ``chunk_2.record`` before ``chunk_10.record``.
    passband : str
        Passband to set: the files do not name it.

    Returns
    -------
    light_curves : iterator of LightCurve
        Times in days, at the float32 precision of these files; `label` as stored,
        `class_name` None. A missing folder is an error at once, a damaged record
        when it is reached.

    Raises
    ------
    RecordError
        If there are no files, or a record is damaged or of another layout; names
        file and record.
    """
    path = Path(path)
    files = [path] if path.is_file() else sorted(path.rglob("*.record"), key=_by_number)
    if not files:
        raise RecordError(
            "Released records are `*.record` files, such as chunk_0.record. "
            f"Received: path={path}, which holds none. "
            "Records of this package are read by `read_records`."
        )
    return _iterate(files, passband)


def _iterate(files: Sequence[Path], passband: str) -> Iterator[LightCurve]:
    for file in files:
        for index, record in enumerate(iterate_frames(file)):
            try:
                yield _decode(record, passband)
            except DAMAGE as error:
                raise RecordError(
                    "The record is not a SequenceExample of the released layout. "
                    f"Received: path={file}, record {index} "
                    f"({type(error).__name__}: {error}). "
                    "Records of this package are read by `read_records`."
                ) from error


def _by_number(path: Path) -> tuple[str, int, str]:
    numbers = re.findall(r"\d+", path.stem)
    return str(path.parent), int(numbers[-1]) if numbers else -1, path.name


def _decode(record: bytes, passband: str) -> LightCurve:
    message = dict(iterate_fields(record))
    context = {name: first_value(feature) for name, feature in iterate_map(message[1])}
    lists = sorted(iterate_map(message[2]), key=lambda entry: _list_order(entry[0]))
    if len(lists) != 3:
        raise ValueError(f"feature lists {[name for name, _ in lists]}, expected 3")
    time, mag, mag_err = (_floats(payload) for _, payload in lists)
    length = context.get("length", len(time))
    if length != len(time):
        raise ValueError(f"length={length}, but {len(time)} observations")
    object_id = context["id"]
    return LightCurve(
        time,
        mag,
        mag_err,
        object_id=object_id.decode()
        if isinstance(object_id, bytes)
        else str(object_id),
        label=int(context.get("label", -1)),
        passband=passband,
    )


def _list_order(name: str) -> tuple[int, str]:
    digits = re.findall(r"\d+", name)
    return int(digits[-1]) if digits else -1, name


def _floats(feature_list: bytes) -> NDArray[np.float32]:
    """Return a FeatureList's values, one per step."""
    if len(feature_list) % _STEP_SIZE == 0:
        steps = np.frombuffer(feature_list, np.uint8).reshape(-1, _STEP_SIZE)
        if (steps[:, : len(_FLOAT_STEP)] == _FLOAT_STEP).all():
            return steps[:, len(_FLOAT_STEP) :].copy().view("<f4")[:, 0]
    return np.array(
        [first_value(step) for _, step in iterate_fields(feature_list)], np.float32
    )
