"""Subtract means, in float64 before the cast: float32 MJD steps by 5.6 minutes."""

from __future__ import annotations

import tensorflow as tf

from astromer.pipeline.windows import Curves, Windows

__all__ = ["curve_means", "subtract_means", "window_means"]


def window_means(windows: Windows) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the mean time and magnitude of each window's observations.

    Parameters
    ----------
    windows : Windows

    Returns
    -------
    mean_time, mean_mag : tf.Tensor, shape (batch,), float64
        In days and mag; padding does not count.
    """
    # Padding is zero, so plain sums need no mask.
    size = tf.cast(windows.size, tf.float64)
    mean_time = tf.reduce_sum(windows.time, axis=1) / size
    mean_mag = tf.reduce_sum(tf.cast(windows.mag, tf.float64), axis=1) / size
    return mean_time, mean_mag


def curve_means(curves: Curves) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the mean time and magnitude of each whole light curve (Sect. 2.1).

    Parameters
    ----------
    curves : Curves

    Returns
    -------
    mean_time, mean_mag : tf.Tensor, shape (batch,), float64
        In days and mag.
    """
    # At least 1: a batch may hold no light curve, and nothing is not a length.
    longest = tf.cast(tf.maximum(tf.reduce_max(curves.length), 1), tf.int32)
    length = tf.cast(curves.length, tf.float64)
    time = tf.io.decode_raw(curves.time, tf.float64, fixed_length=8 * longest)
    mag = tf.io.decode_raw(curves.mag, tf.float32, fixed_length=4 * longest)
    mean_time = tf.reduce_sum(time, axis=1) / length
    mean_mag = tf.reduce_sum(tf.cast(mag, tf.float64), axis=1) / length
    return mean_time, mean_mag


def subtract_means(
    windows: Windows, mean_time: tf.Tensor, mean_mag: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return times and magnitudes relative to means, zero at padding.

    Parameters
    ----------
    windows : Windows
    mean_time, mean_mag : tf.Tensor, shape (batch,), float64
        What to subtract, in days and mag.

    Returns
    -------
    time, mag : tf.Tensor, shape (batch, window_size), float32
    """
    time = tf.cast(windows.time - mean_time[:, None], tf.float32)
    mag = tf.cast(tf.cast(windows.mag, tf.float64) - mean_mag[:, None], tf.float32)
    zero = tf.zeros([], tf.float32)
    return tf.where(windows.valid, time, zero), tf.where(windows.valid, mag, zero)
