"""Keras 3 models on `keras.ops` alone: they run on every backend.

Names are imported when they are first used: their options cost no Keras.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from astromer.models.config import ClassifierConfig, EncoderConfig

if TYPE_CHECKING:
    from astromer.models.classifier import ClassifierNetwork
    from astromer.models.encoder import Encoder
    from astromer.models.reconstructor import Reconstructor

__all__ = [
    "ClassifierConfig",
    "ClassifierNetwork",
    "Encoder",
    "EncoderConfig",
    "Reconstructor",
]

_HOMES = {
    "ClassifierNetwork": "classifier",
    "Encoder": "encoder",
    "Reconstructor": "reconstructor",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        module = importlib.import_module(f"astromer.models.{_HOMES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
