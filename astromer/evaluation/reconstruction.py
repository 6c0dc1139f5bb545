"""Masked reconstruction as a benchmark: hidden points of real windows, honestly hidden.

Every method sees times of all observations, and magnitudes of the visible ones alone.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from astromer import batch
from astromer._version import __version__
from astromer.errors import ConfigError
from astromer.evaluation.cache import hash_of, read_arrays, write_arrays
from astromer.evaluation.interpolators import (
    INTERPOLATORS,
    INTERPOLATORS_VERSION,
    Observations,
    Prediction,
)
from astromer.evaluation.masked import MaskedWindows
from astromer.evaluation.protocol import CELLS, open_folder
from astromer.progress import Progress

__all__ = [
    "Interpolation",
    "PresetReconstruction",
    "Reconstruction",
    "ReconstructionMethod",
    "run_reconstruction",
    "score_reconstruction",
]

TINY: Final = 1e-12
"""Keeps a window without any scatter from a division by zero [mag^2]."""

NORMAL_SHARES: Final = {"one_sigma": (1.0, 0.6827), "two_sigma": (2.0, 0.9545)}
"""Deviation, in the error that a method gives, and what lies within for normal noise."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Reconstruction:
    """What a method gives for windows; NaN where nothing was asked."""

    mag: NDArray[np.float64]
    """(num_windows, window_size) [mag]."""
    std: NDArray[np.float64] | None
    """(num_windows, window_size) [mag], None where a method gives no errors."""
    seconds: float
    """Time that it took."""


class ReconstructionMethod(Protocol):
    """A way to predict hidden magnitudes."""

    @property
    def name(self) -> str:
        """Name in tables."""

    @property
    def key(self) -> str:
        """What tells its results from all others'."""

    def reconstruct(
        self, windows: MaskedWindows, progress: Progress | None = None
    ) -> Reconstruction:
        """Predict the hidden magnitudes of windows."""


class Interpolation:
    """A classical method, applied to one window after the other.

    Parameters
    ----------
    name : str
        See `astromer.evaluation.interpolators.INTERPOLATORS`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = hash_of(name, f"{INTERPOLATORS_VERSION}")
        self._predict: Callable[..., Prediction] = INTERPOLATORS[name]

    def reconstruct(
        self, windows: MaskedWindows, progress: Progress | None = None
    ) -> Reconstruction:
        """Predict the hidden magnitudes.

        Parameters
        ----------
        windows : MaskedWindows
        progress : callable, optional
            Called as ``progress(stage, done, total, unit)``.

        Returns
        -------
        reconstruction : Reconstruction
        """
        start = time.monotonic()
        mag = np.full(windows.mag.shape, np.nan)
        std = np.full(windows.mag.shape, np.nan)
        for row, (seen, asked) in enumerate(
            zip(windows.visible, windows.hidden, strict=True)
        ):
            visible = Observations(
                windows.time[row, seen],
                windows.mag[row, seen],
                windows.mag_err[row, seen],
            )
            found = self._predict(visible, windows.time[row, asked])
            mag[row, asked] = found.mag
            if found.std is not None:
                std[row, asked] = found.std
            if progress is not None:
                progress(f"fit: {self.name}", row + 1, len(windows), "windows")
        known = std if np.isfinite(std).any() else None
        return Reconstruction(mag, known, time.monotonic() - start)


class PresetReconstruction:
    """A model, which sees times of all observations and magnitudes of the visible.

    Parameters
    ----------
    model : Reconstructor
    name : str
        The preset's name.
    batch_size : int
        Windows per batch.
    """

    def __init__(self, model: Any, name: str, *, batch_size: int = 64) -> None:
        self.name = name
        self._model, self._batch_size = model, batch_size
        weights = (np.ascontiguousarray(w).tobytes() for w in model.get_weights())
        options = repr(model.config.to_dict())
        self.key = hash_of(__version__, options, *weights)

    def reconstruct(
        self, windows: MaskedWindows, progress: Progress | None = None
    ) -> Reconstruction:
        """Predict the hidden magnitudes.

        Parameters
        ----------
        windows : MaskedWindows
        progress : callable, optional
            Called as ``progress(stage, done, total, unit)``.

        Returns
        -------
        reconstruction : Reconstruction

        Raises
        ------
        ConfigError
            If the windows are longer than the model's.
        """
        from astromer.inference.runner import compiled, run_batches

        size = self._model.config.window_size
        if windows.valid.shape[1] > size:
            raise ConfigError(
                f"The preset {self.name} takes windows of at most {size} observations. "
                f"Received: window_size={windows.valid.shape[1]}. Draw shorter windows."
            )
        start = time.monotonic()
        count = windows.valid.sum(axis=1)
        middle = windows.time.sum(axis=1) / count
        # Of the visible alone: the mean of all would tell of the hidden.
        mean = windows.visible_mean()[:, None]
        relative = windows.time - middle[:, None], windows.mag - mean
        inputs = {
            batch.TIME: np.where(windows.valid, relative[0], 0.0).astype(np.float32),
            batch.MAG: np.where(windows.visible, relative[1], 0.0).astype(np.float32),
            batch.VALID: windows.valid,
            batch.HIDDEN: windows.hidden,
        }
        mag = np.full(windows.mag.shape, np.nan)
        done = 0

        def receive(rows: NDArray[np.int64], outputs: NDArray[np.float32]) -> None:
            nonlocal done
            width = min(outputs.shape[1], windows.mag.shape[1])
            mag[rows, :width] = outputs[:, :width] + mean[rows]
            done += len(rows)
            if progress is not None:
                progress(f"fit: {self.name}", done, len(windows), "windows")

        apply = compiled(self._model, "reconstruct", lambda: self._model)
        run_batches(apply, inputs, count, self._batch_size, receive)
        mag[~windows.hidden] = np.nan
        return Reconstruction(mag, None, time.monotonic() - start)


def run_reconstruction(
    windows: Mapping[str, MaskedWindows],
    methods: Iterable[ReconstructionMethod],
    out: str | Path,
    *,
    dataset: str = "",
    resume: bool = False,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Reconstruct and score hidden observations by every method.

    Parameters
    ----------
    windows : mapping of str to MaskedWindows
        By what is hidden, e.g. ``"points"`` and ``"nights"``.
    methods : iterable of ReconstructionMethod
        Each of another name.
    out : str or pathlib.Path
        Folder for results; new or empty, unless `resume`.
    dataset : str
        Name of the data, for reports.
    resume : bool
        Go on in a folder that holds results; those of the same method and windows are
        not computed again.
    progress : callable, optional
        Called as ``progress(stage, done, total, unit)``.

    Returns
    -------
    rows : list of dict
        One per way of hiding and method; see `score_reconstruction`.

    Raises
    ------
    ConfigError
        If there is no method, two have one name, or the folder is not empty.
    """
    methods = list(methods)
    names = [method.name for method in methods]
    if not names or len(set(names)) < len(names):
        raise ConfigError(
            f"A benchmark has methods of different names. Received: methods={names}."
        )
    folder = open_folder(Path(out), resume=resume)
    rows = []
    for hiding, masked in windows.items():
        for method in methods:
            path = folder / CELLS / f"{hash_of(method.key, masked.digest)}.npz"
            if path.is_file():
                arrays = read_arrays(path)
                found = Reconstruction(
                    arrays["mag"], arrays.get("std"), float(arrays["seconds"])
                )
            else:
                found = method.reconstruct(masked, progress)
                kept = {"mag": found.mag, "seconds": np.array(found.seconds)}
                if found.std is not None:
                    kept["std"] = found.std
                write_arrays(path, kept)
            rows.append(
                {
                    "dataset": dataset,
                    "hiding": hiding,
                    "method": method.name,
                    **score_reconstruction(masked, found),
                }
            )
    return rows


def score_reconstruction(
    windows: MaskedWindows, found: Reconstruction
) -> dict[str, Any]:
    """Score predicted magnitudes against those observed.

    Parameters
    ----------
    windows : MaskedWindows
    found : Reconstruction

    Returns
    -------
    scores : dict
        Plain JSON values: ``num_windows``, ``num_hidden``; ``rmse`` [mag] and ``r2``,
        pooled over hidden observations; ``r2_median`` over windows; ``per_class``, of
        ``num_windows``, ``rmse``, ``r2`` and ``r2_median``; ``coverage``, the share of
        observations within one and two of the method's errors, None where it gives
        none; ``seconds_per_window``. R2 is about each window's visible mean: 0 is what
        that mean scores.
    """
    hidden = windows.hidden
    residual = np.where(hidden, windows.mag - found.mag, 0.0)
    spread = np.where(hidden, windows.mag - windows.visible_mean()[:, None], 0.0)
    missed, total = (residual**2).sum(axis=1), (spread**2).sum(axis=1)
    count = hidden.sum(axis=1)

    def summary(rows: NDArray[np.bool_]) -> dict[str, Any]:
        return {
            "num_windows": int(rows.sum()),
            "num_hidden": int(count[rows].sum()),
            "rmse": _rounded(np.sqrt(missed[rows].sum() / count[rows].sum())),
            "r2": _rounded(1 - missed[rows].sum() / max(total[rows].sum(), TINY)),
            "r2_median": _rounded(
                np.median(1 - missed[rows] / np.maximum(total[rows], TINY))
            ),
        }

    coverage = None
    if found.std is not None:
        ratio = np.abs(residual[hidden]) / found.std[hidden]
        coverage = {
            name: _rounded(np.mean(ratio <= sigmas))
            for name, (sigmas, _) in NORMAL_SHARES.items()
        }
    return {
        **summary(np.ones(len(windows), dtype=bool)),
        "per_class": {
            str(name): summary(windows.class_name == name)
            for name in np.unique(windows.class_name)
        },
        "coverage": coverage,
        "seconds_per_window": float(f"{found.seconds / len(windows):.3g}"),
    }


def _rounded(value: np.floating | float) -> float:
    return round(float(value), 4)
