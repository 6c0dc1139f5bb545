"""The contract between pipeline and models: names of the tensors in a batch.

A batch is a dictionary of tensors with static shapes. The inputs go into the
encoder, the targets into loss and metrics. Booleans are True where the name holds.
"""

from typing import Final

__all__ = [
    "CURVE_INDEX",
    "HIDDEN",
    "INPUTS",
    "MAG",
    "MAG_ERR",
    "PROBED",
    "TARGETS",
    "TIME",
    "VALID",
    "WEIGHT",
    "WINDOW_START",
]

TIME: Final = "time"
"""(batch, window_size) float32: days relative to the window's mean time."""

MAG: Final = "mag"
"""(batch, window_size) float32: magnitudes minus their mean [mag]."""

VALID: Final = "valid"
"""(batch, window_size) bool: a real observation, not padding."""

HIDDEN: Final = "hidden"
"""(batch, window_size) bool: attention and input embedding must not see it."""

PROBED: Final = "probed"
"""(batch, window_size) bool: enters the loss. Never True on padding."""

WEIGHT: Final = "weight"
"""(batch, window_size) float32: weight of an observation in the loss, 1 by default."""

MAG_ERR: Final = "mag_err"
"""(batch, window_size) float32: quoted uncertainty [mag]; 0 on padding."""

CURVE_INDEX: Final = "curve_index"
"""(batch,) int64: position of the window's light curve in the source, from 0."""

WINDOW_START: Final = "window_start"
"""(batch,) int64: index of the window's first observation in its light curve."""

INPUTS: Final = (TIME, MAG, VALID, HIDDEN)
"""What the encoder takes, in this order."""

TARGETS: Final = (MAG, PROBED, WEIGHT)
"""What reconstruction losses and metrics take."""
