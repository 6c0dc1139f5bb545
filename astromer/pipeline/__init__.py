"""Records or light curves in, batches of windows out.

`load_dataset` is the tf.data graph. `stream_batches`, `fixed_windows` and
`tile_windows` give the same as arrays, without TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from astromer.lazy import import_when_used
from astromer.pipeline.options import (
    DEFAULT_WINDOW_SIZE,
    ErrorWeights,
    MaskingConfig,
    MaskingPolicy,
    Normalization,
    Task,
    Tiling,
)

if TYPE_CHECKING:
    from astromer.pipeline.arrays import WindowArrays, tile_windows
    from astromer.pipeline.dataset import load_dataset
    from astromer.pipeline.stream import BatchStream, fixed_windows, stream_batches

__all__ = [
    "DEFAULT_WINDOW_SIZE",
    "BatchStream",
    "ErrorWeights",
    "MaskingConfig",
    "MaskingPolicy",
    "Normalization",
    "Task",
    "Tiling",
    "WindowArrays",
    "fixed_windows",
    "load_dataset",
    "stream_batches",
    "tile_windows",
]

_HOMES = {
    "BatchStream": "stream",
    "WindowArrays": "arrays",
    "fixed_windows": "stream",
    "load_dataset": "dataset",
    "stream_batches": "stream",
    "tile_windows": "arrays",
}

# Arrays must not cost TensorFlow's import, nor need TensorFlow at all; and options, which
# every model brings along, not that of arrays.
__getattr__, __dir__ = import_when_used(__name__, _HOMES)
