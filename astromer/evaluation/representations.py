"""What a light curve becomes before a classifier sees it: a vector, however made.

Vectors are computed once per light curve and found again by its content.
"""

from __future__ import annotations

import abc
import copy
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from astromer._version import __version__
from astromer.errors import ConfigError
from astromer.evaluation.cache import VectorCache, hash_of
from astromer.evaluation.features import (
    FEATURES_VERSION,
    extract_features,
    trivial_statistics,
)
from astromer.evaluation.objects import LabeledObject
from astromer.lightcurve import LightCurve
from astromer.progress import Progress

__all__ = [
    "EmbeddingLayer",
    "Features",
    "FrozenEmbedding",
    "Joined",
    "Representation",
    "Rows",
    "Sequences",
    "Statistics",
]

EmbeddingLayer = int | Literal["embedding", "last", "all"]
"""A layer by number (0 is the input embedding), what `embed` gives by default, the last
block, or all, side by side."""

CHUNK: Final = 200
"""Light curves between two parts of a cache."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """Vectors and the objects that they belong to."""

    values: NDArray[np.floating]
    """(num_rows, dim)."""
    owner: NDArray[np.int64]
    """(num_rows,): place of the object in the list given, rising."""

    def average(self, row_values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the mean over an object's rows, shape ``(num_objects, ...)``."""
        count = np.bincount(self.owner)
        first = np.cumsum(count) - count
        sums = np.add.reduceat(row_values.astype(np.float64), first, axis=0)
        means: NDArray[np.float64] = sums / count[:, None]
        return means


class Representation(Protocol):
    """A way to turn light curves into vectors, without a look at labels."""

    @property
    def name(self) -> str:
        """Name in tables."""

    @property
    def key(self) -> str:
        """What tells its numbers from all others'."""

    def prepare(
        self, objects: Sequence[LabeledObject], progress: Progress | None = None
    ) -> None:
        """Compute what is not known yet."""

    def rows(self, objects: Sequence[LabeledObject]) -> Rows:
        """Return a vector per light curve of the objects."""

    def window_rows(self, objects: Sequence[LabeledObject]) -> Rows | None:
        """Return a vector per window, None where there are no windows."""


class _Cached(abc.ABC):
    """Rows of light curves from a cache, which `_compute` fills."""

    name: str
    key: str

    def __init__(self, cache: Path | None) -> None:
        folder = None if cache is None else cache / f"{self.name}-{self.key}"
        self._cache = VectorCache(folder)

    def prepare(
        self, objects: Sequence[LabeledObject], progress: Progress | None = None
    ) -> None:
        curves: dict[str, LightCurve] = {}
        for item in objects:
            curves.update(zip(item.digests, item.light_curves, strict=True))
        missing = self._cache.missing(curves)
        done = len(curves) - len(missing)
        for first in range(0, len(missing), CHUNK):
            keys = missing[first : first + CHUNK]
            self._cache.add(keys, self._compute([curves[key] for key in keys]))
            done += len(keys)
            if progress is not None:
                progress(f"compute {self.name}", done, len(curves), "light curves")

    def rows(self, objects: Sequence[LabeledObject]) -> Rows:
        return self._collect(objects, lambda _, rows: rows)

    def window_rows(
        self,
        objects: Sequence[LabeledObject],  # noqa: ARG002 - as the protocol says
    ) -> Rows | None:
        return None

    def _collect(
        self,
        objects: Sequence[LabeledObject],
        choose: Callable[[LightCurve, NDArray[np.floating]], NDArray[np.floating]],
    ) -> Rows:
        owner, values = [], []
        for place, item in enumerate(objects):
            for digest, curve in zip(item.digests, item.light_curves, strict=True):
                rows = choose(curve, self._cache[digest])
                owner += [place] * len(rows)
                values.append(rows)
        return Rows(np.concatenate(values), np.array(owner))

    @abc.abstractmethod
    def _compute(
        self, light_curves: Sequence[LightCurve]
    ) -> Sequence[NDArray[np.floating]]:
        """Return the rows of each light curve."""


class Features(_Cached):
    """Hand-crafted features; see `astromer.evaluation.features`.

    Parameters
    ----------
    cache : pathlib.Path, optional
        Folder that keeps what was computed.
    periodogram : bool
        Whether to search for periods.
    num_threads : int
    """

    def __init__(
        self,
        cache: Path | None = None,
        *,
        periodogram: bool = True,
        num_threads: int = 1,
    ) -> None:
        self.name = "features" if periodogram else "features-no-periodogram"
        self.key = hash_of(f"{FEATURES_VERSION}", self.name)[:12]
        self._periodogram, self._num_threads = periodogram, num_threads
        super().__init__(cache)

    def _compute(
        self, light_curves: Sequence[LightCurve]
    ) -> Sequence[NDArray[np.floating]]:
        values = extract_features(
            light_curves, periodogram=self._periodogram, num_threads=self._num_threads
        )
        return list(values[:, None, :])


class Statistics(_Cached):
    """Four trivial statistics, the least that any method must beat."""

    def __init__(self) -> None:
        self.name, self.key = "statistics", "1"
        super().__init__(None)

    def _compute(
        self, light_curves: Sequence[LightCurve]
    ) -> Sequence[NDArray[np.floating]]:
        return [trivial_statistics(curve)[None, :] for curve in light_curves]


class FrozenEmbedding(_Cached):
    """Embeddings of a trained encoder that stays as it is.

    A light curve's vector is the mean over its windows, weighted by their numbers of
    observations. All layers of all windows are kept, so that any choice of layers, and
    scores per window, cost no second pass.

    Parameters
    ----------
    model : Reconstructor or Encoder
    name : str
        The preset's name.
    layer : int, "embedding", "last" or "all"
        As `embed` numbers them; "embedding" is what it gives by default, the last
        block and what some encoders say of a window as a whole.
    cache : pathlib.Path, optional
        Folder that keeps what was computed.
    batch_size : int
        Windows per batch.
    """

    def __init__(
        self,
        model: Any,
        name: str,
        *,
        layer: EmbeddingLayer = "embedding",
        cache: Path | None = None,
        batch_size: int = 64,
    ) -> None:
        from astromer.models import Reconstructor

        self.encoder = model.encoder if isinstance(model, Reconstructor) else model
        self._batch_size = batch_size
        self._num_layers = len(self.encoder.layer_sequences)
        self._of_window = list(self.encoder.of_window)
        self.preset = self.name = name
        self.weights_key = self.key = _weights_hash(self.encoder)
        super().__init__(cache)
        self.layer = layer

    def at(self, layer: EmbeddingLayer) -> FrozenEmbedding:
        """Return the embedding of another layer, from the same pass over the data."""
        other = copy.copy(self)
        other.layer = layer
        return other

    @property
    def layer(self) -> EmbeddingLayer:
        """The layer whose values are used."""
        return self._layer

    @layer.setter
    def layer(self, layer: EmbeddingLayer) -> None:
        numbers = range(-self._num_layers, self._num_layers)
        if layer not in ("embedding", "last", "all", *numbers):
            raise ConfigError(
                f"`layer` must lie between {-self._num_layers} and "
                f"{self._num_layers - 1}, or be embedding, last or all. "
                f"Received: layer={layer}."
            )
        if layer == "embedding" and not self._of_window:
            layer = "last"
        self._layer = layer
        self.name = f"{self.preset}/{layer}"
        self.key = f"{self.weights_key}/{layer}"

    def rows(self, objects: Sequence[LabeledObject]) -> Rows:
        """Return a vector per light curve of the objects."""
        return self._collect(objects, self._pool)

    def window_rows(self, objects: Sequence[LabeledObject]) -> Rows:
        """Return a vector per window of the objects."""
        return self._collect(objects, lambda _, rows: self._chosen(rows))

    def _chosen(self, rows: NDArray[np.floating]) -> NDArray[np.floating]:
        config = self.encoder.config
        end = rows.shape[1] - config.description_channels - config.signature_dim
        blocks, of_window = rows[:, :end], rows[:, end:]
        if self._layer == "all":
            return blocks
        last = self._layer in ("embedding", "last")
        number = self._num_layers - 1 if last else int(self._layer)
        chosen = blocks.reshape(len(rows), self._num_layers, -1)[:, number]
        if self._layer == "embedding":
            chosen = np.concatenate([chosen, of_window], axis=1)
        return chosen

    def _pool(
        self, curve: LightCurve, rows: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        sizes = _window_sizes(len(curve), self.encoder.config.window_size)
        weights = sizes / len(curve)
        pooled: NDArray[np.floating] = weights @ self._chosen(rows).astype(np.float64)
        return pooled[None, :]

    def _compute(
        self, light_curves: Sequence[LightCurve]
    ) -> Sequence[NDArray[np.floating]]:
        from astromer.inference import embed

        embeddings = embed(
            self.encoder,
            list(light_curves),
            per="window",
            layer=[*range(self._num_layers), *self._of_window],
            batch_size=self._batch_size,
        )
        window_size = self.encoder.config.window_size
        number = [len(_window_sizes(len(c), window_size)) for c in light_curves]
        return np.split(embeddings.embedding, np.cumsum(number)[:-1])


class Sequences(_Cached):
    """A frozen encoder's last block, one vector per observation.

    Parameters
    ----------
    embedding : FrozenEmbedding
        Whose encoder it is.
    cache : pathlib.Path, optional
        Folder that keeps what was computed: a kilobyte per observation.
    """

    def __init__(self, embedding: FrozenEmbedding, cache: Path | None = None) -> None:
        self.encoder = embedding.encoder
        self.name = f"{embedding.preset}-sequences"
        self.key = embedding.weights_key
        super().__init__(cache)

    def windows(
        self, objects: Sequence[LabeledObject], window_size: int
    ) -> list[NDArray[np.floating]]:
        """Return the vectors of each window, shape ``(num_observations, channels)``."""
        return [
            self._cache[digest][first : first + window_size]
            for item in objects
            for digest, curve in zip(item.digests, item.light_curves, strict=True)
            for first in range(0, len(curve), window_size)
        ]

    def _compute(
        self, light_curves: Sequence[LightCurve]
    ) -> Sequence[NDArray[np.floating]]:
        from astromer.inference import embed

        values = embed(self.encoder, list(light_curves), per="observation").embedding
        return np.split(values, np.cumsum([len(c) for c in light_curves])[:-1])


class Joined:
    """Two representations side by side.

    Parameters
    ----------
    first, second : Representation
    """

    def __init__(self, first: Representation, second: Representation) -> None:
        self._parts = first, second
        self.name = f"{first.name}+{second.name}"
        self.key = hash_of(first.key, second.key)

    def prepare(
        self, objects: Sequence[LabeledObject], progress: Progress | None = None
    ) -> None:
        """Compute what is not known yet."""
        for part in self._parts:
            part.prepare(objects, progress)

    def rows(self, objects: Sequence[LabeledObject]) -> Rows:
        """Return a vector per light curve of the objects."""
        first, second = (part.rows(objects) for part in self._parts)
        return Rows(np.concatenate([first.values, second.values], axis=1), first.owner)

    def window_rows(
        self,
        objects: Sequence[LabeledObject],  # noqa: ARG002 - as the protocol says
    ) -> None:
        """Return None: features are of whole light curves."""
        return


def _window_sizes(length: int, window_size: int) -> NDArray[np.int64]:
    """Return observations per window, as `tile_windows` lays them."""
    starts = np.arange(0, length, window_size)
    return np.minimum(length - starts, window_size)


def _weights_hash(encoder: Any) -> str:
    """Return a name for an encoder's numbers: options, weights, precision, version."""
    weights = (np.ascontiguousarray(w).tobytes() for w in encoder.get_weights())
    options = repr(encoder.config.to_dict())
    precision = " ".join(layer.dtype_policy.name for layer in encoder.layers)
    return hash_of(__version__, options, precision, *weights)[:12]
