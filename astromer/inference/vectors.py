"""Embeddings as a table: kept in files, searched for what is alike and what is rare.

Needs neither Keras nor a model: what was embedded once can be searched anywhere.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from astromer.checks import check_positive
from astromer.errors import ConfigError
from astromer.inference.tables import Table, read_table

__all__ = ["Embeddings", "Matches"]

_VALUES_PER_PIECE: Final = 1 << 24
"""Similarities held at a time (64 MiB)."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False, slots=True)
class Matches(Table):
    """The embeddings most similar to each query, best first, query by query."""

    query: NDArray[np.int64]
    """(n,): row of the query."""
    query_id: NDArray[np.str_]
    """(n,): its object's name."""
    query_passband: NDArray[np.str_]
    """(n,): its filter's name."""
    rank: NDArray[np.int64]
    """(n,): 1 for the most similar."""
    row: NDArray[np.int64]
    """(n,): row of the match among the embeddings searched."""
    object_id: NDArray[np.str_]
    """(n,): its object's name."""
    passband: NDArray[np.str_]
    """(n,): its filter's name."""
    class_name: NDArray[np.str_]
    """(n,): its class, empty where unknown."""
    similarity: NDArray[np.float32]
    """(n,): cosine of the angle between the two vectors, 1 for the same direction."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False, slots=True)
class Embeddings(Table):
    """Embeddings and what each stands for, in input order.

    ``numpy.asarray(embeddings)`` is the array of vectors.
    """

    object_id: NDArray[np.str_]
    """(n,): object names."""
    passband: NDArray[np.str_]
    """(n,): filter names."""
    label: NDArray[np.int64]
    """(n,): class numbers, -1 where unknown."""
    class_name: NDArray[np.str_]
    """(n,): class names, empty where unknown."""
    n_observations: NDArray[np.int64]
    """(n,): observations behind each embedding."""
    time: NDArray[np.float64]
    """(n,): mean time of these observations [d]."""
    embedding: NDArray[np.float32]
    """(n, dim): the vectors, dimensionless."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.embedding, dtype=dtype, copy=copy)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read what `write` or ``astromer embed`` has written.

        Parameters
        ----------
        path : str or pathlib.Path
            Ends in ``.parquet``, ``.csv`` or ``.npz``.

        Returns
        -------
        embeddings : Embeddings

        Raises
        ------
        ConfigError
            If the file does not hold embeddings, or has another suffix.
        """
        texts = ("object_id", "passband", "class_name")
        numbers = ("label", "n_observations", "time")
        return cls(**read_table(path, texts, numbers, "embedding"))

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Self:
        """Return some of the embeddings.

        Parameters
        ----------
        rows : numpy.ndarray
            Their numbers in any order, or a boolean per row.

        Returns
        -------
        embeddings : Embeddings

        Raises
        ------
        ConfigError
            If a number is no row, or there is not a boolean per row.
        """
        # An empty list would be one of floats.
        given = np.asarray(rows, dtype=None if np.size(rows) else np.intp)
        try:
            chosen = np.arange(len(self))[given]
        except IndexError:
            chosen = given[None, None]
        if chosen.ndim != 1:
            raise ConfigError(
                f"`rows` must be numbers of the {len(self)} rows, or a boolean for each. "
                f"Received: rows={rows!r}."
            )
        return type(self)(**{n: column[chosen] for n, column in self.columns().items()})

    def search(self, queries: Embeddings | None = None, *, k: int = 10) -> Matches:
        """Find the light curves most similar to others, without any label.

        Similarity is the cosine of the angle between two embeddings as they are. What
        has the name of the query's object is no match: its other passbands and
        windows say nothing new.

        Parameters
        ----------
        queries : Embeddings, optional
            From the same preset and options; by default all of these.
        k : int
            Matches per query.

        Returns
        -------
        matches : Matches
            ``k`` rows per query; of equally similar ones the first come first.

        Raises
        ------
        ConfigError
            If the vectors differ in size, or there are fewer than `k` other objects.
        """
        asked = self if queries is None else queries
        if not isinstance(asked, Embeddings):
            raise ConfigError(
                "`queries` must be embeddings, as `embed`, `read` and `take` give them. "
                f"Received: {type(asked).__name__}."
            )
        found, similarity = self._nearest(asked, k, own=queries is None)
        query = np.repeat(np.arange(len(asked)), k)
        row = found.ravel()
        return Matches(
            query=query,
            query_id=asked.object_id[query],
            query_passband=asked.passband[query],
            rank=np.tile(np.arange(1, k + 1), len(asked)),
            row=row,
            object_id=self.object_id[row],
            passband=self.passband[row],
            class_name=self.class_name[row],
            similarity=similarity.ravel(),
        )

    def anomaly(self, *, k: int = 20) -> NDArray[np.float32]:
        """Score how far each light curve is from all others: the rare ones first.

        The score is one minus the cosine of the angle to the `k`-th most similar
        light curve of another object (Ramaswamy et al. 2000). A group of fewer than
        `k` objects that are like nothing else is rare as a whole.

        Parameters
        ----------
        k : int
            Which neighbor counts. Smaller finds loners only, larger small groups too.

        Returns
        -------
        score : numpy.ndarray, shape (n,), float32
            0 to 2; ``numpy.argsort(-score)`` puts the rarest first. Time grows with
            the square of the number of light curves.

        Raises
        ------
        ConfigError
            If there are fewer than `k` other objects.
        """
        _, similarity = self._nearest(self, k, own=True)
        return 1 - similarity[:, -1]

    def _nearest(
        self, queries: Embeddings, k: int, *, own: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return rows and similarities, both (num_queries, k); `own` are the queries."""
        dim, asked = self.embedding.shape[1], queries.embedding.shape[1]
        if asked != dim:
            raise ConfigError(
                "Queries must be embedded as what is searched: with the same preset "
                f"and layers. Received: vectors of {asked} values, and of {dim}."
            )
        check_positive(k=k)
        for vectors in (self.embedding, queries.embedding):
            bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
            if len(bad):
                raise ConfigError(
                    "Embeddings that are compared must be finite. Received: "
                    f"{len(bad)} that are not, the first in row {bad[0]}. "
                    "Leave them out with `take`."
                )
        names, of_query = _numbers_of_names(self.object_id, queries.object_id)
        vectors, directions = _unit(self.embedding), _unit(queries.embedding)
        rows = np.empty((len(queries), k), np.int64)
        similarity = np.empty((len(queries), k), np.float32)
        size = max(1, _VALUES_PER_PIECE // max(len(self), 1))
        for start in range(0, len(queries), size):
            piece = slice(start, start + size)
            cosines = directions[piece] @ vectors.T
            # Rounding takes them beyond.
            np.clip(cosines, -1, 1, out=cosines)
            same = of_query[piece, None] == names
            if own:
                at = np.arange(len(cosines))
                same[at, at + start] = True
            others = len(self) - same.sum(axis=1).max(initial=0)
            if others < k:
                raise ConfigError(
                    "There must be at least `k` light curves of other objects. "
                    f"Received: k={k} with {others} of them. Ask for fewer."
                )
            cosines[same] = -np.inf
            rows[piece], similarity[piece] = _largest(cosines, k)
        return rows, similarity


def _numbers_of_names(
    searched: NDArray[np.str_], asked: NDArray[np.str_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give equal names equal numbers; what has no name equals nothing."""
    unique, numbers = np.unique(np.concatenate([searched, asked]), return_inverse=True)
    first, second = np.split(numbers.astype(np.int64), [len(searched)])
    nameless = np.flatnonzero(unique == "")
    for part, mark in ((first, -1), (second, -2)):
        part[np.isin(part, nameless)] = mark
    return first, second


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors of length one; one of zeros stays, and is like nothing."""
    values = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    unit: NDArray[np.float32] = values / np.maximum(lengths, np.float32(1e-30))
    return unit


def _largest(
    values: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return columns and values of the `k` largest per row, the first of equal ones."""
    most = values.shape[1]
    columns = np.argpartition(-values, k - 1, axis=1)[:, :k] if k < most else None
    if columns is None:
        columns = np.broadcast_to(np.arange(most), values.shape)
    else:
        # A partition takes any of those that are equal to the last.
        last = np.take_along_axis(values, columns, axis=1).min(axis=1, keepdims=True)
        tied = np.flatnonzero((values >= last).sum(axis=1) > k)
        for row in tied:
            columns[row] = np.lexsort((np.arange(most), -values[row]))[:k]
    columns = np.sort(columns, axis=1)
    found = np.take_along_axis(values, columns, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return (
        np.take_along_axis(columns, order, axis=1),
        np.take_along_axis(found, order, axis=1),
    )
