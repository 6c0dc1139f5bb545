"""Records or light curves in, batches of windows out.

`load_dataset` is the tf.data graph. `stream_batches`, `fixed_windows` and
`tile_windows` give the same as arrays, without TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astromer.pipeline.arrays import WindowArrays, tile_windows
from astromer.pipeline.options import (
    DEFAULT_WINDOW_SIZE,
    ErrorWeights,
    MaskingConfig,
    MaskingPolicy,
    Normalization,
    Task,
    Tiling,
)
from astromer.pipeline.stream import BatchStream, fixed_windows, stream_batches

if TYPE_CHECKING:
    from astromer.pipeline.dataset import load_dataset

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


def __getattr__(name: str) -> Any:
    # Arrays alone must not cost TensorFlow's import, nor need TensorFlow at all.
    if name == "load_dataset":
        from astromer.pipeline.dataset import load_dataset

        return load_dataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
