"""What the rows of a result stand for: light curves, or their windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from astromer.lightcurve import LightCurve
from astromer.pipeline import WindowArrays

__all__ = ["average_windows", "describe_rows"]


def describe_rows(
    light_curves: Sequence[LightCurve],
    windows: WindowArrays,
    per: Literal["object", "window", "observation"],
) -> dict[str, NDArray[Any]]:
    """Return the columns that say what each row of a result stands for.

    Parameters
    ----------
    light_curves : sequence of LightCurve
    windows : WindowArrays
        Tiled over these light curves.
    per : {"object", "window", "observation"}
        What one row stands for.

    Returns
    -------
    columns : dict of numpy.ndarray
        Name, passband, label (-1 where unknown) and class name (empty where unknown)
        of the light curve, number and mean time [d] of the row's observations.
    """
    length = np.array([len(curve) for curve in light_curves], dtype=np.int64)
    times = [curve.time for curve in light_curves]
    if per == "observation":
        owner = np.repeat(np.arange(len(light_curves)), length)
        count, time = np.ones(len(owner), dtype=np.int64), np.concatenate(times)
    elif per == "window":
        owner, count = windows.curve, windows.size
        bounds = np.cumsum(windows.size) - windows.size
        time = np.add.reduceat(np.concatenate(times), bounds) / count
    else:
        owner, count = np.arange(len(light_curves)), length
        time = np.array([part.mean() for part in times])

    def repeat(items: list[Any]) -> NDArray[Any]:
        return np.array(items)[owner]

    return {
        "object_id": repeat([curve.object_id for curve in light_curves]),
        "passband": repeat([curve.passband for curve in light_curves]),
        "label": repeat([curve.label for curve in light_curves]),
        "class_name": repeat([curve.class_name or "" for curve in light_curves]),
        "n_observations": count,
        "time": time,
    }


def average_windows(values: NDArray[Any], windows: WindowArrays) -> NDArray[np.float64]:
    """Average the windows of each light curve, weighted by their observations.

    Parameters
    ----------
    values : numpy.ndarray, shape (num_windows, dim)
    windows : WindowArrays
        In the order of the light curves.

    Returns
    -------
    means : numpy.ndarray, shape (num_curves, dim), float64
        Every observation counts once.
    """
    first = np.flatnonzero(np.diff(windows.curve, prepend=-1))
    size = windows.size
    sums = np.add.reduceat(values.astype(np.float64) * size[:, None], first, axis=0)
    means: NDArray[np.float64] = sums / np.add.reduceat(size, first)[:, None]
    return means
