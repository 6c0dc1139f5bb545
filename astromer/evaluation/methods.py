"""A method: what is trained on a few labeled objects and then asked about others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from astromer.evaluation.cache import hash_of
from astromer.evaluation.classifiers import (
    CLASSIFIERS_VERSION,
    FittedClassifier,
    fit_classifier,
)
from astromer.evaluation.objects import LabeledObject
from astromer.evaluation.representations import Representation, Rows
from astromer.progress import Progress

__all__ = ["Method", "Predictor", "VectorMethod", "WindowProbabilities"]


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class WindowProbabilities:
    """Class probabilities per window, for scores as the released code gives them."""

    probabilities: NDArray[np.float64]
    """(num_windows, num_classes)."""
    owner: NDArray[np.int64]
    """(num_windows,): place of the object in the list given."""


class Predictor(Protocol):
    """What a method has learned."""

    @property
    def facts(self) -> dict[str, Any]:
        """Plain JSON values worth reporting.

        ``finetuning`` holds ``rmse_before`` and ``rmse_after`` [mag] and ``minutes``
        where an encoder was finetuned.
        """

    def predict_proba(self, objects: Sequence[LabeledObject]) -> NDArray[np.float64]:
        """Return class probabilities, shape ``(num_objects, num_classes)``."""

    def predict_windows(
        self, objects: Sequence[LabeledObject]
    ) -> WindowProbabilities | None:
        """Return class probabilities of windows, None where there are no windows."""


class Method(Protocol):
    """A way to classify objects from a few labeled ones."""

    @property
    def name(self) -> str:
        """What objects are represented by, e.g. a preset's name."""

    @property
    def classifier(self) -> str:
        """What is trained on it."""

    @property
    def key(self) -> str:
        """What tells its results from all others'."""

    def prepare(
        self, objects: Sequence[LabeledObject], progress: Progress | None = None
    ) -> None:
        """Compute what does not depend on labels, once for all folds."""

    def fit(
        self,
        objects: Sequence[LabeledObject],
        labels: NDArray[np.int64],
        *,
        num_classes: int,
        seed: int,
    ) -> Predictor:
        """Train on objects, which may repeat, and their class numbers."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _VectorPredictor:
    representation: Representation
    fitted: FittedClassifier

    @property
    def facts(self) -> dict[str, Any]:
        return self.fitted.facts

    def predict_proba(self, objects: Sequence[LabeledObject]) -> NDArray[np.float64]:
        rows = self.representation.rows(objects)
        return rows.average(self.fitted.predict_proba(rows.values))

    def predict_windows(
        self, objects: Sequence[LabeledObject]
    ) -> WindowProbabilities | None:
        rows = self.representation.window_rows(objects)
        if rows is None:
            return None
        return WindowProbabilities(self.fitted.predict_proba(rows.values), rows.owner)


class VectorMethod:
    """A classifier of vectors on a representation that stays as it is.

    It is trained on one vector per light curve; an object's probabilities are the mean
    over its light curves. Scores per window come from the same classifier, applied to
    each window's vector.

    Parameters
    ----------
    representation : Representation
    classifier : str
        See `astromer.evaluation.classifiers.CLASSIFIERS`.
    num_jobs : int
        Threads of the classifier, where it uses any.
    """

    def __init__(
        self, representation: Representation, classifier: str, *, num_jobs: int = 1
    ) -> None:
        self.representation = representation
        self.name = representation.name
        self.classifier = classifier
        self.key = hash_of(representation.key, classifier, f"{CLASSIFIERS_VERSION}")
        self._num_jobs = num_jobs

    def prepare(
        self, objects: Sequence[LabeledObject], progress: Progress | None = None
    ) -> None:
        """Compute vectors."""
        self.representation.prepare(objects, progress)

    def fit(
        self,
        objects: Sequence[LabeledObject],
        labels: NDArray[np.int64],
        *,
        num_classes: int,
        seed: int,
    ) -> Predictor:
        """Train on the vectors of objects, which may repeat."""
        rows: Rows = self.representation.rows(objects)
        names = [item.object_id for item in objects]
        group = np.unique(names, return_inverse=True)[1]
        fitted = fit_classifier(
            self.classifier,
            rows.values,
            labels[rows.owner],
            group[rows.owner],
            num_classes=num_classes,
            seed=seed,
            num_jobs=self._num_jobs,
        )
        return _VectorPredictor(self.representation, fitted)
