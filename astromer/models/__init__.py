"""Keras 3 models on `keras.ops` alone: they run on every backend.

Names are imported when they are first used: their options cost no Keras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from astromer.lazy import import_when_used
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

__getattr__, __dir__ = import_when_used(__name__, _HOMES)
