"""Light curves as flat arrays, so that windows of many are cut in one step.

Nothing here imports TensorFlow.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from astromer.errors import ConfigError, RecordError
from astromer.lightcurve import LightCurve, is_frame, light_curves_from_frame
from astromer.records.manifest import Manifest
from astromer.records.reader import read_records

__all__ = ["CurveArrays", "Source", "collect_light_curves", "open_manifest"]

Source = str | Path | LightCurve | Iterable[LightCurve] | Any
"""A folder of records, a `LightCurve` or several, or a long frame."""


@dataclasses.dataclass(frozen=True, eq=False)
class CurveArrays:
    """Light curves one after the other, 16 bytes an observation."""

    time: NDArray[np.float64]
    """(num_observations,): times [d]."""
    mag: NDArray[np.float32]
    """(num_observations,): magnitudes [mag]."""
    mag_err: NDArray[np.float32]
    """(num_observations,): uncertainties [mag]."""
    length: NDArray[np.int64]
    """(num_curves,): observations per light curve."""
    label: NDArray[np.int64]
    """(num_curves,): class numbers, -1 where unknown."""
    object_id: tuple[str, ...]
    """Names of the objects, one per light curve."""

    def __len__(self) -> int:
        return len(self.length)

    @functools.cached_property
    def first(self) -> NDArray[np.int64]:
        """(num_curves,): index of each light curve's first observation."""
        return np.cumsum(self.length) - self.length

    @functools.cached_property
    def means(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(num_curves,) each: mean time [d] and magnitude [mag] of light curves."""
        if not len(self):
            return np.zeros(0), np.zeros(0)
        sums = (
            np.add.reduceat(values, self.first, dtype=np.float64)
            for values in (self.time, self.mag)
        )
        mean_time, mean_mag = (total / self.length for total in sums)
        return mean_time, mean_mag

    @classmethod
    def from_light_curves(cls, light_curves: Sequence[LightCurve]) -> Self:
        """Put light curves one after the other.

        Parameters
        ----------
        light_curves : sequence of LightCurve

        Returns
        -------
        curves : CurveArrays
        """
        length = np.array([len(curve) for curve in light_curves], dtype=np.int64)
        return cls._filled(light_curves, len(length), int(length.sum()))

    @classmethod
    def load(
        cls, source: Source, split: str | None = None, *, classes: bool = False
    ) -> Self:
        """Read a source into memory.

        Parameters
        ----------
        source : path, light curves or frame
            A folder of records with its manifest; a `LightCurve` or several; or a
            pandas or polars long frame (see `light_curves_from_frame`).
        split : str, optional
            Part of the records; None takes all. Records only.
        classes : bool
            Whether class numbers will be used; see `collect_light_curves`.

        Returns
        -------
        curves : CurveArrays
            In the source's order.

        Raises
        ------
        ConfigError
            If the source holds something else, or nothing, or has no splits.
        RecordError
            If there is nothing to read, a record is damaged, or the manifest counts
            others than there are.
        """
        if not isinstance(source, str | Path):
            curves = collect_light_curves(source, split, classes=classes)
            return cls.from_light_curves(curves)
        manifest = open_manifest(Path(source), split)
        shards = [s for s in manifest.shards if split in (None, s.split)]
        return cls._filled(
            read_records(source, split),
            sum(shard.num_light_curves for shard in shards),
            sum(shard.num_observations for shard in shards),
            where=f"source={source}, split={split!r}",
        )

    @classmethod
    def _filled(
        cls,
        light_curves: Iterable[LightCurve],
        num_curves: int,
        num_observations: int,
        where: str = "",
    ) -> Self:
        # Into place, curve by curve: records would else lie in memory twice.
        time = np.empty(num_observations)
        mag, mag_err = np.empty((2, num_observations), dtype=np.float32)
        length, label = np.empty((2, num_curves), dtype=np.int64)
        object_ids = []
        end = 0
        for number, curve in enumerate(light_curves):
            start, end = end, end + len(curve)
            if number >= num_curves or end > num_observations:
                break
            time[start:end] = curve.time
            mag[start:end] = curve.mag
            mag_err[start:end] = curve.mag_err
            length[number] = len(curve)
            label[number] = curve.label
            object_ids.append(curve.object_id)
        if len(object_ids) != num_curves or end != num_observations:
            raise RecordError(
                "The records are not those that the manifest counts: "
                f"{num_curves} light curves of {num_observations} observations. "
                f"Received: {where}. Convert again, or restore the files."
            )
        return cls(time, mag, mag_err, length, label, tuple(object_ids))


def open_manifest(path: Path, split: str | None) -> Manifest:
    """Load the manifest of a folder of records that has something to read.

    Parameters
    ----------
    path : pathlib.Path
    split : str, optional
        Split that must hold light curves; None asks for any.

    Returns
    -------
    manifest : Manifest

    Raises
    ------
    RecordError
        If there are no records, no such split, or no light curves in it.
    """
    manifest = Manifest.load(path)
    if manifest.num_light_curves(split) == 0:
        raise RecordError(
            "There are no light curves to read. "
            f"Received: source={path}, split={split!r}."
        )
    return manifest


def collect_light_curves(
    source: Source, split: str | None = None, *, classes: bool = False
) -> list[LightCurve]:
    """Return light curves that are in memory, checked and with class numbers.

    Parameters
    ----------
    source : light curves or frame
        A `LightCurve` or several, or a pandas or polars long frame.
    split : None
        Belongs to records on disk; anything else is refused.
    classes : bool
        Whether class numbers will be used, and every name must have one.

    Returns
    -------
    light_curves : list of LightCurve
        Class names are numbered in alphabetical order if none has a number.

    Raises
    ------
    ConfigError
        If the source holds something else, or nothing; with `classes`, if some have
        numbers and some names alone.
    """
    if split is not None:
        raise ConfigError(
            f'`split` belongs to records on disk. Received: split="{split}" with '
            "light curves in memory. Select the light curves instead."
        )
    items: Any = source
    if isinstance(source, LightCurve):
        items = [source]
    elif is_frame(source):
        items = light_curves_from_frame(source)
    curves = list(_checked(items))
    if not curves:
        raise ConfigError("The source holds no light curves. Received: an empty list.")
    return _with_labels(curves, strict=classes)


def _checked(source: Iterable[Any]) -> Iterator[LightCurve]:
    for position, curve in enumerate(source):
        if not isinstance(curve, LightCurve):
            advice = "Build them with `LightCurve.from_array`."
            if is_frame(curve):
                advice = "Give one frame of all, or `light_curves_from_frame` of each."
            raise ConfigError(
                "A source must hold light curves. Received: source["
                f"{position}] of type {type(curve).__name__}. "
                f"{advice}"
            )
        yield curve


def _with_labels(curves: list[LightCurve], *, strict: bool) -> list[LightCurve]:
    """Assign labels where there are class names alone, as the converter does."""
    names = {curve.class_name for curve in curves if curve.class_name is not None}
    if not names or any(curve.label >= 0 for curve in curves):
        for curve in curves if strict else ():
            if curve.class_name is not None and curve.label < 0:
                raise ConfigError(
                    "Classes have numbers in all light curves or in none. Received: "
                    f'class_name="{curve.class_name}", label={curve.label} for '
                    f'object_id="{curve.object_id}" beside others with a label. '
                    "Give it a label, or the others -1: names are numbered then."
                )
        return curves
    label_map = {name: number for number, name in enumerate(sorted(names))}
    return [
        dataclasses.replace(curve, label=label_map.get(curve.class_name or "", -1))
        for curve in curves
    ]
