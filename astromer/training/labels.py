"""The classes of labeled light curves: their names, how many there are, and where."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from astromer.errors import RecordError
from astromer.lightcurve import LightCurve
from astromer.records import read_records
from astromer.records.manifest import Manifest
from astromer.training.data import TRAIN, Splits

__all__ = ["Classes", "iterate_labeled", "number_classes"]


@dataclasses.dataclass(frozen=True)
class Classes:
    """Names of classes, by label, and their light curves."""

    names: tuple[str, ...]
    """The position of a name is its label."""
    counts: dict[str, tuple[int, ...]]
    """Light curves of each class, by split."""

    @classmethod
    def of(cls, splits: Splits) -> Self:
        """Count the classes, and refuse what no classifier can learn.

        Parameters
        ----------
        splits : Splits
            In memory, with labels of `number_classes`.

        Returns
        -------
        classes : Classes

        Raises
        ------
        RecordError
            If nothing has a label, there is one class alone, a class that is validated
            or tested is not trained on, or a class has one object to train on.
        """
        counts = _count(splits)
        if not counts[TRAIN]:
            raise RecordError(
                "A classifier needs labels, and there are none to train on. Received: "
                f"{splits.num_light_curves[TRAIN]} light curves without a class. "
                "Convert with `--labels`, or give the light curves class names."
            )
        names = _names(splits)
        if len(names) < 2:
            raise RecordError(
                "A classifier needs two or more classes. Received: "
                f"{', '.join(names)} alone."
            )
        for name in names:
            found = {split: count[name] for split, count in counts.items()}
            if not found[TRAIN]:
                others = [split for split, number in found.items() if number]
                where = (
                    f"in {' and '.join(others)}" if others else "in none of the splits"
                )
                raise RecordError(
                    "A class must be trained on to be recognized. Received: class "
                    f'"{name}" {where}, not in train. Split anew, '
                    "stratified, or leave these objects out."
                )
        _refuse_single_objects(splits, counts[TRAIN])
        return cls(
            names, {s: tuple(c[name] for name in names) for s, c in counts.items()}
        )


def iterate_labeled(splits: Splits, split: str) -> Iterator[LightCurve]:
    """Read the light curves of a split that have a label, in order.

    Parameters
    ----------
    splits : Splits
    split : str

    Yields
    ------
    light_curve : LightCurve
    """
    curves = splits.sources[split]
    if splits.folder is not None:
        curves = read_records(splits.folder, split)
    return (curve for curve in curves if curve.label >= 0)


def number_classes(
    records: str | Path | Mapping[str, Sequence[LightCurve]],
) -> str | Path | dict[str, list[LightCurve]]:
    """Give light curves in memory labels that are the same in all splits.

    Parameters
    ----------
    records : path or mapping
        A folder of records, whose manifest has numbered the classes, stays as it is.

    Returns
    -------
    records : path or dict
        Names in alphabetical order; a number without a name is its own.
    """
    if not isinstance(records, Mapping):
        return records
    names = {_name(curve) for curves in records.values() for curve in curves} - {None}
    labels = {name: label for label, name in enumerate(sorted(filter(None, names)))}
    return {
        split: [
            dataclasses.replace(
                curve, class_name=_name(curve), label=labels.get(_name(curve) or "", -1)
            )
            for curve in curves
        ]
        for split, curves in records.items()
    }


def _name(curve: LightCurve) -> str | None:
    if curve.class_name is None and curve.label >= 0:
        return str(curve.label)
    return curve.class_name


def _names(splits: Splits) -> tuple[str, ...]:
    if splits.folder is not None:
        labels = Manifest.load(splits.folder).label_map
    else:
        labels = {
            str(curve.class_name): curve.label
            for split in splits.sources
            for curve in iterate_labeled(splits, split)
        }
    return tuple(sorted(labels, key=labels.__getitem__))


def _count(splits: Splits) -> dict[str, Counter[str]]:
    """Count light curves by split and class; those without a class are left out."""
    if splits.folder is None:
        return {
            split: Counter(
                str(curve.class_name) for curve in iterate_labeled(splits, split)
            )
            for split in splits.sources
        }
    stored = Manifest.load(splits.folder).splits
    return {
        split: Counter({n: c for n, c in stored[split].classes.items() if n and c})
        for split in splits.sources
    }


def _refuse_single_objects(splits: Splits, counts: Counter[str]) -> None:
    # An object has a light curve per passband: only few of them may be of one object.
    passbands = 1
    if splits.folder is not None:
        passbands = len(Manifest.load(splits.folder).splits[TRAIN].passbands)
    suspects = {n for n, c in counts.items() if splits.folder is None or c <= passbands}
    if not suspects:
        return
    objects: dict[str, set[str]] = {name: set() for name in suspects}
    for curve in iterate_labeled(splits, TRAIN):
        if curve.class_name in objects:
            objects[curve.class_name].add(curve.object_id)
    for name, ids in objects.items():
        if len(ids) == 1:
            raise RecordError(
                "A class needs two or more objects: from one, a classifier learns that "
                f'object by heart. Received: class "{name}" with the object '
                f"{min(ids)} alone to train on. Find more, or leave the class out."
            )
