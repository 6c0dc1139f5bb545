"""The paper's classifiers on windows, trained on what a frozen encoder has computed.

An encoder that does not train is run once per light curve: heads that pool whole blocks
see their means, other heads the last block's sequences, and only the baselines without
blocks see the observations.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from astromer import batch
from astromer._version import __version__
from astromer.errors import ConfigError, unknown_name
from astromer.evaluation.cache import hash_of
from astromer.evaluation.classifiers import tuning_folds
from astromer.evaluation.methods import Predictor, WindowProbabilities
from astromer.evaluation.objects import LabeledObject
from astromer.evaluation.representations import (
    EmbeddingLayer,
    FrozenEmbedding,
    Sequences,
)
from astromer.models import ClassifierConfig, ClassifierNetwork, EncoderConfig
from astromer.models.encoded import VALUES, head_of
from astromer.pipeline import tile_windows
from astromer.progress import Progress
from astromer.training import ClassificationLoss

__all__ = ["HEADS", "WITHOUT_BLOCKS", "HeadMethod", "HeadTraining"]

HEADS: Final = ("gamma", "mean", "max", "embedding", "attention", "cls", "gru")
"""Heads on a frozen encoder; see `astromer.models.ClassifierConfig`."""
WITHOUT_BLOCKS: Final = ("raw_gru", "input_gru", "input_mean")
"""Baselines that train what they need of an encoder themselves."""
_VECTORS: Final[dict[str, EmbeddingLayer]] = {
    "gamma": "all",
    "mean": "last",
    "embedding": "embedding",
}
"""Heads for which the vectors of embeddings say all, and of which layers."""

_SORTED_BATCHES: Final = 8
"""Batches' worth of windows that are sorted by length before they are cut in training:
enough to spare most padding, too few to give every epoch the same batches."""

NO_ENCODER: Final = "no encoder"
"""Name of the method of these baselines."""

Arrays = dict[str, NDArray[Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class HeadTraining:
    """How a head is trained."""

    hidden_units: tuple[int, ...] = (1024, 512, 256)
    """Units of the dense layers (Sect. 5.4)."""
    gru_units: int = 256
    """Units of recurrent heads."""
    learning_rate: float = 1e-3
    """Of Adam, as released."""
    batch_size: int = 64
    """Windows per step."""
    epochs: int = 100
    """Most epochs."""
    patience: int = 10
    """Most epochs without a smaller validation loss; then training stops, and the best
    weights are kept. The validation set is a fifth of the training objects."""
    patience_steps: int = 200
    """Most steps without one, if they are two epochs at least: an epoch of thousands of
    windows is worth many of a hundred."""


class HeadMethod:
    """A head of the paper on a frozen encoder, or a baseline without one.

    It is trained on windows, of which those of an object weigh as much as one; an
    object's probabilities are the mean over its windows, weighted by observations.

    Parameters
    ----------
    head : str
        Of `HEADS` or `WITHOUT_BLOCKS`.
    embedding : FrozenEmbedding, optional
        The encoder's; only for `HEADS`.
    config : EncoderConfig, optional
        Window and input embedding of `WITHOUT_BLOCKS`; ``astromer2`` by default.
    sequences : Sequences, optional
        The last block's, shared by several heads; kept in memory by default.
    training : HeadTraining, optional

    Raises
    ------
    ConfigError
        If the head is unknown, or needs an encoder and has none.
    """

    def __init__(
        self,
        head: str,
        embedding: FrozenEmbedding | None = None,
        *,
        config: EncoderConfig | None = None,
        sequences: Sequences | None = None,
        training: HeadTraining | None = None,
    ) -> None:
        if head not in (*HEADS, *WITHOUT_BLOCKS):
            raise ConfigError(unknown_name("head", head, (*HEADS, *WITHOUT_BLOCKS)))
        if head in HEADS and embedding is None:
            raise ConfigError(
                f'head="{head}" stands on an encoder. Received: none. Name a preset.'
            )
        self.classifier = head
        self.training = training or HeadTraining()
        self._vectors = embedding if head in _VECTORS else None
        self._sequences: Sequences | None = None
        if head in HEADS and embedding is not None:
            self.config = embedding.encoder.config
            if head not in _VECTORS:
                self._sequences = sequences or Sequences(embedding)
            self.name, base = embedding.preset, embedding.weights_key
        else:
            self.config = config or EncoderConfig.from_name("astromer2")
            self.name, base = NO_ENCODER, repr(self.config.to_dict())
        self.key = hash_of(__version__, head, base, repr(self.training))

    def prepare(
        self, objects: Sequence[LabeledObject], progress: Progress | None = None
    ) -> None:
        """Run the encoder, where there is one."""
        for part in (self._vectors, self._sequences):
            if part is not None:
                part.prepare(objects, progress)

    def fit(
        self,
        objects: Sequence[LabeledObject],
        labels: NDArray[np.int64],
        *,
        num_classes: int,
        seed: int,
    ) -> Predictor:
        """Train on the windows of objects, which may repeat."""
        chosen = self.training
        network = self._network(num_classes, seed)
        is_whole = self.classifier in WITHOUT_BLOCKS
        model = network if is_whole else head_of(network)
        windows = self._windows(objects)
        names = [item.object_id for item in objects]
        group = np.unique(names, return_inverse=True)[1]
        folds = tuning_folds(labels, group, 5, seed)
        train, validation = folds[0] if folds else (np.arange(len(labels)),) * 2
        data = {
            side: _Batches(
                windows,
                windows.of(places),
                labels,
                batch_size=chosen.batch_size,
                seed=seed if side == "train" else None,
            )
            for side, places in (("train", train), ("validation", validation))
        }
        model.compile(
            keras.optimizers.Adam(chosen.learning_rate),
            ClassificationLoss(),
            jit_compile=False,
        )
        facts = _train(model, data["train"], data["validation"], chosen)
        if self.classifier == "gamma":
            shares = np.asarray(network.layer_weights(), dtype=np.float64)
            facts["layer_weights"] = shares.round(4).tolist()
        return _HeadPredictor(self, model, facts)

    def _network(self, num_classes: int, seed: int) -> Any:
        options = ClassifierConfig(
            class_names=tuple(str(number) for number in range(num_classes)),
            head=self.classifier,  # type: ignore[arg-type]
            hidden_units=self.training.hidden_units,
            gru_units=self.training.gru_units,
        )
        return ClassifierNetwork(self.config, options, seed=seed)

    def _windows(self, objects: Sequence[LabeledObject]) -> _Windows:
        curves = [curve for item in objects for curve in item.light_curves]
        owner = np.repeat(
            np.arange(len(objects)), [len(item.light_curves) for item in objects]
        )
        size = self.config.window_size
        counts = np.array([-(-len(curve) // size) for curve in curves])
        sizes = np.concatenate(
            [np.minimum(len(c) - np.arange(0, len(c), size), size) for c in curves]
        )
        arrays: Arrays | None = None
        sequences: list[NDArray[np.floating]] = []
        if self._vectors is not None:
            vectors = self._vectors.at(_VECTORS[self.classifier])
            rows = vectors.window_rows(objects).values
            number = self.config.num_layers + 1 if self.classifier == "gamma" else 1
            values = rows.reshape(len(rows), number, -1)
            arrays = {
                VALUES: values,
                batch.VALID: np.ones(values.shape[:2], dtype=np.float32),
            }
        elif self._sequences is not None:
            sequences = self._sequences.windows(objects, size)
        else:
            tiled = tile_windows(curves, size, self.config.normalization)
            arrays = tiled.inputs()
        return _Windows(
            arrays=arrays,
            sequences=sequences,
            size=sizes,
            owner=np.repeat(owner, counts),
            by_observation=self._vectors is None,
        )


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _Windows:
    """What a head sees of the windows of some objects."""

    arrays: Arrays | None
    """By input, a row per window; None where `sequences` are."""
    sequences: list[NDArray[np.floating]]
    """A window's vectors, one per observation."""
    size: NDArray[np.int64]
    """(num_windows,): observations."""
    owner: NDArray[np.int64]
    """(num_windows,): place of the object."""
    by_observation: bool
    """Whether the second axis is that of observations, and short windows cost less."""

    def of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the windows of the objects at some places."""
        return np.flatnonzero(np.isin(self.owner, places))

    def batches(
        self,
        rows: NDArray[np.int64],
        batch_size: int,
        rng: np.random.Generator | None = None,
    ) -> list[NDArray[np.int64]]:
        """Cut rows into batches, in a drawn order if there is a generator.

        Windows of like length share a batch where that spares padding.
        """
        stretch = len(rows)
        if rng is not None:
            rows, stretch = rng.permutation(rows), _SORTED_BATCHES * batch_size
        if not self.by_observation:
            return _cut(rows, batch_size)
        found = [
            part
            for some in _cut(rows, stretch)
            for part in _cut(
                some[np.argsort(self.size[some], kind="stable")], batch_size
            )
        ]
        if rng is not None:
            found = [found[place] for place in rng.permutation(len(found))]
        return found

    @property
    def share(self) -> NDArray[np.float64]:
        """(num_windows,): part of the object's observations."""
        share: NDArray[np.float64] = (
            self.size / np.bincount(self.owner, weights=self.size)[self.owner]
        )
        return share

    def take(self, rows: NDArray[np.int64]) -> Arrays:
        """Return the inputs of some windows, no longer than the longest of them."""
        sizes = self.size[rows]
        longest = int(sizes.max())
        if self.arrays is not None:
            end = longest if self.by_observation else None
            return {name: values[rows, :end] for name, values in self.arrays.items()}
        parts = [self.sequences[row] for row in rows]
        valid = np.arange(longest) < sizes[:, None]
        values = np.zeros((*valid.shape, parts[0].shape[1]), dtype=np.float32)
        values[valid] = np.concatenate(parts)
        return {VALUES: values, batch.VALID: valid.astype(np.float32)}


def _cut(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Cut rows into parts of a size, the last maybe shorter."""
    return np.split(rows, np.arange(size, len(rows), max(size, 1)))


class _Batches:
    """Batches of windows, in a new order in each pass if there is a seed."""

    def __init__(
        self,
        windows: _Windows,
        rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        *,
        batch_size: int,
        seed: int | None,
    ) -> None:
        self.windows, self.rows, self.labels = windows, rows, labels
        self.batch_size = batch_size
        self.rng = None if seed is None else np.random.default_rng(seed)
        self.share = windows.share

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        return math.ceil(len(self.rows) / self.batch_size)

    def __iter__(
        self,
    ) -> Iterator[tuple[Arrays, NDArray[np.int64], NDArray[np.float64]]]:
        for part in self.windows.batches(self.rows, self.batch_size, self.rng):
            labels = self.labels[self.windows.owner[part]]
            yield self.windows.take(part), labels, self.share[part]


def _train(
    model: Any, train: _Batches, validation: _Batches, training: HeadTraining
) -> dict[str, Any]:
    """Train until the validation loss stops falling; leave the best weights.

    By hand, because `fit` and its graph of the data take longer around a pass over a few
    hundred windows than the pass itself.
    """
    losses: list[float] = []
    best = 0
    kept = model.get_weights()
    patience = min(training.patience, max(2, training.patience_steps // len(train)))
    while len(losses) < training.epochs and len(losses) - best <= patience:
        for inputs, labels, shares in train:
            model.train_on_batch(inputs, labels, sample_weight=shares)
        losses.append(_mean_loss(model, validation))
        if losses[-1] < losses[best] or len(losses) == 1:
            best, kept = len(losses) - 1, model.get_weights()
    model.set_weights(kept)
    return {"epochs": len(losses), "best_epoch": best + 1}


def _mean_loss(model: Any, batches: _Batches) -> float:
    """Return the mean cross-entropy, each window weighted by its share."""
    loss = weight = 0.0
    for inputs, labels, shares in batches:
        probabilities = _softmax(model.predict_on_batch(inputs))
        right = probabilities[np.arange(len(labels)), labels]
        loss -= float(shares @ np.log(np.maximum(right, np.finfo(np.float64).tiny)))
        weight += float(shares.sum())
    return loss / weight


def _softmax(logits: Any) -> NDArray[np.float64]:
    values = np.asarray(logits, dtype=np.float64)
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _HeadPredictor:
    method: HeadMethod
    model: Any
    facts: dict[str, Any]

    def predict_proba(self, objects: Sequence[LabeledObject]) -> NDArray[np.float64]:
        windows, probabilities = self._predict(objects)
        weighted = probabilities * windows.share[:, None]
        first = np.searchsorted(windows.owner, np.arange(len(objects)))
        summed: NDArray[np.float64] = np.add.reduceat(weighted, first, axis=0)
        return summed

    def predict_windows(self, objects: Sequence[LabeledObject]) -> WindowProbabilities:
        windows, probabilities = self._predict(objects)
        return WindowProbabilities(probabilities, windows.owner)

    def _predict(
        self, objects: Sequence[LabeledObject]
    ) -> tuple[_Windows, NDArray[np.float64]]:
        windows = self.method._windows(objects)  # noqa: SLF001 - two halves of one thing
        size = self.method.training.batch_size
        parts = windows.batches(np.arange(len(windows.size)), size)
        found = np.concatenate(
            [
                _softmax(self.model.predict_on_batch(windows.take(part)))
                for part in parts
            ]
        )
        probabilities = np.empty_like(found)
        probabilities[np.concatenate(parts)] = found
        return windows, probabilities
