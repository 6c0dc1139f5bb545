"""Windows as numpy arrays: what `load_dataset(task="embed")` gives, on any backend."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from astromer.lightcurve import LightCurve
from astromer.pipeline.options import Normalization

__all__ = ["WindowArrays", "tile_windows"]


@dataclasses.dataclass(frozen=True, slots=True)
class WindowArrays:
    """Windows of several light curves, padded with zeros at the end."""

    time: NDArray[np.float32]
    """(num_windows, window_size): days relative to `mean_time`."""
    mag: NDArray[np.float32]
    """(num_windows, window_size): magnitudes minus `mean_mag` [mag]."""
    valid: NDArray[np.bool_]
    """(num_windows, window_size): a real observation, not padding."""
    size: NDArray[np.int64]
    """(num_windows,): number of real observations."""
    curve: NDArray[np.int64]
    """(num_windows,): position of the light curve in the list given."""
    start: NDArray[np.int64]
    """(num_windows,): index of the first observation in its light curve."""
    mean_time: NDArray[np.float64]
    """(num_windows,): what was subtracted from the times [d]."""
    mean_mag: NDArray[np.float64]
    """(num_windows,): what was subtracted from the magnitudes [mag]."""

    def __len__(self) -> int:
        return len(self.size)


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
    length = np.array([len(curve) for curve in light_curves], dtype=np.int64)
    num_windows = -(-length // window_size)
    curve = np.repeat(np.arange(len(length)), num_windows)
    first = np.cumsum(num_windows) - num_windows
    start = (np.arange(len(curve)) - first[curve]) * window_size
    size = np.minimum(length[curve] - start, window_size)

    # Row-major order is the order of all observations: one masked write fills all.
    valid = np.arange(window_size) < size[:, None]
    time = np.zeros(valid.shape)
    mag = np.zeros(valid.shape)
    if len(light_curves):
        time[valid] = np.concatenate([c.time for c in light_curves])
        mag[valid] = np.concatenate([c.mag for c in light_curves])
    sums = time.sum(axis=1), mag.sum(axis=1)
    if normalization == "window":
        mean_time, mean_mag = sums[0] / size, sums[1] / size
    else:
        totals = (np.bincount(curve, weights=s, minlength=len(length)) for s in sums)
        mean_time, mean_mag = ((total / length)[curve] for total in totals)
    return WindowArrays(
        time=np.where(valid, time - mean_time[:, None], 0.0).astype(np.float32),
        mag=np.where(valid, mag - mean_mag[:, None], 0.0).astype(np.float32),
        valid=valid,
        size=size,
        curve=curve,
        start=start,
        mean_time=mean_time,
        mean_mag=mean_mag,
    )
