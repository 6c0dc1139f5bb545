"""The pipeline again, one light curve at a time in numpy: what tests compare with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from astromer.lightcurve import LightCurve
from astromer.records import ConvertOptions, Manifest, convert_tables
from astromer.surveys import OBSERVATION_SCHEMA, ObservationTable


def plain_windows(
    curves: Sequence[LightCurve], window_size: int, normalization: str = "window"
) -> dict[str, np.ndarray]:
    """Cut and normalize windows by slices; nothing here is vectorized."""
    rows: dict[str, list[Any]] = {}
    for number, curve in enumerate(curves):
        for start in range(0, len(curve), window_size):
            part = slice(start, start + window_size)
            whole = slice(None) if normalization == "light_curve" else part
            mean_time = curve.time[whole].mean()
            mean_mag = curve.mag[whole].astype(np.float64).mean()
            size = len(curve.time[part])
            window = {
                "time": padded(curve.time[part] - mean_time, window_size),
                "mag": padded(
                    curve.mag[part].astype(np.float64) - mean_mag, window_size
                ),
                "mag_err": padded(curve.mag_err[part], window_size),
                "valid": np.arange(window_size) < size,
                "size": size,
                "curve": number,
                "start": start,
                "mean_time": mean_time,
                "mean_mag": mean_mag,
            }
            for name, value in window.items():
                rows.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in rows.items()}


def padded(values: np.ndarray, window_size: int) -> np.ndarray:
    """Return values as float32 with zeros up to the window's end."""
    window = np.zeros(window_size, dtype=np.float32)
    window[: len(values)] = values
    return window


# A power of two is exact in float32, and keeps magnitudes such as stars have.
_MARKS_PER_MAG = 1024


def marked_curves(lengths: Iterable[int], **attributes: Any) -> list[LightCurve]:
    """Make light curves of which every piece tells its curve and its place.

    In curve k, times are squares of the place and magnitudes grow by k marks from
    place to place, so that differences give place and curve whatever mean was
    subtracted.
    """
    return [
        LightCurve(
            50_000.0 + np.arange(length) ** 2.0,
            15.0 + number * np.arange(length) / _MARKS_PER_MAG,
            np.full(length, 0.1),
            object_id=f"star{number:03d}",
            label=number,
            passband="R",
            **attributes,
        )
        for number, length in enumerate(lengths)
    ]


def read_marks(time: np.ndarray, mag: np.ndarray) -> tuple[list[int], list[int]]:
    """Return curve numbers and places of windows made from `marked_curves`."""
    step = np.round(_MARKS_PER_MAG * (np.asarray(mag)[:, 1] - np.asarray(mag)[:, 0]))
    place = (np.asarray(time)[:, 1] - np.asarray(time)[:, 0] - 1) / 2
    return step.astype(int).tolist(), np.round(place).astype(int).tolist()


def write_records(
    folder: Path, curves: Iterable[LightCurve], **options: Any
) -> Manifest:
    """Convert light curves to a folder of records, without any cut."""
    frames = [
        pl.DataFrame(
            {
                "object_id": curve.object_id,
                "passband": curve.passband,
                "time": np.array(curve.time),
                "mag": np.array(curve.mag),
                "mag_err": np.array(curve.mag_err),
                "class_name": pl.Series(
                    [curve.class_name] * len(curve), dtype=pl.String
                ),
                "line": np.arange(1, len(curve) + 1, dtype=np.uint32),
                "flag": pl.Series([None] * len(curve), dtype=pl.String),
            }
        )
        for curve in curves
    ]
    table = ObservationTable(
        Path("curves.csv"), pl.concat(frames).select(*OBSERVATION_SCHEMA)
    )
    defaults: dict[str, Any] = {
        "min_observations": 1,
        "max_error": None,
        "clip_percentiles": None,
        "split": {"all": 1.0},
    }
    return convert_tables([table], folder, ConvertOptions(**{**defaults, **options}))


def night_curves(number: int) -> list[LightCurve]:
    """Return light curves of two nights with four visits each."""
    time = 50_000.0 + np.array([0.0, 1.0])[:, None] + 0.012 * np.arange(4)
    return [
        LightCurve(
            time.ravel(), 15.0 + np.arange(8.0), np.full(8, 0.1), object_id=str(i)
        )
        for i in range(number)
    ]


def assert_one_night(probed: np.ndarray[Any, Any]) -> None:
    """Half of a window is one of its two nights, and not always the same."""
    in_night = probed.reshape(-1, 2, 4).sum(axis=2)
    assert set(map(tuple, in_night.tolist())) == {(4, 0), (0, 4)}
