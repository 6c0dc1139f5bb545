"""Cut windows out of whole batches of light curves, without a loop.

Light curves arrive as the bytes of their records. A window of one is a substring, so
curves of any length are cut by one `tf.strings.substr` and decoded by one
`tf.io.decode_raw`, which also pads.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from astromer.pipeline.options import Tiling, count_tiles
from astromer.records.schema import (
    LABEL_KEY,
    MAG_ERR_KEY,
    MAG_KEY,
    TIME_KEY,
)

__all__ = [
    "Curves",
    "Windows",
    "cut_windows",
    "parse_curves",
    "sample_starts",
    "tile_starts",
]

_TIME_BYTES = 8
_MAG_BYTES = 4


class Curves(NamedTuple):
    """A batch of light curves, still as bytes."""

    time: tf.Tensor
    """(batch,) string: float64 times [d]."""
    mag: tf.Tensor
    """(batch,) string: float32 magnitudes [mag]."""
    mag_err: tf.Tensor
    """(batch,) string: float32 uncertainties [mag]."""
    label: tf.Tensor
    """(batch,) int64: class numbers, -1 where unknown."""
    index: tf.Tensor
    """(batch,) int64: position of the light curve in its source."""
    length: tf.Tensor
    """(batch,) int64: number of observations."""

    def take(self, rows: tf.Tensor) -> Curves:
        """Return the curves at some rows, repeated rows included."""
        return Curves(*(tf.gather(values, rows) for values in self))


class Windows(NamedTuple):
    """A batch of windows, decoded and padded with zeros at the end."""

    time: tf.Tensor
    """(batch, window_size) float64: times as recorded [d]."""
    mag: tf.Tensor
    """(batch, window_size) float32: magnitudes as recorded [mag]."""
    mag_err: tf.Tensor
    """(batch, window_size) float32: uncertainties [mag]."""
    valid: tf.Tensor
    """(batch, window_size) bool: a real observation, not padding."""
    size: tf.Tensor
    """(batch,) int64: number of real observations."""
    start: tf.Tensor
    """(batch,) int64: index of the first one in its light curve."""


def parse_curves(serialized: tf.Tensor, first_index: tf.Tensor) -> Curves:
    """Parse a batch of records.

    Parameters
    ----------
    serialized : tf.Tensor, shape (batch,), string
        Records as `astromer.records.schema` writes them.
    first_index : tf.Tensor, scalar, int64
        Position in the source of the batch's first light curve.

    Returns
    -------
    curves : Curves
    """
    features = tf.io.parse_example(
        serialized,
        {
            TIME_KEY: tf.io.FixedLenFeature([], tf.string),
            MAG_KEY: tf.io.FixedLenFeature([], tf.string),
            MAG_ERR_KEY: tf.io.FixedLenFeature([], tf.string),
            LABEL_KEY: tf.io.FixedLenFeature([], tf.int64),
        },
    )
    count = tf.shape(serialized, out_type=tf.int64)[0]
    return Curves(
        time=features[TIME_KEY],
        mag=features[MAG_KEY],
        mag_err=features[MAG_ERR_KEY],
        label=features[LABEL_KEY],
        index=first_index + tf.range(count),
        length=tf.cast(tf.strings.length(features[TIME_KEY]), tf.int64) // _TIME_BYTES,
    )


def sample_starts(length: tf.Tensor, window_size: int, seed: tf.Tensor) -> tf.Tensor:
    """Draw where a random window of each light curve starts (Sect. 2.1).

    Parameters
    ----------
    length : tf.Tensor, shape (batch,), int64
        Observations per light curve.
    window_size : int
        Observations per window.
    seed : tf.Tensor, shape (2,), int64
        Stateless random seed; the same seed gives the same result.

    Returns
    -------
    start : tf.Tensor, shape (batch,), int64
        Uniform on 0 ... length - window_size; 0 for shorter light curves.
    """
    choices = tf.maximum(length - window_size, 0) + 1
    draw = tf.random.stateless_uniform(tf.shape(length), seed, dtype=tf.float64)
    return tf.cast(draw * tf.cast(choices, tf.float64), tf.int64)


def tile_starts(
    length: tf.Tensor, window_size: int, tiling: Tiling = "exact"
) -> tuple[tf.Tensor, tf.Tensor]:
    """Lay windows over light curves, end to end.

    Parameters
    ----------
    length : tf.Tensor, shape (batch,), int64
        Observations per light curve, at least 1.
    window_size : int
        Observations per window.
    tiling : {"exact", "released"}
        - exact: each observation lies in exactly one window; the last window of a
          light curve may hold fewer.
        - released: as the released code has it. The last window is moved back to be
          full, so that observations repeat; a light curve whose length is a multiple
          of the window's gets its last window twice.

    Returns
    -------
    row : tf.Tensor, shape (num_windows,), int64
        Light curve of each window, ascending.
    start : tf.Tensor, shape (num_windows,), int64
        Index of the window's first observation: 0, window_size, 2 window_size, ...
    """
    num_windows = count_tiles(length, window_size, tiling)
    row = tf.repeat(tf.range(tf.shape(length, out_type=tf.int64)[0]), num_windows)
    first = tf.cumsum(num_windows, exclusive=True)
    number = tf.range(tf.shape(row, out_type=tf.int64)[0]) - tf.gather(first, row)
    start = number * window_size
    if tiling == "released":
        last = tf.maximum(tf.gather(length, row) - window_size, 0)
        start = tf.minimum(start, last)
    return row, start


def cut_windows(curves: Curves, start: tf.Tensor, window_size: int) -> Windows:
    """Cut one window out of each light curve and pad it with zeros.

    Parameters
    ----------
    curves : Curves
    start : tf.Tensor, shape (batch,), int64
        Index of each window's first observation.
    window_size : int
        Observations per window.

    Returns
    -------
    windows : Windows
    """
    size = tf.minimum(curves.length - start, window_size)

    def cut(values: tf.Tensor, dtype: tf.DType, width: int) -> tf.Tensor:
        part = tf.strings.substr(values, start * width, size * width)
        return tf.io.decode_raw(part, dtype, fixed_length=width * window_size)

    positions = tf.range(window_size, dtype=tf.int64)
    return Windows(
        time=cut(curves.time, tf.float64, _TIME_BYTES),
        mag=cut(curves.mag, tf.float32, _MAG_BYTES),
        mag_err=cut(curves.mag_err, tf.float32, _MAG_BYTES),
        valid=positions[None, :] < size[:, None],
        size=size,
        start=start,
    )
