"""Light curves to reconstructed magnitudes, each predicted from the others."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from astromer import batch
from astromer.checks import check_integer, check_not_negative, check_positive
from astromer.errors import ConfigError
from astromer.inference.runner import (
    OBSERVATIONS_PER_CHUNK,
    Apply,
    compiled,
    run_batches,
    windows_ahead,
)
from astromer.inference.sources import Source, iterate_light_curves
from astromer.inference.tables import Table
from astromer.lightcurve import LightCurve
from astromer.models import Reconstructor
from astromer.pipeline import Normalization, WindowArrays
from astromer.progress import Progress
from astromer.surveys import Dropped

__all__ = ["Reconstructions", "reconstruct"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False, slots=True)
class Reconstructions(Table):
    """Observations and what the model gives for each, in input order."""

    object_id: NDArray[np.str_]
    """(n,): object names."""
    passband: NDArray[np.str_]
    """(n,): filter names."""
    time: NDArray[np.float64]
    """(n,): times as given [d]."""
    mag: NDArray[np.float32]
    """(n,): observed magnitudes [mag]."""
    mag_err: NDArray[np.float32]
    """(n,): their uncertainties [mag]."""
    reconstruction: NDArray[np.float32]
    """(n,): magnitudes that the model gives [mag]; NaN where it had nothing to see."""

    @property
    def rmse(self) -> float:
        """Root mean square difference from the observed magnitudes, without NaN [mag]."""
        residual = self.reconstruction.astype(np.float64) - self.mag
        known = residual[np.isfinite(residual)]
        return float(np.sqrt(np.mean(known**2))) if len(known) else float("nan")


def reconstruct(
    model: Reconstructor,
    source: Source,
    *,
    num_folds: int = 2,
    seed: int = 0,
    batch_size: int = 64,
    survey: str | None = None,
    passband: str | None = None,
    dropped: Dropped | None = None,
    max_unreadable: float = 0.0,
    progress: Progress | None = None,
) -> Reconstructions:
    """Predict each magnitude of a light curve from the others in its window.

    The observations of a window are dealt out to folds at random; each fold is hidden
    once and predicted from the rest, whose mean magnitude is what is subtracted. A
    window's only observation is left to the rest of its light curve, and is NaN if
    there is none. With ``num_folds=0`` nothing is hidden, as in Sect. 5.2: the model
    then sees what it is asked for, and a small error proves little.

    Parameters
    ----------
    model : Reconstructor
    source : light curves, frame, or paths
        See `embed`.
    num_folds : int
        2 hides half of a window at a time, where training hides 30 % by default; 0
        hides nothing.
    seed : int
        Seed of which observation is hidden when.
    batch_size : int
        Windows per batch.
    survey, passband : str, optional
        Format of survey files, where it is not recognized; passband to take.
    dropped : Dropped, optional
        Receives what is lost of survey files: bad observations by reason, and light
        curves without a good one, which are not in the result.
    max_unreadable : float
        Largest share of survey files that may be unreadable and are then left out; by
        default the first is an error.
    progress : callable, optional
        Called as ``progress(stage, done, total, unit)``.

    Returns
    -------
    reconstructions : Reconstructions

    Raises
    ------
    ConfigError
        If an option is not valid or the source holds no light curves.
    """
    check_not_negative(num_folds=num_folds)
    if num_folds == 1:
        raise ConfigError(
            "`num_folds` must be 0, or at least 2 so that something stays visible. "
            f"Received: num_folds={num_folds}."
        )
    check_positive(batch_size=batch_size)
    check_integer(seed=seed)
    light_curves, number = iterate_light_curves(
        source,
        survey=survey,
        passband=passband,
        dropped=dropped,
        max_unreadable=max_unreadable,
    )
    apply = compiled(model, "reconstruct", lambda: model)
    groups, predictions = [], []
    rng = np.random.default_rng(seed % 2**64)
    normalization = model.config.normalization
    done = 0
    ahead = windows_ahead(light_curves, model.config, OBSERVATIONS_PER_CHUNK)
    for group, windows in ahead:
        predictions.append(
            _predict(apply, windows, normalization, num_folds, batch_size, rng)
        )
        groups.append(group)
        done += len(group)
        if progress is not None:
            progress("reconstruct", done, number, "light curves")
    curves = [curve for group in groups for curve in group]
    return _collect(curves, np.concatenate(predictions))


def _predict(
    apply: Apply,
    windows: WindowArrays,
    normalization: Normalization,
    num_folds: int,
    batch_size: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return predicted magnitudes of all observations in order [mag]."""
    valid = windows.valid
    predicted = np.zeros(valid.shape)
    draw = np.where(valid, rng.uniform(size=valid.shape), 2.0)
    rank = np.argsort(np.argsort(draw, axis=1), axis=1)
    for fold in range(max(num_folds, 1)):
        asked = valid & (rank % num_folds == fold) if num_folds else valid
        hidden = asked if num_folds else np.zeros_like(valid)
        visible = valid & ~hidden
        # The mean of what is visible: the mean of all would tell of the hidden.
        mean = _visible_means(windows, visible, normalization)[:, None]
        mag = windows.mag + (windows.mean_mag[:, None] - mean)
        inputs = {
            batch.TIME: windows.time,
            batch.MAG: np.where(visible, mag, 0).astype(np.float32),
            batch.VALID: valid,
            batch.HIDDEN: hidden,
        }

        def receive(
            rows: NDArray[np.int64],
            outputs: NDArray[np.float32],
            asked: NDArray[np.bool_] = asked,
            mean: NDArray[np.float64] = mean,
        ) -> None:
            width = outputs.shape[1]
            here = asked[rows, :width]
            shifted = outputs + mean[rows]
            predicted[rows, :width] = np.where(here, shifted, predicted[rows, :width])

        run_batches(apply, inputs, windows.size, batch_size, receive)
    return predicted[valid]


def _visible_means(
    windows: WindowArrays, visible: NDArray[np.bool_], normalization: Normalization
) -> NDArray[np.float64]:
    """Return the mean visible magnitude of each window or light curve [mag]."""
    count = visible.sum(axis=1)
    total = np.where(visible, windows.mag, 0.0).sum(axis=1) + count * windows.mean_mag
    whole = (count == 0) | (normalization == "light_curve")
    count, total = (
        np.where(whole, np.bincount(windows.curve, weights=v)[windows.curve], v)
        for v in (count, total)
    )
    unknown = np.full(len(count), np.nan)
    mean: NDArray[np.float64] = np.divide(total, count, out=unknown, where=count > 0)
    return mean


def _collect(
    curves: list[LightCurve], predicted: NDArray[np.float64]
) -> Reconstructions:
    owner = np.repeat(np.arange(len(curves)), [len(curve) for curve in curves])
    return Reconstructions(
        object_id=np.array([curve.object_id for curve in curves])[owner],
        passband=np.array([curve.passband for curve in curves])[owner],
        time=np.concatenate([curve.time for curve in curves]),
        mag=np.concatenate([curve.mag for curve in curves]),
        mag_err=np.concatenate([curve.mag_err for curve in curves]),
        reconstruction=predicted.astype(np.float32),
    )
