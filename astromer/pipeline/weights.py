"""Weights of observations in the loss from their uncertainties (Sect. 3.3, Eq. 5)."""

from __future__ import annotations

import tensorflow as tf

from astromer.pipeline.options import WEIGHT_FLOOR, ErrorWeights

__all__ = ["weigh_errors"]


def weigh_errors(
    mag_err: tf.Tensor, valid: tf.Tensor, policy: ErrorWeights
) -> tf.Tensor:
    """Turn uncertainties into weights of the loss.

    Source: Eq. 5. Difference from the released code: padding has no part in the
    smallest and largest value.

    Parameters
    ----------
    mag_err : tf.Tensor, shape (batch, window_size), float32
        Uncertainties [mag].
    valid : tf.Tensor, shape (batch, window_size), bool
        True where the observation is real.
    policy : {"off", "released", "paper"}
        - off: every weight is 1.
        - released: the reciprocal uncertainty, scaled to [0, 1] within the window,
          plus 0.001.
        - paper: the reciprocal of the uncertainty scaled to [0, 1] within the window,
          which is kept above 0.001; the most precise observation would otherwise
          weigh infinitely.

    Returns
    -------
    weight : tf.Tensor, shape (batch, window_size), float32
        Dimensionless, finite, zero at padding.
    """
    if policy == "off":
        return tf.cast(valid, tf.float32)
    values = mag_err if policy == "paper" else tf.math.reciprocal_no_nan(mag_err)
    largest = tf.float32.max
    low = tf.reduce_min(tf.where(valid, values, largest), axis=1, keepdims=True)
    high = tf.reduce_max(tf.where(valid, values, -largest), axis=1, keepdims=True)
    # Equal uncertainties give 0 of a range of 0: all observations weigh the same.
    scaled = tf.math.divide_no_nan(values - low, high - low)
    if policy == "paper":
        weight = 1.0 / tf.maximum(scaled, WEIGHT_FLOOR)
    else:
        weight = scaled + WEIGHT_FLOOR
    return tf.where(valid, weight, 0.0)
