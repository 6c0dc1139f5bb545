"""Vectors of light curves on disk, found again by what the light curve holds."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromer.errors import RecordError
from astromer.lightcurve import LightCurve
from astromer.outputs import whole_file

__all__ = ["VectorCache", "content_hash", "hash_of", "read_arrays", "write_arrays"]


def content_hash(light_curve: LightCurve) -> str:
    """Return a name for the observations of a light curve, whoever it belongs to.

    Parameters
    ----------
    light_curve : LightCurve

    Returns
    -------
    digest : str
        32 hexadecimal digits; equal for equal times, magnitudes and uncertainties.
    """
    arrays = light_curve.time, light_curve.mag, light_curve.mag_err
    return hash_of(*(array.tobytes() for array in arrays))


def hash_of(*parts: bytes | str) -> str:
    """Return 32 hexadecimal digits that stand for the parts, in order."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        # Lengths keep ("ab", "c") and ("a", "bc") apart.
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def write_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write an NPZ file that is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two runs may compute the same at the same time.
    with whole_file(path) as made, open(made, "wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read what `write_arrays` wrote.

    Raises
    ------
    RecordError
        If the file is damaged.
    """
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RecordError(
            "What an earlier run has kept cannot be read. "
            f"Received: path={path} ({error}). Delete it; it is computed again."
        ) from error


class VectorCache:
    """Rows of numbers by content hash, in a folder of parts.

    A key has one row or several, e.g. one per window. Parts are written as they are
    computed, each at once, so that an interrupted run loses one part at most.

    Parameters
    ----------
    folder : pathlib.Path or None
        Made as needed; None keeps everything in memory alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._rows: dict[str, NDArray[np.floating]] = {}
        if folder is not None:
            for path in sorted(folder.glob("*.npz")):
                self._read(path)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __getitem__(self, key: str) -> NDArray[np.floating]:
        return self._rows[key]

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Return the keys without rows, each once, in order."""
        return [key for key in dict.fromkeys(keys) if key not in self._rows]

    def add(self, keys: Sequence[str], rows: Sequence[NDArray[np.floating]]) -> None:
        """Keep rows, shape ``(n, dim)`` each, under their keys."""
        if not keys:
            return
        self._rows.update(zip(keys, rows, strict=True))
        if self.folder is not None:
            write_arrays(
                self.folder / f"{hash_of(*keys)}.npz",
                {
                    "key": np.array(keys),
                    "count": np.array([len(part) for part in rows]),
                    "rows": np.concatenate(rows),
                },
            )

    def _read(self, path: Path) -> None:
        part = read_arrays(path)
        keys, counts, rows = part["key"], part["count"], part["rows"]
        bounds = np.cumsum(counts)[:-1]
        self._rows.update(zip(keys.tolist(), np.split(rows, bounds), strict=True))
