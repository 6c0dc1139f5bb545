"""Scores of a classifier on a split: of windows, and of light curves as a whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from astromer.training.classification import ClassificationLoss
from astromer.training.data import RunData, fixed_batches
from astromer.training.encoding import SplitTiles, predict_in_order
from astromer.training.tiles import Encoded

__all__ = ["ClassificationScores", "Confusion", "SplitScorer"]

SCORE_NAMES: Final = (
    "loss",
    "accuracy",
    "macro_f1",
    "accuracy_object",
    "macro_f1_object",
)


@dataclasses.dataclass(frozen=True, eq=False)
class Confusion:
    """How often each class was taken for which; scores follow scikit-learn's rules."""

    counts: NDArray[np.int64]
    """(num_classes, num_classes): true classes in rows, predicted ones in columns."""

    @classmethod
    def of(
        cls, label: NDArray[Any], predicted: NDArray[Any], num_classes: int
    ) -> Confusion:
        """Count pairs of classes, each from 0."""
        pairs = np.asarray(label) * num_classes + predicted
        counts = np.bincount(pairs, minlength=num_classes**2)
        return cls(counts.reshape(num_classes, num_classes))

    @property
    def support(self) -> NDArray[np.int64]:
        """(num_classes,): how many are of each class."""
        number: NDArray[np.int64] = self.counts.sum(axis=1)
        return number

    @property
    def precision(self) -> NDArray[np.float64]:
        """(num_classes,): share of those called so that are so; 0 if none are."""
        return _ratio(self.counts.diagonal(), self.counts.sum(axis=0))

    @property
    def recall(self) -> NDArray[np.float64]:
        """(num_classes,): share of those that are so that are called so."""
        return _ratio(self.counts.diagonal(), self.support)

    @property
    def f1(self) -> NDArray[np.float64]:
        """(num_classes,): harmonic mean of both."""
        return _ratio(2 * self.counts.diagonal(), self._occurrences)

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that occur, as truth or as prediction."""
        return float(self.f1[self._occurrences > 0].mean())

    @property
    def accuracy(self) -> float:
        """Share that is called what it is."""
        return float(self.counts.trace() / self.counts.sum())

    @property
    def _occurrences(self) -> NDArray[np.int64]:
        number: NDArray[np.int64] = self.counts.sum(axis=0) + self.support
        return number


@dataclasses.dataclass(frozen=True)
class ClassificationScores:
    """What a classifier scores on a split."""

    loss: float
    """Mean over windows."""
    windows: Confusion
    """Windows one by one."""
    objects: Confusion
    """Light curves, whose windows' probabilities are averaged, each weighted by its
    number of observations."""

    def to_dict(self) -> dict[str, float]:
        """Return the scores that are one number each."""
        values = (
            self.loss,
            self.windows.accuracy,
            self.windows.macro_f1,
            self.objects.accuracy,
            self.objects.macro_f1,
        )
        return dict(zip(SCORE_NAMES, values, strict=True))


class SplitScorer:
    """Scores a classifier on all labeled light curves of a split, in one pass.

    Parameters
    ----------
    data : RunData
        Of task ``"classify"``.
    split : str
    num_classes : int
    loss : ClassificationLoss
    """

    names: Sequence[str] = SCORE_NAMES

    def __init__(
        self, data: RunData, split: str, num_classes: int, loss: ClassificationLoss
    ) -> None:
        self.num_classes = num_classes
        self.loss = loss
        self.batches = fixed_batches(data, split)
        self.tiles = SplitTiles.of(data, split)
        self.batch_size = data.options.batch_size
        self.encoded: Encoded | None = None
        """What a frozen encoder gives for the windows, once it is known."""

    def __call__(self, model: keras.Model) -> dict[str, float]:
        """Return the scores by name; of a head alone, where windows are encoded."""
        encoded = self.encoded
        if encoded is None:
            return self.score(model).to_dict()
        return self._score(self._predict(model, encoded.take(slice(None)))).to_dict()

    def score(self, model: keras.Model) -> ClassificationScores:
        """Predict all windows, on all devices, and score them.

        Parameters
        ----------
        model : ClassifierNetwork

        Returns
        -------
        scores : ClassificationScores
        """
        return self._score(self._predict(model, self.batches))

    def _predict(self, model: keras.Model, windows: Any) -> NDArray[np.float32]:
        return predict_in_order(model, windows, len(self.tiles), self.batch_size)

    def _score(self, logits: NDArray[np.float32]) -> ClassificationScores:
        tiles = self.tiles
        label = tiles.label[tiles.curve]
        weighted = ops.convert_to_numpy(ops.softmax(logits)) * tiles.size[:, None]
        # The sum is as good as the mean: what is largest is the same.
        first = np.searchsorted(tiles.curve, np.arange(len(tiles.label)))
        pooled = np.add.reduceat(weighted.astype(np.float64), first, axis=0)
        return ClassificationScores(
            loss=float(self.loss(label, logits)),
            windows=Confusion.of(label, logits.argmax(axis=1), self.num_classes),
            objects=Confusion.of(tiles.label, pooled.argmax(axis=1), self.num_classes),
        )


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = part / np.maximum(whole, 1)
    return values
