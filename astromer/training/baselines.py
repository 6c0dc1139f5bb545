"""What hidden magnitudes are worth without a model: the bar beside every score."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from astromer import batch

__all__ = ["BASELINES", "interpolate_in_time", "score_baselines", "visible_mean"]

Arrays = dict[str, NDArray[Any]]


def visible_mean(time: NDArray[Any], mag: NDArray[Any], seen: NDArray[Any]) -> Any:
    """Predict the mean of a window's visible magnitudes everywhere.

    Parameters
    ----------
    time, mag : numpy.ndarray, shape (batch, window_size)
        Days and magnitudes [mag].
    seen : numpy.ndarray, shape (batch, window_size), bool
        True where the magnitude may be used.

    Returns
    -------
    predicted : numpy.ndarray, shape (batch, window_size)
        Magnitudes [mag]; zero, the window's own mean, where nothing is visible.
    """
    count = np.maximum(seen.sum(axis=1, keepdims=True), 1)
    mean = np.where(seen, mag, 0.0).sum(axis=1, keepdims=True, dtype=float) / count
    return np.broadcast_to(mean, time.shape)


def interpolate_in_time(
    time: NDArray[Any], mag: NDArray[Any], seen: NDArray[Any]
) -> Any:
    """Interpolate linearly between the visible magnitudes before and after.

    Parameters
    ----------
    time, mag, seen
        As for `visible_mean`; times ascend, padding comes last.

    Returns
    -------
    predicted : numpy.ndarray, shape (batch, window_size)
        Magnitudes [mag]; before the first and after the last visible one, that one's.
    """
    predicted = np.zeros(mag.shape)
    for row in np.flatnonzero(seen.any(axis=1)):
        known = seen[row]
        predicted[row] = np.interp(time[row], time[row][known], mag[row][known])
    return predicted


BASELINES: Final[dict[str, Callable[..., Any]]] = {
    "mean": visible_mean,
    "interpolation": interpolate_in_time,
}
"""Predictors by the name that their scores end with."""


def score_baselines(dataset: Iterable[Any]) -> dict[str, float]:
    """Score predictions without a model on the hidden observations of a dataset.

    They know the true magnitudes of all that is not hidden, also where a model is shown
    a false one: the bar is not lowered by our own falsification.

    Parameters
    ----------
    dataset : iterable of (inputs, targets)
        Batches of task ``"pretrain"`` whose masks are the same in every pass.

    Returns
    -------
    scores : dict of str to float
        ``r2_hidden_mean``, ``rmse_hidden_mean`` [mag], ``r2_hidden_interpolation`` and
        ``rmse_hidden_interpolation`` [mag], defined as `R2` and `RMSE` are.
    """
    sums = dict.fromkeys(BASELINES, 0.0)
    total, count = 0.0, 0
    for inputs, targets in dataset:
        time, valid = np.asarray(inputs[batch.TIME]), np.asarray(inputs[batch.VALID])
        hidden = valid & np.asarray(inputs[batch.HIDDEN])
        mag = np.asarray(targets[batch.MAG], dtype=np.float64)
        for name, predict in BASELINES.items():
            residual = mag - predict(time, mag, valid & ~hidden)
            sums[name] += float(np.square(residual[hidden]).sum())
        own_mean = visible_mean(time, mag, hidden)
        total += float(np.square((mag - own_mean)[hidden]).sum())
        count += int(hidden.sum())
    scores = {}
    for name, squares in sums.items():
        scores[f"r2_hidden_{name}"] = 1.0 - squares / total if total > 0 else 0.0
        scores[f"rmse_hidden_{name}"] = float(np.sqrt(squares / max(count, 1)))
    return scores
