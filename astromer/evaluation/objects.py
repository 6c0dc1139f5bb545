"""Light curves gathered into labeled objects, each of which lies on one side only."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from astromer.errors import ConfigError
from astromer.evaluation.cache import content_hash
from astromer.evaluation.classes import ClassMap
from astromer.inference.sources import Source, iterate_light_curves
from astromer.lightcurve import LightCurve
from astromer.surveys import Dropped

__all__ = ["LabeledObject", "ObjectSet", "collect_objects"]

MIN_OBSERVATIONS: Final = 5
"""Fewest observations of a light curve, as in the converter."""
TWIN_SHARE: Final = 0.5
"""Two objects are one if they share at least this part of the shorter's observations."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class LabeledObject:
    """An object, its class and all of its light curves."""

    object_id: str
    """Object name."""
    class_name: str
    """Class, after grouping."""
    light_curves: tuple[LightCurve, ...]
    """One per passband, or more where it is listed twice; at least one."""
    digests: tuple[str, ...]
    """Content hashes of `light_curves`."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class ObjectSet:
    """Labeled objects by name, and what was left out on the way."""

    objects: dict[str, LabeledObject]
    """By object name, sorted."""
    classes: tuple[str, ...]
    """Classes, in order."""
    left_out: dict[str, int]
    """Light curves or objects left out, by reason."""
    twins: dict[str, str]
    """Names left out because another object, the value, has the same observations."""

    @property
    def labels(self) -> dict[str, str]:
        """Class by object name."""
        return {name: item.class_name for name, item in self.objects.items()}

    def find(self, name: str) -> LabeledObject | None:
        """Return the object of that name, also where it is a second name."""
        return self.objects.get(self.twins.get(name, name))

    def take(self, names: Iterable[str]) -> list[LabeledObject]:
        """Return objects in the order of their names, repeated ones included."""
        return [self.objects[self.twins.get(name, name)] for name in names]


def collect_objects(
    source: Source,
    *,
    classes: ClassMap | None = None,
    survey: str | None = None,
    passband: str | None = None,
    min_observations: int = MIN_OBSERVATIONS,
    dropped: Dropped | None = None,
) -> ObjectSet:
    """Read light curves and gather them by object; all of them are held in memory.

    Two names whose light curves share half of their observations are one object listed
    twice: the first name in alphabetical order stays. An object with two classes is
    left out. All of this is counted.

    Parameters
    ----------
    source : light curves, frame, or paths
        See `astromer.inference.embed`.
    classes : ClassMap, optional
        Classes that count; by default each class name in the data is one.
    survey, passband : str, optional
        Format of survey files, where it is not recognized; passband to take.
    min_observations : int
        Shorter light curves are left out.
    dropped : Dropped, optional
        Receives what survey files lose.

    Returns
    -------
    objects : ObjectSet

    Raises
    ------
    ConfigError
        If there are no labels, fewer than two classes, or a class is not in the data.
    """
    if min_observations < 1:
        raise ConfigError(
            "`min_observations` must be positive. "
            f"Received: min_observations={min_observations}."
        )
    curves, _ = iterate_light_curves(
        source, survey=survey, passband=passband, dropped=dropped
    )
    left_out: Counter[str] = Counter()
    names_found: Counter[str] = Counter()
    held: dict[str, list[tuple[LightCurve, str, str]]] = {}
    for curve in curves:
        name = _class_of(curve)
        if name is None:
            left_out["unlabeled light curves"] += 1
            continue
        names_found[name] += 1
        group = name if classes is None else classes.find(name)
        if group is None:
            left_out["light curves of other classes"] += 1
        elif len(curve) < min_observations:
            left_out["short light curves"] += 1
        else:
            entry = (curve, group, content_hash(curve))
            held.setdefault(curve.object_id, []).append(entry)
    if not names_found:
        raise ConfigError(
            "A benchmark needs labeled objects. Received: none of "
            f"{left_out.total():,} light curves has a class. "
            "Convert them with --labels FILE."
        )
    if classes is not None:
        classes.check(names_found)
    objects = _make_objects(held, left_out)
    twins = _remove_twins(objects, left_out)
    present = {item.class_name for item in objects.values()}
    names = tuple(sorted(present)) if classes is None else classes.names
    empty = [name for name in names if name not in present]
    if len(names) < 2 or empty:
        what = f"no objects of {', '.join(empty)}" if empty else f"only {names}"
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in left_out.items())
        raise ConfigError(
            "A benchmark needs two classes or more, each with objects. "
            f"Received: {what}; left out: {reasons or 'nothing'}. "
            "Name other classes with `classes`."
        )
    return ObjectSet(
        objects=dict(sorted(objects.items())),
        classes=names,
        left_out=dict(left_out),
        twins=twins,
    )


def _class_of(curve: LightCurve) -> str | None:
    if curve.class_name:
        return curve.class_name
    return str(curve.label) if curve.label >= 0 else None


def _make_objects(
    held: Mapping[str, Sequence[tuple[LightCurve, str, str]]], left_out: Counter[str]
) -> dict[str, LabeledObject]:
    objects = {}
    for name, entries in held.items():
        groups = {group for _, group, _ in entries}
        if len(groups) > 1:
            left_out["objects with two classes"] += 1
            continue
        # A light curve that is there twice under one name is there once.
        unique = {(digest, c.passband): c for c, _, digest in entries}
        left_out["repeated light curves"] += len(entries) - len(unique)
        objects[name] = LabeledObject(
            object_id=name,
            class_name=groups.pop(),
            light_curves=tuple(unique.values()),
            digests=tuple(digest for digest, _ in unique),
        )
    if not left_out["repeated light curves"]:
        del left_out["repeated light curves"]
    return objects


def _remove_twins(
    objects: dict[str, LabeledObject], left_out: Counter[str]
) -> dict[str, str]:
    """Leave one name of each object that has several; return the others."""
    parent: dict[str, str] = {}

    def head(name: str) -> str:
        while name in parent:
            name = parent[name]
        return name

    for pair in _find_twins(list(objects.values())):
        first, second = sorted(map(head, pair))
        if first != second:
            parent[second] = first
    families: dict[str, list[str]] = {}
    for name in parent:
        families.setdefault(head(name), []).append(name)
    twins = {}
    for stays, others in families.items():
        if len({objects[name].class_name for name in (stays, *others)}) > 1:
            left_out["objects with two classes"] += 1 + len(others)
            del objects[stays]
        else:
            left_out["objects listed twice"] += len(others)
            twins.update(dict.fromkeys(others, stays))
        for name in others:
            del objects[name]
    return dict(sorted(twins.items()))


def _find_twins(objects: Sequence[LabeledObject]) -> list[tuple[str, str]]:
    """Return pairs of names whose light curves share enough observations."""
    curves = [curve for item in objects for curve in item.light_curves]
    if not curves:
        return []
    sizes = np.array([sum(map(len, item.light_curves)) for item in objects])
    owner = np.repeat(np.arange(len(objects)), sizes)
    key = _observation_keys(curves)
    order = np.argsort(key, kind="stable")
    key, owner = key[order], owner[order]
    met = (key[1:] == key[:-1]) & (owner[1:] != owner[:-1])
    pairs, shared = np.unique(
        np.stack([owner[:-1][met], owner[1:][met]], axis=1), axis=0, return_counts=True
    )
    smaller = sizes[pairs].min(axis=1)
    enough = shared >= np.maximum(TWIN_SHARE * smaller, MIN_OBSERVATIONS)
    return [
        (objects[first].object_id, objects[second].object_id)
        for first, second in pairs[enough]
    ]


def _observation_keys(curves: Sequence[LightCurve]) -> NDArray[np.uint64]:
    """Return a number per observation that equal times and magnitudes share."""
    time = np.concatenate([curve.time for curve in curves]).view(np.uint64)
    mag = np.concatenate([curve.mag for curve in curves]).view(np.uint32)
    # Fibonacci hashing: the product spreads the magnitude over all bits.
    return time ^ (mag.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
