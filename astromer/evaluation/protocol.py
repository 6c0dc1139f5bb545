"""The few-shot benchmark: every method on every fold and size, each kept when done."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from astromer.errors import ConfigError, unknown_name
from astromer.evaluation.cache import hash_of, read_arrays, write_arrays
from astromer.evaluation.methods import Method
from astromer.evaluation.objects import LabeledObject, ObjectSet
from astromer.evaluation.scores import (
    PairedDifference,
    brier_score,
    calibrate,
    confusion_matrix,
    f1_per_class,
    paired_difference,
)
from astromer.evaluation.splits import Fold, Splits
from astromer.progress import Progress

__all__ = ["CELLS", "Benchmark", "Cell", "open_folder", "run_benchmark"]

CELLS: Final = "cells"
"""Folder of what is finished, in the output folder."""
SPLITS_NAME: Final = "splits.json"


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Cell:
    """One method, trained on one set and asked about one test set."""

    probabilities: NDArray[np.float64]
    """(num_objects, num_classes): of the test objects, in the fold's order."""
    window_probabilities: NDArray[np.float64] | None
    """(num_windows, num_classes), or None where the method has no windows."""
    window_owner: NDArray[np.int64] | None
    """(num_windows,): place of a window's object in the test set."""
    facts: dict[str, Any]
    """What the method tells of its training."""
    seconds: float
    """Time to train and to predict, without embeddings and features."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Benchmark:
    """Probabilities of all methods, folds and sizes, and their scores."""

    splits: Splits
    methods: tuple[tuple[str, str], ...]
    """Name and classifier of each method, in order."""
    cells: dict[tuple[str, str, int, int], Cell]
    """By name, classifier, size and number of the fold."""

    def labels(self, fold: int) -> NDArray[np.int64]:
        """Return the class numbers of a fold's test objects."""
        names = self.splits.folds[fold].test
        return _numbers(names, self.splits)

    def rows(self) -> list[dict[str, Any]]:
        """Return scores as plain JSON values, one row per method and size.

        Returns
        -------
        rows : list of dict
            ``dataset``, ``method``, ``classifier``, ``samples_per_class``;
            ``macro_f1_mean``, ``macro_f1_std`` (over folds, one degree of freedom
            taken) and ``per_fold``, per object; the same per window as
            ``window_macro_f1_*``, None where there are no windows; ``per_class_f1``,
            mean over folds; ``confusion``, sum over folds, true classes in rows;
            ``brier``, ``calibration_error`` and ``reliability``, over all folds;
            ``finetuning``, mean over folds, None where nothing is finetuned; ``facts``
            by fold and ``seconds``, mean over folds.
        """
        return [
            self._row(name, classifier, size)
            for name, classifier in self.methods
            for size in self.splits.sizes
        ]

    def difference(
        self, first: tuple[str, str], second: tuple[str, str], size: int, seed: int = 0
    ) -> PairedDifference:
        """Compare two methods on the same test objects.

        Parameters
        ----------
        first, second : (str, str)
            Name and classifier.
        size : int
            Objects per class that they were trained on.
        seed : int
            Seed of the bootstrap.

        Returns
        -------
        difference : PairedDifference

        Raises
        ------
        ConfigError
            If there is no such method.
        """
        for method in (first, second):
            if method not in self.methods:
                known = (f"{name} {classifier}" for name, classifier in self.methods)
                raise ConfigError(unknown_name("method", " ".join(method), known))
        folds = range(len(self.splits.folds))
        one, other = (
            [self.cells[*method, size, k].probabilities.argmax(axis=1) for k in folds]
            for method in (first, second)
        )
        return paired_difference(
            one,
            other,
            [self.labels(k) for k in folds],
            [fold.test for fold in self.splits.folds],
            len(self.splits.classes),
            seed=seed,
        )

    def _row(self, name: str, classifier: str, size: int) -> dict[str, Any]:
        folds = range(len(self.splits.folds))
        cells = [self.cells[name, classifier, size, k] for k in folds]
        labels = [self.labels(k) for k in folds]
        classes = self.splits.classes
        confusions = np.stack(
            [
                _confusion(cell.probabilities, truth, len(classes))
                for cell, truth in zip(cells, labels, strict=True)
            ]
        )
        per_class = f1_per_class(confusions)
        probabilities = np.concatenate([cell.probabilities for cell in cells])
        truth = np.concatenate(labels)
        calibration = calibrate(probabilities, truth)
        return {
            "dataset": self.splits.dataset,
            "method": name,
            "classifier": classifier,
            "samples_per_class": size,
            **_summary("macro_f1", per_class.mean(axis=1)),
            **_summary("window_macro_f1", self._window_scores(cells, labels)),
            "per_class_f1": dict(
                zip(classes, _rounded(per_class.mean(axis=0)), strict=True)
            ),
            "confusion": confusions.sum(axis=0).tolist(),
            "brier": round(brier_score(probabilities, truth), 4),
            "calibration_error": round(calibration.error, 4),
            "reliability": {
                "confidence": _rounded(calibration.confidence),
                "accuracy": _rounded(calibration.accuracy),
                "count": calibration.count.tolist(),
            },
            "finetuning": _mean_finetuning(cells),
            "facts": [cell.facts for cell in cells],
            "seconds": round(float(np.mean([cell.seconds for cell in cells])), 2),
        }

    def _window_scores(
        self, cells: Sequence[Cell], labels: Sequence[NDArray[np.int64]]
    ) -> NDArray[np.float64] | None:
        scores = []
        for cell, truth in zip(cells, labels, strict=True):
            if cell.window_probabilities is None or cell.window_owner is None:
                return None
            confusion = _confusion(
                cell.window_probabilities,
                truth[cell.window_owner],
                len(self.splits.classes),
            )
            scores.append(f1_per_class(confusion).mean())
        return np.array(scores)


def run_benchmark(
    objects: ObjectSet,
    splits: Splits,
    methods: Iterable[Method],
    out: str | Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> Benchmark:
    """Train and score every method on every fold and size.

    What is finished is written at once; a run that was interrupted goes on where it
    stopped, and methods may be added to a finished one. A result is taken from an
    earlier run only if method, training and test objects, their light curves and the
    seed are the same.

    Parameters
    ----------
    objects : ObjectSet
    splits : Splits
    methods : iterable of Method
        Each of another name or classifier.
    out : str or pathlib.Path
        Folder for splits and results; new or empty, unless `resume`.
    resume : bool
        Go on in a folder that holds results.
    progress : callable, optional
        Called as ``progress(stage, done, total, unit)``.

    Returns
    -------
    benchmark : Benchmark

    Raises
    ------
    ConfigError
        If splits and objects do not fit, two methods are the same, or the folder is
        not empty.
    """
    methods = list(methods)
    names = [(method.name, method.classifier) for method in methods]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated or not names:
        what = " ".join(repeated[0]) + " twice" if repeated else "no method"
        raise ConfigError(f"A benchmark has distinct methods. Received: {what}.")
    splits.check(objects)
    folder = open_folder(Path(out), resume=resume)
    splits.save(folder / SPLITS_NAME)

    used = objects.take(splits.names())
    plan = [
        (method, size, number, _cell_path(folder, method, splits, objects, size, fold))
        for method in methods
        for size in splits.sizes
        for number, fold in enumerate(splits.folds)
    ]
    cells: dict[tuple[str, str, int, int], Cell] = {}
    prepared: set[int] = set()
    for done, (method, size, number, path) in enumerate(plan):
        if path.is_file():
            cell = _read_cell(path)
        else:
            if id(method) not in prepared:
                method.prepare(used, progress)
                prepared.add(id(method))
            cell = _run_cell(method, objects, splits, size, splits.folds[number])
            _write_cell(path, cell)
        cells[method.name, method.classifier, size, number] = cell
        if progress is not None:
            progress("train and score", done + 1, len(plan), "classifiers")
    return Benchmark(splits, tuple(names), cells)


def open_folder(folder: Path, *, resume: bool) -> Path:
    """Make the folder of a benchmark, or go on in it; raise ConfigError otherwise."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"`out` must be a folder. Received: out={folder}, a file.")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / CELLS).is_dir():
            raise ConfigError(
                "The folder holds something that no benchmark has made. "
                f"Received: out={folder}. Choose another."
            )
        if not resume:
            raise ConfigError(
                f"The folder holds an earlier run. Received: out={folder}. Go on there "
                "with resume, or choose another."
            )
    (folder / CELLS).mkdir(parents=True, exist_ok=True)
    return folder


def _cell_path(
    folder: Path,
    method: Method,
    splits: Splits,
    objects: ObjectSet,
    size: int,
    fold: Fold,
) -> Path:
    """Name a cell by all that shapes its numbers."""
    sides = [
        [(item.object_id, item.class_name, item.digests) for item in objects.take(side)]
        for side in (fold.train[size], fold.test)
    ]
    key = hash_of(method.key, repr((splits.classes, fold.seed, sides)))
    return folder / CELLS / f"{key}.npz"


def _run_cell(
    method: Method, objects: ObjectSet, splits: Splits, size: int, fold: Fold
) -> Cell:
    start = time.monotonic()
    train: list[LabeledObject] = objects.take(fold.train[size])
    predictor = method.fit(
        train,
        _numbers(fold.train[size], splits),
        num_classes=len(splits.classes),
        seed=fold.seed,
    )
    test = objects.take(fold.test)
    probabilities = predictor.predict_proba(test)
    windows = predictor.predict_windows(test)
    return Cell(
        probabilities=probabilities,
        window_probabilities=None if windows is None else windows.probabilities,
        window_owner=None if windows is None else windows.owner,
        facts=dict(predictor.facts),
        seconds=time.monotonic() - start,
    )


def _write_cell(path: Path, cell: Cell) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "probabilities": cell.probabilities,
        "facts": np.array(json.dumps(cell.facts)),
        "seconds": np.array(cell.seconds),
    }
    if cell.window_probabilities is not None and cell.window_owner is not None:
        arrays["window_probabilities"] = cell.window_probabilities
        arrays["window_owner"] = cell.window_owner
    write_arrays(path, arrays)


def _read_cell(path: Path) -> Cell:
    arrays = read_arrays(path)
    return Cell(
        probabilities=arrays["probabilities"],
        window_probabilities=arrays.get("window_probabilities"),
        window_owner=arrays.get("window_owner"),
        facts=json.loads(str(arrays["facts"])),
        seconds=float(arrays["seconds"]),
    )


def _numbers(names: Iterable[str], splits: Splits) -> NDArray[np.int64]:
    place = {name: number for number, name in enumerate(splits.classes)}
    return np.array([place[splits.labels[name]] for name in names], dtype=np.int64)


def _confusion(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], num_classes: int
) -> NDArray[np.int64]:
    return confusion_matrix(labels, probabilities.argmax(axis=1), num_classes)


def _summary(name: str, scores: NDArray[np.float64] | None) -> dict[str, Any]:
    """Return mean, standard deviation and values over folds, under their names."""
    per_fold = "per_fold" if name == "macro_f1" else f"{name}_per_fold"
    if scores is None:
        return {f"{name}_mean": None, f"{name}_std": None, per_fold: None}
    # One fold has no scatter; NaN is no JSON.
    std = round(float(scores.std(ddof=1)), 4) if len(scores) > 1 else None
    return {
        f"{name}_mean": round(float(scores.mean()), 4),
        f"{name}_std": std,
        per_fold: _rounded(scores),
    }


def _mean_finetuning(cells: Sequence[Cell]) -> dict[str, float] | None:
    """Return what finetuning has changed, mean over folds."""
    found = [cell.facts.get("finetuning") for cell in cells]
    known = [facts for facts in found if facts]
    if not known:
        return None
    return {
        name: round(float(np.mean([facts[name] for facts in known])), 5)
        for name in known[0]
    }


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(value), 4) for value in values]
