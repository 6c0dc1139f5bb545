"""Who is trained on and who is tested: the paper's few-shot folds (Sect. 5.1).

Test sets are shared by all methods; the training set of a size holds all smaller ones.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from astromer.errors import ConfigError
from astromer.evaluation.cache import hash_of
from astromer.evaluation.objects import ObjectSet
from astromer.records.jsonfile import write_json

__all__ = ["Fold", "Splits", "load_splits", "make_splits"]

SIZES: Final = (20, 100, 500)
"""Objects per class to train on (Sect. 5.1)."""
NUM_FOLDS: Final = 3
TEST_PER_CLASS: Final = 100
"""Objects per class to test on, as released; the paper says 1000."""
MAX_TEST_SHARE: Final = 0.25
"""No class gives more than this part to a test set."""
SHOWN: Final = 3
"""Names in an error message."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Fold:
    """One test set, and training sets of several sizes."""

    seed: int
    """Seed of classifiers trained in this fold."""
    test: tuple[str, ...]
    """Objects to test on."""
    train: dict[int, tuple[str, ...]]
    """Objects to train on by size; one of a short class may be there several times."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Splits:
    """Folds of one data set."""

    dataset: str
    """Name of the data."""
    classes: tuple[str, ...]
    """Classes, in order."""
    labels: dict[str, str]
    """Class by object name, of all objects in the folds."""
    folds: tuple[Fold, ...]
    """At least one."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Objects per class in the training sets, rising."""
        return tuple(sorted(self.folds[0].train))

    @property
    def digest(self) -> str:
        """A name for exactly these folds and labels."""
        return hash_of(json.dumps(self.to_dict(), sort_keys=True))

    def names(self) -> list[str]:
        """Return all objects in the folds, sorted."""
        return sorted(
            {name for fold in self.folds for name in fold.test}.union(
                *(part for fold in self.folds for part in fold.train.values())
            )
        )

    def redrawn(self) -> dict[int, dict[str, int]]:
        """Return distinct training objects of each short class, by size.

        Returns
        -------
        redrawn : dict of int to dict of str to int
            The fewest over folds; classes with an object for each place are left out.
        """
        short: dict[int, dict[str, int]] = {}
        for size in self.sizes:
            counts = [
                Counter(self.labels[name] for name in set(fold.train[size]))
                for fold in self.folds
            ]
            fewest = {name: min(c[name] for c in counts) for name in self.classes}
            short[size] = {name: n for name, n in fewest.items() if n < size}
        return {size: names for size, names in short.items() if names}

    def select(
        self, sizes: Iterable[int] | None = None, num_folds: int | None = None
    ) -> Splits:
        """Return fewer folds or sizes of the same splits.

        Parameters
        ----------
        sizes : iterable of int, optional
            All by default.
        num_folds : int, optional
            The first so many; all by default.

        Returns
        -------
        splits : Splits

        Raises
        ------
        ConfigError
            If a size or so many folds are not there.
        """
        chosen = self.sizes if sizes is None else tuple(sorted(set(sizes)))
        number = len(self.folds) if num_folds is None else num_folds
        missing = sorted(set(chosen) - set(self.sizes))
        if missing or not chosen or not 1 <= number <= len(self.folds):
            raise ConfigError(
                f"These splits have {len(self.folds)} folds and the sizes "
                f"{', '.join(map(str, self.sizes))}. Received: sizes={list(chosen)}, "
                f"num_folds={number}. Choose among them, or draw new splits."
            )
        folds = tuple(
            dataclasses.replace(fold, train={n: fold.train[n] for n in chosen})
            for fold in self.folds[:number]
        )
        return dataclasses.replace(self, folds=folds)

    def rename(self, dataset: str) -> Splits:
        """Return the same folds under another name of the data."""
        return dataclasses.replace(self, dataset=dataset)

    def check(self, objects: ObjectSet) -> None:
        """Raise ConfigError unless the splits are of these objects and do not leak.

        Parameters
        ----------
        objects : ObjectSet

        Raises
        ------
        ConfigError
            If an object, or two names of it, is on both sides of a fold; if an object
            of the splits is not among the objects, or of another class there.
        """
        for number, fold in enumerate(self.folds):
            _check_sides(number, fold, objects.twins)
        found = {name: objects.find(name) for name in self.names()}
        missing = [name for name, item in found.items() if item is None]
        if missing:
            raise ConfigError(
                "Splits must be of the same data. Received: "
                f"{len(missing):,} of {len(found):,} objects of the splits "
                f"are not in the data, e.g. {_some(missing)}; left out of the data: "
                f"{objects.left_out or 'nothing'}. Give the records that the splits "
                "were made for, or draw new ones."
            )
        for name, item in found.items():
            if item is not None and self.labels[name] != item.class_name:
                raise ConfigError(
                    "Splits and data must agree on classes. Received: "
                    f'{name} is "{self.labels[name]}" in the splits and '
                    f'"{item.class_name}" in the data. '
                    "Group class names with `classes`, e.g. EB=EC+ED+ESD,MIRA."
                )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, which `load_splits` reads."""
        return {
            "dataset": self.dataset,
            "classes": list(self.classes),
            "labels": self.labels,
            "folds": [
                {
                    "seed": fold.seed,
                    "test": list(fold.test),
                    "train": {str(n): list(part) for n, part in fold.train.items()},
                }
                for fold in self.folds
            ],
        }

    def save(self, path: str | Path) -> Path:
        """Write a JSON file.

        Parameters
        ----------
        path : str or pathlib.Path

        Returns
        -------
        path : pathlib.Path
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, self.to_dict())
        return path


def make_splits(
    labels: Mapping[str, str],
    classes: Sequence[str] | None = None,
    *,
    sizes: Iterable[int] = SIZES,
    num_folds: int = NUM_FOLDS,
    test_per_class: int = TEST_PER_CLASS,
    max_test_share: float = MAX_TEST_SHARE,
    seed: int = 0,
    dataset: str = "",
) -> Splits:
    """Draw folds, class by class.

    A class gives `test_per_class` objects to a test set, or `max_test_share` of its
    objects if that is less; test sets of different folds share none as far as the class
    reaches. Training objects are drawn from the rest: each once, then, if the class is
    too short, again with replacement (Sect. 5.1).

    Parameters
    ----------
    labels : mapping of str to str
        Class by object name; their order does not matter.
    classes : sequence of str, optional
        Classes to draw from; all by default, sorted. Leaving one out changes no other.
    sizes : iterable of int
        Objects per class to train on.
    num_folds : int
    test_per_class : int
    max_test_share : float, in (0, 1)
    seed : int
        Not negative.
    dataset : str
        Name of the data, for reports.

    Returns
    -------
    splits : Splits

    Raises
    ------
    ConfigError
        If a number is out of range, there are fewer than two classes, or one is too
        small to be tested and trained on.
    """
    sizes = tuple(sorted(set(sizes)))
    if (
        not sizes
        or min(*sizes, num_folds, test_per_class) < 1
        or seed < 0
        or not 0 < max_test_share < 1
    ):
        raise ConfigError(
            "Sizes, `num_folds` and `test_per_class` must be positive, `seed` not "
            "negative and `max_test_share` between 0 and 1. Received: "
            f"sizes={list(sizes)}, num_folds={num_folds}, seed={seed}, "
            f"test_per_class={test_per_class}, max_test_share={max_test_share}."
        )
    names = tuple(sorted(set(labels.values())) if classes is None else classes)
    if len(set(names)) < 2:
        raise ConfigError(
            f"Splits need two classes or more. Received: classes={list(names)}."
        )
    members = {
        name: sorted(n for n, c in labels.items() if c == name) for name in names
    }
    num_test = {
        name: min(test_per_class, int(max_test_share * len(members[name])))
        for name in names
    }
    small = [name for name in names if num_test[name] < 1]
    if small:
        counts = ", ".join(f"{name}: {len(members[name])}" for name in small)
        raise ConfigError(
            "Each class must have an object to test on. Received: "
            f"max_test_share={max_test_share}, which is less than one object of "
            f"{counts}. Leave these classes out, group them with others, or give "
            "more objects."
        )
    drawn = {
        name: _draw_class(members[name], num_test[name], sizes, num_folds, seed, name)
        for name in names
    }
    folds = tuple(
        Fold(
            seed=seed * num_folds + number,
            test=tuple(n for name in names for n in drawn[name][number][0]),
            train={
                size: tuple(n for name in names for n in drawn[name][number][1][:size])
                for size in sizes
            },
        )
        for number in range(num_folds)
    )
    splits = Splits(dataset, names, {}, folds)
    return dataclasses.replace(splits, labels={n: labels[n] for n in splits.names()})


def load_splits(path: str | Path) -> Splits:
    """Read splits from a JSON file.

    Parameters
    ----------
    path : str or pathlib.Path
        An object with ``classes``, ``labels`` (class by object name) and ``folds``,
        each with ``test`` and ``train``, lists of object names, the latter by size.

    Returns
    -------
    splits : Splits

    Raises
    ------
    ConfigError
        If the file is something else, its folds differ in sizes, or an object is on
        two sides of a fold.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        folds = tuple(
            Fold(
                seed=int(fold.get("seed", number)),
                test=tuple(map(str, fold["test"])),
                train={int(n): tuple(map(str, v)) for n, v in fold["train"].items()},
            )
            for number, fold in enumerate(values["folds"])
        )
        splits = Splits(
            dataset=str(values.get("dataset", "")),
            classes=tuple(map(str, values["classes"])),
            labels={str(name): str(c) for name, c in values["labels"].items()},
            folds=folds,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            "Splits are a JSON file with classes, labels and folds. Received: "
            f"path={path} ({type(error).__name__}: {error})."
        ) from error
    sizes = {tuple(sorted(fold.train)) for fold in folds}
    if len(sizes) != 1 or sizes == {()}:
        raise ConfigError(
            "Splits have one fold or more, all with the same sizes. "
            f"Received: path={path}, sizes={sorted(map(list, sizes))}."
        )
    nameless = [n for n in splits.names() if splits.labels.get(n) not in splits.classes]
    if nameless:
        raise ConfigError(
            "Each object of the splits needs one of their classes. Received: "
            f"path={path}, {len(nameless):,} objects without, e.g. {_some(nameless)}."
        )
    if len(set(splits.classes)) < 2 or len(set(splits.classes)) < len(splits.classes):
        raise ConfigError(
            "Splits have two classes or more, each once. Received: "
            f"path={path}, classes={list(splits.classes)}."
        )
    for number, fold in enumerate(folds):
        _check_sides(number, fold, {})
        for side, names in (("test", fold.test), *fold.train.items()):
            found = {splits.labels[name] for name in names}
            absent = [name for name in splits.classes if name not in found]
            if absent:
                what = "test set" if side == "test" else f"training set {side}"
                raise ConfigError(
                    "Each class needs objects in every set, or its F1 would be zero "
                    f"whatever is predicted. Received: path={path}, none of "
                    f"{', '.join(absent)} in the {what} of fold {number}. Add some, or "
                    "leave the class out."
                )
    used = splits.names()
    return dataclasses.replace(splits, labels={n: splits.labels[n] for n in used})


def _draw_class(
    members: Sequence[str],
    num_test: int,
    sizes: Sequence[int],
    num_folds: int,
    seed: int,
    name: str,
) -> list[tuple[list[str], list[str]]]:
    """Return test objects and training objects, in the order drawn, by fold."""
    # A stream of its own: another class beside it changes nothing.
    stream = [seed, *name.encode()]
    order = np.random.default_rng(stream).permutation(len(members))
    drawn = []
    for number in range(num_folds):
        rng = np.random.default_rng([number + 1, *stream])
        places = (number * num_test + np.arange(num_test)) % len(members)
        test = order[places]
        pool = rng.permutation(np.setdiff1d(order, test))
        again = rng.integers(len(pool), size=max(sizes[-1] - len(pool), 0))
        train = np.concatenate([pool, pool[again]])[: sizes[-1]]
        drawn.append(([members[i] for i in test], [members[i] for i in train]))
    return drawn


def _check_sides(number: int, fold: Fold, twins: Mapping[str, str]) -> None:
    """Raise ConfigError if an object is in the test set and in a training set."""
    test = {twins.get(name, name) for name in fold.test}
    for size, train in fold.train.items():
        both = sorted({name for name in train if twins.get(name, name) in test})
        if both:
            raise ConfigError(
                "An object is on one side of a split. Received: "
                f"fold {number}, {len(both):,} objects both in the test set and among "
                f"the {size} per class to train on, e.g. {_some(both)}. "
                "Remove them from one side."
            )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN])
