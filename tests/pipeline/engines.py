"""The two implementations of windows and masks behind one interface of arrays.

Whatever holds for the tf.data graph must hold for numpy: a test takes the fixture
`engine` and runs once with each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from astromer.pipeline import array_masking, arrays, masking, weights, windows
from astromer.pipeline.options import MaskingConfig, Tiling

Array = np.ndarray[Any, Any]


class TensorFlow:
    """What `load_dataset` is made of."""

    Masks = masking.Masks

    @staticmethod
    def select(time: Any, sizes: Any, config: MaskingConfig, seed: Any) -> Any:
        masks = masking.select_masks(
            tf.constant(time), tf.constant(sizes, tf.int64), config, tf.constant(seed)
        )
        return masking.Masks(*(part.numpy() for part in masks))

    @staticmethod
    def apply(mag: Array, masks: Any, sizes: Any, seed: Any) -> Array:
        masks = masking.Masks(*(tf.constant(part) for part in masks))
        sizes = tf.constant(sizes, tf.int64)
        seed = tf.constant(seed)
        return masking.apply_masks(tf.constant(mag), masks, sizes, seed).numpy()

    @staticmethod
    def weigh(errors: Array, valid: Array, policy: Any) -> Array:
        return weights.weigh_errors(tf.constant(errors), tf.constant(valid), policy)

    @staticmethod
    def starts(lengths: Array, window_size: int, seed: Any) -> Array:
        return windows.sample_starts(
            tf.constant(lengths, tf.int64), window_size, tf.constant(seed)
        ).numpy()

    @staticmethod
    def tiles(lengths: Any, window_size: int, tiling: Tiling = "exact") -> Any:
        row, start = windows.tile_starts(
            tf.constant(lengths, tf.int64), window_size, tiling
        )
        return row.numpy(), start.numpy()


class Numpy:
    """What `stream_batches` and `fixed_windows` are made of."""

    Masks = array_masking.MaskArrays

    @staticmethod
    def select(time: Any, sizes: Any, config: MaskingConfig, seed: Any) -> Any:
        return array_masking.select_masks(
            time, np.array(sizes), config, np.random.default_rng(seed)
        )

    @staticmethod
    def apply(mag: Array, masks: Any, sizes: Any, seed: Any) -> Array:
        return array_masking.apply_masks(
            mag, masks, np.array(sizes), np.random.default_rng(seed)
        )

    @staticmethod
    def weigh(errors: Array, valid: Array, policy: Any) -> Array:
        return array_masking.weigh_errors(errors, valid, policy)

    @staticmethod
    def starts(lengths: Array, window_size: int, seed: Any) -> Array:
        return arrays.sample_starts(
            np.array(lengths), window_size, np.random.default_rng(seed)
        )

    @staticmethod
    def tiles(lengths: Any, window_size: int, tiling: Tiling = "exact") -> Any:
        return arrays.lay_tiles(np.array(lengths, np.int64), window_size, tiling)


ENGINES = {"tensorflow": TensorFlow, "numpy": Numpy}
