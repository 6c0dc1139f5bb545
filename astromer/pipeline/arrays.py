"""Windows as numpy arrays, cut as `load_dataset` cuts them, on any backend."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromer import batch
from astromer.lightcurve import LightCurve
from astromer.pipeline.curves import CurveArrays
from astromer.pipeline.options import Normalization, Tiling, count_tiles

__all__ = ["WindowArrays", "cut_windows", "lay_tiles", "sample_starts", "tile_windows"]


@dataclasses.dataclass(frozen=True, slots=True)
class WindowArrays:
    """Windows of several light curves, padded with zeros at the end."""

    time: NDArray[np.float32]
    """(num_windows, window_size): days relative to `mean_time`."""
    mag: NDArray[np.float32]
    """(num_windows, window_size): magnitudes minus `mean_mag` [mag]."""
    mag_err: NDArray[np.float32]
    """(num_windows, window_size): uncertainties [mag]."""
    valid: NDArray[np.bool_]
    """(num_windows, window_size): a real observation, not padding."""
    size: NDArray[np.int64]
    """(num_windows,): number of real observations."""
    curve: NDArray[np.int64]
    """(num_windows,): position of the light curve in the source."""
    start: NDArray[np.int64]
    """(num_windows,): index of the first observation in its light curve."""
    mean_time: NDArray[np.float64]
    """(num_windows,): what was subtracted from the times [d]."""
    mean_mag: NDArray[np.float64]
    """(num_windows,): what was subtracted from the magnitudes [mag]."""

    def __len__(self) -> int:
        return len(self.size)

    def inputs(self) -> dict[str, NDArray[Any]]:
        """Return what an encoder is told where nothing is hidden.

        Returns
        -------
        inputs : dict of numpy.ndarray, shape (num_windows, window_size)
            Names and units are those of `astromer.batch`.
        """
        return {
            batch.TIME: self.time,
            batch.MAG: self.mag,
            batch.VALID: self.valid,
            batch.HIDDEN: np.zeros_like(self.valid),
        }


def tile_windows(
    light_curves: Sequence[LightCurve],
    window_size: int,
    normalization: Normalization = "window",
) -> WindowArrays:
    """Lay windows end to end over light curves; each observation lies in one.

    A light curve of n observations gives ``ceil(n / window_size)`` windows, the last of
    which may hold fewer observations.

    Parameters
    ----------
    light_curves : sequence of LightCurve
    window_size : int
        Observations per window.
    normalization : {"window", "light_curve"}
        Whose mean time and magnitude are subtracted, in float64.

    Returns
    -------
    windows : WindowArrays
        In the order of the light curves, then of time.
    """
    curves = CurveArrays.from_light_curves(light_curves)
    curve, start = lay_tiles(curves.length, window_size)
    return cut_windows(curves, curve, start, window_size, normalization)


def lay_tiles(
    length: NDArray[np.int64], window_size: int, tiling: Tiling = "exact"
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where windows lie that cover light curves, end to end.

    Parameters
    ----------
    length : numpy.ndarray, shape (num_curves,), int64
        Observations per light curve.
    window_size : int
        Observations per window.
    tiling : {"exact", "released"}
        As in `astromer.pipeline.windows.tile_starts`, which does the same in TensorFlow.

    Returns
    -------
    curve : numpy.ndarray, shape (num_windows,), int64
        Light curve of each window, ascending.
    start : numpy.ndarray, shape (num_windows,), int64
        Index of the window's first observation.
    """
    num_windows = count_tiles(length, window_size, tiling)
    curve = np.repeat(np.arange(len(length)), num_windows)
    first = np.cumsum(num_windows) - num_windows
    start = (np.arange(len(curve)) - first[curve]) * window_size
    if tiling == "released":
        start = np.minimum(start, np.maximum(length[curve] - window_size, 0))
    return curve, start


def sample_starts(
    length: NDArray[np.int64], window_size: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw where a random window of each light curve starts (Sect. 2.1).

    Parameters
    ----------
    length : numpy.ndarray, shape (batch,), int64
        Observations per light curve.
    window_size : int
        Observations per window.
    rng : numpy.random.Generator

    Returns
    -------
    start : numpy.ndarray, shape (batch,), int64
        Uniform on 0 ... length - window_size; 0 for shorter light curves.
    """
    return rng.integers(np.maximum(length - window_size, 0), endpoint=True)


def cut_windows(
    curves: CurveArrays,
    curve: NDArray[np.int64],
    start: NDArray[np.int64],
    window_size: int,
    normalization: Normalization = "window",
) -> WindowArrays:
    """Cut windows out of light curves, subtract means, and pad with zeros.

    Parameters
    ----------
    curves : CurveArrays
    curve : numpy.ndarray, shape (num_windows,), int64
        Light curve of each window; any order, repeats included.
    start : numpy.ndarray, shape (num_windows,), int64
        Index of the window's first observation in its light curve.
    window_size : int
        Observations per window.
    normalization : {"window", "light_curve"}
        Whose mean time and magnitude are subtracted.

    Returns
    -------
    windows : WindowArrays
    """
    size = np.minimum(curves.length[curve] - start, window_size)
    positions = np.arange(window_size)
    valid = positions < size[:, None]
    # Padding repeats the last observation until it becomes zero: no index is out of
    # the arrays, whatever comes after.
    index = (curves.first[curve] + start)[:, None]
    index = index + np.minimum(positions, size[:, None] - 1)
    time = np.where(valid, curves.time[index], 0.0)
    mag = np.where(valid, curves.mag[index], 0.0).astype(np.float64)
    if normalization == "window":
        mean_time, mean_mag = time.sum(axis=1) / size, mag.sum(axis=1) / size
    else:
        mean_time, mean_mag = (mean[curve] for mean in curves.means)
    # In float64 until the means are gone: float32 MJD steps by 5.6 minutes.
    time -= mean_time[:, None]
    mag -= mean_mag[:, None]
    return WindowArrays(
        time=np.where(valid, time, 0.0).astype(np.float32),
        mag=np.where(valid, mag, 0.0).astype(np.float32),
        mag_err=np.where(valid, curves.mag_err[index], np.float32(0.0)),
        valid=valid,
        size=size,
        curve=curve,
        start=start,
        mean_time=mean_time,
        mean_mag=mean_mag,
    )
